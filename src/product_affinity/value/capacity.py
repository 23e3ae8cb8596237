"""Capacity: who gets one of the slots a team can work.

Three limits meet in a list: one play an account, so many slots a pool (an owner, the account executives, the
specialists), so many plays a product. The most valuable pairs first is nearly always best and easy to explain; it
errs where a scarce product goes to an account that had a second choice almost as good. Then prices on the scarce
pools and products, found by a subgradient search on the Lagrangian dual (Fisher, Management Science 27(1), 1981),
say which order is better; the same search bounds what the best list could be worth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

GOOD_ENOUGH = 0.005
MOST_STEPS = 60
BLOCK = 50_000
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def fill_capacity(candidates: pd.DataFrame, *, slots: pd.Series, caps: pd.Series | None = None) -> pd.Series:
    """Return which candidates get a slot, at most one an account: requests first, then the most valuable.

    Within requests, and then within the rest, the list is worth at least `1 − GOOD_ENOUGH` of the best possible one
    wherever the search finds one. Ties in value are broken by account_id, then product_id, so that neither a rerun
    nor another order of the rows changes the list.

    Parameters
    ----------
    candidates : slot_owner, account_id, product_id, value_usd > 0, and optionally is_request (bool).
    slots : free slots (≥ 0) by slot_owner; one that is not in it has none.
    caps : plays (≥ 0) by product_id; one that is not in it has no cap.

    Returns
    -------
    Series of bool
        Index of `candidates`.

    >>> rows = pd.DataFrame({"slot_owner": ["o", "o", "p"], "account_id": ["B", "A", "C"],
    ...                      "product_id": "crm", "value_usd": [5.0, 5.0, 1.0]})
    >>> fill_capacity(rows, slots=pd.Series({"o": 1})).tolist()
    [False, True, False]
    """
    is_chosen = pd.Series(False, index=candidates.index)
    order = _order(candidates)
    is_request = candidates.get("is_request", is_chosen).to_numpy(dtype=bool)
    room = _Room.of(candidates.iloc[order], slots, caps)
    values = candidates["value_usd"].to_numpy(dtype=float)[order]
    for wanted in (True, False):
        rows = np.flatnonzero(is_request[order] == wanted)
        is_chosen.iloc[order[_best_fill(room, rows, values)]] = True
    return is_chosen


def _order(candidates: pd.DataFrame) -> Ints:
    """Positions sorted by account_id, product_id: what stable sorts fall back on."""
    keys = candidates[["account_id", "product_id"]].reset_index(drop=True)
    order: Ints = keys.sort_values(["account_id", "product_id"], kind="stable").index.to_numpy()
    return order


@dataclass
class _Room:
    """What is still free, and which account, pool and product each candidate takes from."""

    account: Ints
    pool: Ints
    product: Ints
    free_accounts: npt.NDArray[np.bool_]
    slots: Ints
    caps: Ints

    @classmethod
    def of(cls, rows: pd.DataFrame, slots: pd.Series, caps: pd.Series | None) -> _Room:
        account, _ = pd.factorize(rows["account_id"])
        pool, pools = pd.factorize(rows["slot_owner"])
        product, products = pd.factorize(rows["product_id"])
        free = pd.Series(slots, dtype="float64").reindex(pools).fillna(0)
        cap = pd.Series(caps, dtype="float64").reindex(products).fillna(len(rows)).clip(upper=len(rows))
        is_free = np.ones(account.max(initial=-1) + 1, dtype=bool)
        return cls(account, pool, product, is_free, _whole(free), _whole(cap))

    def has_room(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Whether account, pool and product of each of these candidates still have room."""
        is_open = self.free_accounts[self.account[rows]] & (self.slots[self.pool[rows]] > 0)
        return is_open & (self.caps[self.product[rows]] > 0)

    def take(self, rows: Ints) -> None:
        """Use up what the chosen candidates need."""
        self.free_accounts[self.account[rows]] = False
        self.slots -= np.bincount(self.pool[rows], minlength=len(self.slots))
        self.caps -= np.bincount(self.product[rows], minlength=len(self.caps))


def _whole(numbers: pd.Series) -> Ints:
    whole: Ints = np.floor(numbers.clip(lower=0).to_numpy(dtype=float)).astype(np.int64)
    return whole


def _best_fill(room: _Room, rows: Ints, values: Floats) -> Ints:
    """Choose among `rows` the most valuable first, or by priced values where that is worth noticeably more."""
    rows = rows[room.has_room(rows)]
    if rows.size == 0:
        return rows
    plain = _greedy(room, rows, values[rows])
    chosen = plain
    search = _PriceSearch(room, rows, values[rows], plain)
    for step in range(MOST_STEPS):
        worth = float(values[chosen].sum())
        reduced = search.advance(step, worth)
        if worth >= (1 - GOOD_ENOUGH) * search.bound:
            break
        found = _greedy(room, rows, reduced)
        # the last decimals of a float sum are no reason to leave the plain order
        if values[found].sum() > worth * (1 + 1e-12):
            chosen = found
    room.take(chosen)
    return chosen


