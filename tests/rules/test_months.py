"""Calendar months against counting the days one by one."""

from __future__ import annotations

import calendar
import datetime as dt

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from product_affinity.rules.months import add_months, day_of_month_count, months_between

DAYS = st.dates(dt.date(2019, 1, 1), dt.date(2029, 12, 31))


def array(*days):
    return np.array(days, dtype="datetime64[D]")


def moved(day: dt.date, months: int) -> dt.date:
    """The same day so many months on, by the calendar on the wall."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return dt.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@settings(deadline=None)
@given(DAYS, st.integers(-30, 60))
def test_adding_months_as_on_the_wall(day, months):
    assert add_months(array(day), months)[0].item() == moved(day, months)


@pytest.mark.parametrize(
    ("since", "until", "months"),
    [
        ("2026-01-15", "2026-10-15", 9.0),
        ("2026-01-15", "2026-10-16", 9 + 1 / 31),
        ("2026-01-15", "2026-10-14", 8 + 29 / 30),
        ("2026-01-31", "2026-02-28", 1.0),
        ("2026-01-31", "2026-03-30", 1 + 30 / 31),
        ("2026-06-30", "2026-06-30", 0.0),
        ("2024-02-29", "2025-02-28", 12.0),
    ],
)
def test_months_between_two_days(since, until, months):
    assert months_between(array(since), array(until))[0] == pytest.approx(months, abs=1e-12)


def test_a_missing_day_gives_no_number():
    assert np.isnan(months_between(array("NaT", "2026-01-01"), array("2026-01-01", "NaT"))).all()
    assert np.isnat(day_of_month_count(array("NaT"), np.array([3.0]), strictly=True)).all()


@settings(deadline=None)
@given(DAYS, st.integers(0, 700))
def test_months_never_go_back(since, days):
    one, other = (months_between(array(since), array(since + dt.timedelta(days=d)))[0] for d in (days, days + 1))
    assert one <= other
    assert (one == np.floor(one)) == (moved(since, int(one)) == since + dt.timedelta(days=days))


@settings(max_examples=60, deadline=None)
@given(DAYS, st.one_of(st.integers(0, 14).map(float), st.floats(0, 14)), st.booleans())
@example(since=dt.date(2019, 1, 1), months=3.1, strictly=False)
@example(since=dt.date(2019, 1, 1), months=3.1, strictly=True)
def test_the_day_a_count_is_reached_is_the_first_such_day(since, months, strictly):
    days = array(*(since + dt.timedelta(days=d) for d in range(16 * 31)))
    counts = months_between(np.repeat(array(since), len(days)), days)
    reached = counts > months if strictly else counts >= months
    # a moment later the fraction may round either way: compare where it is not within rounding of the bound
    if np.abs(counts - months)[counts != months].min() > 1e-9:
        assert day_of_month_count(array(since), np.array([months]), strictly=strictly)[0] == days[reached][0]
