"""The last published list before a date: what makes a row new, and what keeps its play_id."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class PublishedList:
    """A published list.

    Attributes
    ----------
    as_of : its as-of date.
    worklist : its rows.
    """

    as_of: dt.date
    worklist: pd.DataFrame


def latest_before(lists: Path, as_of: dt.date) -> PublishedList | None:
    """Return the newest complete list under `lists` dated before `as_of`, or None.

    A rerun of the same date compares with the same earlier list, so it gives the same bytes.
    """
    dated = []
    for folder in lists.glob("????-??-??"):
        if (folder / "_SUCCESS").exists():
            day = dt.date.fromisoformat(json.loads((folder / "manifest.json").read_text("utf-8"))["as_of"])
            if day < as_of:
                dated.append((day, folder))
    if not dated:
        return None
    day, folder = max(dated)
    return PublishedList(day, pd.read_parquet(folder / "worklist.parquet"))
