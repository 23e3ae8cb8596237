"""The loop closes: a workbook comes back, and the next list knows."""

from __future__ import annotations

import datetime as dt

import openpyxl
import pandas as pd
import pytest

from product_affinity.errors import UsageError
from product_affinity.lists import owner_key
from product_affinity.pipeline.outcomes import take_outcomes
from tests.pipeline.conftest import UNTIL

RECEIVED = dt.datetime(2026, 6, 30, 12, tzinfo=dt.UTC)


def filled_in(demo, folder, words):
    """An owner's workbook with a status typed for its plays; returns its path and the plays."""
    worklist = pd.read_parquet(demo.lists / "worklist.parquet")
    owner = worklist["owner_id"].value_counts().index[0]
    book = openpyxl.load_workbook(demo.lists / "owners" / f"{owner_key(owner)}.xlsx")
    sheet = book["Worklist"]
    heads = {cell.value: cell.column for cell in sheet[1]}
    plays = [sheet.cell(row, heads["play_id"]).value for row in range(2, sheet.max_row + 1)]
    typed = dict(zip(filter(None, plays), words, strict=False))
    for row in range(2, sheet.max_row + 1):
        play = sheet.cell(row, heads["play_id"]).value
        if play in typed:
            sheet.cell(row, heads["Status"]).value = typed[play]
            sheet.cell(row, heads["Note"]).value = f"about {play}"
    path = folder / "back.xlsx"
    book.save(path)
    return path, worklist[worklist["play_id"].isin(typed)]


def test_not_now_rests_and_does_not_come_back_before_its_date(demo, tmp_path):
    copy = demo.copy(tmp_path)
    path, plays = filled_in(copy, tmp_path, ["not_now"])
    report = take_outcomes(copy.project, path, None, received_at=RECEIVED, noted_at=None)
    assert report.counts()["applied"] == 1
    later = UNTIL + dt.timedelta(days=1)
    copy.nightly(later)
    listed = pd.read_parquet(copy.root / "var" / "lists" / str(later) / "worklist.parquet")
    key = plays.iloc[0][["account_id", "product_id"]].tolist()
    assert not (listed[["account_id", "product_id"]] == key).all(axis=1).any()
    waiting = pd.read_parquet(copy.root / "var" / "lists" / str(later) / "watchlist.parquet")
    row = waiting[(waiting[["account_id", "product_id"]] == key).all(axis=1)].iloc[0]
    assert row["gate"] == "C01"
    assert row["unblocked_on"] == pd.Timestamp(UNTIL) + pd.Timedelta(days=90)
    gone = pd.read_parquet(copy.root / "var" / "lists" / str(later) / "gone.parquet")
    assert set(plays["play_id"]) <= set(gone["play_id"])


def test_an_accepted_play_is_in_flight_with_its_play_id_and_what_was_typed(demo, tmp_path):
    copy = demo.copy(tmp_path)
    path, plays = filled_in(copy, tmp_path, ["accepted"])
    take_outcomes(copy.project, path, None, received_at=RECEIVED, noted_at=None)
    later = UNTIL + dt.timedelta(days=1)
    copy.nightly(later)
    flying = pd.read_parquet(copy.root / "var" / "lists" / str(later) / "in_flight.parquet")
    row = flying[flying["play_id"] == plays.iloc[0]["play_id"]].iloc[0]
    assert row["status"] == "accepted"
    assert row["outcome_note"] == f"about {row['play_id']}"


def test_the_same_file_twice_changes_nothing(demo, tmp_path):
    copy = demo.copy(tmp_path)
    path, _ = filled_in(copy, tmp_path, ["not_a_fit"])
    take_outcomes(copy.project, path, None, received_at=RECEIVED, noted_at=None)
    again = take_outcomes(copy.project, path, None, received_at=RECEIVED + dt.timedelta(days=1), noted_at=None)
    assert (again.counts()["applied"], again.counts()["unchanged"]) == (0, 1)


def test_a_csv_must_be_called_what_it_is(demo, tmp_path):
    path = tmp_path / "export.csv"
    path.write_text("play_id,status\n", "utf-8")
    with pytest.raises(UsageError, match="--kind"):
        take_outcomes(demo.project, path, None, received_at=RECEIVED, noted_at=None)
