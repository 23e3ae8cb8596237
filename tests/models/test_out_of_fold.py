"""What the inner folds show is honest: nothing of a test part reaches a prediction of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from product_affinity.models.encoding import fit_encoder
from product_affinity.models.inner_folds import inner_folds
from product_affinity.models.out_of_fold import predict_out_of_fold
from product_affinity.models.rows import Rows
from product_affinity.models.training import FitPlan, Trainer

GAP_DAYS = 40


@pytest.fixture(scope="module")
def rows_and_plan():
    """Two products over twelve months; two of thirty columns matter."""
    rng = np.random.default_rng(5)
    size = 6000
    frame = pd.DataFrame(rng.normal(size=(size, 30)), columns=[f"c{at:02d}" for at in range(30)])
    target = (rng.random(size) < expit(-2 + frame["c00"] - frame["c01"])).to_numpy(float)
    encoder = fit_encoder(frame, "auto")
    days = np.sort(rng.integers(0, 12, size)) * 30
    ones, zeros = np.ones(size), np.zeros(size)
    rows = Rows(encoder.encode(frame), target, ones, ones, 0.0, zeros, rng.integers(0, 2, size), None, days)
    return rows, FitPlan(encoder, None, ("a", "b"), ("heads", "ridge"), {}, GAP_DAYS, 1, 1, 0)


def _evidence(rows, plan):
    return predict_out_of_fold(Trainer(rows, plan), inner_folds(rows, GAP_DAYS, 0))


def test_a_product_without_a_head_is_predicted_in_the_folds_as_by_the_final_fit(rows_and_plan):
    """By the ridge where no pooled trees are wanted; else the heads' calibration would be learnt on a constant."""
    rows, plan = rows_and_plan
    few = rows.codes == 1
    target = np.where(few & (np.cumsum(few & (rows.target == 1)) > 25), 0.0, rows.target)
    found = _evidence(replace(rows, target=target), plan).predictions
    thin = found.codes == 1
    np.testing.assert_array_equal(found.log_odds[thin, 0], found.log_odds[thin, 1])
    assert not np.array_equal(found.log_odds[~thin, 0], found.log_odds[~thin, 1])


def test_labels_of_the_last_test_part_change_no_prediction_of_it(rows_and_plan):
    """No penalty, no relevance of a column, no coefficient is learnt from the rows that are predicted."""
    rows, plan = rows_and_plan
    last = inner_folds(rows, GAP_DAYS, 0)[-1].test
    # the other label, and for another reason: here column 2 decides
    target = rows.target.copy()
    target[last] = rows.matrix[last, 2] > 0.8
    honest, told = _evidence(rows, plan), _evidence(replace(rows, target=target), plan)
    size = len(last)
    # which tree shape is chosen may look at the test part; the ridge, whose slopes also rank columns for heads, may not
    before, after = (evidence.predictions.log_odds[-size:, 1] for evidence in (honest, told))
    np.testing.assert_array_equal(before, after)
    # and the last part is predicted well from the others
    assert np.corrcoef(before, rows.matrix[last, 0] - rows.matrix[last, 1])[0, 1] > 0.9
