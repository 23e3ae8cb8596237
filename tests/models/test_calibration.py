"""Sigmoid, product intercepts and recency, against known distortions."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from product_affinity.models import PropensityClassifier, classifier_from_texts, classifier_to_texts
from product_affinity.models.blend import OutOfFold
from product_affinity.models.calibration import (
    Sigmoid,
    fit_sigmoid,
    fold_drift,
    product_intercepts,
    recency_log_ratio,
    scaled_hazard,
    shorter_horizon,
)


def drawn(log_odds, seed=0):
    return (np.random.default_rng(seed).random(len(log_odds)) < expit(log_odds)).astype(float)


@pytest.fixture(scope="module")
def log_odds():
    return np.random.default_rng(1).normal(-3, 1.2, 60_000)


def test_sigmoid_undoes_an_overconfident_slope(log_odds):
    target, ones, zeros = drawn(log_odds), np.ones(len(log_odds)), np.zeros(len(log_odds), dtype=int)
    distorted = -3 + 2 * (log_odds + 3)
    sigmoid = fit_sigmoid(distorted, 0 * ones, target, ones, None, zeros, 1)
    assert sigmoid.slope == pytest.approx(0.5, abs=0.03)
    assert np.abs(sigmoid.apply(distorted, zeros) - log_odds).mean() < 0.05


def test_a_moved_fold_leaves_no_trace(log_odds):
    """One fold at three times the odds: slope stays 1 and no intercept remains."""
    folds = (np.arange(len(log_odds)) % 2).astype(int)
    target = drawn(log_odds + np.log(3) * folds)
    zeros = np.zeros(len(log_odds), dtype=int)
    ones = np.ones(len(log_odds))
    sigmoid = fit_sigmoid(log_odds, fold_drift(log_odds, target, ones, folds), target, ones, folds, zeros, 1)
    assert sigmoid.slope == pytest.approx(1, abs=0.04)
    assert sigmoid.constant(np.zeros(1, dtype=int))[0] == pytest.approx(0, abs=0.1)


def test_a_blend_in_moved_folds_expects_as_many_as_its_candidates():
    """Each half of the signal is calibrated by itself; their mean is too cautious, which no fold's move may hide."""
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 60_000))
    folds = np.arange(60_000) % 2
    target = drawn(-4 + 1.2 * (first + second) + np.log(3) * folds)
    ones, zeros = np.ones(60_000), np.zeros(60_000, dtype=int)
    candidates = np.column_stack([-3.3 + first, -3.3 + second])
    oof = OutOfFold(candidates, target, ones, zeros, folds)
    oof = oof.calibrated(
        [fit_sigmoid(c, d, target, ones, folds, zeros, 1) for c, d in zip(candidates.T, oof.drift().T, strict=True)]
    )
    mixed, drift = oof.log_odds.mean(axis=1), oof.drift().mean(axis=1)
    assert expit(mixed + drift).sum() < 0.9 * target.sum()
    sigmoid = fit_sigmoid(mixed, drift, target, ones, folds, zeros, 1)
    # what the folds have moved is left as it is, whatever the slope
    np.testing.assert_allclose(expit(sigmoid.apply(mixed, zeros) + drift).sum(), target.sum(), rtol=0.03)


@pytest.mark.parametrize(("products", "rows", "rate"), [(3, 5000, 0.02), (200, 50, 0.01)])
def test_folds_and_products_without_an_event_say_nothing_about_the_level(products, rows, rate):
    """True log-odds stay as they are, however many groups had no event by chance."""
    ratios = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        codes = np.tile(np.repeat(np.arange(products), rows), 2)
        folds = codes + products * np.repeat([0, 1], products * rows)
        truth = logit(rate) + rng.normal(size=len(codes)) * 0.8
        target, ones = drawn(truth, seed), np.ones(len(codes))
        sigmoid = fit_sigmoid(truth, fold_drift(truth, target, ones, folds), target, ones, folds, codes, products)
        ratios.append(expit(sigmoid.apply(truth, codes)).sum() / expit(truth).sum())
    assert np.mean(ratios) == pytest.approx(1, abs=0.08), ratios


def test_few_events_leave_everything_as_it_is(log_odds):
    few = log_odds[:1000]
    target = np.zeros(1000)
    target[:99] = 1
    zeros = np.zeros(1000, dtype=int)
    assert fit_sigmoid(few, np.zeros(1000), target, np.ones(1000), zeros, zeros, 1) == Sigmoid()


