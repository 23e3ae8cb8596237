from __future__ import annotations

import numpy as np
import pytest
from benchmarks.effect import coverage, demo_units
from scipy.stats import t

from product_affinity.reports.effect import (
    check_balance,
    check_sample_ratio,
    estimate_effect,
    neyman_width,
)


def test_difference_and_neyman_interval_by_hand():
    outcome = [1, 1, 1, 0, 0, 0, 1, 0, 0]
    treated = [True] * 5 + [False] * 4
    found = estimate_effect(outcome, treated, [0.5] * 9)
    # s² = n p (1 − p) / (n − 1): 5 · 3/5 · 2/5 / 4 = 3/10 and 4 · 1/4 · 3/4 / 3 = 1/4
    parts = (3 / 10 / 5, 1 / 4 / 4)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 3)
    assert found.difference == pytest.approx(3 / 5 - 1 / 4)
    assert found.standard_error == pytest.approx(np.sqrt(sum(parts)))
    assert found.high - found.difference == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(sum(parts)))
    assert (found.treated, found.held_back) == (5, 4)
    assert neyman_width(outcome, treated) == pytest.approx(2 * 1.959964 * np.sqrt(sum(parts)))


def test_strata_of_probability_are_weighted_by_their_units():
    # stratum .5: 2/2 − 1/2 over 4 units, stratum .8: 1/4 − 0/2 over 6 units
    outcome = [1, 1, 1, 0, 1, 0, 0, 0, 0, 0]
    treated = [True, True, False, False] + [True] * 4 + [False] * 2
    found = estimate_effect(outcome, treated, [0.5] * 4 + [0.8] * 6)
    assert found.difference == pytest.approx(0.4 * (1 - 1 / 2) + 0.6 * (1 / 4 - 0))
    assert found.treated_mean == pytest.approx(0.4 * 1 + 0.6 * 1 / 4)


def test_unequal_probabilities_do_not_bias_although_adopters_are_proposed_more_often():
    rng = np.random.default_rng(1)
    eager = rng.random(40_000) < 0.5
    chance = np.where(eager, 0.9, 0.3)
    treated = rng.random(40_000) < chance
    adopted = rng.random(40_000) < np.where(eager, 0.30, 0.02) + 0.05 * treated
    assert adopted[treated].mean() - adopted[~treated].mean() > 0.1
    found = estimate_effect(adopted, treated, chance)
    assert 0.05 in found
    assert found.difference == pytest.approx(0.05, abs=0.012)


def test_a_covariate_known_before_narrows_without_moving_the_effect():
    rng = np.random.default_rng(3)
    before = rng.normal(size=4000)
    treated = rng.random(4000) < 0.8
    outcome = 2 * before + 0.3 * treated + rng.normal(size=4000)
    plain = estimate_effect(outcome, treated, np.full(4000, 0.8))
    adjusted = estimate_effect(outcome, treated, np.full(4000, 0.8), before)
    assert adjusted.standard_error == pytest.approx(plain.standard_error / np.sqrt(5), rel=0.1)
    assert 0.3 in adjusted
    assert (adjusted.treated_mean, adjusted.held_back_mean) == (plain.treated_mean, plain.held_back_mean)


def test_a_covariate_that_says_nothing_or_is_missing_changes_little():
    rng = np.random.default_rng(4)
    treated, outcome = rng.random(600) < 0.7, rng.random(600)
    plain = estimate_effect(outcome, treated, np.full(600, 0.7))
    noise = np.where(rng.random(600) < 0.2, np.nan, rng.normal(size=600))
    for covariates in (noise, np.full(600, np.nan), np.ones(600), np.column_stack([noise, np.full(600, np.nan)])):
        found = estimate_effect(outcome, treated, np.full(600, 0.7), covariates)
        assert found.difference == pytest.approx(plain.difference, abs=plain.standard_error / 3)
        assert found.standard_error == pytest.approx(plain.standard_error, rel=0.02)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_certain_arm_is_no_draw(probability):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        estimate_effect([1, 0, 1, 0], [True, True, False, False], [0.5, 0.5, 0.5, probability])


