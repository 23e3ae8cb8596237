"""What was bought, in seats and ARR: intervals, and the versions in which billing knew them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.clock import NEVER
from product_affinity.demo.population import Floats, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import History
from product_affinity.demo.writing import Columns, Words, dates, instants, numbered

TRIAL_SHARE, TRIAL_DAYS, TRIAL_SEATS = 0.35, 30, 5
SEATS_GROW_CHANCE = 0.03
YEAR_DAYS = 365.25
STARTED, RENEWED, GREW, ENDED = 0, 1, 2, 3
HOUR_OF_CHANGE = np.array([10, 11, 12, 13]) * 3600
"""Changes of one day arrive in this order, so that no two versions share an instant."""


@dataclass(frozen=True)
class Subscriptions:
    """One entry a subscription, trials included, sorted by account, product and start.

    Attributes
    ----------
    account, product : positions.
    start, end : days, the end excluded; `NEVER` where none is known at the end of the history.
    seats, arr : as bought; 0 for what has none.
    trial : whether it is a trial.
    via : how the adoption came about, -1 for trials.
    traits : how fully the seats are used, standardised; mostly the account's own trait.
    growth : subscriptions × periods, log of seats added in the period (at `growth_day`), else 0.
    growth_day : subscriptions × periods.
    """

    account: Integers
    product: Integers
    start: Integers
    end: Integers
    seats: Integers
    arr: Floats
    trial: NDArray[np.bool_]
    via: Integers
    traits: Floats
    growth: Floats
    growth_day: Integers

    def __len__(self) -> int:
        return len(self.account)

    def seats_at(self, period: int) -> Integers:
        """Seats at the start of a period."""
        seats: Integers = np.round(self.seats * np.exp(self.growth[:, :period].sum(axis=1))).astype(np.int64)
        return seats


def list_arr(history: History, accounts: Integers, products: Integers) -> Floats:
    """Price in USD a year: the list price times (employees / 100)^0.6, factor .4 to 8."""
    size = (history.population.employees[accounts] / 100.0) ** 0.6
    arr: Floats = history.products.price[products] * np.clip(size, 0.4, 8.0)
    return arr


def build_subscriptions(history: History) -> Subscriptions:
    """Pair starts with ends, add trials and draw seats and their growth."""
    rng = stream(history.seed, "subscriptions")
    paid = _intervals(history)
    trials = _trials(history, rng)
    account, product, start, end, via, trial = (np.concatenate(columns) for columns in zip(paid, trials, strict=True))
    order = np.lexsort((start, product, account))
    account, product, start, end = account[order], product[order], start[order], end[order]
    is_trial = trial[order] == 1
    recurring = ~is_trial & ~history.products.one_time[product]
    count = len(order)
    seats = np.maximum(3, history.population.employees[account] ** 0.8 * rng.lognormal(-0.6, 0.3, count))
    arr = list_arr(history, account, product) * rng.lognormal(0.0, 0.15, count)
    growth, growth_day = _growth(history, rng, account, start, end, recurring)
    return Subscriptions(
        account=account,
        product=product,
        start=start,
        end=end,
        seats=np.where(is_trial, TRIAL_SEATS, np.where(recurring, seats, 0)).astype(np.int64),
        arr=np.where(recurring, np.round(arr / 60) * 60, 0.0),
        trial=is_trial,
        via=via[order],
        traits=0.97 * history.population.utilisation[account] + 0.25 * rng.normal(size=count),
        growth=growth,
        growth_day=growth_day,
    )


def _intervals(history: History) -> tuple[Integers, ...]:
    """Match the n-th start of a pair with its n-th end."""
    adoptions, ends = history.adoptions, history.ends
    starts_key = _numbered_key(adoptions, len(history.products))
    ends_key = _numbered_key(ends, len(history.products))
    order = np.argsort(ends_key)
    place = np.minimum(np.searchsorted(ends_key[order], starts_key), max(len(order) - 1, 0))
    end = np.full(len(starts_key), NEVER)
    if len(order):
        found = ends_key[order][place] == starts_key
        end[found] = ends["day"][order][place[found]]
    columns = (adoptions["account"], adoptions["product"], adoptions["day"], end, adoptions["via"])
    return *columns, np.zeros_like(end)


def _numbered_key(events: dict[str, Integers], products: int) -> Integers:
    """One number for pair and occurrence, in the order of the events' rows."""
    pair = events["account"] * products + events["product"]
    order = np.lexsort((events["day"], pair))
    ordered = pair[order]
    first = np.searchsorted(ordered, ordered, side="left")
    key = np.empty_like(pair)
    key[order] = ordered * 1000 + (np.arange(len(pair)) - first)
    return key


