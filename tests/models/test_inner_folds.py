"""Inner folds: purged, grouped or stratified, checked by code that did not make them."""

import numpy as np
import pytest

from product_affinity.models.inner_folds import inner_folds
from product_affinity.models.rows import Rows


def rows(size=4000, rate=0.1, seed=0, **keys):
    rng = np.random.default_rng(seed)
    target = (rng.random(size) < rate).astype(float)
    ones = np.ones(size)
    return Rows(np.zeros((size, 1), dtype=np.float32), target, ones, ones, 0.0, 0 * ones, np.zeros(size, int), **keys)


def test_dates_give_rolling_folds_with_a_gap():
    days = np.repeat(np.arange(20) * 30, 200)
    folds = inner_folds(rows(days=days), gap_days=97, seed=0)
    assert len(folds) == 2
    for fold in folds:
        assert days[fold.train].max() + 97 <= days[fold.test].min()
    first, second = (set(days[fold.test]) for fold in folds)
    assert max(first) < min(second)
    assert max(second) == days.max()


def test_a_history_shorter_than_the_gap_groups_by_account_or_gives_no_fold():
    days = np.repeat([0, 30], 2000)
    accounts = np.tile(np.arange(2000), 2)
    assert inner_folds(rows(days=days), gap_days=97, seed=0) == []
    folds = inner_folds(rows(days=days, accounts=accounts), gap_days=97, seed=0)
    assert len(folds) == 5
    for fold in folds:
        assert not set(accounts[fold.train]) & set(accounts[fold.test])


def test_accounts_stay_on_one_side_and_folds_share_the_positives():
    accounts = np.random.default_rng(0).integers(0, 500, 4000)
    table = rows(accounts=accounts)
    folds = inner_folds(table, gap_days=97, seed=3)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(4000))
    for fold in folds:
        assert not set(accounts[fold.train]) & set(accounts[fold.test])
        assert table.target[fold.test].sum() == pytest.approx(table.target.sum() / 5, rel=0.25)


def test_without_keys_folds_are_stratified():
    table = rows()
    folds = inner_folds(table, gap_days=97, seed=0)
    assert {round(table.target[fold.test].sum() - table.target.sum() / 5) for fold in folds} <= {-1, 0, 1}


def test_large_tables_get_three_folds_and_folds_without_positives_are_left_out():
    assert len(inner_folds(rows(size=30_000), gap_days=97, seed=0)) == 3
    assert inner_folds(rows(rate=0.001), gap_days=97, seed=0) == []


def test_the_seed_decides_the_folds():
    first, second = (inner_folds(rows(), gap_days=97, seed=seed)[0].test for seed in (0, 0))
    np.testing.assert_array_equal(first, second)
    assert (inner_folds(rows(), gap_days=97, seed=1)[0].test != first).any()
