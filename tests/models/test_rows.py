"""Sampling of negatives and its exact correction."""

import numpy as np
import pytest
from scipy.special import expit, logit

from product_affinity.models import PropensityClassifier
from product_affinity.models.logistic import Prior, fit_logistic
from product_affinity.models.rows import base_log_odds, population_weight, positive_counts, sample_negatives


def rare(size=60_000, positives=1000):
    return (np.arange(size) < positives).astype(float)


def test_ten_negatives_a_positive_and_every_positive():
    target = rare()
    sample = sample_negatives(target, np.ones(len(target)), seed=0)
    assert target[sample.rows].sum() == 1000
    assert len(sample.rows) == 11_000
    assert (np.diff(sample.rows) > 0).all()
    assert sample.prior_shift == pytest.approx(np.log(59_000 / 10_000))


@pytest.mark.parametrize(("size", "positives"), [(50_000, 1000), (60_000, 6000)])
def test_small_or_balanced_tables_are_not_sampled(size, positives):
    sample = sample_negatives(rare(size, positives), np.ones(size), seed=0)
    assert len(sample.rows) == size
    assert sample.prior_shift == 0


def test_shift_uses_the_weight_drawn():
    target = rare()
    weight = np.random.default_rng(0).uniform(0, 5, len(target))
    sample = sample_negatives(target, weight, seed=1)
    drawn = sample.rows[target[sample.rows] == 0]
    assert sample.prior_shift == pytest.approx(np.log(weight[target == 0].sum() / weight[drawn].sum()))
    stands_for = population_weight(target[sample.rows], weight[sample.rows], sample.prior_shift)
    assert stands_for.sum() == pytest.approx(weight.sum())


def test_rows_of_weight_zero_are_left_out():
    sample = sample_negatives(np.array([0.0, 1, 0, 1]), np.array([1.0, 0, 0, 1]), seed=0)
    assert sample.rows.tolist() == [0, 3]


def test_a_fit_on_the_sample_recovers_the_population():
    """Slope and intercept of a known model, from a sample of its negatives (King & Zeng 2001)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=400_000)
    target = (rng.random(len(x)) < expit(-5 + x)).astype(float)
    sample = sample_negatives(target, np.ones(len(x)), seed=0)
    assert len(sample.rows) < 60_000
    design = np.column_stack([np.ones(len(x)), x])[sample.rows]
    shift = np.full(len(design), sample.prior_shift)
    fit = fit_logistic(design, target[sample.rows], np.ones(len(design)), shift, Prior.free(np.zeros(2)))
    # starting log-odds of the sample exceed those of the population: the fit is what remains
    np.testing.assert_allclose(fit.coefficients, [-5, 1], atol=0.08)


def test_classifier_on_sampled_rows_is_calibrated():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 3))
    truth = expit(-4.5 + X[:, 0])
    y = (rng.random(len(X)) < truth).astype(int)
    weight = np.where(rng.random(len(X)) < 0.5, 1.0, 3.0)
    proba = PropensityClassifier(n_seeds=1).fit(X, y, sample_weight=weight).predict_proba(X)[:, 1]
    assert weight @ proba / (weight @ truth) == pytest.approx(1, abs=0.06)
    assert np.corrcoef(logit(proba), logit(truth))[0, 1] > 0.97


def test_base_log_odds_meets_the_observed_total():
    target, weight = np.array([1.0, 0, 0, 0]), np.array([1.0, 2, 1, 1])
    offset = np.array([0.0, 1, -1, 0.5])
    base = base_log_odds(target, weight, offset)
    assert weight @ expit(base + offset) == pytest.approx(weight @ target, abs=1e-5)


def test_positive_counts():
    assert positive_counts(np.array([0, 2, 2]), np.array([1.0, 1.0, 0.0]), 4).tolist() == [1, 0, 1, 0]