def test_product_intercepts_find_true_ones_and_shrink_small_products(log_odds):
    truth = np.array([0.8, -0.8, 0.4, -0.4, 0.0])
    codes = np.random.default_rng(2).choice(5, len(log_odds), p=[0.3, 0.3, 0.2, 0.19, 0.01])
    target = drawn(log_odds + truth[codes])
    found = np.array(product_intercepts(log_odds, target, np.ones(len(log_odds)), codes, 5))
    np.testing.assert_allclose(found[:4], truth[:4], atol=0.12)
    few = np.flatnonzero(codes == 0)[:40]
    kept = np.concatenate([few, np.flatnonzero(codes > 0)])
    small = product_intercepts(log_odds[kept], target[kept], np.ones(len(kept)), codes[kept], 5)
    assert abs(small[0]) < 0.8


def test_equal_products_get_no_intercepts(log_odds):
    codes = np.arange(len(log_odds)) % 6
    found = product_intercepts(log_odds, drawn(log_odds), np.ones(len(log_odds)), codes, 6)
    assert np.abs(found).max() < 0.05
    assert product_intercepts(log_odds, drawn(log_odds), np.ones(len(log_odds)), 0 * codes, 1) == ()


def test_a_third_of_the_horizon_under_a_constant_hazard():
    assert shorter_horizon(np.array([np.log(0.271 / 0.729)]), 1 / 3)[0] == pytest.approx(1 - 0.9)


def test_recency_ratio_is_that_of_the_hazards(log_odds):
    doubled = drawn(logit(1 - (1 - expit(log_odds)) ** 2))
    ratio = recency_log_ratio(log_odds, doubled, share=1.0)
    assert ratio == pytest.approx(np.log(2), abs=0.05)
    nothing = recency_log_ratio(log_odds[:50], np.zeros(50), share=1 / 3)
    assert -1 < nothing < 0


@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
def test_scaled_hazard_is_a_power_of_what_does_not_happen(ratio):
    probability = np.array([1e-12, 1e-6, 0.01, 0.5, 0.999])
    expected = -np.expm1(ratio * np.log1p(-probability))
    found = expit(scaled_hazard(logit(probability), np.full(5, np.log(ratio))))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    extreme = scaled_hazard(np.array([-800.0, 800.0]), np.log([ratio, ratio]))
    np.testing.assert_allclose(extreme, [-800 + np.log(ratio), 800 * ratio], rtol=1e-12)


def test_a_shock_leaves_likely_and_unlikely_rows_at_their_level():
    """Hazards double for rows of 1 % and of 60 % alike: an intercept in log-odds would miss both to meet the total."""
    rng = np.random.default_rng(0)
    likely = rng.random(20_000) < 0.05
    truth = np.where(likely, 0.6, 0.01)
    X = likely[:, None].astype(float)
    model = PropensityClassifier(candidates=("ridge",)).fit(X, (rng.random(20_000) < truth).astype(int))
    now = 1 - (1 - truth) ** 2
    model.recalibrate(X, (rng.random(20_000) < 1 - (1 - now) ** (1 / 3)).astype(int))
    proba = model.predict_proba(X)[:, 1]
    assert proba[~likely].mean() == pytest.approx(0.0199, rel=0.1)
    assert proba[likely].mean() == pytest.approx(0.84, rel=0.05)


@pytest.fixture(scope="module")
def shocked():
    """A fitted model, and recent rows of three products whose hazard has doubled for one."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(9000, 3))
    product = np.array(["a", "b", "c"])[np.arange(9000) % 3]
    truth = expit(-2.5 + X[:, 0])
    y = (rng.random(9000) < truth).astype(int)
    model = PropensityClassifier(n_seeds=1).fit(X, y, product=product)
    hazard = -np.log1p(-truth) * np.where(product == "b", 3.0, 1.5)
    y30 = (rng.random(9000) < -np.expm1(-hazard / 3)).astype(int)
    return model, X, product, y30, -np.expm1(-hazard)


def test_recalibration_meets_a_shock_from_thirty_days(shocked):
    model, X, product, y30, now = shocked
    before = model.predict_proba(X, product=product)[:, 1]
    assert before.sum() / now.sum() < 0.75
    model.recalibrate(X, y30, product=product, horizon_days=30)
    after = model.predict_proba(X, product=product)[:, 1]
    assert after.sum() / now.sum() == pytest.approx(1, abs=0.1)
    for name in ("a", "b", "c"):
        at = product == name
        assert after[at].sum() / now[at].sum() == pytest.approx(1, abs=0.2)
        assert (np.argsort(before[at], kind="stable") == np.argsort(after[at], kind="stable")).all()


@pytest.fixture(scope="module")
def launched(shocked):
    """The recent rows, and 600 more of a product launched since the fit, which adopts far more often than expected."""
    _, X, product, y30, _ = shocked
    new = np.random.default_rng(1).normal(size=(600, 3))
    bought = (np.arange(600) % 5 == 0).astype(int)
    return np.vstack([X, new]), np.append(product, np.full(600, "d")), np.append(y30, bought)


def test_one_sale_of_a_tiny_product_moves_no_other(shocked):
    """Where nothing is expected, one sale is no sign that all products' levels scatter."""
    model = shocked[0]
    blend = replace(model._model, weights=np.ones((6, 1)))
    codes, expected = np.arange(6), np.array([3.6, 2.8, 3.1, 2.6, 3.3, 0.06])
    observed = np.array([0.0, 3, 3, 4, 2, 0])
    quiet = blend.products_spread(observed, expected, codes)
    loud = blend.products_spread(observed + (codes == 5), expected, codes)
    assert quiet < 0.03
    assert loud - quiet < 0.02
    # nor does one large product that kept its level say that the others did
    sizes, moved = np.array([400.0, 20, 20, 20, 20, 20]), np.array([400.0, 8, 34, 9, 30, 19])
    assert blend.products_spread(moved, sizes, codes) > 0.15
    # products that do scatter are seen to: gamma ratios of variance 1/4
    rng = np.random.default_rng(0)
    blend = replace(blend, weights=np.ones((2000, 1)))
    sizes = rng.choice([0.1, 5.0, 40.0], 2000)
    adopted = rng.poisson(sizes * rng.gamma(4, 1 / 4, 2000)).astype(float)
    assert blend.products_spread(adopted, sizes, np.arange(2000)) == pytest.approx(0.25, abs=0.03)


