"""Product telemetry: daily usage and weekly feature use, written period by period to keep memory flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.clock import to_date
from product_affinity.demo.observations import NEED_WEIGHT, shown_need
from product_affinity.demo.population import Floats, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import History
from product_affinity.demo.subscriptions import Subscriptions
from product_affinity.demo.writing import Columns, Words, dates, instants, numbered, take

WEEKDAY_FACTORS = np.array([1.0, 1.05, 1.05, 1.0, 0.9, 0.08, 0.06])
HOLIDAY_FACTOR, AUGUST_FACTOR = 0.35, 0.88
OUTAGES_A_YEAR, OUTAGE_DAYS = 1.2, 3
"""Days on which the feed delivered nothing for anybody."""
GAP_CHANCE = 0.02
"""Chance that an account's feed has a gap of some days in a period."""
LATE_ROW_SHARE, LATE_DAY_SHARE = 0.01, 0.02
"""Rows that arrive 1 to 6 days late, and days all of whose rows do."""
ARRIVAL_SECONDS = 20 * 3600
USE_LEVEL = 1.0
"""Log-odds of a seat being used on a full working day, at an average level: nearly three quarters of the seats."""


@dataclass(frozen=True)
class _Days:
    """The calendar of one period."""

    day: Integers
    factor: Floats
    share: Floats
    """How far each day is into the period, 0 to 1 (exclusive)."""
    outage: NDArray[np.bool_]
    delay: Integers


def usage_pieces(history: History, subscriptions: Subscriptions) -> Iterator[Columns]:
    """Rows of `usage.parquet`, one piece a period: active users, events and share of the plan's limit per
    day.

    Days without a user have no row; rows carry the instant they arrived.
    """
    accounts = numbered("A", len(history.population))
    for period in range(history.clock.periods):
        rng = stream(history.seed, "usage", period)
        days = _calendar(history, period)
        index = _running(history, subscriptions, period)
        levels = _levels(history, subscriptions, period, index, days)
        users, seats = _users(rng, subscriptions, period, index, levels, days)
        shown = (users > 0) & ~_missing(history, rng, subscriptions, index, days)
        rows, columns = np.nonzero(shown)
        active = users[rows, columns]
        events = rng.poisson(active * np.exp(2.2 + 0.25 * levels[rows, columns]))
        fill = np.exp(0.6 * levels[rows, columns] + 0.3 * subscriptions.traits[index][rows])
        late = np.where(rng.random(len(rows)) < LATE_ROW_SHARE, rng.integers(1, 7, len(rows)), 0)
        known = days.day[columns] + np.maximum(late, days.delay[columns])
        limit = np.round(np.clip(0.36 * fill * rng.lognormal(0.0, 0.06, len(rows)), 0.0, 1.2), 2)
        arrived = known < history.clock.until
        piece: Columns = {
            "account_id": Words(subscriptions.account[index][rows], accounts),
            "product_id": Words(subscriptions.product[index][rows], history.products.ids),
            "date": dates(days.day[columns]),
            "active_users": np.minimum(active, seats[rows]),
            "events": events,
            "limit_share": limit,
            "known_at": instants(known, ARRIVAL_SECONDS),
        }
        yield take(piece, arrived)


def _calendar(history: History, period: int) -> _Days:
    """Weekdays, holidays, outages and late days, which are the same for every account."""
    clock = history.clock
    rng = stream(history.seed, "feed", period)
    day = np.arange(clock.starts[period], clock.starts[period + 1])
    calendar = [to_date(number) for number in day]
    holiday = np.array([(d.month, d.day) >= (12, 24) or (d.month, d.day) <= (1, 2) for d in calendar])
    august = np.array([d.month == 8 for d in calendar])
    factor = WEEKDAY_FACTORS[[d.weekday() for d in calendar]]
    factor = factor * np.where(holiday, HOLIDAY_FACTOR, 1.0) * np.where(august, AUGUST_FACTOR, 1.0)
    outage = np.zeros(len(day), dtype=bool)
    if rng.random() < OUTAGES_A_YEAR / 12:
        first = rng.integers(0, len(day))
        outage[first : first + OUTAGE_DAYS] = True
    delay = np.where(rng.random(len(day)) < LATE_DAY_SHARE, rng.integers(1, 7, len(day)), 0)
    return _Days(day, factor, np.arange(len(day)) / len(day), outage, delay)


def _running(history: History, subs: Subscriptions, period: int) -> Integers:
    """Subscriptions with a day in the period; one-time purchases have no telemetry."""
    clock = history.clock
    within = (subs.start < clock.starts[period + 1]) & (subs.end > clock.starts[period])
    return np.flatnonzero(within & ~history.products.one_time[subs.product])


def _levels(history: History, subs: Subscriptions, period: int, index: Integers, days: _Days) -> Floats:
    """Log level of use per subscription and day: it moves evenly from one period start to the next."""
    latent, account = history.latent, subs.account[index]
    before = latent.activity[period, account] + 0.25 * latent.health[period, account]
    after = latent.activity[period + 1, account] + 0.25 * latent.health[period + 1, account]
    levels: Floats = before[:, None] + (after - before)[:, None] * days.share
    return levels


