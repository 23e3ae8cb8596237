"""Figures of the page's overview: what the list is worth, what lies untouched, what is blocked, what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

import pandas as pd

from product_affinity.lists.changes import NOT_PROPOSED

UNTOUCHED_AFTER_DAYS = 14
# Reading "held back for measurement" would reveal an arm, so everything that merely lost a choice reads the same.
DISPOSITION_WORDS = {
    "in_flight": "in flight: somebody already works on the account",
    "watchlist": "waiting: a gate holds it back",
    "net_new": "net-new motion: sales exports it",
    "campaign": "campaign: no owner's time is used",
    "below_value": "worth less than a play costs",
    "other_play": NOT_PROPOSED,
    "beyond_capacity": NOT_PROPOSED,
    "held_back": NOT_PROPOSED,
}


def summarise(plays: pd.DataFrame, watchlist: pd.DataFrame, gone: pd.DataFrame) -> dict[str, object]:
    """Return the overview's figures.

    Expected ARR of a play is ``propensity × expected_arr_usd``: its chance times the ARR if won, before the cost
    of the play.

    Parameters
    ----------
    plays, watchlist, gone : as in `SiteData`.

    Returns
    -------
    dict
        plays, accounts, expected_arr; by_product, by_owner, by_tier (label, key, plays, expected_arr, largest
        first); untouched (rows on the list for `UNTOUCHED_AFTER_DAYS` or more that nobody noted anything on, and
        their expected ARR); blocked (gate, accounts, expected_arr); changes (new, up, down, same, gone).
    """
    expected = _expected_arr(plays)
    idle = is_untouched(plays).tolist()
    changes = plays["change"].tolist()
    tiers = [None if pd.isna(tier) else int(tier) for tier in plays["tier"]]
    return {
        "plays": len(plays),
        "accounts": int(plays["account_id"].nunique()),
        "expected_arr": round(sum(expected), 2),
        "by_product": _groups(_texts(plays["product_id"]), _texts(plays["product_name"]), expected, "No product"),
        "by_owner": _groups(_texts(plays["owner_id"]), _texts(plays["owner_name"]), expected, "No owner"),
        "by_tier": _groups(tiers, [f"Tier {tier}" for tier in tiers], expected, "Tier unknown"),
        "untouched": {"plays": sum(idle), "expected_arr": round(sum(compress(expected, idle)), 2)},
        "blocked": _blocked(watchlist),
        "changes": {name: changes.count(name) for name in ("new", "up", "down", "same")} | {"gone": len(gone)},
    }


def is_untouched(plays: pd.DataFrame) -> pd.Series:
    """Return which plays nobody noted anything on in `UNTOUCHED_AFTER_DAYS` days or more on the list."""
    return plays["days_on_list"].ge(UNTOUCHED_AFTER_DAYS) & plays["status"].fillna("").eq("")


def why_not_listed(dispositions: Mapping[str, int]) -> list[dict[str, object]]:
    """Return what became of the pairs that are not listed, in words, largest count first; arms are never told.

    >>> why_not_listed({"listed": 3, "beyond_capacity": 5, "held_back": 2, "watchlist": 1})
    [{'words': 'not proposed this period', 'pairs': 7}, {'words': 'waiting: a gate holds it back', 'pairs': 1}]
    """
    counts: dict[str, int] = {}
    for name, count in dispositions.items():
        if name != "listed":
            words = DISPOSITION_WORDS[name]
            counts[words] = counts.get(words, 0) + count
    return [{"words": words, "pairs": counts[words]} for words in sorted(counts, key=lambda w: (-counts[w], w))]


def _expected_arr(rows: pd.DataFrame) -> list[float]:
    """Chance × ARR if won of each row; a row without a price counts nothing."""
    worth = rows["propensity"].astype(float) * rows["expected_arr_usd"].astype(float)
    return [float(value) for value in worth.fillna(0.0)]


def _texts(values: pd.Series) -> list[str | None]:
    return [None if pd.isna(value) else str(value) for value in values]


def _groups(
    keys: Sequence[str | int | None], labels: Sequence[str | None], expected: Sequence[float], nobody: str
) -> list[dict[str, object]]:
    """Add up expected ARR by key, largest first, ties by label; `nobody` is the label of rows without a key."""
    groups: dict[str | int | None, tuple[str, int, float]] = {}
    for key, label, worth in zip(keys, labels, expected, strict=True):
        words, plays, total = groups.get(key, (nobody if key is None else label or str(key), 0, 0.0))
        groups[key] = (words, plays + 1, total + worth)
    ordered = sorted(groups.items(), key=lambda item: (-item[1][2], item[1][0], str(item[0])))
    return [
        {"key": key, "label": words, "plays": plays, "expected_arr": round(total, 2)}
        for key, (words, plays, total) in ordered
    ]


def _blocked(watchlist: pd.DataFrame) -> list[dict[str, object]]:
    """Count an account once a gate, at its best pair: no more than one product can be played there."""
    best: dict[str, dict[str, float]] = {}
    rows = zip(watchlist["gate"], watchlist["account_id"], _expected_arr(watchlist), strict=True)
    for gate, account_id, worth in rows:
        accounts = best.setdefault(str(gate), {})
        accounts[str(account_id)] = max(worth, accounts.get(str(account_id), 0.0))
    ordered = sorted(best.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    return [
        {"gate": gate, "accounts": len(accounts), "expected_arr": round(sum(accounts.values()), 2)}
        for gate, accounts in ordered
    ]
