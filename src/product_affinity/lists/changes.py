"""What left the list since the last one and why, and why a list is empty.

Nothing here reveals an arm of the hold-back: a pair that was held back reads like one for which no slot was left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from product_affinity.lists.previous import PublishedList

GONE_COLUMNS = (
    "play_id",
    "account_id",
    "account_name",
    "product_id",
    "product_name",
    "owner_id",
    "owner_name",
    "last_rank",
    "value_usd",
    "last_listed_on",
    "days_on_list",
    "why",
    "detail",
)
NOT_PROPOSED = "not proposed this period"
WHY = {
    "adopted": "bought it",
    "in_flight": "being worked on",
    "watchlist": "blocked by a gate",
    "owner_changed": "now on another owner's list",
    "other_play": "another product goes first",
    "below_value": "worth less than a play costs",
    "campaign": "moved to the digital campaign",
    "net_new": "sold like new business, by sales",
    "not_proposed": NOT_PROPOSED,
    "not_scored": "not scored: no longer a customer that may buy it",
}
_KEYS = ["account_id", "product_id"]


def find_gone(
    previous: PublishedList | None, plays: pd.DataFrame, scores: pd.DataFrame, watchlist: pd.DataFrame
) -> pd.DataFrame:
    """Find the rows of the last list that their owner no longer has, each with why.

    Parameters
    ----------
    previous : the last published list, or None.
    plays : today's plays.
    scores : today's account × product with status, disposition and first_gate.
    watchlist : today's watchlist, for the evidence of what a gate blocks.

    Returns
    -------
    DataFrame
        `GONE_COLUMNS`; `why` is a key of `WHY`, `detail` says it in words. Sorted by owner_id (none last), last_rank.
    """
    if previous is None or previous.worklist.empty:
        return _nothing_gone()
    before = previous.worklist.drop(columns=["as_of", "status", "change"], errors="ignore")
    today = plays[[*_KEYS, "owner_id", "owner_name"]].rename(
        columns={"owner_id": "owner_now", "owner_name": "owner_name_now"}
    )
    rows = before.merge(today, on=_KEYS, how="left", validate="1:1", indicator="listed")
    listed = rows["listed"].eq("both")
    same_owner = rows["owner_id"].fillna("").eq(rows["owner_now"].fillna(""))
    rows = rows[~(listed & same_owner)].drop(columns="listed").reset_index(drop=True)
    rows = rows.merge(
        scores[[*_KEYS, "status", "disposition", "first_gate"]], on=_KEYS, how="left", validate="1:1"
    ).merge(watchlist[[*_KEYS, "evidence"]], on=_KEYS, how="left", validate="1:1")
    goes_first = plays.drop_duplicates("account_id").set_index("account_id")["product_name"]
    rows["goes_first"] = rows["account_id"].map(goes_first).astype("str")
    rows["still_listed"] = rows.set_index(_KEYS).index.isin(plays.set_index(_KEYS).index)
    reasons = [_why(row) for row in rows.to_dict("records")]
    rows["why"] = pd.Series([why for why, _ in reasons], index=rows.index, dtype="str")
    rows["detail"] = pd.Series([detail for _, detail in reasons], index=rows.index, dtype="str")
    rows["last_rank"] = rows["rank"].astype("int64")
    rows["last_listed_on"] = pd.Series(pd.Timestamp(previous.as_of), index=rows.index, dtype="datetime64[us]")
    return rows.sort_values(["owner_id", "last_rank", *_KEYS], kind="stable", ignore_index=True)[list(GONE_COLUMNS)]


def why_not_listed(scores: pd.DataFrame) -> list[str]:
    """Say in counted lines what became of the pairs that no list shows, the most frequent first.

    >>> why_not_listed(pd.DataFrame({"status": ["owned", "white_space"], "disposition": [None, "below_value"]}))
    ['1 worth less than a play costs', '1 owned already']
    """
    dispositions = (
        scores["disposition"].dropna().replace({"held_back": "not_proposed", "beyond_capacity": "not_proposed"})
    )
    counts = {WHY[str(name)]: int(n) for name, n in dispositions.value_counts().items() if name != "listed"}
    counts["owned already"] = int(scores["status"].eq("owned").sum())
    counts["not for sale to them"] = int(scores["status"].eq("not_eligible").sum())
    ordered = sorted((item for item in counts.items() if item[1]), key=lambda item: -item[1])
    return [f"{n:,} {words}" for words, n in ordered] or ["no account was scored"]


def count_changes(plays: pd.DataFrame, gone: pd.DataFrame) -> dict[str, int]:
    """Count new, up, down, same and gone."""
    found = plays["change"].value_counts()
    return {**{name: int(found.get(name, 0)) for name in ("new", "up", "down", "same")}, "gone": len(gone)}


def _nothing_gone() -> pd.DataFrame:
    kinds = {"last_rank": "int64", "value_usd": "float64", "last_listed_on": "datetime64[us]", "days_on_list": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "str")) for name in GONE_COLUMNS})


def _why(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Return the reason and its words, from the row's owner, status and disposition today."""
    if row["still_listed"]:
        owner = row["owner_name_now"] if isinstance(row["owner_name_now"], str) else "nobody"
        return "owner_changed", f"now with {owner}"
    if row["status"] == "owned":
        return "adopted", WHY["adopted"]
    disposition = row["disposition"]
    if disposition == "watchlist":
        return "watchlist", f"{row['first_gate']} {row['evidence']}"
    if disposition == "other_play":
        if not isinstance(row["goes_first"], str):
            # its account's better product has no slot, or is held back: which of both must not show
            return "not_proposed", WHY["not_proposed"]
        return "other_play", f"{row['goes_first']} goes first"
    if disposition in ("held_back", "beyond_capacity", "listed"):
        return "not_proposed", WHY["not_proposed"]
    why = disposition if isinstance(disposition, str) and disposition in WHY else "not_scored"
    return why, WHY[why]
