"""Worklist and watchlist: the rows people read, in the order they are worked."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

import numpy as np
import pandas as pd

from product_affinity.lists.previous import PublishedList
from product_affinity.schema.lists import WATCHLIST_COLUMNS, WORKLIST_COLUMNS

UNASSIGNED = "_unassigned"


def owner_key(owner_id: str | float | None) -> str:
    """Return the file-safe key of an owner; rows without one share `_unassigned`.

    >>> owner_key("csm-07"), owner_key(None)
    ('csm-07', '_unassigned')
    """
    return UNASSIGNED if owner_id is None or pd.isna(owner_id) else file_key(str(owner_id))


def file_key(text: str) -> str:
    """Return `text` where it is safe as a file name, else a hash of it: no path is ever built from a name.

    >>> file_key("crm"), file_key("../x"), file_key("CON aux")
    ('crm', 'id-d6b96a97d1', 'id-1b540ebd56')
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text):
        return text
    return f"id-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def play_id(account_id: str, product_id: str, since: dt.date) -> str:
    """Return the id of the play that was first listed on `since`; the same episode keeps the same id."""
    name = "\x1f".join((account_id, product_id, since.isoformat()))
    return f"P-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def build_worklist(listed: pd.DataFrame, previous: PublishedList | None, as_of: dt.date) -> pd.DataFrame:
    """Build the worklist: listed rows ranked by value within their owner, with what changed.

    Parameters
    ----------
    listed : one row an account with owner_id, owner_name, owner_key, account_id, account_name, product_id,
        product_name, owned_products, propensity (0–1), base_rate (0–1), expected_arr_usd, value_usd, tier,
        reason_1..3 and caution.
    previous : the last list before `as_of`; an open play keeps its play_id.
    as_of : date of the list.

    Returns
    -------
    DataFrame
        `WORKLIST_COLUMNS`; sorted by owner, rank. Ties in value go by account_id, then product_id.
    """
    rows = listed.sort_values(
        ["owner_key", "value_usd", "account_id", "product_id"],
        ascending=[True, False, True, True],
        kind="stable",
        ignore_index=True,
    )
    rows["rank"] = rows.groupby("owner_key", sort=False).cumcount() + 1
    rows["as_of"] = pd.Timestamp(as_of).date()
    rows["one_in"] = np.ceil(1 / rows["propensity"].clip(lower=1e-9)).astype("int64")
    rows["lift"] = (rows["propensity"] / rows["base_rate"]).round(2)
    _continue_plays(rows, previous, as_of)
    for name in ("status", "outcome_reason", "outcome_note"):
        rows[name] = pd.Series("", index=rows.index, dtype="str")
    return rows[list(WORKLIST_COLUMNS)]


def _continue_plays(rows: pd.DataFrame, previous: PublishedList | None, as_of: dt.date) -> None:
    """Give open plays their id and age, new ones a new id; say how the rank moved."""
    fresh = [play_id(a, p, as_of) for a, p in zip(rows["account_id"], rows["product_id"], strict=True)]
    rows["play_id"] = pd.Series(fresh, index=rows.index, dtype="str")
    rows["days_on_list"] = 0
    rows["change"] = pd.Series("new", index=rows.index, dtype="str")
    if previous is None or rows.empty:
        return
    keys = ["account_id", "product_id"]
    before = rows[keys].merge(
        previous.worklist[[*keys, "play_id", "rank", "days_on_list"]], on=keys, how="left", validate="1:1"
    )
    stayed = before["play_id"].notna().to_numpy()
    moved = before["rank"] - rows["rank"]
    words = np.select([moved > 0, moved < 0], ["up", "down"], "same")
    rows.loc[stayed, "play_id"] = before.loc[stayed, "play_id"]
    rows.loc[stayed, "days_on_list"] = (
        before.loc[stayed, "days_on_list"].astype("int64") + (as_of - previous.as_of).days
    )
    rows.loc[stayed, "change"] = words[stayed]


def build_watchlist(held: pd.DataFrame) -> pd.DataFrame:
    """Build the watchlist: what is held back, by which gate, and what would open it; most valuable first."""
    rows = held.rename(columns={"first_gate": "gate"}).sort_values(
        ["value_usd", "account_id", "product_id"],
        ascending=[False, True, True],
        kind="stable",
        ignore_index=True,
    )
    # The date a gate opens is known only for waiting periods, which come with the readiness rules.
    rows["unblocked_on"] = pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]")
    return rows[list(WATCHLIST_COLUMNS)]
