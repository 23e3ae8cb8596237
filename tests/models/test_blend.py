"""Blend weights on candidates of known quality."""

import numpy as np
import pytest
from scipy.special import expit

from product_affinity.models.blend import OutOfFold, fit_weights, normalised


@pytest.fixture(scope="module")
def predictions():
    """Two products; the first candidate is right for product 0, the second for product 1."""
    rng = np.random.default_rng(0)
    codes = np.arange(40_000) % 2
    truth = rng.normal(-3, 1, len(codes))
    noise = rng.normal(-3, 1, len(codes))
    log_odds = np.column_stack([np.where(codes == 0, truth, noise), np.where(codes == 1, truth, noise)])
    target = (rng.random(len(codes)) < expit(truth)).astype(float)
    return OutOfFold(log_odds, target, np.ones(len(codes)), codes, None)


def test_each_product_follows_its_better_candidate(predictions):
    weights = fit_weights(predictions, np.ones((2, 2), dtype=bool))
    np.testing.assert_allclose(weights, [[1, 0], [0, 1]], atol=0.12)


def test_rows_sum_to_one_and_missing_candidates_get_nothing(predictions):
    available = np.array([[True, False], [True, True]])
    weights = fit_weights(predictions, available)
    assert weights[0].tolist() == [1, 0]
    np.testing.assert_allclose(weights.sum(axis=1), 1)


def test_products_with_few_events_stay_near_the_common_weights(predictions):
    keep = np.flatnonzero((predictions.codes == 0) | (np.arange(40_000) < 200))
    few = OutOfFold(
        predictions.log_odds[keep],
        predictions.target[keep],
        predictions.weight[keep],
        predictions.codes[keep],
        None,
    )
    weights = fit_weights(few, np.ones((2, 2), dtype=bool))
    assert weights[0, 0] > 0.9
    assert weights[1, 0] > 0.5


def test_a_level_that_moves_between_folds_changes_no_weight(predictions):
    folds = (np.arange(40_000) // 20_000).astype(int)
    moved = OutOfFold(
        predictions.log_odds + np.where(folds, 1.0, -1.0)[:, None],
        predictions.target, predictions.weight, predictions.codes, folds,
    )  # fmt: skip
    expected = fit_weights(predictions, np.ones((2, 2), dtype=bool))
    np.testing.assert_allclose(fit_weights(moved, np.ones((2, 2), dtype=bool)), expected, atol=0.1)


def test_normalised_drops_negligible_weights_and_falls_back_to_equal_ones():
    everything = np.array([True, True])
    assert normalised(np.array([0.98, 0.02]), everything).tolist() == [1, 0]
    assert normalised(np.array([0.0, 0.0]), everything).tolist() == [0.5, 0.5]
    assert normalised(np.array([0.0, 0.0]), np.array([False, True])).tolist() == [0, 1]
