"""A published list of hand-made plays, and the desk at which its workbooks are filled in and come back."""

from __future__ import annotations

import datetime as dt

import openpyxl
import pandas as pd

from product_affinity.lists import owner_key, publish_lists
from product_affinity.lists.files import write_list_files
from product_affinity.outcomes import apply_outcomes, read_workbook
from tests.lists.night import night
from tests.plays import AS_OF

RECEIVED = dt.datetime(2026, 7, 3, 10, 0, tzinfo=dt.UTC)
STORE = "outcomes/outcomes.parquet"


def publish(var, content=None):
    """Publish a list under `var` and return its folder."""
    content = content or night(status="", outcome_note="")
    said = {"as_of": str(content.as_of)}
    return publish_lists(var / "lists", content.as_of, lambda folder: write_list_files(folder, content, said))


def fill(book_path, target, *answers, sheet="Worklist"):
    """Fill rows of a workbook's sheet with (row number, {header: value}), as a person would, and save it."""
    book = openpyxl.load_workbook(book_path)
    page = book[sheet]
    headers = [cell.value for cell in page[1]]
    for number, values in answers:
        for header, value in values.items():
            if header not in headers:
                headers.append(header)
                page.cell(1, len(headers), header)
            page.cell(number, headers.index(header) + 1).value = value
    book.save(target)
    return target


def keys_of(book_path, number, sheet="Worklist"):
    """The hidden keys of a row."""
    page = openpyxl.load_workbook(book_path)[sheet]
    headers = [cell.value for cell in page[1]]
    names = ("play_id", "owner", "account_id", "product_id")
    return {name: page.cell(number, headers.index(name) + 1).value for name in names}


def apply(var, file, *, received=RECEIVED, noted=None, timezone="UTC"):
    return apply_outcomes(file, var, owner_key=owner_key, timezone=timezone, received_at=received, noted_at=noted)


def send(var, path, **options):
    """Read a workbook and apply it."""
    return apply(var, read_workbook(path, timezone="UTC"), **options)


def recorded(var):
    path = var / STORE
    return pd.read_parquet(path) if path.exists() else pd.DataFrame()


def fates(report):
    return {line.place: (line.fate, line.why) for line in report.lines}


def balanced(report):
    counts = report.counts()
    assert counts["rows_in"] == counts["applied"] + counts["unchanged"] + counts["rejected"]
    return counts


__all__ = ["AS_OF", "RECEIVED", "apply", "balanced", "fates", "fill", "keys_of", "publish", "recorded", "send"]
