"""The linear candidate: design, directions, product deviations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from scipy.special import expit

from product_affinity.models import PropensityClassifier, ridge
from product_affinity.models.linear_terms import fit_terms
from product_affinity.models.logistic import Prior, fit_logistic
from product_affinity.models.ridge import RELEVANCE_FLOOR, RidgeData, column_relevance, fit_ridge


def ridge_data(matrix, target, codes=None, offset=0.0):
    size = len(target)
    codes = np.zeros(size, dtype=int) if codes is None else codes
    return RidgeData(matrix.astype(np.float32), target.astype(float), np.ones(size), np.full(size, offset), codes)


def test_design_standardises_clips_and_flags():
    matrix = np.array([[0, 0], [2, np.nan], [4, 1], [np.nan, 0]], dtype=np.float32)
    terms = fit_terms(matrix, np.ones(4), level_columns=[1])
    design = terms.design(np.array([[2 + 100, 1], [np.nan, 5], [4, 0]], dtype=np.float32))
    # mean 2, standard deviation sqrt(8 / 3); then missing indicator; then levels 0 and 1
    np.testing.assert_allclose(design, [[4, 0, 0, 1], [0, 1, 0, 0], [2 / np.sqrt(8 / 3), 0, 1, 0]], rtol=1e-6)
    assert terms.sources.tolist() == [0, 0, 1, 1]


def test_weights_scale_like_repeated_rows():
    rng = np.random.default_rng(0)
    matrix = rng.lognormal(0, 2, (40, 2)).astype(np.float32)
    times = np.arange(40) % 3
    weighted, repeated = (
        fit_terms(matrix, times * 1.0, []),
        fit_terms(matrix.repeat(times, axis=0), np.ones(times.sum()), []),
    )
    np.testing.assert_allclose(weighted.means, repeated.means)
    np.testing.assert_allclose(weighted.scales, repeated.scales)


def test_skewed_columns_enter_on_a_logarithmic_scale_in_the_same_order():
    values = np.random.default_rng(0).lognormal(0, 2, (500, 1)).astype(np.float32)
    terms = fit_terms(values, np.ones(500), [])
    assert terms.logs[0] > 0
    design = terms.design(np.sort(values, axis=0))[:, 0]
    assert (np.diff(design) >= 0).all()
    assert abs(design).max() <= 4


def test_codes_get_indicators_unless_their_direction_is_declared():
    codes = np.tile(np.arange(4, dtype=np.float32), 100)[:, None]
    assert len(fit_terms(codes, np.ones(400), []).levels) == 4
    assert fit_terms(codes, np.ones(400), [], constrained={0: 1}).levels == ()


def test_constant_and_empty_columns_are_left_out():
    matrix = np.column_stack([np.ones(50), np.full(50, np.nan), np.arange(50)]).astype(np.float32)
    assert fit_terms(matrix, np.ones(50), []).numbers == (2,)


@pytest.fixture(scope="module")
def products():
    """Ten products; column 0 acts on each differently, column 1 alike, columns 2 … 19 not at all."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 10, 40_000)
    matrix = rng.normal(size=(len(codes), 20))
    own = rng.normal(0, 0.8, 10)
    target = rng.random(len(codes)) < expit(-3 + own[codes] * matrix[:, 0] + 0.5 * matrix[:, 1])
    data = ridge_data(matrix, target, codes)
    return own, data, fit_terms(data.matrix, data.weight, [])


def test_deviations_go_where_products_differ(products):
    own, data, terms = products
    model, penalties = fit_ridge(data, terms, {}, range(10))
    found = np.array([model.products[code][1] for code in range(10)])
    np.testing.assert_allclose(found, own, atol=0.2)
    assert penalties.deviations[0] < 5
    assert np.median(penalties.deviations[2:]) > 50
    relevance = column_relevance(model, penalties, 20)
    assert relevance[0] == 1
    assert np.median(relevance[2:]) == pytest.approx(RELEVANCE_FLOOR, abs=0.3)


def test_columns_that_matter_are_shrunk_less_than_noise():
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(6000, 60))
    beta = np.zeros(60)
    beta[:3] = 0.9, -0.7, 0.5
    target = rng.random(6000) < expit(-2.5 + matrix @ beta)
    data = ridge_data(matrix, target)
    model, penalties = fit_ridge(data, fit_terms(data.matrix, data.weight, []), {})
    assert penalties.pooled[:3].max() < 0.5 * np.median(penalties.pooled[3:])
    common = [_error(fit_at(data, penalty), beta) for penalty in 3.0 ** np.arange(0, 8)]
    # better than any one penalty for all columns could be, chosen with the truth at hand
    assert _error(model.pooled, beta) < min(common)


