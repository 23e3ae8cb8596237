"""The demo company's history, period by period: who buys, declines, drops, leaves and is reached out to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.clock import NEVER, Clock, to_date
from product_affinity.demo.effects import DROP_CHANCE, Effects, World, draw_effects
from product_affinity.demo.population import (
    Integers,
    Latent,
    Population,
    draw_latent,
    draw_population,
)
from product_affinity.demo.products import DEFAULT_MONTHS, DEFAULT_UNTIL, Products
from product_affinity.demo.purchases import first_baskets
from product_affinity.demo.randomness import first_days, stream
from product_affinity.project.catalog import Catalog

NOT_ELIGIBLE, IDLE, OPEN, OWNED = 0, 1, 2, 3
"""Status of a pair; `IDLE` is white space, `OPEN` in pipeline."""
PLAY_PERIODS, PLAY_WAIT, LOSS_WAIT = 3, 6, 7
WINBACK_DAYS = 90
TERM_DAYS = 365
FIRST, DIRECT, DEAL, PLAY = 0, 1, 2, 3
"""How an adoption came about."""
DROPPED, LEFT, EXPIRED = 0, 1, 2
"""Why a subscription ended."""
LOST, LOST_TO_CONFLICT, LOST_WITH_ACCOUNT = 0, 1, 2
Arm = Literal["treated", "held_back"]


@dataclass
class Log:
    """Events in the order they were simulated; one array a column."""

    columns: tuple[str, ...]
    parts: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, *values: Integers | int) -> None:
        """Append events; scalars are repeated."""
        self.parts.append(np.column_stack(np.broadcast_arrays(*values)).astype(np.int64))

    def table(self) -> dict[str, Integers]:
        """All events as columns."""
        rows = np.concatenate([np.empty((0, len(self.columns)), dtype=np.int64), *self.parts])
        return {name: rows[:, position] for position, name in enumerate(self.columns)}


@dataclass(frozen=True)
class History:
    """Everything that happened, and the state of every pair at every as-of date.

    Attributes
    ----------
    clock, products, population, latent, effects : what the history was simulated from.
    seed : of the demo company.
    renewal_month : per account, 0 to 11.
    status : as-of dates × accounts × products, one of `NOT_ELIGIBLE`, `IDLE`, `OPEN`, `OWNED`.
    active : as-of dates × accounts, whether a paid recurring subscription runs.
    treated_left : periods for which a treated play still works, current one included.
    play_wait, loss_wait : periods until a play may be decided again, and until a lost deal is forgotten.
    returning : whether the product was owned and given up before.
    adoptions : account, product, day, via (`FIRST`, `DIRECT`, `DEAL`, `PLAY`).
    ends : account, product, day, why (`DROPPED`, `LEFT`, `EXPIRED`).
    deals : account, product, created, closed (`NEVER` while open), won, why lost.
    plays : account, product, period, treated.
    left : per account, the day it left, else `NEVER`.
    """

    clock: Clock
    products: Products
    population: Population
    latent: Latent
    effects: Effects
    seed: int
    renewal_month: Integers
    status: NDArray[np.uint8]
    active: NDArray[np.bool_]
    treated_left: NDArray[np.uint8]
    play_wait: NDArray[np.uint8]
    loss_wait: NDArray[np.uint8]
    returning: NDArray[np.bool_]
    adoptions: dict[str, Integers]
    ends: dict[str, Integers]
    deals: dict[str, Integers]
    plays: dict[str, Integers]
    left: Integers


def simulate(
    catalog: Catalog,
    *,
    accounts: int = 2500,
    months: int = DEFAULT_MONTHS,
    until: dt.date = DEFAULT_UNTIL,
    seed: int = 7,
    world: World = "shared",
    force_arm: Arm | None = None,
) -> History:
    """Simulate the demo company.

    Parameters
    ----------
    catalog : products; launch dates are taken as they are (see `shift_catalog`).
    accounts : how many accounts there ever were, at least 1.
    months : length of the history, at least 1.
    until : the day it ends; nothing happens on it or later.
    seed : same arguments and seed give the same history.
    world : ``"shared"`` or ``"specific"``.
    force_arm : give every play this arm instead of drawing it; the chance of either is then 1 or 0.
    """
    clock, products = Clock.of(months, until), Products.of(catalog)
    population = draw_population(accounts, clock, seed)
    latent = draw_latent(population, len(products), clock, seed)
    effects = draw_effects(population, latent, products, clock, seed, world)
    if force_arm is not None:
        effects = effects.with_arm_probability(1.0 if force_arm == "treated" else 0.0)
    return _Run(clock, products, population, latent, effects, seed).history()


class _Run:
    """State that the periods hand on to each other."""

    def __init__(
        self,
        clock: Clock,
        products: Products,
        population: Population,
        latent: Latent,
        effects: Effects,
        seed: int,
    ) -> None:
        self.clock, self.products, self.population = clock, products, population
        self.latent, self.effects, self.seed = latent, effects, seed
        shape = (len(population), len(products))
        self.everyone = slice(0, shape[0])
        self.renewal_month = np.array([to_date(min(day, clock.until)).month - 1 for day in population.joined])
        self.owned = np.zeros(shape, dtype=bool)
        self.open = np.full(shape, -1)
        self.dropped = np.full(shape, -NEVER)
        self.expires = np.full(shape, NEVER)
        self.treated_left, self.play_wait, self.loss_wait = (np.zeros(shape, dtype=np.uint8) for _ in range(3))
        self.left = np.full(shape[0], NEVER)
        self.adoptions = Log(("account", "product", "day", "via"))
        self.ends = Log(("account", "product", "day", "why"))
        self.deals = Log(("account", "product", "created", "closed", "won", "why"))
        self.plays = Log(("account", "product", "period", "treated"))

    def history(self) -> History:
        """Run all periods and keep a snapshot of each as-of date."""
        points, (accounts, products) = self.clock.periods + 1, self.owned.shape
        pairs = {
            name: np.zeros((points, accounts, products), dtype=np.uint8)
            for name in ("status", "treated_left", "play_wait", "loss_wait")
        }
        active = np.zeros((points, accounts), dtype=bool)
        returning = np.zeros((points, accounts, products), dtype=bool)
        self._buy_first(np.flatnonzero(self.population.joined < self.clock.first), -1)
        for point in range(points):
            pairs["status"][point], active[point] = self._status(point)
            returning[point] = self.dropped > -NEVER
            for name in ("treated_left", "play_wait", "loss_wait"):
                pairs[name][point] = getattr(self, name)
            if point < self.clock.periods:
                self._simulate(point, pairs["status"][point], active[point])
        rows, columns = np.nonzero(self.open >= 0)
        self.deals.add(rows, columns, self.open[rows, columns], NEVER, 0, LOST)
        return History(
            clock=self.clock,
            products=self.products,
            population=self.population,
            latent=self.latent,
            effects=self.effects,
            seed=self.seed,
            renewal_month=self.renewal_month,
            active=active,
            returning=returning,
            adoptions=self.adoptions.table(),
            ends=self.ends.table(),
            deals=self.deals.table(),
            plays=self.plays.table(),
            left=self.left,
            **pairs,
        )

    def _status(self, point: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        day = int(self.clock.starts[point])
        active = (self.owned & ~self.products.one_time).any(axis=1) & (self.left > day)
        allowed = self.products.allowed(self.owned, self.population.segment, day)
        allowed &= active[:, None] & (day - self.dropped >= WINBACK_DAYS)
        status = np.where(allowed, np.where(self.open >= 0, OPEN, IDLE), NOT_ELIGIBLE)
        return np.where(self.owned, OWNED, status).astype(np.uint8), active

    def _simulate(self, period: int, status: NDArray[np.uint8], active: NDArray[np.bool_]) -> None:
        """Simulate one period: plays are decided on its first day, then days pass."""
        rng = stream(self.seed, "events", period)
        self._decide_plays(period, status)
        leaving = self._leaving(rng, period, active)
        adopted, via, opened, closed, won = self._pairs(rng, period, status, leaving)
        why = self._resolve_conflicts(adopted, opened, closed, won)
        self._record_deals(period, opened, closed, won, why)
        self._end_subscriptions(rng, period, active, leaving)
        self._record_adoptions(period, adopted, via)
        self._leave(period, leaving)
        joining = (self.population.joined >= self.clock.starts[period]) & (
            self.population.joined < self.clock.starts[period + 1]
        )
        self._buy_first(np.flatnonzero(joining), period)
        for waiting in (self.treated_left, self.play_wait, self.loss_wait):
            waiting -= waiting > 0

    def _decide_plays(self, period: int, status: NDArray[np.uint8]) -> None:
        rng = stream(self.seed, "plays", period)
        chosen = rng.random(status.shape) < self.effects.selection[:, None]
        chosen &= (status == IDLE) & (self.play_wait == 0) & (self.loss_wait == 0)
        treated = chosen & (rng.random(status.shape) < self.effects.arm_probability)
        self.treated_left[treated] = PLAY_PERIODS
        self.play_wait[chosen] = PLAY_WAIT
        rows, columns = np.nonzero(chosen)
        self.plays.add(rows, columns, period, treated[rows, columns].astype(np.int64))

    def _leaving(self, rng: np.random.Generator, period: int, active: NDArray[np.bool_]) -> Integers:
        """Day of the period on which each account leaves, a large number for those who stay."""
        chance = self.effects.churn(period, self.everyone, self.latent.health[period], self.renewal_month)
        return first_days(rng, np.where(active, chance, 0.0))

    def _pairs(
        self, rng: np.random.Generator, period: int, status: NDArray[np.uint8], leaving: Integers
    ) -> tuple[Integers, Integers, Integers, Integers, NDArray[np.bool_]]:
        """Draw what happens to idle and open pairs; an account that leaves does so before anything else that
        day.

        Returns
        -------
        Per account × product: day of adoption, how it came about, day an opportunity opened (-1: before this
        period), day it closed, whether it was won. Days count from the period's start; `NEVER` where nothing
        happened in the period.
        """
        latent, effects = self.latent, self.effects
        interest = effects.interest(
            period,
            self.everyone,
            latent.health[period],
            latent.growth[period],
            latent.need[period],
            self.dropped > -NEVER,
        )
        idle = (status == IDLE) & (self.loss_wait == 0)
        opening = effects.opening(interest, self.everyone)
        by_play = np.where(self.treated_left > 0, effects.play_chance, 0.0)
        direct = effects.direct * interest + by_play
        total = direct + opening
        day = first_days(rng, np.where(idle, total, 0.0))
        kind = rng.random(total.shape) * total
        opens = kind < opening
        opened = np.where(status == OPEN, -1, np.where(opens & idle, day, NEVER))
        delay = first_days(rng, np.broadcast_to(1.0 / effects.cycle_days, total.shape))
        closed = np.where(opened < NEVER, opened + 1 + delay, NEVER)
        won = rng.random(total.shape) < effects.win_share
        limit = np.minimum(self.clock.days(period), leaving)[:, None]
        opened = np.where(opened < limit, opened, NEVER)
        closed = np.where((opened < NEVER) & (closed < limit), closed, NEVER)
        adopted = np.where(~opens & (day < limit), day, NEVER)
        adopted = np.where((closed < NEVER) & won, closed, adopted)
        via = np.where(closed < NEVER, DEAL, np.where(kind - opening < by_play, PLAY, DIRECT))
        return adopted, via, opened, closed, won

    def _resolve_conflicts(
        self, adopted: Integers, opened: Integers, closed: Integers, won: NDArray[np.bool_]
    ) -> Integers:
        """Let the first of two conflicting products win; the other's opportunity is lost that day.

        Changes the arrays in place and returns why opportunities were lost.
        """
        why = np.full(adopted.shape, LOST)
        for first, second in self.products.conflicts():
            second_wins = adopted[:, second] < adopted[:, first]
            for winner, loser, wins in ((first, second, ~second_wins), (second, first, second_wins)):
                day = adopted[:, winner]
                wins = wins & (day < NEVER)
                adopted[wins, loser] = NEVER
                never_opened = wins & (opened[:, loser] >= day)
                opened[never_opened, loser] = closed[never_opened, loser] = NEVER
                stopped = wins & (opened[:, loser] < NEVER) & (closed[:, loser] >= day)
                closed[stopped, loser] = day[stopped]
                won[stopped, loser], why[stopped, loser] = False, LOST_TO_CONFLICT
        return why

    def _record_deals(
        self, period: int, opened: Integers, closed: Integers, won: NDArray[np.bool_], why: Integers
    ) -> None:
        start = int(self.clock.starts[period])
        fresh = (opened >= 0) & (opened < NEVER)
        self.open[fresh] = start + opened[fresh]
        rows, columns = np.nonzero(closed < NEVER)
        over = (rows, columns)
        self.deals.add(rows, columns, self.open[over], start + closed[over], won[over].astype(np.int64), why[over])
        self.open[over] = -1
        self.loss_wait[(closed < NEVER) & ~won] = LOSS_WAIT

    def _end_subscriptions(
        self, rng: np.random.Generator, period: int, active: NDArray[np.bool_], leaving: Integers
    ) -> None:
        """Drop at most one product of accounts with two recurring ones: nobody leaves by dropping."""
        start, days = int(self.clock.starts[period]), self.clock.days(period)
        can_drop = active & ((self.owned & ~self.products.one_time).sum(axis=1) >= 2) & (leaving >= days)
        chance = DROP_CHANCE * np.exp(-0.4 * self.latent.health[period])[:, None]
        candidates = self.owned & ~self.products.protected & can_drop[:, None]
        day = first_days(rng, np.where(candidates, chance, 0.0))
        rows = np.flatnonzero(day.min(axis=1) < days)
        columns = day[rows].argmin(axis=1)
        self._end(rows, columns, start + day[rows, columns], DROPPED)
        last = np.minimum(days, leaving)[:, None]
        rows, columns = np.nonzero(self.owned & (self.expires - start < last))
        self._end(rows, columns, self.expires[rows, columns], EXPIRED)

    def _end(self, rows: Integers, columns: Integers, day: Integers, why: int) -> None:
        self.ends.add(rows, columns, day, why)
        self.owned[rows, columns] = False
        self.dropped[rows, columns] = day
        self.expires[rows, columns] = NEVER

    def _record_adoptions(self, period: int, adopted: Integers, via: Integers) -> None:
        rows, columns = np.nonzero(adopted < NEVER)
        self._own(rows, columns, int(self.clock.starts[period]) + adopted[rows, columns], via[rows, columns])

    def _own(self, rows: Integers, columns: Integers, day: Integers, via: Integers | int) -> None:
        self.adoptions.add(rows, columns, day, via)
        self.owned[rows, columns] = True
        self.expires[rows, columns] = np.where(self.products.one_time[columns], day + TERM_DAYS, NEVER)

    def _leave(self, period: int, leaving: Integers) -> None:
        gone = np.flatnonzero(leaving < self.clock.days(period))
        day = int(self.clock.starts[period]) + leaving
        self.left[gone] = day[gone]
        rows, columns = np.nonzero(self.owned[gone])
        self._end(gone[rows], columns, day[gone[rows]], LEFT)
        rows, columns = np.nonzero(self.open[gone] >= 0)
        rows = gone[rows]
        self.deals.add(rows, columns, self.open[rows, columns], day[rows], 0, LOST_WITH_ACCOUNT)
        self.open[rows, columns] = -1

    def _buy_first(self, customers: Integers, period: int) -> None:
        """First purchases; only before the history do further products follow the first with time."""
        rng = stream(self.seed, "first purchases", period + 1)
        joined, before = self.population.joined[customers], period < 0
        latest = np.full(len(customers), self.clock.first - 1) if before else joined
        bought = first_baskets(
            rng, self.products, self.population.segment[customers], self.effects.shown[customers], latest, 3
        )
        for number in range(bought.shape[1]):
            rows = np.flatnonzero(bought[:, number] >= 0)
            columns = bought[rows, number]
            earliest = np.maximum(joined[rows], self.products.launched[columns])
            share = rng.random(len(rows)) if before and number else np.zeros(len(rows))
            day = earliest + (share * (latest[rows] - earliest)).astype(np.int64)
            self._own(customers[rows], columns, np.minimum(day, latest[rows]), FIRST)
        if before:
            rows, columns = np.nonzero(self.owned & (self.expires < self.clock.first))
            self._end(rows, columns, self.expires[rows, columns], EXPIRED)
