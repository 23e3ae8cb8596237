"""The tree candidates: boosters on one shared binned matrix, pooled or one head per product.

The matrix is binned once; every fold, product and seed trains on a subset of it with its own
starting log-odds. Each booster uses one thread, so results cannot depend on how many run at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np

from product_affinity.models.encoding import FloatMatrix, IntVector
from product_affinity.models.logistic import Matrix, Vector
from product_affinity.models.structure import canonical_text

MAX_BIN = 63
#: rows of which the bins' edges are found: 130 a bin, and no copy of more rows
BIN_SAMPLE_ROWS = 8_192
#: draws of columns in a row without any cut after which a booster has learnt what it can
UNLUCKY_DRAWS = 30


@dataclass(frozen=True)
class TreeShape:
    """Size of a boosted ensemble.

    Parameters
    ----------
    leaves : int
        Leaves per tree, ≥ 2.
    trees : int
        Number of trees, ≥ 1.
    random_cuts : bool
        Whether each split tries one random cut per column (extremely randomised trees) instead of
        every cut. Random cuts average smooth effects better, every cut finds single codes.
    column_share : float
        Share of the columns that each tree sees, in (0, 1].
    learning_rate : float
        Shrinkage per tree, in (0, 1].

    """

    leaves: int
    trees: int
    random_cuts: bool = True
    column_share: float = 0.5
    learning_rate: float = 0.05

    def at(self, trees: int) -> TreeShape:
        """The same shape stopped after fewer trees."""
        return replace(self, trees=trees)


@dataclass(frozen=True)
class BinnedMatrix:
    """Binned training rows shared by all boosters.

    Parameters
    ----------
    dataset : lightgbm.Dataset
        Constructed once, with labels and weights.
    row_count : int
        Number of rows.
    level_columns : tuple of int
        Columns that hold codes of levels.
    directions : tuple of int
        Per column -1, 0 or 1.

    """

    dataset: lgb.Dataset
    row_count: int
    level_columns: tuple[int, ...]
    directions: tuple[int, ...]

    def train(
        self, rows: IntVector, start: Vector, shape: TreeShape, seed: int, relevance: Vector | None = None
    ) -> lgb.Booster:
        """One booster on some rows, from the given starting log-odds of these rows.

        Parameters
        ----------
        rows : ndarray of int
            Row positions, increasing.
        start : ndarray of shape (len(rows),)
            Log-odds before the first tree; not part of the booster's predictions.
        shape : TreeShape
            Size of the ensemble.
        seed : int
            Seed of column and row sampling.
        relevance : ndarray of shape (columns,), optional
            Factor in (0, 1] on the gain of splits by each column.

        """
        subset = self.dataset.subset(rows).construct()
        subset.set_init_score(start)
        parameters = self._parameters(shape, seed, len(rows))
        if relevance is not None:
            parameters["feature_contri"] = relevance.tolist()
        booster = lgb.Booster(params=parameters, train_set=subset)
        unlucky = 0
        while booster.num_trees() < shape.trees and unlucky < UNLUCKY_DRAWS:
            # a draw of columns without any cut is no end: the next one may have some
            unlucky = unlucky + 1 if booster.update() else 0
        # without its training rows, and exactly what the text written later holds
        return lgb.Booster(model_str=booster.model_to_string(num_iteration=-1))

    def _parameters(self, shape: TreeShape, seed: int, row_count: int) -> dict[str, object]:
        parameters: dict[str, object] = {
            "objective": "binary",
            "num_leaves": shape.leaves,
            "learning_rate": shape.learning_rate,
            "extra_trees": shape.random_cuts,
            "feature_fraction": shape.column_share,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "min_data_in_leaf": 20,
            "min_sum_hessian_in_leaf": 1.0,
            "lambda_l2": 3.0,
            "cat_smooth": 100.0,
            "cat_l2": 100.0,
            "min_data_per_group": int(np.clip(row_count // 100, 50, 500)),
            "seed": seed,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        if any(self.directions):
            parameters["monotone_constraints"] = list(self.directions)
        return parameters


def bin_matrix(
    matrix: FloatMatrix,
    target: Vector,
    weight: Vector,
    level_columns: Sequence[int],
    directions: Sequence[int],
) -> BinnedMatrix:
    """Bin the training rows once.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Encoded rows.
    target, weight : ndarray of shape (n,)
        0 or 1, and weights ≥ 0.
    level_columns : sequence of int
        Columns that hold codes.
    directions : sequence of int
        Per column -1, 0 or 1.

    """
    dataset = lgb.Dataset(
        matrix,
        label=target,
        weight=weight,
        categorical_feature=list(level_columns),
        params={
            "max_bin": MAX_BIN,
            "bin_construct_sample_cnt": BIN_SAMPLE_ROWS,
            "feature_pre_filter": False,
            "num_threads": 1,
            "verbosity": -1,
        },
    ).construct()
    return BinnedMatrix(dataset, len(matrix), tuple(level_columns), tuple(directions))


def load_booster(text: str, column_count: int) -> lgb.Booster:
    """Booster from its text, after the text's structure has been checked.

    Raises
    ------
    ValueError
        If anything in the text could make LightGBM read outside its arrays.

    """
    return lgb.Booster(model_str=canonical_text(text, column_count))


def mean_log_odds(boosters: Sequence[lgb.Booster], matrix: FloatMatrix, threads: int) -> Vector:
    """Mean raw score of several boosters, log-odds relative to their starting points."""
    total = np.zeros(len(matrix))
    for booster in boosters:
        total += booster.predict(matrix, raw_score=True, num_threads=threads)
    return total / len(boosters)


def staged_log_odds(booster: lgb.Booster, matrix: FloatMatrix, checkpoints: Sequence[int]) -> Matrix:
    """Raw scores after each number of trees, one column per checkpoint (increasing)."""
    total = np.zeros(len(matrix))
    stages = np.empty((len(matrix), len(checkpoints)))
    done = 0
    for at, trees in enumerate(checkpoints):
        if done < min(trees, booster.num_trees()):
            total = total + booster.predict(
                matrix, raw_score=True, start_iteration=done, num_iteration=trees - done, num_threads=1
            )
        stages[:, at] = total
        done = trees
    return stages


def mean_contributions(boosters: Sequence[lgb.Booster], matrix: FloatMatrix) -> Matrix:
    """Mean exact TreeSHAP in log-odds; the last column is the expected value."""
    total = np.zeros((len(matrix), matrix.shape[1] + 1))
    for booster in boosters:
        total += np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1))
    return total / len(boosters)