def _error(coefficients, beta):
    return float(((coefficients[1:] - beta) ** 2).sum())


def fit_at(data, penalty):
    """Coefficients per standard deviation with one penalty for all columns."""
    terms = fit_terms(data.matrix, data.weight, [])
    design = np.column_stack([np.ones(len(data.target)), terms.design(data.matrix)])
    prior = Prior.free(np.append(1e-3, np.full(terms.size, penalty)))
    return fit_logistic(design, data.target, data.weight, data.offset, prior).coefficients


def test_an_unseen_product_is_the_mean_over_products_it_might_turn_out_to_be(products):
    _, data, terms = products
    model, penalties = fit_ridge(data, terms, {}, range(10))
    design = terms.design(data.matrix[:50])
    rng = np.random.default_rng(0)
    drawn = model.pooled[1:] + rng.normal(size=(40_000, terms.size)) / np.sqrt(penalties.deviations)
    chance = expit(model.pooled[0] + design @ drawn.T).mean(axis=1)
    found = model.log_odds(data.matrix[:50], np.full(50, -1)) - model.prior.level
    np.testing.assert_allclose(expit(found), chance, rtol=0.03)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_rows_scored_as_unseen_adopt_as_often_as_they_did(products, shift):
    _, data, terms = products
    shifted = replace(data, offset=data.offset + shift, prior_shift=shift)
    model, _ = fit_ridge(shifted, terms, {}, range(10))
    log_odds = shifted.offset + model.log_odds(data.matrix, np.full(len(data.codes), -1))
    assert expit(log_odds).sum() == pytest.approx(data.target.sum(), rel=1e-3)
    # what sampling adds to the offset is none of the population's chances
    assert model.prior.centre == pytest.approx(0, abs=1e-12)


def test_a_declared_direction_holds_for_unseen_products_too(products):
    _, data, terms = products
    model, _ = fit_ridge(data, terms, {0: 1}, range(10))
    assert model.prior.spread[0] == 0
    rows = np.tile(data.matrix[:20], (9, 1))
    rows[:, 0] = np.repeat(np.linspace(-4, 4, 9), 20)
    line = model.log_odds(rows, np.full(len(rows), -1)).reshape(9, 20)
    assert (np.diff(line, axis=0) >= -1e-12).all()
    assert np.ptp(line, axis=0).max() > 0.1


def test_directions_bound_pooled_and_product_coefficients(products):
    _, data, terms = products
    model, _ = fit_ridge(data, terms, {0: 1, 1: -1}, range(10))
    betas = np.array([model.pooled, *model.products.values()])
    assert (betas[:, 1] >= 0).all()
    assert (betas[:, 2] <= 0).all()


def test_contributions_add_up(products):
    _, data, terms = products
    model, _ = fit_ridge(data, terms, {}, range(5))
    codes = np.arange(-1, 9)
    parts, constant = model.contributions(data.matrix[:10], codes)
    np.testing.assert_allclose(parts.sum(axis=1) + constant, model.log_odds(data.matrix[:10], codes), atol=1e-9)


@pytest.mark.parametrize("products", [None, 3])
def test_many_levels_are_fitted_sparse_and_the_same(monkeypatch, products):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 90, (3000, 3)).astype(str)).add_prefix("t").assign(n=rng.normal(size=3000))
    y = (rng.random(3000) < expit(X["n"] - 2 + (X["t0"] < "4"))).astype(int)
    product = None if products is None else rng.integers(0, products, 3000)
    kinds = []
    plain = ridge.fit_logistic
    monkeypatch.setattr(ridge, "fit_logistic", lambda design, *rest: kinds.append(type(design)) or plain(design, *rest))

    def proba():
        return PropensityClassifier(candidates=("ridge",)).fit(X, y, product=product).predict_proba(X, product=product)

    sparse = proba()
    assert set(kinds) == {csr_array}
    monkeypatch.setattr(ridge, "SPARSE_FROM", np.inf)
    np.testing.assert_allclose(sparse, proba(), rtol=1e-9)
    assert kinds[-1] is np.ndarray