def _users(
    rng: np.random.Generator, subs: Subscriptions, period: int, index: Integers, levels: Floats, days: _Days
) -> tuple[Integers, Integers]:
    """Users per subscription and day, and seats per subscription; use ramps up over the first six weeks."""
    seats = subs.seats_at(period)[index]
    age = days.day - subs.start[index][:, None]
    ramp = np.clip((age + 7) / 45.0, 0.0, 1.0)
    share = 1.0 / (1.0 + np.exp(-(USE_LEVEL + levels + 0.9 * subs.traits[index][:, None])))
    mean = seats[:, None] * share * ramp * days.factor
    running = (age >= 0) & (days.day < subs.end[index][:, None])
    return np.where(running, rng.poisson(mean), 0), np.maximum(seats, 1)


def _missing(
    history: History, rng: np.random.Generator, subs: Subscriptions, index: Integers, days: _Days
) -> NDArray[np.bool_]:
    """Days without a feed: outages for everybody, gaps of 4 to 9 days for single accounts."""
    accounts = len(history.population)
    first = np.where(rng.random(accounts) < GAP_CHANCE, rng.integers(0, len(days.day), accounts), len(days.day))
    last = first + rng.integers(4, 10, accounts)
    number = np.arange(len(days.day))
    gap = (number >= first[:, None]) & (number < last[:, None])
    return gap[subs.account[index]] | days.outage


@dataclass(frozen=True)
class _Features:
    """Features that telemetry reports, one entry a feature of a product.

    Attributes
    ----------
    host : product the feature belongs to.
    name : position in `names`.
    target : product whose need its use shows, -1 for core features.
    """

    host: Integers
    name: Integers
    target: Integers
    names: tuple[str, ...]


def hosted_features(history: History) -> _Features:
    """Core features sit in their own product; adjacent ones in turn in those that integrate with it."""
    catalog = history.products.catalog
    ids, rows = history.products.ids, []
    for target, product in enumerate(catalog):
        rows += [(target, feature, -1) for feature in product.core_features]
        near = [ids.index(other) for other, level in product.adjacency.items() if level.workflow_integration == "high"]
        if near:
            rows += [(near[n % len(near)], name, target) for n, name in enumerate(product.adjacent_features)]
    names = tuple(sorted({name for _, name, _ in rows}))
    return _Features(
        host=np.array([row[0] for row in rows], dtype=np.int64),
        name=np.array([names.index(row[1]) for row in rows], dtype=np.int64),
        target=np.array([row[2] for row in rows], dtype=np.int64),
        names=names,
    )


def feature_pieces(history: History, subscriptions: Subscriptions) -> Iterator[Columns]:
    """Rows of `feature_usage.parquet`, one piece a period: weekly counts of the features that were used.

    Use of an adjacent feature shows the need for its target product; use of core features shows adoption.
    """
    subs, features, clock = subscriptions, hosted_features(history), history.clock
    accounts = numbered("A", len(history.population))
    for period in range(clock.periods):
        rng = stream(history.seed, "feature usage", period)
        index = _running(history, subs, period)
        sub, feature = np.nonzero(subs.product[index][:, None] == features.host)
        sub = index[sub]
        need = [shown_need(history, point) for point in (period, period + 1)]
        first = int((2 - clock.starts[period] + 4) % 7)
        rows = []
        for offset in range(first, clock.days(period), 7):
            day = int(clock.starts[period]) + offset
            here = (subs.start[sub] + 7 <= day) & (day < subs.end[sub])
            mean = _mean_uses(history, subs, features, sub[here], feature[here], need, offset / clock.days(period))
            uses = rng.poisson(mean)
            rows.append((sub[here][uses > 0], feature[here][uses > 0], day, uses[uses > 0]))
        which, what = (np.concatenate([row[n] for row in rows]) for n in range(2))
        yield {
            "account_id": Words(subs.account[which], accounts),
            "product_id": Words(subs.product[which], history.products.ids),
            "feature": Words(features.name[what], features.names),
            "date": dates(np.repeat([row[2] for row in rows], [len(row[0]) for row in rows])),
            "uses": np.concatenate([row[3] for row in rows]),
        }


def _mean_uses(
    history: History,
    subs: Subscriptions,
    features: _Features,
    sub: Integers,
    feature: Integers,
    need: list[Floats],
    share: float,
) -> Floats:
    """Expected uses in a week."""
    account, target = subs.account[sub], features.target[feature]
    shown = (1.0 - share) * need[0][account, target] + share * need[1][account, target]
    adoption = history.population.core_adoption[account] + subs.traits[sub] * 0.3
    taken_up = (adoption + 1.2 * np.cos(1.7 * feature + 0.3 * account)) > -1.3
    core = np.where(taken_up, 0.6, 0.02)
    return np.where(target >= 0, np.exp(-0.1 + NEED_WEIGHT * shown), core)
