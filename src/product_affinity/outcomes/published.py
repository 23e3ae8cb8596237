"""The plays that were published: what a returned row may answer, and what its sheet already said."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from product_affinity.errors import ContractError, UsageError
from product_affinity.outcomes.cells import NOTE_LIMIT, REASON_LIMIT, plain_text

# Every file of a list that shows plays; the campaign is worked from CSV files.
_FILES = ("worklist.parquet", "in_flight.parquet", "campaign.parquet")
_COLUMNS = (
    "play_id",
    "account_id",
    "product_id",
    "owner_id",
    "days_on_list",
    "status",
    "outcome_reason",
    "outcome_note",
)
Said = tuple[str, str, str]


@dataclass
class Play:
    """One play as the published lists show it, from its first day to the newest list.

    Attributes
    ----------
    play_id : its id; None for work that did not begin on a list and is only shown as in flight.
    account_id, product_id : the pair.
    listed_on : day it was first listed; for work without play_id, the first list that shows it.
    owner_keys : keys of everybody who had it on a list.
    shown : status, reason and note that some list already showed beside it.
    """

    play_id: str | None
    account_id: str
    product_id: str
    listed_on: dt.date
    owner_keys: set[str] = field(default_factory=set)
    shown: set[Said] = field(default_factory=set)


@dataclass(frozen=True)
class PublishedPlays:
    """Plays of all published lists, found by their id or by their pair.

    Attributes
    ----------
    by_id : play_id to play.
    by_pair : account_id and product_id to their plays, oldest first, the one without an id last.
    """

    by_id: dict[str, Play]
    by_pair: dict[tuple[str, str], list[Play]]


def read_published(
    lists: Path,
    owner_key: Callable[[str | None], str],
    *,
    play_ids: Collection[str],
    pairs: Collection[tuple[str, str]],
) -> PublishedPlays:
    """Read from all published lists the plays with one of these ids or pairs.

    Parameters
    ----------
    lists : `var/lists` of the project.
    owner_key : gives the key under which an owner's rows were published.
    play_ids, pairs : which plays are of interest; those of others may be among the found ones, or not.

    Raises
    ------
    UsageError : nothing is published.
    ContractError : a published file was altered; the message names it.
    """
    folders = [folder for folder in sorted(lists.glob("????-??-??")) if (folder / "_SUCCESS").exists()]
    if not folders:
        raise UsageError(f"{lists}: no list is published, so no play can be answered. Run `affinity nightly`.")
    wanted = {
        "play_id": pa.array(sorted(play_ids), pa.string()),
        "account_id": pa.array(sorted({account for account, _ in pairs}), pa.string()),
        "product_id": pa.array(sorted({product for _, product in pairs}), pa.string()),
    }
    rows = pd.concat([_read_list(folder, wanted) for folder in folders])
    # a play is on many lists: the earliest row of each that says something of its own is enough
    rows = rows.sort_values("listed_on", kind="stable").drop_duplicates([*_COLUMNS[:4], *_COLUMNS[5:]])
    plays: dict[tuple[str | None, str, str], Play] = {}
    for row in rows.astype(object).where(rows.notna(), None).to_dict("records"):
        _add(plays, row, owner_key)
    ordered = sorted(plays.values(), key=lambda play: (play.play_id is None, play.listed_on, play.play_id or ""))
    by_pair: dict[tuple[str, str], list[Play]] = {}
    for play in ordered:
        by_pair.setdefault((play.account_id, play.product_id), []).append(play)
    return PublishedPlays({play.play_id: play for play in ordered if play.play_id is not None}, by_pair)


def _read_list(folder: Path, wanted: Mapping[str, pa.Array]) -> pd.DataFrame:
    """Return `_COLUMNS` and listed_on of a list's wanted rows."""
    checksums = json.loads((folder / "manifest.json").read_text("utf-8"))["checksums"]
    frames = [pd.DataFrame(columns=[*_COLUMNS, "listed_on"], dtype=object)]
    for name in _FILES:
        if name not in checksums:
            continue
        content = (folder / name).read_bytes() if (folder / name).exists() else b""
        if hashlib.sha256(content).hexdigest() != checksums[name]:
            raise ContractError(
                f"{folder.name}/{name}: missing or altered after it was published, so it cannot tell "
                f"whose play is whose. Run `affinity nightly --as-of {folder.name}` to publish it again."
            )
        table = pq.read_table(pa.BufferReader(content), columns=list(_COLUMNS))
        rows = table.filter(_is_wanted(table, wanted)).to_pandas().astype(object)
        # what did not begin on a list counts from the first one that shows it
        days = pd.to_numeric(rows["days_on_list"]).where(rows["play_id"].notna(), 0).fillna(0)
        frames.append(rows.assign(listed_on=pd.Timestamp(folder.name) - pd.to_timedelta(days, unit="D")))
    return pd.concat(frames)


def _is_wanted(table: pa.Table, wanted: Mapping[str, pa.Array]) -> pa.ChunkedArray:
    """Whether a row has one of the ids, or an account and a product of some pair: rows too many do no harm."""
    play, account, product = (
        pc.is_in(table[name].cast(pa.string()), value_set=values) for name, values in wanted.items()
    )
    return pc.or_(play, pc.and_(account, product))


def _add(
    plays: dict[tuple[str | None, str, str], Play], row: dict[Hashable, Any], owner_key: Callable[[str | None], str]
) -> None:
    key = (row["play_id"], row["account_id"], row["product_id"])
    play = plays.setdefault(key, Play(*key, listed_on=row["listed_on"].date()))
    play.owner_keys.add(owner_key(row["owner_id"]))
    if row["status"]:
        said = (plain_text(row["outcome_reason"], REASON_LIMIT), plain_text(row["outcome_note"], NOTE_LIMIT))
        play.shown.add((row["status"], *said))