def test_a_stratum_with_one_unit_in_an_arm_is_refused():
    with pytest.raises(ValueError, match="3 treated and 1 held back"):
        estimate_effect([1, 0, 1, 0], [True, True, True, False], [0.5] * 4)


def test_sample_ratio_by_hand():
    found = check_sample_ratio([True] * 850 + [False] * 150, [0.9] * 1000)
    # (850 − 900)² / (1000 · .9 · .1) = 27.8, far beyond 10.8, the 99.9 % point
    assert found.expected == pytest.approx(900)
    assert found.is_suspect
    assert not check_sample_ratio([True] * 885 + [False] * 115, [0.9] * 1000).is_suspect


def test_balance_finds_arms_that_differed_before():
    rng = np.random.default_rng(8)
    treated = rng.random(2000) < 0.9
    chance, tenure = np.full(2000, 0.9), rng.normal(500, 100, 2000)
    assert not check_balance("tenure", tenure, treated, chance).is_suspect
    shifted = check_balance("tenure", tenure + 60 * treated, treated, chance)
    assert shifted.is_suspect
    assert shifted.treated_mean - shifted.held_back_mean == pytest.approx(60, abs=25)


def test_balance_weighs_each_unit_by_its_own_probability():
    rng = np.random.default_rng(9)
    large = rng.random(20_000) < 0.5
    chance = np.where(large, 0.9, 0.5)
    treated = rng.random(20_000) < chance
    assert large[treated].mean() - large[~treated].mean() > 0.3
    assert abs(check_balance("large", large, treated, chance).standardised) < 0.05


def test_balance_of_a_constant_or_unknown_covariate_says_nothing():
    same = check_balance("tenure", [5.0, 5.0, np.nan], [True, False, True], [0.5] * 3)
    assert (same.standardised, same.p_value) == (0.0, 1.0)
    assert not check_balance("tenure", [5.0, 7.0], [True, True], [0.5] * 2).is_suspect


@pytest.fixture(scope="module")
def small_company():
    return demo_units(500, 18, seed=7)


def test_no_effect_covers_zero_as_often_as_it_says(small_company):
    rng, covered = np.random.default_rng(0), 0
    for _ in range(200):
        treated = rng.random(len(small_company.held_back)) < 0.8
        adopted = rng.random(len(treated)) < small_company.held_back
        covered += 0 in estimate_effect(adopted, treated, np.full(len(treated), 0.8), small_company.propensity)
    assert 0.90 <= covered / 200 <= 0.99


@pytest.mark.parametrize("fresh", [True, False])
def test_the_interval_covers_the_true_effect_of_a_small_demo_company(small_company, fresh):
    covered, ratio = coverage(small_company, share_held_back=0.3, draws=60, seed=1, fresh=fresh, adjust=True)
    # 60 draws of a 95 % interval: 54 or more but once in twenty-five times
    assert covered >= 53 / 60
    assert ratio <= 1.1


@pytest.mark.slow
@pytest.mark.parametrize("slots", [0, 500])
@pytest.mark.parametrize(
    ("share_held_back", "fresh"),
    # not 0.3 with both outcomes fixed: Neyman's variance is too wide there (docs/measurement.md has the figure)
    [(0.1, False), (0.1, True), (0.3, True)],
)
def test_over_200_re_randomisations_coverage_is_92_to_98_percent(slots, share_held_back, fresh):
    covered, ratio = coverage(
        demo_units(2000, 30, seed=7, slots=slots),
        share_held_back=share_held_back,
        draws=200,
        seed=11,
        fresh=fresh,
        adjust=True,
    )
    assert 0.92 <= covered <= 0.98
    assert ratio <= 1.2
