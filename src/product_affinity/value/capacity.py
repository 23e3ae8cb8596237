"""Capacity: who gets one of the slots a team can work."""

from __future__ import annotations

import pandas as pd


def fill_capacity(candidates: pd.DataFrame, *, slots: pd.Series) -> pd.Series:
    """Return which candidates get one of their owner's slots: the most valuable first.

    Ties in value are broken by account_id, then product_id, so that a rerun gives the same list.

    Parameters
    ----------
    candidates : owner_key, account_id, product_id, value_usd; at most one row an account.
    slots : free slots by owner_key; an owner that is not in it has none.

    Returns
    -------
    Series of bool
        Index of `candidates`.

    >>> rows = pd.DataFrame({"owner_key": ["o", "o", "p"], "account_id": ["B", "A", "C"],
    ...                      "product_id": "crm", "value_usd": [5.0, 5.0, 1.0]})
    >>> fill_capacity(rows, slots=pd.Series({"o": 1})).tolist()
    [False, True, False]
    """
    order = candidates.sort_values(
        ["value_usd", "account_id", "product_id"], ascending=[False, True, True], kind="stable"
    )
    place = order.groupby("owner_key", sort=False).cumcount()
    free = order["owner_key"].map(slots).astype("float64").fillna(0)
    return (place < free).reindex(candidates.index)
