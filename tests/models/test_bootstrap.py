"""The account-clustered bootstrap against the known spread of a mean of clusters."""

from __future__ import annotations

import numpy as np
import pytest

from product_affinity.models.bootstrap import (
    ClusterResamples,
    clustered_interval,
    paired_interval,
    recentred_interval,
)
from product_affinity.models.metrics import average_precision, roc_auc


def _mean(values):
    return lambda weights: float(np.average(values, weights=weights))


def test_every_resample_draws_as_many_clusters_as_there_are() -> None:
    resamples = ClusterResamples(["B", "A", "B", "C"], n_resamples=50, random_state=3)
    assert resamples.codes.tolist() == [1, 0, 1, 2]
    assert (resamples.counts.sum(axis=1) == 3).all()
    rows = np.stack(list(resamples.row_weights()))
    assert (rows[:, 0] == rows[:, 2]).all(), "rows of one account stand or fall together"
    assert resamples.weightings[:, 0].tolist() == [1, 1, 1]


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # accounts of five equal rows: the mean's error is that of 60 draws, not of 300
    covered = []
    for seed in range(120):
        draws = np.random.default_rng(seed).normal(2.0, 1.0, 60)
        values, accounts = np.repeat(draws, 5), np.repeat(np.arange(60), 5)
        covered.append(2.0 in clustered_interval(_mean(values), accounts, n_resamples=150, random_state=seed))
    # 95 % less the bootstrap's small-sample bias; row-wise resampling would cover about 60 %
    assert 0.87 <= np.mean(covered) <= 0.99


def test_width_follows_accounts_not_rows() -> None:
    draws = np.random.default_rng(0).normal(size=80)
    values, accounts = np.repeat(draws, 9), np.repeat(np.arange(80), 9)
    clustered = clustered_interval(_mean(values), accounts, n_resamples=400)
    by_row = clustered_interval(_mean(values), np.arange(len(values)), n_resamples=400)
    assert (clustered.high - clustered.low) / (by_row.high - by_row.low) == pytest.approx(3.0, rel=0.2)
    assert clustered.high - clustered.low == pytest.approx(2 * 1.96 * draws.std() / np.sqrt(80), rel=0.2)


def test_paired_difference_cancels_what_is_shared() -> None:
    shared = np.random.default_rng(0).normal(0, 10, 100)
    first, second = _mean(shared + 1), _mean(shared)
    interval = paired_interval(first, second, np.arange(100))
    assert interval.estimate == pytest.approx(1.0)
    assert interval.low == pytest.approx(1.0)
    assert interval.high == pytest.approx(1.0)


def test_same_seed_same_interval_in_any_row_order() -> None:
    rng = np.random.default_rng(5)
    y, p, account = rng.integers(0, 2, 90), rng.random(90), rng.integers(0, 30, 90)
    order = rng.permutation(90)

    def interval(at, seed):
        return clustered_interval(
            lambda w: roc_auc(y[at], p[at], sample_weight=w), account[at], n_resamples=40, random_state=seed
        )

    straight, shuffled = interval(np.arange(90), 0), interval(order, 0)
    assert (straight.low, straight.high) == pytest.approx((shuffled.low, shuffled.high))
    assert interval(np.arange(90), 0) == straight
    assert interval(np.arange(90), 1) != straight


def test_what_resampling_itself_adds_is_taken_out() -> None:
    rng = np.random.default_rng(2)
    y, p = (rng.random(300) < 0.1).astype(float), rng.random(300)
    resamples = ClusterResamples(np.arange(300), n_resamples=300, random_state=0)
    draws = np.array([average_precision(y, p, sample_weight=w) for w in resamples.row_weights()])
    estimate = average_precision(y, p)
    # accounts drawn twice tie with themselves: the resampled values lie above the figure of a coin
    assert draws.mean() > estimate * 1.05
    interval = recentred_interval(estimate, draws)
    assert (interval.low + interval.high) / 2 == pytest.approx(estimate, rel=0.15)


def test_resamples_without_a_value_are_left_out() -> None:
    interval = recentred_interval(0.5, np.array([np.nan, 0.4, 0.6]), level=0.9)
    assert 0.4 <= interval.low < interval.high <= 0.6
    assert np.isnan(recentred_interval(0.5, np.array([np.nan])).low)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"level": 1.0}, r"level must be in \(0, 1\), got 1.0"),
        ({"n_resamples": 0}, "n_resamples must be at least 1, got 0"),
    ],
)
def test_out_of_range_names_range_and_value(arguments, said) -> None:
    with pytest.raises(ValueError, match=said):
        clustered_interval(_mean([1.0, 2.0]), ["A", "B"], **arguments)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        clustered_interval(_mean([]), [])