def test_a_launch_gets_its_own_level_and_moves_no_other(shocked, launched):
    model, X, product, y30, _ = shocked
    alone = model.recalibrate(X, y30, product=product).predict_proba(X, product=product)
    new = launched[0][-600:]
    # hazards under the common ratio alone, which is all that was known of it
    before = -np.log1p(-model.predict_proba(new, product=["d"] * 600)[:, 1])
    model.recalibrate(launched[0], launched[2], product=launched[1])
    np.testing.assert_array_equal(model.predict_proba(X, product=product), alone)
    after = -np.log1p(-model.predict_proba(new, product=["d"] * 600)[:, 1])
    expected = (-np.expm1(-before / 3)).sum()
    # a Gamma prior worth one event
    np.testing.assert_allclose(after / before, (120 + 1) / (expected + 1), rtol=1e-9)
    assert (120 + 1) / (expected + 1) > 1.5
    parts = model.contributions(new, product=["d"] * 600)
    np.testing.assert_allclose(expit(parts.sum(axis=1)), -np.expm1(-after), rtol=1e-9)
    # a product that nobody has met is left at the common level
    np.testing.assert_allclose(-np.log1p(-model.predict_proba(new, product=["e"] * 600)[:, 1]), before, rtol=1e-9)


def test_recent_rows_of_a_launch_alone_tell_nothing_of_the_rest():
    rng = np.random.default_rng(2)
    X, product = rng.normal(size=(800, 2)), np.array(["a", "b"] * 400)
    model = PropensityClassifier().fit(X, (rng.random(800) < 0.05).astype(int), product=product)
    before = model.predict_proba(X, product=product)
    model.recalibrate(X, (rng.random(800) < 0.2).astype(int), product=["d"] * 800)
    np.testing.assert_array_equal(model.predict_proba(X, product=product), before)
    assert (model.predict_proba(X, product=["d"] * 800)[:, 1] > before[:, 1]).mean() > 0.9


def test_a_launch_survives_being_written_and_the_next_recalibration_forgets_it(shocked, launched):
    model, X, product, y30, _ = shocked
    model.recalibrate(*launched[::2], product=launched[1])
    restored = classifier_from_texts(classifier_to_texts(model))
    new = {"X": launched[0][-600:], "product": ["d"] * 600}
    np.testing.assert_array_equal(restored.predict_proba(**new), model.predict_proba(**new))
    again = model.recalibrate(X, y30, product=product).predict_proba(**new)
    assert (again[:, 1] < restored.predict_proba(**new)[:, 1]).all()
    assert restored.weights_.index.tolist() == ["a", "b", "c"]


def test_recalibrating_twice_is_recalibrating_once(shocked):
    model, X, product, y30, _ = shocked
    once = model.recalibrate(X, y30, product=product).predict_proba(X, product=product)
    twice = model.recalibrate(X, y30, product=product).predict_proba(X, product=product)
    np.testing.assert_allclose(twice, once, rtol=1e-9)


def test_recalibration_refuses_a_longer_horizon(shocked):
    model, X, product, y30, _ = shocked
    with pytest.raises(ValueError, match="horizon_days: 180 is outside 1 … 90"):
        model.recalibrate(X, y30, product=product, horizon_days=180)