def _trials(history: History, rng: np.random.Generator) -> tuple[Integers, ...]:
    """Some opportunities open with a trial; it says no more about the future than the opportunity does."""
    deals = history.deals
    end = np.minimum(deals["created"] + TRIAL_DAYS, deals["closed"])
    has_trial = (rng.random(len(end)) < TRIAL_SHARE) & ~history.products.one_time[deals["product"]]
    has_trial &= end > deals["created"]
    columns = (deals["account"], deals["product"], deals["created"], end)
    trials = tuple(column[has_trial] for column in columns)
    return *trials, np.full(len(trials[0]), -1), np.ones(len(trials[0]), dtype=np.int64)


def _growth(
    history: History,
    rng: np.random.Generator,
    account: Integers,
    start: Integers,
    end: Integers,
    recurring: NDArray[np.bool_],
) -> tuple[Floats, Integers]:
    clock = history.clock
    begins = clock.starts[: clock.periods]
    lengths = np.diff(clock.starts[: clock.periods + 1])
    shape = (len(account), clock.periods)
    day = begins + (rng.random(shape) * lengths).astype(np.int64)
    state = history.latent.growth[: clock.periods, account].T
    grows = rng.random(shape) < SEATS_GROW_CHANCE * np.exp(0.5 * state)
    grows &= recurring[:, None] & (day > start[:, None] + 60) & (day < end[:, None])
    return np.where(grows, rng.uniform(0.08, 0.35, shape), 0.0), day


def subscription_rows(history: History, subscriptions: Subscriptions) -> Columns:
    """Rows of `subscriptions.parquet`: one version a change, known on the day of the change."""
    subs, until = subscriptions, history.clock.until
    index, day, kind, growth = _changes(history, subs)
    order = np.lexsort((kind, day, index))
    index, day, kind, growth = index[order], day[order], kind[order], growth[order]
    total = np.cumsum(growth)
    before = np.concatenate([[0.0], total])[np.searchsorted(index, index, side="left")]
    factor = np.exp(total - before)
    known = day < until
    index, day, kind, factor = index[known], day[known], kind[known], factor[known]
    account, product = subs.account[index], subs.product[index]
    once, trial = history.products.one_time[product], subs.trial[index]
    joined = history.population.joined[account]
    years = np.floor((day - joined + 1) / YEAR_DAYS) + 1
    anniversary = joined + np.floor(years * YEAR_DAYS).astype(np.int64)
    return {
        "account_id": Words(account, numbered("A", len(history.population))),
        "product_id": Words(product, history.products.ids),
        "start_on": dates(subs.start[index]),
        "end_on": dates(np.where(kind == ENDED, subs.end[index], NEVER)),
        "arr_usd": np.where(once, np.nan, np.round(subs.arr[index] * factor)),
        "seats": np.ma.masked_array(np.round(subs.seats[index] * factor).astype(np.int64), mask=once),
        "renewal_on": dates(np.where(once | trial, NEVER, anniversary)),
        "plan": Words(_plan(history, account), ("starter", "team", "company")),
        "is_trial": trial,
        "one_time": once,
        "known_at": instants(day, HOUR_OF_CHANGE[kind]),
    }


def _plan(history: History, account: Integers) -> Integers:
    return history.population.segment[account]


def _changes(history: History, subs: Subscriptions) -> tuple[Integers, Integers, Integers, Floats]:
    """All changes as (subscription, day, kind, log growth of seats)."""
    everything = np.arange(len(subs))
    grown = np.nonzero(subs.growth > 0)
    index, day = _renewals(history, subs)
    ended = np.flatnonzero(subs.end < NEVER)
    pieces = [
        (everything, subs.start, STARTED, np.zeros(len(subs))),
        (index, day, RENEWED, np.zeros(len(index))),
        (grown[0], subs.growth_day[grown], GREW, subs.growth[grown]),
        (ended, subs.end[ended], ENDED, np.zeros(len(ended))),
    ]
    return (
        np.concatenate([piece[0] for piece in pieces]),
        np.concatenate([piece[1] for piece in pieces]),
        np.concatenate([np.full(len(piece[0]), piece[2]) for piece in pieces]),
        np.concatenate([piece[3] for piece in pieces]),
    )


def _renewals(history: History, subs: Subscriptions) -> tuple[Integers, Integers]:
    """Anniversaries of the account's first purchase at which a running subscription is renewed."""
    recurring = ~subs.trial & ~history.products.one_time[subs.product]
    joined = history.population.joined[subs.account]
    last = np.minimum(subs.end, history.clock.until)
    years = int((history.clock.until - joined.min(initial=history.clock.until)) // 365) + 1
    pieces = []
    for year in range(1, years + 1):
        day = joined + int(np.floor(year * YEAR_DAYS))
        index = np.flatnonzero(recurring & (day > subs.start) & (day < last))
        pieces.append((index, day[index]))
    return np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])
