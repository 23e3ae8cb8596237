"""Inputs that may know the answer together: spread leaks are refused, many honest inputs are not."""

from __future__ import annotations

import numpy as np
import pytest

from product_affinity.registry.gains import chance_of_sum
from tests.registry.evidences import evidence
from tests.registry.test_gate import judged, refused, state

TODAY = tuple(f"today_{k}" for k in range(4))


def of_today(largest: float, *others: float, inputs: int = 136) -> tuple[tuple[str, float], ...]:
    """Shares of columns that hold today's state beside those of honest ones; all sum to 1."""
    known = dict(zip(TODAY, (largest, *others), strict=False))
    rest = (1 - sum(known.values())) / (inputs - len(known))
    honest = {f"usage_{k:03d}": rest for k in range(inputs - len(known))}
    return tuple(sorted((known | honest).items(), key=lambda item: (-item[1], item[0])))


def test_an_answer_that_is_spread_over_columns_of_today_is_refused():
    """24 % is below every limit of one input; what nothing proves in time has 28 % together."""
    spread = of_today(0.24, 0.02, 0.01, 0.01)
    report = judged(evidence(champion=None, comparison="no_champion", gain_shares=spread, unproven=TODAY))
    assert refused(report) == ["P09"]
    assert f"{', '.join(TODAY)} may know the answer (not provable in time, together 28 %)" in report.words
    assert state(judged(evidence(gain_shares=spread)), "P09") == "passed"
    # it need not be the largest input that knows
    hidden = (("usage_x", 0.4), *((name, 0.6 * share) for name, share in of_today(0.3, 0.14, 0.01, 0.01)))
    report = judged(evidence(gain_shares=hidden, unproven=TODAY))
    assert refused(report) == ["P09"]
    assert "today_0, today_1, today_2, today_3 may know" in report.words


def test_inputs_that_nothing_proves_are_not_refused_for_their_number():
    """Of 93 inputs 24 read lines of subscriptions without known_at: equal parts would be 26 %."""
    names = [f"usage_{k:02d}" for k in range(93)]
    equal = tuple((name, 1 / 93) for name in names)
    assert state(judged(evidence(gain_shares=equal, unproven=tuple(names[:24]))), "P09") == "passed"
    assert state(judged(evidence(gain_shares=equal, unproven=tuple(names))), "P09") == "passed"
    # no tree was grown on them
    assert state(judged(evidence(gain_shares=equal, unproven=("usage_gone",))), "P09") == "passed"


def test_chance_of_a_sum_is_what_broken_sticks_say():
    sticks = np.random.default_rng(0).dirichlet(np.ones(20), 40_000)
    for some, share in ((1, 0.1), (4, 0.28), (15, 0.7)):
        by_draws = float((sticks[:, :some].sum(axis=1) >= share).mean())
        assert chance_of_sum(share, some, 20) == pytest.approx(by_draws, abs=0.01)
