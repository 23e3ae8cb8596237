"""Out-of-fold predictions of every candidate, and the tree shapes they speak for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from product_affinity.models.blend import OutOfFold
from product_affinity.models.encoding import IntVector
from product_affinity.models.inner_folds import InnerFold
from product_affinity.models.logistic import Matrix, Vector
from product_affinity.models.ridge import RidgeModel, column_relevance
from product_affinity.models.training import Trainer
from product_affinity.models.trees import TreeShape, staged_log_odds

#: shapes tried: smooth additive effects, single codes, interactions of either kind
POOLED_SHAPES = (
    TreeShape(4, 300),
    TreeShape(4, 300, random_cuts=False, column_share=0.25),
    TreeShape(15, 300, learning_rate=0.1),
    TreeShape(15, 300, random_cuts=False),
)
HEAD_SHAPES = (TreeShape(4, 200), TreeShape(15, 100))
#: numbers of trees at which an ensemble may stop
CHECKPOINTS = (30, 60, 100, 150, 200, 250, 300)
#: without folds, or a head in any, there is no evidence for another shape
DEFAULT_SHAPE = TreeShape(4, 200)
#: larger tables try the shapes on the last fold only
TRIED_ON_ALL_FOLDS = 20_000


@dataclass(frozen=True)
class Evidence:
    """What the inner folds have shown.

    Parameters
    ----------
    shapes : mapping of "pooled" or "heads" to TreeShape
        Best shape of each tree candidate.
    predictions : OutOfFold or None
        Uncalibrated predictions with the offset, None without folds.
    heads : frozenset of int or None
        Products whose heads the folds have tested, None without folds.

    """

    shapes: dict[str, TreeShape]
    predictions: OutOfFold | None
    heads: frozenset[int] | None = None


@dataclass(frozen=True)
class _Fold:
    """A fold and what the ridge has learnt on its training part alone, penalties included.

    Penalties of all rows would have seen the test part: they know which columns matter there, and the ridge would
    look better than it is.
    """

    train: IntVector
    test: IntVector
    ridge: RidgeModel | None
    relevance: Vector | None


def predict_out_of_fold(trainer: Trainer, folds: Sequence[InnerFold]) -> Evidence:
    """Fit every candidate on each fold's training part and predict its test part.

    Parameters
    ----------
    trainer : Trainer
        Fits candidates.
    folds : sequence of InnerFold
        Possibly none.

    """
    kinds = [name for name in ("pooled", "heads") if name in trainer.candidates]
    if not folds:
        return Evidence(dict.fromkeys(kinds, DEFAULT_SHAPE), None)
    work = _Folds(trainer, trainer.run([partial(_learn_fold, trainer, fold) for fold in folds]))
    shapes: dict[str, TreeShape] = {}
    columns: dict[str, Vector] = {}
    if "ridge" in trainer.candidates:
        columns["ridge"] = work.ridge()
    for kind in kinds:
        shapes[kind], columns[kind] = work.trees(kind, columns.get("pooled", columns.get("ridge")))
    rows, at = trainer.rows, work.at
    log_odds = np.column_stack([columns[name] for name in trainer.candidates]) + rows.offset[at][:, None]
    predictions = OutOfFold(log_odds, rows.target[at], rows.weight[at], rows.codes[at], _levels(trainer, folds, at))
    return Evidence(shapes, predictions, work.headed)


def _learn_fold(trainer: Trainer, fold: InnerFold) -> _Fold:
    if "ridge" not in trainer.candidates:
        return _Fold(fold.train, fold.test, None, None)
    ridge, penalties = trainer.ridge(fold.train)
    relevance = column_relevance(ridge, penalties, trainer.rows.matrix.shape[1])
    return _Fold(fold.train, fold.test, ridge, relevance)


def _levels(trainer: Trainer, folds: Sequence[InnerFold], at: IntVector) -> IntVector | None:
    """Fold and product of each row as one code where folds follow each other in time, else None.

    A product that was launched between a fold's training part and its test part, or that moved since, is
    predicted at a level that says nothing about the final fit, which has seen those rows.
    """
    days = trainer.rows.days
    if days is None or any(days[fold.train].max() >= days[fold.test].min() for fold in folds):
        return None
    fold_of = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    return np.asarray(fold_of * trainer.product_count + np.maximum(trainer.rows.codes[at], 0), dtype=np.int64)


class _Folds:
    """The folds with what their fits share; predictions are without the offset."""

    def __init__(self, trainer: Trainer, folds: Sequence[_Fold]) -> None:
        self.trainer = trainer
        self.folds = folds
        self.at: IntVector = np.concatenate([fold.test for fold in folds])

    @cached_property
    def headed(self) -> frozenset[int]:
        """Products whose rows carry a head in some fold's training part."""
        return frozenset(code for fold in self.folds for code, _, _ in self._head_rows(fold))

    def _head_rows(self, fold: _Fold) -> Iterator[tuple[int, IntVector, IntVector]]:
        """Product, its training rows, and places of its rows within the test part, where a head can be tested."""
        trained, tested = self.trainer.rows.codes[fold.train], self.trainer.rows.codes[fold.test]
        for code in range(self.trainer.product_count):
            train, test = fold.train[trained == code], np.flatnonzero(tested == code)
            if len(test) and self.trainer.carries_head(train):
                yield code, train, test

    def ridge(self) -> Vector:
        """Predictions of the ridge."""
        rows = self.trainer.rows
        return np.concatenate(
            [fold.ridge.log_odds(rows.matrix[fold.test], rows.codes[fold.test]) for fold in self.folds if fold.ridge]
        )

    def trees(self, kind: str, fallback: Vector | None) -> tuple[TreeShape, Vector]:
        """Best shape, and its predictions; ``fallback`` where a product has no head."""
        shapes = POOLED_SHAPES if kind == "pooled" else HEAD_SHAPES
        if kind == "heads" and not self.headed:
            return DEFAULT_SHAPE, self._spare(fallback)
        tried, rest = self._tried()
        stages = self._stages([*tried], kind, shapes)
        best = min(shapes, key=lambda shape: self._best_stage(stages[shape], tried)[0])
        chosen = stages[best]
        if rest:
            chosen = np.concatenate([self._stages(rest, kind, [best])[best], chosen])
        column = self._best_stage(chosen, [*rest, *tried])[1]
        log_odds = chosen[:, column]
        if kind == "heads":
            log_odds = np.where(np.isnan(log_odds), self._spare(fallback), log_odds)
        return best.at(CHECKPOINTS[column]), log_odds

    def _spare(self, fallback: Vector | None) -> Vector:
        return np.full(len(self.at), self.trainer.base) if fallback is None else fallback

    def _tried(self) -> tuple[list[_Fold], list[_Fold]]:
        folds = list(self.folds)
        if len(self.trainer.rows.target) <= TRIED_ON_ALL_FOLDS:
            return folds, []
        return folds[-1:], folds[:-1]

    def _stages(self, folds: Sequence[_Fold], kind: str, shapes: Sequence[TreeShape]) -> dict[TreeShape, Matrix]:
        """Predictions of the folds' test rows per shape, one column per checkpoint."""
        fit = self._pooled if kind == "pooled" else self._heads
        results = self.trainer.run([partial(fit, fold, shape) for shape in shapes for fold in folds])
        size = len(folds)
        return {shape: np.concatenate(results[at * size : (at + 1) * size]) for at, shape in enumerate(shapes)}

    def _pooled(self, fold: _Fold, shape: TreeShape) -> Matrix:
        trainer, checkpoints = self.trainer, _checkpoints(shape)
        base, booster = trainer.trees(fold.train, shape, trainer.plan.seed)
        stages = base + staged_log_odds(booster, trainer.rows.matrix[fold.test], checkpoints)
        if not trainer.has_levels:
            return stages
        trained = base + staged_log_odds(booster, trainer.rows.matrix[fold.train], checkpoints)
        levels = np.array([trainer.product_levels(fold.train, column) for column in trained.T])
        own: Matrix = levels.T[trainer.rows.codes[fold.test]]
        return stages + own

    def _heads(self, fold: _Fold, shape: TreeShape) -> Matrix:
        """Missing where a product's training rows carry no head."""
        trainer = self.trainer
        stages = np.full((len(fold.test), len(_checkpoints(shape))), np.nan)
        for _, train, test in self._head_rows(fold):
            base, booster = trainer.trees(train, shape, trainer.plan.seed, fold.relevance)
            matrix = trainer.rows.matrix[fold.test[test]]
            stages[test] = base + staged_log_odds(booster, matrix, _checkpoints(shape))
        return stages

    def _best_stage(self, stages: Matrix, folds: Sequence[_Fold]) -> tuple[float, int]:
        """Lowest loss over the rows predicted, and the column that has it."""
        at = np.concatenate([fold.test for fold in folds])
        rows = self.trainer.rows
        known = ~np.isnan(stages[:, 0])
        margins = stages[known] + rows.offset[at[known]][:, None]
        losses = rows.weight[at[known]] @ (np.logaddexp(0, margins) - rows.target[at[known]][:, None] * margins)
        best = int(np.argmin(losses))
        return float(losses[best]), best


def _checkpoints(shape: TreeShape) -> list[int]:
    return [trees for trees in CHECKPOINTS if trees <= shape.trees]
