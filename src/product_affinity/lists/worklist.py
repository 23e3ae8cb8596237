"""Worklist, watchlist and work in flight: the rows people read, in the order they are worked."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from product_affinity.lists.outcomes_typed import keep_outcomes
from product_affinity.lists.previous import PublishedList
from product_affinity.lists.privacy import protect_plays
from product_affinity.schema.lists import CONTEXT_COLUMNS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS

UNASSIGNED = "_unassigned"
PLAY_COLUMNS = (*WORKLIST_COLUMNS, *CONTEXT_COLUMNS)
NAME_COLUMNS = ("account_name", "product_name", "owner_name")
IN_FLIGHT_COLUMNS = (
    "play_id",
    "account_id",
    "product_id",
    "owner_id",
    "evidence",
    "days_on_list",
    "status",
    "outcome_reason",
    "outcome_note",
)
_NUMBERS = frozenset(
    (
        "propensity",
        "lift",
        "expected_arr_usd",
        "value_usd",
        "account_arr_usd",
        "health",
        "health_change",
        "open_urgent",
        "open_urgent_oldest_days",
        "base_rate",
    )
)
_INTEGERS = frozenset(("rank", "one_in", "tier", "days_on_list"))
_DATES = frozenset(("best_by", "renewal_on", "problem_noted_on", "trigger_on", "unblocked_on"))
_FLAGS = frozenset((*(f"reason_{k}_sayable" for k in (1, 2, 3)), "caution_sayable", "winback", "launch_estimate"))


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
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", text) and not _RESERVED.fullmatch(text):
        return text
    return f"id-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


# Names of devices: Windows opens no file called so, whatever its ending.
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]|id-[0-9a-f]{10}", re.IGNORECASE)


def play_id(account_id: str, product_id: str, since: dt.date) -> str:
    """Return the id of the play that was first listed on `since`; the same episode keeps the same id."""
    name = "\x1f".join((account_id, product_id, since.isoformat()))
    return f"P-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def build_worklist(
    listed: pd.DataFrame,
    previous: PublishedList | None,
    as_of: dt.date,
    outcomes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build the plays: listed rows ranked by value within their owner, with what changed and what came back.

    Parameters
    ----------
    listed : one row an account with owner_id, owner_name, owner_key, account_id, account_name, product_id,
        product_name, owned_products, propensity (0–1), base_rate (0–1), expected_arr_usd, value_usd, tier,
        reasons, caution, and whatever else of `PLAY_COLUMNS` is known; what is absent is unknown.
    previous : the last list before `as_of`; an open play keeps its play_id.
    as_of : date of the list.
    outcomes : rows of the outcomes table known at `as_of`; the newest of an open play is shown with it.

    Returns
    -------
    DataFrame
        `PLAY_COLUMNS`: the published `WORKLIST_COLUMNS`, then the context that workbook and page show. Sorted by
        owner, rank. Ties in value go by account_id, then product_id. Problem texts are redacted.
    """
    rows = listed.sort_values(
        ["owner_key", "value_usd", "account_id", "product_id"],
        ascending=[True, False, True, True],
        kind="stable",
        ignore_index=True,
    )
    rows["rank"] = rows.groupby("owner_key", sort=False).cumcount() + 1
    rows["one_in"] = np.ceil(1 / rows["propensity"].clip(lower=1e-9)).astype("int64")
    rows["lift"] = (rows["propensity"] / rows["base_rate"]).round(2)
    _continue_plays(rows, previous, as_of)
    rows = _typed(rows, PLAY_COLUMNS)
    rows["as_of"] = pd.Timestamp(as_of).date()
    return protect_plays(keep_outcomes(rows, outcomes))


def build_in_flight(
    flying: pd.DataFrame,
    previous: PublishedList | None,
    as_of: dt.date,
    outcomes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Build the work in flight: pairs somebody already works on, with the play they began as.

    Parameters
    ----------
    flying : account_id, product_id, owner_id, account_name, product_name, owner_name and evidence.
    previous, as_of, outcomes : as in `build_worklist`.

    Returns
    -------
    DataFrame
        `IN_FLIGHT_COLUMNS` and `NAME_COLUMNS`; play_id is null where the work did not begin on a list. Sorted
        by owner (rows without one last), account_id, product_id.
    """
    rows = flying.sort_values(["owner_id", "account_id", "product_id"], kind="stable", ignore_index=True)
    rows = rows.drop(columns=["play_id", "days_on_list"], errors="ignore")
    if previous is not None:
        rows = rows.merge(previous.episodes(), on=["account_id", "product_id"], how="left", validate="m:1")
        rows["days_on_list"] = rows["days_on_list"] + (as_of - previous.as_of).days
    return keep_outcomes(_typed(rows, (*IN_FLIGHT_COLUMNS, *NAME_COLUMNS)), outcomes)


def build_watchlist(held: pd.DataFrame) -> pd.DataFrame:
    """Build the watchlist: what is blocked, by which gate, and what would open it; most valuable first.

    Parameters
    ----------
    held : rows of disposition `watchlist`, with first_gate, evidence, unblocked_by, unblocked_on (a date where
        one can be told) and the names people read.

    Returns
    -------
    DataFrame
        `WATCHLIST_COLUMNS` and `NAME_COLUMNS`.
    """
    rows = held.drop(columns="gate", errors="ignore").rename(columns={"first_gate": "gate"})
    rows = rows.sort_values(
        ["value_usd", "account_id", "product_id"],
        ascending=[False, True, True],
        kind="stable",
        ignore_index=True,
    )
    return _typed(rows, (*WATCHLIST_COLUMNS, *NAME_COLUMNS))


def _continue_plays(rows: pd.DataFrame, previous: PublishedList | None, as_of: dt.date) -> None:
    """Give open plays their id and age, new ones a new id; say how the rank moved."""
    fresh = [play_id(a, p, as_of) for a, p in zip(rows["account_id"], rows["product_id"], strict=True)]
    rows["play_id"] = pd.Series(fresh, index=rows.index, dtype="str")
    rows["days_on_list"] = 0
    rows["change"] = pd.Series("new", index=rows.index, dtype="str")
    if previous is None or rows.empty:
        return
    keys = ["account_id", "product_id"]
    before = rows[keys].merge(previous.episodes(), on=keys, how="left", validate="1:1")
    before = before.merge(previous.worklist[[*keys, "rank"]], on=keys, how="left", validate="1:1")
    goes_on = before["play_id"].notna().to_numpy()
    rows.loc[goes_on, "play_id"] = before.loc[goes_on, "play_id"]
    rows.loc[goes_on, "days_on_list"] = (
        before.loc[goes_on, "days_on_list"].astype("int64") + (as_of - previous.as_of).days
    )
    moved = before["rank"] - rows["rank"]
    words = np.select([moved > 0, moved < 0, moved == 0], ["up", "down", "same"], "new")
    rows["change"] = pd.Series(words, index=rows.index, dtype="str")


def _typed(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Return exactly these columns in their types, absent ones as unknown: every night's file has one shape."""
    typed = rows.reindex(columns=list(columns))
    for name in columns:
        if name in _DATES:
            typed[name] = pd.to_datetime(typed[name]).astype("datetime64[us]")
        elif name in _FLAGS:
            typed[name] = typed[name].astype("boolean").fillna(False).astype(bool)
        elif name in _NUMBERS:
            typed[name] = typed[name].astype("float64")
        elif name in _INTEGERS:
            typed[name] = typed[name].astype("Int64" if typed[name].isna().any() else "int64")
        elif name != "as_of":
            typed[name] = typed[name].astype("str")
    return typed
