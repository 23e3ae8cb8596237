"""Rolling, purged folds: train on what was known at an origin, test on what happened after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from product_affinity.errors import ContractError, LeakageError

#: a fold without a training as-of teaches nothing; one is enough to be honest, not to be good
MIN_TRAIN_AS_OFS = 1


@dataclass(frozen=True)
class Fold:
    """One train/test split in time; one that leaks cannot be built.

    Attributes
    ----------
    origin : the day the models of this fold would have been trained: its first test as-of.
    train_as_ofs, test_as_ofs : as-of dates, ascending.
    horizon_days, maturity_days : length of the label window, and days until its facts have arrived.
    """

    origin: dt.date
    train_as_ofs: tuple[dt.date, ...]
    test_as_ofs: tuple[dt.date, ...]
    horizon_days: int
    maturity_days: int

    def __post_init__(self) -> None:
        if not self.train_as_ofs or not self.test_as_ofs:
            raise ValueError("a fold needs at least one training and one test as-of date")
        first_test = min(self.test_as_ofs)
        last_train = max(self.train_as_ofs)
        known_on = last_train + dt.timedelta(days=self.gap_days)
        if known_on > first_test:
            raise LeakageError(
                f"fold {self.origin}: labels of training as-of {last_train} are known on {known_on}, "
                f"after the first test as-of {first_test} (gap {self.gap_days} days)"
            )
        if self.origin != first_test:
            raise LeakageError(f"fold {self.origin}: the origin is not the first test as-of {first_test}")

    @property
    def gap_days(self) -> int:
        """Days that must lie between the last training and the first test as-of."""
        return self.horizon_days + self.maturity_days

    def split(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the training and the test rows of a table with a column `as_of`, in its order."""
        train = rows["as_of"].isin(pd.to_datetime(list(self.train_as_ofs)))
        test = rows["as_of"].isin(pd.to_datetime(list(self.test_as_ofs)))
        return rows[train], rows[test]


def plan_folds(
    as_ofs: Sequence[dt.date],
    *,
    horizon_days: int,
    maturity_days: int,
    observed_until: dt.date,
    folds: int,
    step_days: int | None = None,
) -> tuple[Fold, ...]:
    """Plan up to `folds` folds, ascending, each tested at one as-of date.

    The last is tested at the latest as-of whose horizon is closed, each earlier one at the available as-of
    nearest to `step_days` before (of two equally near the earlier). A fold trains on every as-of whose labels
    were known at its origin and needs at least `MIN_TRAIN_AS_OFS` of them.

    Parameters
    ----------
    as_ofs : dates the training table has.
    horizon_days, maturity_days : days; together the gap of the folds.
    observed_until : the run's as-of date.
    folds : wanted number, ≥ 1; fewer come back where history is short.
    step_days : days between test as-ofs, default `horizon_days`, so that test windows hardly overlap.

    Raises
    ------
    ContractError : not one fold fits; the message says how many days of history are missing.
    """
    gap = dt.timedelta(days=horizon_days + maturity_days)
    dates = sorted(set(as_ofs))
    closed = [day for day in dates if day + gap <= observed_until]
    step = dt.timedelta(days=horizon_days if step_days is None else step_days)
    planned: list[Fold] = []
    test = closed[-1] if closed else None
    while test is not None and len(planned) < folds:
        train = tuple(day for day in dates if day + gap <= test)
        if len(train) < MIN_TRAIN_AS_OFS:
            break
        planned.append(Fold(test, train, (test,), horizon_days, maturity_days))
        test = _nearest_before(closed, test, test - step)
    if not planned:
        raise ContractError(_too_short(dates, gap, observed_until))
    return tuple(reversed(planned))


def _nearest_before(dates: list[dt.date], test: dt.date, wanted: dt.date) -> dt.date | None:
    earlier = [day for day in dates if day < test]
    return min(earlier, key=lambda day: (abs(day - wanted), day), default=None)


def _too_short(dates: list[dt.date], gap: dt.timedelta, observed_until: dt.date) -> str:
    needs = f"a fold needs a training as-of {gap.days} days before a test as-of, itself {gap.days} days before"
    if not dates:
        return f"backtest: no as-of date at all; {needs} {observed_until}."
    first_test = min((day for day in dates if day >= dates[0] + gap), default=dates[0] + gap)
    missing = (first_test + gap - observed_until).days
    return (
        f"backtest: no fold fits into as-of dates {dates[0]} to {dates[-1]}; {needs} {observed_until}. "
        f"{missing} more days of history are missing: load older data, or lower [time] horizon_days."
    )
