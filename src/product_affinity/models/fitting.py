"""Fit the blend: out-of-fold predictions first, then every candidate on all rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from product_affinity.models.blend import OutOfFold, fit_weights
from product_affinity.models.calibration import Sigmoid, fit_sigmoid
from product_affinity.models.encoding import FrameEncoder, IntVector
from product_affinity.models.fitted import Candidates, FittedBlend, Head, Offset
from product_affinity.models.inner_folds import InnerFold, inner_folds
from product_affinity.models.linear_terms import fit_terms
from product_affinity.models.logistic import Matrix, Vector
from product_affinity.models.ridge import Penalties, RidgeData, RidgeModel, fit_ridge
from product_affinity.models.rows import Rows, base_log_odds, positive_counts
from product_affinity.models.trees import BinnedMatrix, TreeShape, bin_matrix, staged_log_odds

#: below either, only the ridge is fitted; also what a product needs for a head of its own
MIN_POSITIVES = 30
MIN_ROWS = 500
#: shapes tried on the inner folds, and the numbers of trees at which each may stop
SHAPES = (
    TreeShape(4, 300),
    TreeShape(4, 300, random_cuts=False, column_share=0.25),
    TreeShape(15, 300, learning_rate=0.1),
    TreeShape(15, 300, random_cuts=False),
)
HEAD_SHAPES = (TreeShape(4, 200), TreeShape(15, 100))
#: tables above this try the shapes on the first fold only
TRIED_ON_ALL_ROWS = 20_000
CHECKPOINTS = (30, 60, 100, 150, 200, 250, 300)


@dataclass(frozen=True)
class FitPlan:
    """What to fit, besides the rows.

    Parameters
    ----------
    encoder : FrameEncoder
        How the rows were encoded.
    offset : Offset or None
        The column of base-rate log-odds.
    products : tuple
        Product of each code; empty without products.
    candidates : tuple of str
        Candidates wanted.
    directions : mapping of matrix column to -1 or 1
        Declared directions.
    gap_days, n_seeds, workers, seed : int
        Purging gap, boosters per ensemble, threads, and random seed.

    """

    encoder: FrameEncoder
    offset: Offset | None
    products: tuple[str | int, ...]
    candidates: tuple[str, ...]
    directions: Mapping[int, int]
    gap_days: int
    n_seeds: int
    workers: int
    seed: int


def fit_blend(rows: Rows, plan: FitPlan) -> FittedBlend:
    """Fit candidates, calibration and weights.

    Parameters
    ----------
    rows : Rows
        Training rows, with both classes.
    plan : FitPlan
        What to fit.

    """
    # linear algebra on several threads rounds differently from one thread to another
    with threadpool_limits(limits=1, user_api="blas"):
        return _Fit(rows, plan).blend()


class _Fit:
    """One fit: rows and plan, and what the steps share."""

    def __init__(self, rows: Rows, plan: FitPlan) -> None:
        self.rows = rows
        self.plan = plan
        self.count = max(1, len(plan.products))
        self.positives = positive_counts(rows.codes, rows.target, self.count)
        self.names = self._names()
        self.base = base_log_odds(rows.target, rows.fit_weight, rows.start)
        self.terms = fit_terms(
            rows.matrix, rows.fit_weight, plan.encoder.level_positions, plan.directions
        )
        self.binned: BinnedMatrix | None = None
        self.contri = None

    def _names(self) -> tuple[str, ...]:
        if self.positives.sum() < MIN_POSITIVES or len(self.rows.target) < MIN_ROWS:
            return ("ridge",)
        wanted = self.plan.candidates
        if self.count > 1:
            return wanted
        return tuple(dict.fromkeys("pooled" if name == "heads" else name for name in wanted))

    def blend(self) -> FittedBlend:
        """The complete fit."""
        ridge, penalties = self._ridge(None, None) if "ridge" in self.names else (None, None)
        folds = [] if self.names == ("ridge",) else inner_folds(self.rows, self.plan.gap_days, self.plan.seed)
        if self.names != ("ridge",):
            self.binned = self._bin()
        if ridge is not None and self.count>1:
            rel=np.zeros(self.rows.matrix.shape[1]); v=ridge.pooled[1:]**2+1/penalties.deviations
            np.maximum.at(rel,self.terms.sources,v)
            import os
            lo=float(os.environ.get('LO','0.2'))
            self.contri=np.clip(rel/np.quantile(rel,.8),lo,1)
        shapes, oof = self._out_of_fold(folds, penalties)
        pooled, heads = self._final_trees(shapes)
        candidates = Candidates(self.base, pooled, heads, ridge)
        return self._assemble(candidates, oof)

    def _bin(self) -> BinnedMatrix:
        directions = [self.plan.directions.get(at, 0) for at in range(self.rows.matrix.shape[1])]
        return bin_matrix(
            self.rows.matrix,
            self.rows.target,
            self.rows.fit_weight,
            self.plan.encoder.level_positions,
            directions,
        )

    # -- out of fold ---------------------------------------------------------------------------

    def _out_of_fold(
        self, folds: Sequence[InnerFold], penalties: Penalties | None
    ) -> tuple[dict[str, TreeShape], OutOfFold | None]:
        kinds = [name for name in ("pooled", "heads") if name in self.names]
        if not folds:
            return {kind: SHAPES[0].at(200) for kind in kinds}, None
        at = np.concatenate([fold.test for fold in folds])
        chosen: dict[str, TreeShape] = {}
        columns: dict[str, Vector] = {}
        for kind in kinds:
            chosen[kind], columns[kind] = self._oof_trees(folds, kind, columns.get("pooled"))
        if penalties is not None:
            tasks = [partial(self._ridge_fold, fold, penalties) for fold in folds]
            columns["ridge"] = np.concatenate(self._run(tasks))
        matrix = np.column_stack([columns[name] for name in self.names]) + self.rows.offset[at][:, None]
        fold_of = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
        oof = OutOfFold(matrix, self.rows.target[at], self.rows.weight[at], self.rows.codes[at], fold_of)
        return chosen, oof

    def _oof_trees(
        self, folds: Sequence[InnerFold], kind: str, fallback: Vector | None
    ) -> tuple[TreeShape, Vector]:
        """Chosen shape, and its out-of-fold log-odds without the offset."""
        shapes = SHAPES if kind == "pooled" else HEAD_SHAPES
        tried = folds if len(self.rows.target) <= TRIED_ON_ALL_ROWS else folds[-1:]
        stages = self._stages(tried, kind, shapes)
        if len(tried) < len(folds):
            at = folds[-1].test
            best = min(shapes, key=lambda shape: self._best_stage(stages[shape], at)[0])
            rest = self._stages(folds[:-1], kind, [best])
            stages = {best: np.concatenate([rest[best], stages[best]])}
        at = np.concatenate([fold.test for fold in folds])
        filled = {
            shape: found if fallback is None else np.where(np.isnan(found), fallback[:, None], found)
            for shape, found in stages.items()
        }
        results = {shape: self._best_stage(found, at) for shape, found in filled.items()}
        best = min(results, key=lambda shape: results[shape][0])
        column = results[best][1]
        return best.at(CHECKPOINTS[column]), filled[best][:, column]

    def _stages(
        self, folds: Sequence[InnerFold], kind: str, shapes: Sequence[TreeShape]
    ) -> dict[TreeShape, Matrix]:
        """Log-odds of the folds' test rows per shape, one column per checkpoint."""
        fit = self._stage_fold if kind == "pooled" else self._stage_heads
        results = self._run([partial(fit, fold, shape) for shape in shapes for fold in folds])
        size = len(folds)
        return {
            shape: np.concatenate(results[at * size : (at + 1) * size]) for at, shape in enumerate(shapes)
        }

    def _stage_fold(self, fold: InnerFold, shape: TreeShape) -> Matrix:
        base, booster = self._train(fold.train, shape, self.plan.seed)
        return base + staged_log_odds(booster, self.rows.matrix[fold.test], _checkpoints(shape))

    def _stage_heads(self, fold: InnerFold, shape: TreeShape) -> Matrix:
        stages = np.full((len(fold.test), len(_checkpoints(shape))), np.nan)
        base = base_log_odds(*self._of(fold.train))
        for code in range(self.count):
            test = np.flatnonzero(self.rows.codes[fold.test] == code)
            train = fold.train[self.rows.codes[fold.train] == code]
            if len(test) == 0:
                continue
            if not self._carries_head(train):
                if "pooled" not in self.names:
                    stages[test] = base
                continue
            start, booster = self._train(train, shape, self.plan.seed, self.contri)
            stages[test] = start + staged_log_odds(
                booster, self.rows.matrix[fold.test[test]], _checkpoints(shape)
            )
        return stages

    def _best_stage(self, stages: Matrix, at: IntVector) -> tuple[float, int]:
        """Lowest loss and the column that has it."""
        losses = [self._loss(column, at) for column in stages.T]
        best = int(np.argmin(losses))
        return losses[best], best

    def _loss(self, log_odds: Vector, at: IntVector) -> float:
        margin = np.nan_to_num(log_odds, nan=self.base) + self.rows.offset[at]
        return float(self.rows.weight[at] @ (np.logaddexp(0, margin) - self.rows.target[at] * margin))

    def _ridge_fold(self, fold: InnerFold, penalties: Penalties) -> Vector:
        model, _ = self._ridge(fold.train, penalties)
        return model.log_odds(self.rows.matrix[fold.test], self.rows.codes[fold.test])

    # -- fits ----------------------------------------------------------------------------------

    def _ridge(self, at: IntVector | None, penalties: Penalties | None) -> tuple[RidgeModel, Penalties]:
        rows = self.rows
        index: Any = slice(None) if at is None else at
        parts = (rows.matrix, rows.target, rows.fit_weight, rows.start, rows.codes)
        data = RidgeData(*(part[index] for part in parts))
        events = positive_counts(data.codes, data.target, self.count)
        deviating = [code for code in range(self.count) if self.count > 1 and events[code] >= MIN_POSITIVES]
        return fit_ridge(data, self.terms, self.plan.directions, deviating, penalties)

    def _final_trees(
        self, shapes: Mapping[str, TreeShape]
    ) -> tuple[tuple[lgb.Booster, ...], dict[int, Head]]:
        seeds = [self.plan.seed + at for at in range(self.plan.n_seeds)]
        everything = np.arange(len(self.rows.target))
        jobs: list[tuple[int, IntVector, TreeShape]] = []
        if "pooled" in shapes:
            jobs.append((-1, everything, shapes["pooled"]))
        if "heads" in shapes:
            for code in range(self.count):
                at = np.flatnonzero(self.rows.codes == code)
                if self._carries_head(at):
                    jobs.append((code, at, shapes["heads"]))
        tasks = [partial(self._train, at, shape, seed) for _, at, shape in jobs for seed in seeds]
        tasks = [partial(self._train, at, shape, seed, self.contri if c>=0 else None) for c, at, shape in jobs for seed in seeds]
        fits = self._run(tasks)
        groups = [fits[start : start + len(seeds)] for start in range(0, len(fits), len(seeds))]
        heads = {
            code: Head(group[0][0], tuple(booster for _, booster in group))
            for (code, _, _), group in zip(jobs, groups, strict=True)
        }
        pooled = heads.pop(-1, None)
        return (pooled.boosters if pooled else ()), heads

    def _train(self, at: IntVector, shape: TreeShape, seed: int, contri=None) -> tuple[float, lgb.Booster]:
        if self.binned is None:
            raise RuntimeError("the matrix has not been binned")
        base = base_log_odds(*self._of(at))
        return base, self.binned.train(at, base + self.rows.start[at], shape, seed, contri)

    def _carries_head(self, at: IntVector) -> bool:
        return len(at) >= MIN_ROWS and self.rows.target[at].sum() >= MIN_POSITIVES

    def _of(self, at: IntVector) -> tuple[Vector, Vector, Vector]:
        return self.rows.target[at], self.rows.fit_weight[at], self.rows.start[at]

    def _run(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        return list(Parallel(n_jobs=self.plan.workers, prefer="threads")(delayed(task)() for task in tasks))

    # -- calibration and weights ---------------------------------------------------------------

    def _assemble(self, candidates: Candidates, oof: OutOfFold | None) -> FittedBlend:
        available = self._available(candidates)
        sigmoids = tuple(self._sigmoid(oof, at) for at in range(len(self.names)))
        blended = Sigmoid()
        weights = available / available.sum(axis=1, keepdims=True)
        if oof is not None:
            calibrated = np.column_stack(
                [sigmoid.apply(oof.log_odds[:, at], oof.codes) for at, sigmoid in enumerate(sigmoids)]
            )
            oof = OutOfFold(calibrated, oof.target, oof.weight, oof.codes, oof.folds)
            rate = float(np.average(oof.target, weights=oof.weight))
            weights = fit_weights(oof, float(np.log(rate / (1 - rate))), available)
            mixed = (calibrated * weights[oof.codes]).sum(axis=1)
            blended = fit_sigmoid(mixed, oof.target, oof.weight, oof.folds, oof.codes, self.count)
        return FittedBlend(
            encoder=self.plan.encoder,
            offset=self.plan.offset,
            products=self.plan.products,
            names=self.names,
            candidates=candidates,
            sigmoids=sigmoids,
            weights=weights,
            unseen=_unseen_weights(self.names),
            blended=blended,
        )

    def _sigmoid(self, oof: OutOfFold | None, at: int) -> Sigmoid:
        if oof is None:
            return Sigmoid()
        return fit_sigmoid(oof.log_odds[:, at], oof.target, oof.weight, oof.folds, oof.codes, self.count)

    def _available(self, candidates: Candidates) -> npt.NDArray[np.bool_]:
        available = np.ones((self.count, len(self.names)), dtype=bool)
        if "heads" in self.names and len(self.names) > 1:
            at = self.names.index("heads")
            available[:, at] = [code in candidates.heads for code in range(self.count)]
        return available


def _checkpoints(shape: TreeShape) -> list[int]:
    return [trees for trees in CHECKPOINTS if trees <= shape.trees]


def _unseen_weights(names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    first = next(name for name in ("pooled", "ridge", "heads") if name in names)
    return np.array([float(name == first) for name in names])
