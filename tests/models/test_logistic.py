"""The one solver, against a general optimiser and closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize

from product_affinity.models.logistic import Prior, fit_logistic


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    design = np.column_stack([np.ones(300), rng.normal(size=(300, 4))])
    target = (rng.random(300) < 0.3).astype(float)
    return design, target, rng.uniform(0.5, 2, 300), rng.normal(size=300)


def loss(beta, problem, prior):
    design, target, weight, offset = problem
    margin = offset + design @ beta
    data = weight @ (np.logaddexp(0, margin) - target * margin)
    return data + 0.5 * prior.precision @ (beta - prior.mean) ** 2


@pytest.mark.parametrize("bounded", [False, True])
def test_agrees_with_a_general_optimiser(problem, bounded):
    lower = np.array([-np.inf, 0.0, 0.0, -np.inf, -np.inf]) if bounded else np.full(5, -np.inf)
    upper = np.array([np.inf, np.inf, np.inf, 0.0, 0.0]) if bounded else np.full(5, np.inf)
    prior = Prior(np.array([1e-3, 2, 2, 2, 2.0]), np.array([0, 0.1, -0.1, 0, 0.2]), lower, upper)
    fit = fit_logistic(*problem, prior).coefficients
    reference = minimize(
        loss, np.zeros(5), (problem, prior), "L-BFGS-B", bounds=list(zip(lower, upper, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    np.testing.assert_allclose(fit, reference.x, atol=1e-6)
    assert loss(fit, problem, prior) <= reference.fun + 1e-9
    assert ((fit >= lower) & (fit <= upper)).all()


def test_intercept_alone_is_the_log_odds_of_the_weighted_rate():
    target, weight = np.array([1.0, 0.0, 0.0]), np.array([2.0, 1.0, 3.0])
    fit = fit_logistic(np.ones((3, 1)), target, weight, np.zeros(3), Prior.free(np.zeros(1)))
    assert fit.coefficients[0] == pytest.approx(np.log(2 / 4), abs=1e-9)


def test_weights_count_like_repeated_rows(problem):
    design, target, _, offset = problem
    times = np.arange(300) % 3
    prior = Prior.free(np.full(5, 0.5))
    weighted = fit_logistic(design, target, times.astype(float), offset, prior)
    repeated = fit_logistic(
        design.repeat(times, axis=0), target.repeat(times), np.ones(times.sum()), offset.repeat(times), prior
    )
    np.testing.assert_allclose(weighted.coefficients, repeated.coefficients, rtol=1e-9)
    assert weighted.log_evidence == pytest.approx(repeated.log_evidence, rel=1e-9)


def test_separable_rows_stay_finite():
    design = np.column_stack([np.ones(20), np.repeat([-1.0, 1.0], 10)])
    target = np.repeat([0.0, 1.0], 10)
    fit = fit_logistic(design, target, np.ones(20), np.zeros(20), Prior.free(np.array([1e-3, 1e-6])))
    assert np.isfinite(fit.coefficients).all()


def test_evidence_prefers_the_prior_that_made_the_data():
    """With 40 coefficients drawn from N(0, 1/25), penalty 25 must beat 0.5 and 2000."""
    rng = np.random.default_rng(3)
    design = rng.normal(size=(4000, 40))
    beta = rng.normal(0, 0.2, 40)
    target = (rng.random(4000) < 1 / (1 + np.exp(-design @ beta))).astype(float)
    evidence = {
        penalty: fit_logistic(
            design, target, np.ones(4000), np.zeros(4000), Prior.free(np.full(40, penalty))
        ).log_evidence
        for penalty in (0.5, 25.0, 2000.0)
    }
    assert max(evidence, key=evidence.get) == 25.0
