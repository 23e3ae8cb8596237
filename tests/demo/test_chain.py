"""The closed form against the day-by-day recursion it sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_affinity.demo.chain import Chances, Mass

SMALL = st.floats(0.0, 0.01)


def day_by_day(
    start: tuple[float, float],
    days: int,
    leave: float,
    direct: float,
    opening: float,
    winning: float,
    losing: float,
) -> tuple[float, float, float]:
    idle, opened, adopted = *start, 0.0
    for _ in range(days):
        idle, opened = idle * (1 - leave), opened * (1 - leave)
        adopted += idle * direct + opened * winning
        idle, opened = idle * (1 - direct - opening), opened * (1 - winning - losing) + idle * opening
    return idle, opened, adopted


@given(
    st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.4, 0.3)]),
    st.integers(1, 200),
    st.floats(1e-6, 0.02),
    SMALL,
    SMALL,
    st.floats(0.012, 0.05),
    st.floats(0.012, 0.05),
)
def test_closed_form_equals_the_daily_recursion(start, days, leave, direct, opening, winning, losing):
    mass = Mass(np.array(start[0]), np.array(start[1]), np.array(0.0))
    chances = Chances(*(np.array(x) for x in (leave, direct, opening, winning, losing)))
    after = mass.after(days, chances)
    expected = day_by_day(start, days, leave, direct, opening, winning, losing)
    assert (float(after.idle), float(after.open), float(after.adopted)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_two_days_by_hand():
    # Day 1: 1 of 10 leaves; of the rest, 1/10 adopts and 2/10 open. Day 2: again, and half of the open win.
    chances = Chances(*(np.array(x) for x in (0.1, 0.1, 0.2, 0.5, 0.4)))
    after = Mass(np.array(1.0), np.array(0.0), np.array(0.0)).after(2, chances)
    first_adopted, first_open, first_idle = 0.9 * 0.1, 0.9 * 0.2, 0.9 * 0.7
    second = first_idle * 0.9 * 0.1 + first_open * 0.9 * 0.5
    assert float(after.adopted) == pytest.approx(first_adopted + second)


def test_days_add_up():
    chances = Chances(*(np.array(x) for x in (0.001, 0.002, 0.004, 0.01, 0.02)))
    start = Mass(np.array(1.0), np.array(0.0), np.array(0.0))
    at_once, in_two = start.after(31, chances), start.after(11, chances).after(20, chances)
    assert float(at_once.adopted) == pytest.approx(float(in_two.adopted), rel=1e-12)
