"""The demo company's clock: periods from one as-of date to the next, counted in days.

A period runs ``[as_of, next as_of)``, so the state drawn at its start is exactly the state at an as-of date
and every event of the period lies strictly before the next one. Days are integers since 1970-01-01.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.int64]

EPOCH = dt.date(1970, 1, 1).toordinal()
HORIZONS_DAYS = (30, 90, 180)
NEVER = 10**7


def to_day(date: dt.date) -> int:
    """Days from 1970-01-01 to `date`.

    >>> to_day(dt.date(1970, 1, 31))
    30
    """
    return date.toordinal() - EPOCH


def to_date(day: int) -> dt.date:
    """Date `day` days after 1970-01-01.

    >>> to_date(30)
    datetime.date(1970, 1, 31)
    """
    return dt.date.fromordinal(int(day) + EPOCH)


def month_end(date: dt.date, months: int = 0) -> dt.date:
    """Last day of the month `months` after the one of `date`.

    >>> month_end(dt.date(2026, 6, 30), -4)
    datetime.date(2026, 2, 28)
    """
    year, month = divmod(date.year * 12 + date.month + months, 12)
    return dt.date(year, month + 1, 1) - dt.timedelta(days=1)


@dataclass(frozen=True)
class Segment:
    """Some days of one period ahead of an as-of date, cut so that no horizon ends inside it.

    Attributes
    ----------
    step : 0 for the period that starts at the as-of date, 1 for the next, …
    days : length, at least 1.
    ends : horizon in days that ends with this segment, or None.
    """

    step: int
    days: int
    ends: int | None


@dataclass(frozen=True)
class Clock:
    """As-of dates of the history and the period starts of the half year after it.

    Attributes
    ----------
    starts : days of all period starts; the first `periods` + 1 are the as-of dates, the last of them is
        `until`.
    periods : number of simulated periods.
    """

    starts: Days
    periods: int

    @classmethod
    def of(cls, months: int, until: dt.date) -> Clock:
        """Build the clock of `months` months of history that end right before `until`.

        >>> clock = Clock.of(2, dt.date(2026, 6, 30))
        >>> [str(to_date(day)) for day in clock.starts[:3]], clock.periods
        (['2026-04-30', '2026-05-31', '2026-06-30'], 2)
        """
        ends = [month_end(until, shift) for shift in range(-months, 9)]
        history = [end for end in ends if end < until]
        ahead = [end for end in ends if end > until]
        starts = np.array([to_day(date) for date in (*history, until, *ahead)], dtype=np.int64)
        return cls(starts, len(history))

    @property
    def first(self) -> int:
        """First day of the history."""
        return int(self.starts[0])

    @property
    def until(self) -> int:
        """Day on which the history ends; no fact happens on it or later."""
        return int(self.starts[self.periods])

    def days(self, period: int) -> int:
        """Length of a period in days."""
        return int(self.starts[period + 1] - self.starts[period])

    def segments(self, period: int, horizon: int) -> tuple[Segment, ...]:
        """Cut the `horizon` days from the start of `period` at period starts and at the published horizons.

        >>> clock = Clock.of(2, dt.date(2026, 2, 28))
        >>> [(s.step, s.days, s.ends) for s in clock.segments(2, 90)]
        [(0, 30, 30), (0, 1, None), (1, 30, None), (2, 29, 90)]
        """
        offsets = self.starts[period:] - self.starts[period]
        ends = {h for h in HORIZONS_DAYS if h <= horizon}
        cuts = sorted({*(int(o) for o in offsets if o < horizon), *ends})
        steps = np.searchsorted(offsets, cuts[:-1], side="right") - 1
        return tuple(
            Segment(int(step), after - before, after if after in ends else None)
            for step, before, after in zip(steps, cuts[:-1], cuts[1:], strict=True)
        )
