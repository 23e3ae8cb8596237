"""Fit the blend: ridge and its penalties, out-of-fold evidence, final trees, calibration, weights."""

from __future__ import annotations

from functools import partial

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from product_affinity.models.blend import OutOfFold, fit_weights
from product_affinity.models.calibration import Sigmoid, fit_sigmoid
from product_affinity.models.encoding import IntVector
from product_affinity.models.fitted import Candidates, FittedBlend, Head
from product_affinity.models.inner_folds import inner_folds
from product_affinity.models.logistic import Vector
from product_affinity.models.out_of_fold import Evidence, predict_out_of_fold
from product_affinity.models.ridge import column_relevance
from product_affinity.models.rows import Rows
from product_affinity.models.training import FitPlan, Trainer
from product_affinity.models.trees import TreeShape, mean_log_odds


def fit_blend(rows: Rows, plan: FitPlan) -> FittedBlend:
    """Fit candidates, calibration and weights.

    Parameters
    ----------
    rows : Rows
        Training rows, with both classes.
    plan : FitPlan
        What to fit.

    """
    trainer = Trainer(rows, plan)
    wants_ridge = "ridge" in trainer.candidates
    ridge, penalties = trainer.ridge() if wants_ridge else (None, None)
    relevance = column_relevance(ridge, penalties, rows.matrix.shape[1]) if ridge and penalties else None
    folds = inner_folds(rows, plan.gap_days, plan.seed) if trainer.candidates != ("ridge",) else []
    evidence = predict_out_of_fold(trainer, folds)
    pooled, heads = _fit_trees(trainer, evidence, relevance)
    candidates = Candidates(trainer.base, pooled, _levels(trainer, pooled), heads, ridge)
    return _assemble(trainer, candidates, evidence.predictions)


def _fit_trees(
    trainer: Trainer, evidence: Evidence, relevance: Vector | None
) -> tuple[tuple[lgb.Booster, ...], dict[int, Head]]:
    shapes = evidence.shapes
    seeds = [trainer.plan.seed + at for at in range(trainer.plan.n_seeds)]
    jobs: list[tuple[int, IntVector, TreeShape, Vector | None]] = []
    if "pooled" in shapes:
        jobs.append((-1, np.arange(len(trainer.rows.target)), shapes["pooled"], None))
    if "heads" in shapes:
        # a head that no fold has tested is no choice by evidence, unless there is nothing else
        every = range(trainer.product_count)
        chosen = every if evidence.heads is None or trainer.candidates == ("heads",) else sorted(evidence.heads)
        rows_of = {code: trainer.product_rows(code) for code in chosen}
        jobs += [(code, at, shapes["heads"], relevance) for code, at in rows_of.items() if trainer.carries_head(at)]
    fits = trainer.run([partial(trainer.trees, at, shape, seed, r) for _, at, shape, r in jobs for seed in seeds])
    groups = [fits[start : start + len(seeds)] for start in range(0, len(fits), len(seeds))]
    heads = {
        code: Head(group[0][0], tuple(booster for _, booster in group))
        for (code, *_), group in zip(jobs, groups, strict=True)
    }
    pooled = heads.pop(-1, None)
    return (pooled.boosters if pooled else ()), heads


def _levels(trainer: Trainer, pooled: tuple[lgb.Booster, ...]) -> tuple[float, ...]:
    if not pooled or not trainer.has_levels:
        return ()
    log_odds = trainer.base + mean_log_odds(pooled, trainer.rows.matrix, trainer.plan.workers)
    return trainer.product_levels(np.arange(len(log_odds)), log_odds)


def _assemble(trainer: Trainer, candidates: Candidates, oof: OutOfFold | None) -> FittedBlend:
    names, count = trainer.candidates, trainer.product_count
    available = _available(candidates, names, count)
    sigmoids = tuple(Sigmoid() for _ in names)
    blended = Sigmoid()
    weights = available / available.sum(axis=1, keepdims=True)
    if oof is not None:
        fit = partial(
            fit_sigmoid, target=oof.target, weight=oof.weight, folds=oof.folds, codes=oof.codes, products=count
        )
        sigmoids = tuple(fit(column, drift) for column, drift in zip(oof.log_odds.T, oof.drift().T, strict=True))
        oof = oof.calibrated(sigmoids)
        weights = fit_weights(oof, available)
        share = weights[oof.codes]
        blended = fit((oof.log_odds * share).sum(axis=1), (oof.drift() * share).sum(axis=1))
    return FittedBlend(
        encoder=trainer.plan.encoder,
        offset=trainer.plan.offset,
        products=trainer.plan.products,
        names=names,
        candidates=candidates,
        sigmoids=sigmoids,
        weights=weights,
        unseen=_unseen_weights(weights, names),
        blended=blended,
    )


def _available(candidates: Candidates, names: tuple[str, ...], count: int) -> npt.NDArray[np.bool_]:
    available = np.ones((count, len(names)), dtype=bool)
    if "heads" in names and len(names) > 1:
        available[:, names.index("heads")] = [code in candidates.heads for code in range(count)]
    return available


def _unseen_weights(weights: npt.NDArray[np.float64], names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Weights for a product that the fit has not seen: all on the candidate that the others trust most.

    No head can score it. Mixed, the rest would take the mean of log-odds that disagree, which lowers the chance of
    nearly everybody, and no fold has such a product to set its level by.
    """
    able = [at for at, name in enumerate(names) if name != "heads"] or [0]
    trusted = max(able, key=lambda at: float(weights[:, at].mean()))
    return np.array([float(at == trusted) for at in range(len(names))])
