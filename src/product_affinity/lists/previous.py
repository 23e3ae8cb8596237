"""The last published list before a date: what makes a row new, and what keeps its play_id."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

_EPISODE = ["account_id", "product_id", "play_id", "days_on_list"]


@dataclass(frozen=True)
class PublishedList:
    """A published list.

    Attributes
    ----------
    as_of : its as-of date.
    worklist : its rows.
    in_flight : what was being worked that day, with play_id where the work began on a list; None for lists
        that were published without it.
    folder : where it is, or None for one that was never written.
    """

    as_of: dt.date
    worklist: pd.DataFrame
    in_flight: pd.DataFrame | None = None
    folder: Path | None = None

    def episodes(self) -> pd.DataFrame:
        """Return the open plays: account_id, product_id, play_id, days_on_list, one row a pair."""
        parts = [self.worklist[_EPISODE]]
        if self.in_flight is not None:
            parts.append(self.in_flight.loc[self.in_flight["play_id"].notna(), _EPISODE])
        return pd.concat(parts).drop_duplicates(["account_id", "product_id"], ignore_index=True)


def latest_before(lists: Path, as_of: dt.date) -> PublishedList | None:
    """Return the newest complete list under `lists` dated before `as_of`, or None.

    A rerun of the same date compares with the same earlier list, so it gives the same bytes.
    """
    dated = _complete_before(lists, as_of)
    return _read(*dated[-1]) if dated else None


def published_before(lists: Path, as_of: dt.date) -> list[PublishedList]:
    """Return every complete list under `lists` dated before `as_of`, oldest first."""
    return [_read(day, folder) for day, folder in _complete_before(lists, as_of)]


def _complete_before(lists: Path, as_of: dt.date) -> list[tuple[dt.date, Path]]:
    dated = []
    for folder in lists.glob("????-??-??"):
        if (folder / "_SUCCESS").exists():
            day = dt.date.fromisoformat(json.loads((folder / "manifest.json").read_text("utf-8"))["as_of"])
            if day < as_of:
                dated.append((day, folder))
    return sorted(dated)


def _read(day: dt.date, folder: Path) -> PublishedList:
    flying = folder / "in_flight.parquet"
    return PublishedList(
        day,
        pd.read_parquet(folder / "worklist.parquet"),
        pd.read_parquet(flying) if flying.exists() else None,
        folder,
    )
