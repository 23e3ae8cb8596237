"""Blend weights: one non-negative weight per product and candidate, shrunk towards common ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from product_affinity.models.calibration import LEVEL_PRECISION, Sigmoid, fold_drift, fold_groups
from product_affinity.models.encoding import IntVector
from product_affinity.models.grouped_logistic import fit_grouped
from product_affinity.models.logistic import Matrix, Prior, Vector

#: prior precision of common weights around equal ones, and of a product's around the common ones
COMMON_PRECISION = 5.0
PRODUCT_PRECISION = 100.0
#: a weight below this is dropped, so that its candidate need not be computed
NEGLIGIBLE = 0.03


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold predictions of every candidate.

    Parameters
    ----------
    log_odds : ndarray of shape (n, candidates)
        Log-odds, offset included.
    target, weight : ndarray of shape (n,)
        0 or 1, and population weights.
    codes : ndarray of int
        Product of each row.
    folds : ndarray of int or None
        Fold of each row where folds follow each other in time.

    """

    log_odds: Matrix
    target: Vector
    weight: Vector
    codes: IntVector
    folds: IntVector | None

    def calibrated(self, sigmoids: Sequence[Sigmoid]) -> OutOfFold:
        """The same predictions, each candidate's calibrated."""
        columns = [sigmoid.apply(self.log_odds[:, at], self.codes) for at, sigmoid in enumerate(sigmoids)]
        return replace(self, log_odds=np.column_stack(columns))

    def drift(self) -> Matrix:
        """How far the fold and product of each row has moved away from each candidate, in log-odds."""
        columns = [fold_drift(column, self.target, self.weight, self.folds) for column in self.log_odds.T]
        return np.column_stack(columns)


def fit_weights(oof: OutOfFold, available: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Weights per product and candidate.

    Minimises the log-loss of the weighted sum of log-odds (a logarithmic opinion pool, Genest &
    Zidek 1986), first over all products, then per product around the common solution.

    Parameters
    ----------
    oof : OutOfFold
        Out-of-fold predictions.
    available : ndarray of bool of shape (products, candidates)
        Which candidates exist for which product.

    Returns
    -------
    ndarray of shape (products, candidates)
        Rows are non-negative and sum to 1.

    """
    count = available.shape[1]
    rate = float(np.average(oof.target, weights=oof.weight))
    # at the overall base rate, weights have no effect
    centre = float(np.log(rate / (1.0 - rate)))
    equal = np.full(count, 1.0 / count)
    common = _fit(oof, slice(None), centre, equal, COMMON_PRECISION)
    weights = np.empty(available.shape)
    for code, present in enumerate(available):
        at = np.flatnonzero(oof.codes == code)
        alone = len(at) == 0 or len(available) == 1
        raw = common if alone else _fit(oof, at, centre, common, PRODUCT_PRECISION)
        weights[code] = normalised(raw, present)
    return weights


def normalised(raw: Vector, present: npt.NDArray[np.bool_]) -> Vector:
    """Weights of the present candidates scaled to sum 1, negligible ones dropped.

    Examples
    --------
    >>> normalised(np.array([0.6, 0.2, 0.2]), np.array([True, True, False]))
    array([0.75, 0.25, 0.  ])

    """
    kept = np.where(present, raw, 0.0)
    if kept.sum() <= 0:
        kept = present.astype(np.float64)
    kept = np.where(kept < NEGLIGIBLE * kept.sum(), 0.0, kept)
    return np.asarray(kept / kept.sum(), dtype=np.float64)


def _fit(oof: OutOfFold, at: IntVector | slice, centre: float, mean: Vector, precision: float) -> Vector:
    candidates = oof.log_odds[at] - centre
    size = len(mean)
    prior = Prior(np.full(size, precision), mean, np.zeros(size), np.full(size, np.inf))
    groups, count = fold_groups(None if oof.folds is None else oof.folds[at], len(candidates))
    offset = np.full(len(candidates), centre)
    fit = fit_grouped(candidates, groups, count, oof.target[at], oof.weight[at], offset, LEVEL_PRECISION, prior)
    return fit.coefficients
