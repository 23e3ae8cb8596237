"""Levels of groups, against the same problem written out with an indicator column per group."""

import numpy as np
import pytest

from product_affinity.models.grouped_logistic import fit_grouped, fit_levels
from product_affinity.models.logistic import Prior, fit_logistic


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 7, 400)
    design = rng.normal(size=(400, 3))
    chance = 1 / (1 + np.exp(2 - 0.8 * design[:, 0] + design[:, 2] - 0.5 * (groups == 4)))
    return design, groups, (rng.random(400) < chance).astype(float), rng.uniform(0.5, 2, 400), rng.normal(size=400)


def written_out(rows, precision, prior, count):
    design, groups, target, weight, offset = rows
    both = Prior(
        np.append(np.full(count, precision), prior.precision), np.append(np.zeros(count), prior.mean),
        np.append(np.full(count, -np.inf), prior.lower), np.append(np.full(count, np.inf), prior.upper),
    )  # fmt: skip
    columns = np.column_stack([np.eye(count)[groups], design])
    return fit_logistic(columns, target, weight, offset, both).coefficients


@pytest.mark.parametrize("lower", [-np.inf, 0.0])
def test_agrees_with_indicator_columns(rows, lower):
    design, groups, target, weight, offset = rows
    prior = Prior(np.array([5.0, 0.0, 2.0]), np.array([0.5, 0, 0]), np.full(3, lower), np.full(3, np.inf))
    found = fit_grouped(design, groups, 8, target, weight, offset, 0.3, prior)
    expected = written_out(rows, 0.3, prior, 8)
    np.testing.assert_allclose(found.levels, expected[:8], atol=1e-7)
    np.testing.assert_allclose(found.coefficients, expected[8:], atol=1e-7)
    assert found.levels[7] == 0  # no rows
    assert (found.coefficients[2] == 0) == (lower == 0)


def test_levels_alone_agree_with_indicator_columns(rows):
    _, groups, target, weight, offset = rows
    expected = written_out((np.empty((400, 0)), *rows[1:]), 0.01, Prior.free(np.empty(0)), 7)
    np.testing.assert_allclose(fit_levels(groups, 7, target, weight, offset, 0.01), expected, atol=1e-7)


def test_a_group_without_events_far_from_the_truth_does_not_overshoot():
    target, weight = np.zeros(50), np.ones(50)
    level = fit_levels(np.zeros(50, dtype=int), 1, target, weight, np.full(50, 8.0), 1e-3)
    assert level[0] < -8
    margin = 8.0 + level[0]
    assert 50 / (1 + np.exp(-margin)) == pytest.approx(-1e-3 * level[0], rel=1e-6)  # the gradient is 0