def _greedy(room: _Room, rows: Ints, priority: Floats) -> Ints:
    """Take rows in falling priority wherever account, pool and product have room; earlier rows win ties."""
    left = replace(room, free_accounts=room.free_accounts.copy(), slots=room.slots.copy(), caps=room.caps.copy())
    chosen = [np.array([], dtype=np.int64)]
    while rows.size:
        # in blocks: most rows of a full pool never need to be sorted
        bound = np.partition(priority, -BLOCK)[-BLOCK] if rows.size > BLOCK else -np.inf
        is_top = priority >= bound
        block = rows[is_top][np.argsort(-priority[is_top], kind="stable")]
        taken = _in_order(left, block)
        left.take(taken)
        chosen.append(taken)
        is_open = left.has_room(rows) & ~is_top
        rows, priority = rows[is_open], priority[is_open]
    return np.concatenate(chosen)


def _in_order(room: _Room, rows: Ints) -> Ints:
    """Take `rows` one after the other wherever there is room."""
    slots, caps = room.slots.tolist(), room.caps.tolist()
    taken, chosen = set[int](), []
    keys = zip(
        rows.tolist(), room.account[rows].tolist(), room.pool[rows].tolist(), room.product[rows].tolist(), strict=True
    )
    for row, account, pool, product in keys:
        if slots[pool] > 0 and caps[product] > 0 and account not in taken:
            taken.add(account)
            slots[pool] -= 1
            caps[product] -= 1
            chosen.append(row)
    return np.array(chosen, dtype=np.int64)


class _PriceSearch:
    """Prices on pools and products, lowered and raised until supply meets demand; `bound` is the best list's worth.

    With prices every account takes its own best pair by value less prices. What those are worth, plus the price
    of everything on offer, is never less than the best list (weak duality).
    """

    def __init__(self, room: _Room, rows: Ints, values: Floats, plain: Ints) -> None:
        self._pool, self._product, self._values = room.pool[rows], room.product[rows], values
        account = room.account[rows]
        # rows are in the order of accounts, so each account is one run
        self._starts = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
        self._run = np.cumsum(np.r_[False, account[1:] != account[:-1]])
        self._slots, self._caps = room.slots, room.caps
        self._pool_price = self._marginal(room, rows, plain)
        self._product_price = np.zeros(len(room.caps))
        self.bound = np.inf

    def _marginal(self, room: _Room, rows: Ints, plain: Ints) -> Floats:
        """Start where the plain order ends: a full pool costs the best value it had to turn away."""
        in_list = np.zeros(room.free_accounts.shape, dtype=bool)
        in_list[room.account[plain]] = True
        is_full = np.bincount(self._pool[np.isin(rows, plain)], minlength=len(room.slots)) >= room.slots
        turned_away = ~in_list[room.account[rows]] & is_full[self._pool]
        price = np.zeros(len(room.slots))
        np.maximum.at(price, self._pool[turned_away], self._values[turned_away])
        return price

    def advance(self, step: int, worth: float) -> Floats:
        """Move the prices one step given the best list so far, and return values less prices."""
        reduced = self._values - self._pool_price[self._pool] - self._product_price[self._product]
        top = np.maximum.reduceat(reduced, self._starts)
        is_top = np.flatnonzero((reduced == top[self._run]) & (reduced > 0))
        picked = is_top[np.r_[True, np.diff(self._run[is_top]) > 0]] if is_top.size else is_top
        dual = reduced[picked].sum() + self._pool_price @ self._slots + self._product_price @ self._caps
        self.bound = min(self.bound, float(dual))
        over_pool = _excess(self._pool[picked], self._slots, self._pool_price)
        over_product = _excess(self._product[picked], self._caps, self._product_price)
        length = float((over_pool**2).sum() + (over_product**2).sum())
        if length > 0:
            pace = (1.0 if step < MOST_STEPS / 3 else 0.5) * max(float(dual) - worth, 0.0) / length
            self._pool_price = np.maximum(0, self._pool_price + pace * over_pool)
            self._product_price = np.maximum(0, self._product_price + pace * over_product)
        return reduced


def _excess(taken: Ints, supply: Ints, price: Floats) -> Floats:
    """Demand beyond supply; what is free and still not wanted cannot get cheaper."""
    over = (np.bincount(taken, minlength=len(supply)) - supply).astype(float)
    return np.where((price <= 0) & (over < 0), 0.0, over)
