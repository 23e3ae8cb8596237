"""Sampling of negatives and its exact correction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from product_affinity.models import PropensityClassifier
from product_affinity.models.logistic import Prior, fit_logistic
from product_affinity.models.rows import Rows, base_log_odds, population_weight, positive_counts, sample_negatives

from .tables import pairs


def rare(size=60_000, positives=1000):
    return (np.arange(size) < positives).astype(float)


def test_ten_negatives_a_positive_and_every_positive():
    target = rare(200_000, 10_000)
    sample = sample_negatives(target, np.ones(len(target)), seed=0)
    assert target[sample.rows].sum() == 10_000
    assert len(sample.rows) == 110_000
    assert (np.diff(sample.rows) > 0).all()
    assert sample.prior_shift == pytest.approx(np.log(190_000 / 100_000))


def test_fifty_thousand_rows_where_ten_negatives_a_positive_are_fewer():
    sample = sample_negatives(rare(60_000, 1000), np.ones(60_000), seed=0)
    assert len(sample.rows) == 50_000
    assert sample.prior_shift == pytest.approx(np.log(59_000 / 49_000))


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


def panel(days, accounts, codes, target):
    ones = np.ones(len(days))
    return Rows(
        matrix=np.zeros((len(days), 1), dtype=np.float32),
        target=np.array(target, dtype=float),
        weight=2 * ones,
        fit_weight=ones,
        prior_shift=0.0,
        offset=0 * ones,
        codes=np.array(codes),
        accounts=np.array(accounts),
        days=np.array(days),
    )


def test_an_adoption_seen_from_three_dates_counts_once():
    # account 0 adopts once and is seen from three dates, account 1 adopts two products, account 2 none
    rows = panel([60, 0, 30, 30, 30, 0, 30], [0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 0, 0])
    once = rows.by_event(gap_days=97)
    assert np.allclose(once.fit_weight, 3 / 5)
    assert np.allclose(once.weight, 2 * 3 / 5)
    assert once.fit_weight @ once.target == pytest.approx(3)


def test_adoptions_a_gap_apart_are_two():
    rows = panel([0, 97, 0, 96], [0, 0, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1])
    assert np.allclose(rows.by_event(gap_days=97).fit_weight, 3 / 4)


def test_without_dates_or_accounts_every_row_counts():
    rows = panel([0, 30], [0, 0], [0, 0], [1, 1])
    assert replace(rows, days=None).by_event(97).fit_weight.tolist() == [1, 1]
    assert replace(rows, accounts=None).by_event(97).fit_weight.tolist() == [1, 1]


def test_rows_repeated_at_later_dates_make_a_fit_no_surer():
    table = pairs(accounts=700, months=1, rates=(-2.0, -2.0, -2.2))
    later = [table.as_of + np.timedelta64(30 * at, "D") for at in range(3)]
    once = PropensityClassifier(candidates=["ridge"]).fit(table.X, table.y, **table.keys)
    keys = {"product": np.tile(table.product, 3), "account": np.tile(table.account, 3), "as_of": np.concatenate(later)}
    thrice = PropensityClassifier(candidates=["ridge"]).fit(pd.concat([table.X] * 3), np.tile(table.y, 3), **keys)
    one, three = (model.predict_proba(table.X, product=table.product)[:, 1] for model in (once, thrice))
    assert np.allclose(one, three, rtol=1e-3)
