"""What is known of a product that has no coefficients of its own."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from product_affinity.models.linear_terms import fit_terms
from product_affinity.models.product_prior import ProductPrior, averaged_log_odds
from product_affinity.models.ridge import RidgeData, fit_ridge


@pytest.mark.parametrize("mean", [-9.0, -5.0, -1.0, 0.0, 4.0])
@pytest.mark.parametrize("deviation", [0.01, 0.5, 1.0, 2.0, 4.0])
def test_the_averaged_chance_is_the_integral(mean, deviation):
    chance, _ = quad(lambda z: expit(mean + deviation * z) * norm.pdf(z), -12, 12, limit=500, epsabs=1e-14)
    found = averaged_log_odds(np.array([mean]), np.array([deviation**2]))
    assert found[0] == pytest.approx(logit(chance), abs=6e-3)


def test_averages_stay_finite_ordered_and_symmetric_far_from_zero():
    means = np.array([-900.0, -40.0, 0.0, 40.0, 900.0])
    found = averaged_log_odds(means, np.full(5, 2.0))
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    np.testing.assert_allclose(found, -found[::-1], atol=1e-9)


def test_without_spread_a_new_product_has_the_pooled_score():
    prior = ProductPrior(np.zeros(2))
    log_odds = np.array([-3.0, 2.0])
    np.testing.assert_array_equal(prior.log_odds(np.ones((2, 2)), log_odds), log_odds)


def test_contributions_divide_the_correction_as_the_variance():
    prior = ProductPrior(np.array([0.5, 0.0, 2.0]), centre=-4.0, level=0.3)
    design = np.array([[2.0, 1.0, 1.0], [0.0, 3.0, 0.0]])
    log_odds = np.array([-0.5, 0.5])
    parts = prior.contributions(design, log_odds)
    np.testing.assert_allclose(log_odds + parts.sum(axis=1) + 0.3, prior.log_odds(design, log_odds), rtol=1e-12)
    # .5 · 2² and 2 · 1² are half of the variance each, and the second row has none
    np.testing.assert_allclose(parts[0], [parts[0, 0], 0, parts[0, 0]], rtol=1e-12)
    assert parts[0, 0] > 0
    assert (parts[1] == 0).all()


#: products of the worlds below
PRODUCTS = 12


@pytest.fixture(scope="module")
def opposed():
    """Rows of products that columns 0 and 1 draw or repel as each pleases, with what each row's chance is."""
    rng = np.random.default_rng(8)
    codes = np.repeat(np.arange(PRODUCTS), 4000)
    matrix = rng.normal(size=(len(codes), 6)).astype(np.float32)
    own = np.column_stack([rng.choice([-1.0, 1.0], PRODUCTS) * 0.9, rng.normal(0, 0.7, PRODUCTS)])
    truth = expit(-4 + (matrix[:, :2] * own[codes]).sum(axis=1) + 0.3 * matrix[:, 2])
    target = (rng.random(len(codes)) < truth).astype(float)
    return matrix, codes, truth, target


def new_product_scores(opposed):
    """Scores of each product by a ridge that has not seen it: pooled coefficients alone, and as a new product."""
    matrix, codes, _, target = opposed
    pooled, averaged = np.empty(len(codes)), np.empty(len(codes))
    for code in range(PRODUCTS):
        at, others = np.flatnonzero(codes == code), np.flatnonzero(codes != code)
        data = RidgeData(matrix[others], target[others], np.ones(len(others)), np.zeros(len(others)), codes[others])
        terms = fit_terms(data.matrix, data.weight, [])
        seen = [other for other in range(PRODUCTS) if other != code]
        model, _ = fit_ridge(data, terms, {}, seen)
        pooled[at] = model.pooled[0] + terms.design(matrix[at]) @ model.pooled[1:]
        averaged[at] = model.log_odds(matrix[at], np.full(len(at), -1))
    return pooled, averaged


def test_where_products_are_opposed_a_new_one_is_found_better_and_at_the_right_level(opposed):
    _, codes, truth, _ = opposed
    pooled, averaged = new_product_scores(opposed)

    def found(score):
        best = [np.argsort(-score[codes == code])[:200] for code in range(PRODUCTS)]
        return sum(truth[codes == code][at].sum() for code, at in enumerate(best))

    assert found(averaged) > 1.15 * found(pooled)
    assert expit(averaged).sum() == pytest.approx(truth.sum(), rel=0.1)
    # a log-loss, too: the spread is part of what is known
    losses = [np.logaddexp(0, score) @ (1 - truth) + np.logaddexp(0, -score) @ truth for score in (averaged, pooled)]
    assert losses[0] < losses[1]
