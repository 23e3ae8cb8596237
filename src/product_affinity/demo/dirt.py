"""Faulty rows such as every real export has: a few in a thousand, never in a good row's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.randomness import stream
from product_affinity.demo.writing import Column, Columns, Words, take

Fault = Callable[[Column], Column]
SHARE = 0.001
"""Faulty rows of each kind per good row; at least one."""


def _unknown(word: str) -> Fault:
    """Replace an id by one that nothing else knows."""

    def fault(column: Column) -> Column:
        if not isinstance(column, Words):
            raise TypeError("an id column holds words")
        return Words(np.full(len(column.codes), len(column.vocabulary)), [*column.vocabulary, word])

    return fault


def _moved(amount: Any) -> Fault:
    def fault(column: Column) -> Column:
        moved: NDArray[Any] = _values(column) + amount
        return moved

    return fault


def _constant(value: float) -> Fault:
    def fault(column: Column) -> Column:
        return np.full_like(_values(column), value)

    return fault


def _on(day: str) -> Fault:
    def fault(column: Column) -> Column:
        return np.full_like(_values(column), np.datetime64(day))

    return fault


def _values(column: Column) -> NDArray[Any]:
    if isinstance(column, Words):
        raise TypeError("this fault is for numbers and dates")
    return column


def _same(column: Column) -> Column:
    return column


FAULTS: dict[str, tuple[dict[str, Fault], ...]] = {
    "accounts": ({"account_id": _same},),
    "subscriptions": (
        {"product_id": _unknown("crm_classic")},
        {"account_id": _unknown("A-UNKNOWN")},
        {"start_on": _moved(np.timedelta64(-11, "D")), "arr_usd": _constant(-1200.0)},
        {"start_on": _moved(np.timedelta64(-13, "D")), "end_on": _on("2001-01-01")},
    ),
    "usage": (
        {"active_users": _constant(-1), "date": _moved(np.timedelta64(-4000, "D"))},
        {"account_id": _unknown("A-UNKNOWN")},
        {"account_id": _same},
    ),
    "tickets": (
        {"account_id": _unknown("A-UNKNOWN"), "ticket_id": _unknown("T-ORPHAN")},
        {"ticket_id": _same},
    ),
    "surveys": ({"score": _constant(11), "responded_at": _moved(np.timedelta64(7, "s"))},),
    "health": ({"score": _constant(140.0), "date": _moved(np.timedelta64(-4000, "D"))},),
    "opportunities": ({"product_id": _unknown("crm_classic"), "opportunity_id": _unknown("O-ORPHAN")},),
    "signals": ({"account_id": _unknown("A-UNKNOWN")},),
}
"""Per table, kinds of faulty rows: what to spoil in a copy of a good row; nothing makes a duplicate."""


def dirty(table: str, columns: Columns, seed: int, number: int = 0) -> Columns:
    """Append faulty copies of some rows.

    Parameters
    ----------
    table : name of the source table; tables without declared faults stay as they are.
    columns : good rows.
    seed : of the demo company.
    number : of the piece, where a table is written in pieces.
    """
    rng = stream(seed, f"dirt {table}", number)
    size = len(_codes(next(iter(columns.values()))))
    pieces = [dict(columns)]
    for faults in FAULTS.get(table, ()):
        rows = np.sort(rng.integers(0, size, max(1, round(size * SHARE)))) if size else np.empty(0, dtype=np.int64)
        piece = take(columns, np.unique(rows))
        pieces.append(piece | {name: fault(piece[name]) for name, fault in faults.items()})
    return {name: _joined([piece[name] for piece in pieces]) for name in columns}


def _codes(column: Column) -> NDArray[Any]:
    return column.codes if isinstance(column, Words) else column


def _joined(parts: list[Column]) -> Column:
    words = [part for part in parts if isinstance(part, Words)]
    if words:
        longest = max(words, key=lambda part: len(part.vocabulary))
        return Words(np.concatenate([part.codes for part in words]), longest.vocabulary)
    arrays = [_codes(part) for part in parts]
    values = np.concatenate([np.ma.getdata(part) for part in arrays])
    if not isinstance(arrays[0], np.ma.MaskedArray):
        return values
    return np.ma.masked_array(values, mask=np.concatenate([np.ma.getmaskarray(part) for part in arrays]))
