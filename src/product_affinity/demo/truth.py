"""The true probabilities of every white-space pair, given the state at an as-of date.

For one path of the hidden states ahead, `chain` sums a pair's chance of adoption over days exactly. The paths
are not known at the as-of date, so the truth is the mean over `PATHS` antithetic draws of them: unbiased for
any number of paths, and of little noise, because events are summed and only the slow states are drawn.

Outreach decided from the as-of date on is part of the truth with its chance: a pair is in a treated play
ahead with probability ``arm_probability * sum of selection * (1 - selection)^waves``, and the chance of a day
is the mean over that (the error against mixing over plays is below 1e-4 of a probability). `uplift_90d`
compares a play decided at the as-of date and treated with the same play held back, nothing else being decided
within the 90 days.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from product_affinity.demo.chain import Chances, Mass
from product_affinity.demo.clock import HORIZONS_DAYS, Segment
from product_affinity.demo.population import HEALTH_SPREAD, PERSISTENCE, Floats, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import IDLE, OPEN, PLAY_PERIODS, History

PATHS = 8
BLOCK = 1024
UPLIFT_DAYS = 90


@dataclass(frozen=True)
class TruePairs:
    """White-space and in-pipeline pairs of one as-of date and their true probabilities.

    Attributes
    ----------
    account, product : positions.
    as_of : day.
    p : horizon in days → chance of a first paid start in ``[as_of, as_of + horizon)``.
    uplift_90d : difference of the 90-day chance if reached out to now against held back; 0 for open
        opportunities.
    """

    account: Integers
    product: Integers
    as_of: int
    p: dict[int, Floats]
    uplift_90d: Floats


def true_pairs(history: History, point: int, paths: int = PATHS) -> TruePairs:
    """Return the truth at one as-of date.

    Parameters
    ----------
    history : a simulated company.
    point : number of the as-of date, 0 for the start of the history, `clock.periods` for `until`.
    paths : draws of the hidden states ahead, an even number.
    """
    parts = [_block(history, point, rows, number, paths) for number, rows in enumerate(_blocks(history, point))]
    return TruePairs(
        account=np.concatenate([part.account for part in parts]),
        product=np.concatenate([part.product for part in parts]),
        as_of=int(history.clock.starts[point]),
        p={horizon: np.concatenate([part.p[horizon] for part in parts]) for horizon in HORIZONS_DAYS},
        uplift_90d=np.concatenate([part.uplift_90d for part in parts]),
    )


def _blocks(history: History, point: int) -> list[Integers]:
    active = np.flatnonzero(history.active[point])
    return [active[start : start + BLOCK] for start in range(0, max(len(active), 1), BLOCK)]


def _block(history: History, point: int, rows: Integers, number: int, paths: int) -> TruePairs:
    rng = stream(history.seed, f"truth {number}", point)
    shape = (len(rows), len(history.products))
    totals = {horizon: np.zeros(shape) for horizon in HORIZONS_DAYS}
    uplift = np.zeros(shape)
    pairs = _Pairs.of(history, point, rows)
    for _ in range(paths // 2):
        for path in _antithetic(pairs, rng):
            for horizon, adopted in path.policy().items():
                totals[horizon] += adopted / paths
            uplift += path.uplift() / paths
    places = np.nonzero((pairs.status == IDLE) | (pairs.status == OPEN))
    return TruePairs(
        account=rows[places[0]],
        product=places[1],
        as_of=int(history.clock.starts[point]),
        p={horizon: total[places] for horizon, total in totals.items()},
        uplift_90d=np.where(pairs.status == IDLE, uplift, 0.0)[places],
    )


@dataclass(frozen=True)
class _Pairs:
    """What is fixed about a block of accounts at an as-of date.

    Attributes
    ----------
    treated_now : step → whether a running play still treats the pair in that period.
    treated_ahead : step → chance that a play decided from now on does.
    winning, losing : daily chances of an open opportunity.
    """

    history: History
    point: int
    rows: Integers
    status: Integers
    loss_wait: Integers
    treated_now: list[Floats]
    treated_ahead: list[Floats]
    winning: Floats
    losing: Floats
    segments: tuple[Segment, ...]

    @classmethod
    def of(cls, history: History, point: int, rows: Integers) -> _Pairs:
        effects, segments = history.effects, history.clock.segments(point, max(HORIZONS_DAYS))
        left, loss = history.treated_left[point, rows], history.loss_wait[point, rows].astype(np.int64)
        wait = np.maximum(history.play_wait[point, rows].astype(np.int64), loss)
        steps = range(segments[-1].step + 1)
        return cls(
            history=history,
            point=point,
            rows=rows,
            status=history.status[point, rows].astype(np.int64),
            loss_wait=loss,
            treated_now=[(left > step).astype(np.float64) for step in steps],
            treated_ahead=[_treated_ahead(history, rows, wait, step) for step in steps],
            winning=effects.win_share[rows] / effects.cycle_days,
            losing=(1.0 - effects.win_share[rows]) / effects.cycle_days,
            segments=segments,
        )

    @property
    def steps(self) -> range:
        """Periods ahead that a horizon touches."""
        return range(self.segments[-1].step + 1)

    @property
    def start(self) -> Mass:
        """Probabilities at the as-of date."""
        idle, opened = (self.status == IDLE).astype(np.float64), (self.status == OPEN).astype(np.float64)
        return Mass(idle, opened, np.zeros_like(idle))


def _treated_ahead(history: History, rows: Integers, wait: Integers, step: int) -> Floats:
    chance = history.effects.selection[rows, None]
    decided = [
        np.where(wait <= start, chance * (1.0 - chance) ** np.maximum(start - wait, 0), 0.0)
        for start in range(max(0, step - PLAY_PERIODS + 1), step + 1)
    ]
    share: Floats = history.effects.arm_probability * np.sum(decided, axis=0)
    return share


@dataclass(frozen=True)
class _Path:
    """Daily chances per period ahead on one path of the hidden states, without plays and conflicts."""

    pairs: _Pairs
    chances: list[Chances]

    def adopted(self, treated: list[Floats], horizon: int) -> dict[int, Floats]:
        """Adopted by each horizon up to the given one, if plays treat these shares in each period."""
        effects, rows = self.pairs.history.effects, self.pairs.rows
        conflicts = self.pairs.history.products.conflicts()
        mass = alone = self.pairs.start
        adopted, day, step = {}, 0, -1
        for segment in self.pairs.segments:
            if segment.step != step:
                step, chances = segment.step, self.chances[segment.step]
                able = self.pairs.loss_wait <= step
                chances = replace(chances, direct=chances.direct + able * treated[step] * effects.play_chance[rows])
            if conflicts:
                alone, blocked = _conflicts(alone, chances, segment.days, conflicts)
                leave = 1.0 - (1.0 - chances.leave) * (1.0 - blocked)
                mass = mass.after(segment.days, replace(chances, leave=leave))
            else:
                mass = mass.after(segment.days, chances)
            day += segment.days
            if segment.ends is not None:
                adopted[segment.ends] = mass.adopted
            if day == horizon:
                break
        return adopted

    def policy(self) -> dict[int, Floats]:
        """Adopted by each horizon, outreach going on as it does."""
        treated = [now + ahead for now, ahead in zip(self.pairs.treated_now, self.pairs.treated_ahead, strict=True)]
        return self.adopted(treated, max(HORIZONS_DAYS))

    def uplift(self) -> Floats:
        """Adopted within 90 days if treated now, minus if held back now."""
        now = self.pairs.treated_now
        treated = [np.maximum(running, float(step < PLAY_PERIODS)) for step, running in enumerate(now)]
        return self.adopted(treated, UPLIFT_DAYS)[UPLIFT_DAYS] - self.adopted(now, UPLIFT_DAYS)[UPLIFT_DAYS]


def _antithetic(pairs: _Pairs, rng: np.random.Generator) -> Iterator[_Path]:
    """Draw one path of the hidden states ahead and its mirror image."""
    shocks = [(rng.normal(size=(2, len(pairs.rows))), rng.normal(size=pairs.status.shape)) for _ in pairs.steps[1:]]
    for sign in (1.0, -1.0):
        yield _path(pairs, [(sign * own, sign * pair) for own, pair in shocks])


def _path(pairs: _Pairs, shocks: list[tuple[Floats, Floats]]) -> _Path:
    history, point, rows = pairs.history, pairs.point, pairs.rows
    latent, effects = history.latent, history.effects
    mean = history.population.health_mean[rows]
    health, growth, need = latent.health[point, rows], latent.growth[point, rows], latent.need[point, rows]
    returning, spread = history.returning[point, rows], np.sqrt(1.0 - PERSISTENCE**2)
    chances = []
    for step in pairs.steps:
        if step > 0:
            own, pair = shocks[step - 1]
            health = mean + PERSISTENCE * (health - mean) + spread * HEALTH_SPREAD * own[0]
            growth = PERSISTENCE * growth + spread * own[1]
            need = PERSISTENCE * need + spread * pair
        interest = effects.interest(point + step, rows, health, growth, need, returning)
        interest = interest * (pairs.loss_wait <= step)
        chances.append(
            Chances(
                leave=effects.churn(point + step, rows, health, history.renewal_month)[:, None],
                direct=effects.direct * interest,
                opening=effects.opening(interest, rows),
                winning=pairs.winning,
                losing=pairs.losing,
            )
        )
    return _Path(pairs, chances)


def _conflicts(alone: Mass, chances: Chances, days: int, conflicts: list[tuple[int, int]]) -> tuple[Mass, Floats]:
    """Advance conflicting products as if alone, and return each pair's daily chance that the other one is
    bought.

    The chance is taken as even over the days of the segment.
    """
    blocked = np.zeros_like(alone.idle)
    columns = sorted({column for pair in conflicts for column in pair})
    before = Mass(alone.idle[:, columns], alone.open[:, columns], alone.adopted[:, columns])
    own = Chances(
        chances.leave,
        *(part[:, columns] for part in (chances.direct, chances.opening, chances.winning, chances.losing)),
    )
    after = before.after(days, own)
    at_risk = days * np.maximum((before.idle + before.open + after.idle + after.open) / 2.0, 1e-12)
    hazard = dict(zip(columns, ((after.adopted - before.adopted) / at_risk).T, strict=True))
    for first, second in conflicts:
        blocked[:, first] = 1.0 - (1.0 - blocked[:, first]) * (1.0 - hazard[second])
        blocked[:, second] = 1.0 - (1.0 - blocked[:, second]) * (1.0 - hazard[first])
    idle, opened, adopted = alone.idle.copy(), alone.open.copy(), alone.adopted.copy()
    idle[:, columns], opened[:, columns], adopted[:, columns] = after.idle, after.open, after.adopted
    return Mass(idle, opened, adopted), blocked
