"""Metrics against hand-computed fractions, scikit-learn where it has the same figure, and invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from product_affinity.models.gain import gain_curve
from product_affinity.models.metrics import (
    average_precision,
    calibration_in_the_large,
    calibration_slope,
    captured_value_at_k,
    captured_value_at_share,
    expected_calibration_error,
    hit_at_k,
    lift_at_share,
    log_loss_skill,
    map_at_k,
    ndcg_at_k,
    per_account_at_k,
    precision_at_k,
    roc_auc,
)

# two adopters in five rows; rows 2 and 3 share a score
Y = [1, 0, 1, 0, 0]
P = [0.9, 0.5, 0.5, 0.2, 0.1]
VALUE = [10.0, 99.0, 30.0, 99.0, 99.0]


def test_lift_is_precision_over_base_rate() -> None:
    assert lift_at_share(Y, P, 0.2) == pytest.approx((1 / 1) / (2 / 5))
    # the second row of the top 40 % is half of a tie that holds one adopter
    assert lift_at_share(Y, P, 0.4) == pytest.approx((1.5 / 2) / (2 / 5))
    assert lift_at_share(Y, P, 1.0) == pytest.approx(1.0)
    # a share that cuts through a row counts a part of it
    assert lift_at_share(Y, P, 0.1) == pytest.approx((0.5 / 0.5) / (2 / 5))


def test_precision_at_k_counts_ties_in_proportion() -> None:
    assert precision_at_k(Y, P, 1) == pytest.approx(1 / 1)
    assert precision_at_k(Y, P, 2) == pytest.approx(1.5 / 2)
    assert precision_at_k(Y, P, 3) == pytest.approx(2 / 3)
    assert precision_at_k(Y, P, 50) == pytest.approx(2 / 5)


def test_captured_value_is_the_share_of_adopted_value() -> None:
    assert captured_value_at_k(Y, P, VALUE, 1) == pytest.approx(10 / 40)
    assert captured_value_at_k(Y, P, VALUE, 2) == pytest.approx((10 + 30 / 2) / 40)
    assert captured_value_at_share(Y, P, VALUE, 3 / 5) == pytest.approx(40 / 40)


def test_auc_counts_pairs() -> None:
    # of 2 × 3 pairs the first adopter wins three, the second wins two and ties one
    assert roc_auc(Y, P) == pytest.approx((3 + 2 + 1 / 2) / 6)
    assert math.isnan(roc_auc([1, 1], [0.1, 0.2]))


def test_average_precision_by_hand() -> None:
    # thresholds .9 and .5 each find half of the adopters, at precision 1/1 and 2/3
    assert average_precision(Y, P) == pytest.approx(1 / 2 * 1 / 1 + 1 / 2 * 2 / 3)
    assert math.isnan(average_precision([0, 0], [0.1, 0.2]))


def test_log_loss_skill_by_hand() -> None:
    base = -(math.log(1 / 2) + math.log(1 / 2)) / 2
    model = -(math.log(3 / 4) + math.log(3 / 4)) / 2
    assert log_loss_skill([1, 0], [3 / 4, 1 / 4], [1 / 2, 1 / 2]) == pytest.approx(1 - model / base)
    assert log_loss_skill([1, 0], [1 / 4, 3 / 4], [1 / 2, 1 / 2]) < 0


def test_calibration_by_hand() -> None:
    assert calibration_in_the_large([1, 1, 0, 0], [1 / 4] * 4) == pytest.approx(2 / (4 / 4))
    y, p = [1, 0, 0, 0, 1, 1, 1, 0], [1 / 4] * 4 + [1 / 2] * 4
    assert expected_calibration_error(y, p, bins=2) == pytest.approx((abs(1 - 4 / 4) + abs(3 - 4 / 2)) / 8)


def test_calibration_slope_recovers_a_known_distortion() -> None:
    # rates 1/4 and 3/4 told as 1/10 and 9/10: log-odds ± log 3 against ± log 9
    y = [1, 0, 0, 0, 1, 1, 1, 0]
    assert calibration_slope(y, [1 / 10] * 4 + [9 / 10] * 4) == pytest.approx(math.log(3) / math.log(9))
    assert math.isnan(calibration_slope([0, 1], [0.5, 0.5]))
    assert math.isnan(calibration_slope([1, 1], [0.4, 0.5]))


ACCOUNT = ["A"] * 3 + ["B"] * 3 + ["C"] * 3
PRODUCT = ["x", "y", "z"] * 3
ADOPTED = [0, 1, 1, 1, 0, 0, 0, 0, 0]
SCORE = [0.9, 0.5, 0.1, 0.2, 0.4, 0.3, 0.9, 0.8, 0.7]


def test_account_rankings_by_hand() -> None:
    # A finds its adoptions at ranks 2 and 3, B at rank 3; C adopted nothing and does not count
    assert map_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 3) == pytest.approx(((1 / 2 + 2 / 3) / 2 + 1 / 3) / 2)
    assert map_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 2) == pytest.approx(((1 / 2) / 2 + 0) / 2)
    assert hit_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 2) == pytest.approx(1 / 2)
    first = (1 / math.log2(3) + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    assert ndcg_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 3) == pytest.approx((first + 1 / math.log2(4)) / 2)
    assert list(per_account_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 3).index) == ["A", "B"]


def test_equal_scores_within_an_account_rank_by_product() -> None:
    assert map_at_k(["A", "A"], ["x", "y"], [1, 0], [0.5, 0.5], 1) == 1.0
    assert map_at_k(["A", "A"], ["y", "x"], [1, 0], [0.5, 0.5], 1) == 0.0


def test_account_weights_weigh_accounts() -> None:
    weights = [3.0] * 3 + [1.0] * 3 + [9.0] * 3
    assert hit_at_k(ACCOUNT, PRODUCT, ADOPTED, SCORE, 2, sample_weight=weights) == pytest.approx(3 / (3 + 1))


def test_no_adoption_is_no_figure() -> None:
    assert math.isnan(map_at_k(["A"], ["x"], [0], [0.5], 1))
    assert math.isnan(lift_at_share([0, 0], [0.1, 0.2], 0.5))
    assert math.isnan(captured_value_at_k([0], [0.1], [5.0], 1))


ROWS = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 9).map(lambda n: n / 10), st.integers(1, 3)),
    min_size=4,
    max_size=25,
).filter(lambda rows: 0 < sum(row[0] for row in rows) < len(rows))
FIGURES = [
    roc_auc,
    average_precision,
    calibration_in_the_large,
    lambda y, p, w=None: precision_at_k(y, p, 3, w),
    lambda y, p, w=None: lift_at_share(y, p, 0.3, w),
    lambda y, p, w=None: captured_value_at_k(y, p, np.asarray(p) * 7, 3, w),
    lambda y, p, w=None: log_loss_skill(y, p, np.full(len(y), 0.4), w),
]


@pytest.mark.parametrize("figure", FIGURES)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, seed=st.integers(0, 1000))
def test_row_order_never_matters(figure, rows, seed) -> None:
    y, p, w = map(np.array, zip(*rows, strict=True))
    shuffled = np.random.default_rng(seed).permutation(len(y))
    assert figure(y[shuffled], p[shuffled], w[shuffled]) == pytest.approx(figure(y, p, w), rel=1e-12)


@pytest.mark.parametrize("figure", [*FIGURES, calibration_slope])
@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_integer_weights_equal_repeated_rows(figure, rows) -> None:
    y, p, w = map(np.array, zip(*rows, strict=True))
    repeated = figure(np.repeat(y, w), np.repeat(p, w))
    assert figure(y, p, w) == pytest.approx(repeated, rel=1e-6, abs=1e-9, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_scikit_learn_agrees(rows) -> None:
    y, p, w = map(np.array, zip(*rows, strict=True))
    assert roc_auc(y, p, w) == pytest.approx(roc_auc_score(y, p, sample_weight=w))
    assert average_precision(y, p, w) == pytest.approx(average_precision_score(y, p, sample_weight=w))
    base = np.full(len(y), 0.4)
    expected = 1 - log_loss(y, p, sample_weight=w) / log_loss(y, base, sample_weight=w)
    assert log_loss_skill(y, p, base, w) == pytest.approx(expected)


def test_gain_curve_reads_many_weightings_at_once() -> None:
    rng = np.random.default_rng(1)
    y, p = (rng.random(40) < 0.3).astype(float), rng.integers(0, 8, 40) / 8
    weights = rng.integers(0, 3, (40, 5)).astype(float)
    curve = gain_curve(y, p, weights)
    for column, weight in enumerate(weights.T):
        assert curve.auc()[column] == pytest.approx(roc_auc(y, p, weight))
        assert curve.average_precision()[column] == pytest.approx(average_precision(y, p, weight))
        depth = 0.25 * weight.sum()
        assert curve.gain_at(0.25 * curve.rows)[column] / depth == pytest.approx(precision_at_k(y, p, depth, weight))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lift_at_share(Y, P, 0.0), r"share must be in \(0, 1\], got 0.0"),
        (lambda: lift_at_share(Y, P, 1.5), r"share must be in \(0, 1\], got 1.5"),
        (lambda: precision_at_k(Y, P, 0), "k must be above 0, got 0"),
        (lambda: map_at_k(["A"], ["x"], [1], [0.5], 0), "k must be at least 1, got 0"),
        (lambda: roc_auc([0, 2], [0.1, 0.2]), r"y must be 0 or 1, got 2.0 in row 1"),
        (lambda: roc_auc([0, 1], [0.1, np.nan]), "p must be finite, got nan in row 1"),
        (
            lambda: roc_auc([0, 1], [0.1, 0.2], [1, -1]),
            r"sample_weight must be at least 0, got -1.0 in row 1",
        ),
        (lambda: roc_auc([0, 1], [0.1]), "columns of one length"),
        (lambda: log_loss_skill([0, 1], [0.5, 1.5], [0.5, 0.5]), r"p must be in \[0, 1\], got 1.5 in row 1"),
        (
            lambda: log_loss_skill([0, 1], [0.5, 0.5], [0.5, -1]),
            r"p_base must be in \[0, 1\], got -1.0 in row 1",
        ),
        (lambda: expected_calibration_error(Y, P, bins=0), "bins must be at least 1, got 0"),
    ],
)
def test_out_of_range_names_range_and_value(call, said) -> None:
    with pytest.raises(ValueError, match=said):
        call()
