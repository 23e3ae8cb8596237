"""A fitted blend: everything that is needed to score, and nothing that needs the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from product_affinity.models.calibration import (
    Sigmoid,
    product_values,
    recency_log_ratio,
    scaled_hazard,
    shorter_horizon,
)
from product_affinity.models.encoding import FloatMatrix, FrameEncoder, IntVector
from product_affinity.models.logistic import Matrix, Vector
from product_affinity.models.ridge import RidgeModel
from product_affinity.models.trees import mean_contributions, mean_log_odds

#: prior variance of the hazard ratio of a product that the fit has not seen: worth one event
LAUNCH_VARIANCE = 1.0
#: steps to the variance between products: it settles within ten or twenty
SPREAD_ROUNDS = 50


@dataclass(frozen=True)
class Head:
    """Boosters of one product.

    Parameters
    ----------
    base : float
        Log-odds from which the boosters start.
    boosters : tuple of lightgbm.Booster
        One per seed.

    """

    base: float
    boosters: tuple[lgb.Booster, ...]


@dataclass(frozen=True)
class Offset:
    """The column of base-rate log-odds.

    Parameters
    ----------
    column : str
        Its name, or position as text.
    position : int
        Its position at fit.
    missing : float
        Log-odds used where it is missing: the training mean.

    """

    column: str
    position: int
    missing: float


@dataclass(frozen=True)
class Candidates:
    """The fitted candidates before calibration.

    Parameters
    ----------
    base : float
        Log-odds from which the pooled boosters start.
    pooled : tuple of lightgbm.Booster
        One per seed; empty where only the ridge was fitted.
    levels : tuple of float
        Log-odds of each product that the pooled boosters leave unexplained; empty where products
        have none or an offset says it.
    heads : mapping of product code to Head
        Products with events enough for boosters of their own.
    ridge : RidgeModel or None
        The linear candidate.

    """

    base: float
    pooled: tuple[lgb.Booster, ...]
    levels: tuple[float, ...]
    heads: Mapping[int, Head]
    ridge: RidgeModel | None

    def log_odds(self, name: str, matrix: FloatMatrix, codes: IntVector, threads: int) -> Vector:
        """Uncalibrated log-odds of one candidate without offset, for each row.

        Products without a head fall back to the pooled boosters, then to the ridge.
        """
        if name == "ridge" and self.ridge is not None:
            return self.ridge.log_odds(matrix, codes)
        if name == "heads":
            return self._head_log_odds(matrix, codes, threads)
        level = self.base + product_values(self.levels, codes)
        return level + mean_log_odds(self.pooled, matrix, threads)

    def _head_log_odds(self, matrix: FloatMatrix, codes: IntVector, threads: int) -> Vector:
        out = np.empty(len(matrix))
        served = np.zeros(len(matrix), dtype=bool)
        for code in np.unique(codes):
            head = self.heads.get(int(code))
            if head is not None:
                at = np.flatnonzero(codes == code)
                served[at] = True
                out[at] = head.base + mean_log_odds(head.boosters, matrix[at], threads)
        rest = np.flatnonzero(~served)
        if len(rest):
            out[rest] = self._fallback(matrix[rest], codes[rest], threads)
        return out

    def _fallback(self, matrix: FloatMatrix, codes: IntVector, threads: int) -> Vector:
        if self.pooled:
            return self.log_odds("pooled", matrix, codes, threads)
        if self.ridge is not None:
            return self.ridge.log_odds(matrix, codes)
        return np.full(len(matrix), self.base)

    def contributions(self, name: str, matrix: FloatMatrix, codes: IntVector) -> tuple[Matrix, Vector]:
        """Additive parts per matrix column and the constant of each row, for one candidate."""
        if name == "ridge" and self.ridge is not None:
            return self.ridge.contributions(matrix, codes)
        parts = np.zeros(matrix.shape)
        constant = np.full(len(matrix), self.base)
        for code in np.unique(codes):
            at = np.flatnonzero(codes == code)
            head = self.heads.get(int(code)) if name == "heads" else None
            boosters, base = (head.boosters, head.base) if head else (self.pooled, self.base)
            if boosters:
                shap = mean_contributions(boosters, matrix[at])
                level = 0.0 if head else product_values(self.levels, codes[at])
                parts[at], constant[at] = shap[:, :-1], base + level + shap[:, -1]
            elif self.ridge is not None:
                parts[at], constant[at] = self.ridge.contributions(matrix[at], codes[at])
        return parts, constant


@dataclass(frozen=True)
class FittedBlend:
    """Candidates, their calibration, blend weights and the calibration of the blend.

    Parameters
    ----------
    encoder : FrameEncoder
        From the input table to a matrix.
    offset : Offset or None
        The column of base-rate log-odds.
    products : tuple
        Product of each code; empty where fitted without product.
    names : tuple of str
        Candidates in order.
    candidates : Candidates
        The fitted candidates.
    sigmoids : tuple of Sigmoid
        Calibration of each candidate.
    weights : ndarray of shape (products or 1, candidates)
        Rows sum to 1.
    unseen : ndarray of shape (candidates,)
        Weights of products that the fit has not seen.
    blended : Sigmoid
        Calibration of the blend.
    recency : float
        Log of the common hazard ratio, 0 until recalibrated.
    recent : tuple of float
        Log hazard ratio of each product, on top of the common one.
    later : tuple
        Products that the fit has not seen and recalibration has: their codes follow those of `products`.

    """

    encoder: FrameEncoder
    offset: Offset | None
    products: tuple[str | int, ...]
    names: tuple[str, ...]
    candidates: Candidates
    sigmoids: tuple[Sigmoid, ...]
    weights: npt.NDArray[np.float64]
    unseen: npt.NDArray[np.float64]
    blended: Sigmoid
    recency: float = 0.0
    recent: tuple[float, ...] = ()
    later: tuple[str | int, ...] = ()

    def candidate_log_odds(
        self, name: str, matrix: FloatMatrix, offset: Vector, codes: IntVector, threads: int
    ) -> Vector:
        """Calibrated log-odds of one candidate, before recalibration."""
        raw = offset + self.candidates.log_odds(name, matrix, codes, threads)
        return self.sigmoids[self.names.index(name)].apply(raw, codes)

    def row_weights(self, codes: IntVector) -> npt.NDArray[np.float64]:
        """Blend weights of each row's product."""
        places = np.where(self.in_fit(codes), codes, -1)
        return np.asarray(np.vstack([self.weights, self.unseen])[places], dtype=np.float64)

    def in_fit(self, codes: IntVector) -> npt.NDArray[np.bool_]:
        """Whether the fit has seen each row's product."""
        return np.asarray((codes >= 0) & (codes < len(self.weights)))

    def recency_of(self, codes: IntVector) -> Vector:
        """Log hazard ratio of each row."""
        return self.recency + product_values(self.recent, codes)

    def log_odds(self, matrix: FloatMatrix, offset: Vector, codes: IntVector, threads: int) -> Vector:
        """Published log-odds of each row."""
        return scaled_hazard(self.fitted_log_odds(matrix, offset, codes, threads), self.recency_of(codes))

    def fitted_log_odds(self, matrix: FloatMatrix, offset: Vector, codes: IntVector, threads: int) -> Vector:
        """Log-odds of each row as fitted, before recalibration."""
        weights = self.row_weights(codes)
        total = np.zeros(len(matrix))
        for at, name in enumerate(self.names):
            used = np.flatnonzero(weights[:, at] > 0)
            if len(used) == len(matrix):
                total += weights[:, at] * self.candidate_log_odds(name, matrix, offset, codes, threads)
            elif len(used):
                part = self.candidate_log_odds(name, matrix[used], offset[used], codes[used], threads)
                total[used] += weights[used, at] * part
        return np.where(self.in_fit(codes), self.blended.apply(total, codes), total)

    def contributions(self, matrix: FloatMatrix, offset: Vector, codes: IntVector) -> tuple[Matrix, Vector]:
        """Additive parts of the published log-odds per matrix column, and each row's baseline.

        The offset counts as baseline here; its own column is the caller's matter.
        """
        weights, fitted = self.row_weights(codes), self.in_fit(codes)
        slope = np.where(fitted, self.blended.slope, 1.0)
        parts = np.zeros(matrix.shape)
        baseline = np.where(fitted, self.blended.constant(codes), 0.0)
        for at, (name, sigmoid) in enumerate(zip(self.names, self.sigmoids, strict=True)):
            used = np.flatnonzero(weights[:, at] > 0)
            if not len(used):
                continue
            own, constant = self.candidates.contributions(name, matrix[used], codes[used])
            factor = slope[used] * weights[used, at]
            parts[used] += (factor * sigmoid.slope)[:, None] * own
            baseline[used] += factor * (sigmoid.constant(codes[used]) + sigmoid.slope * (constant + offset[used]))
        total = parts.sum(axis=1) + baseline
        return parts, baseline + scaled_hazard(total, self.recency_of(codes)) - total

    def offset_slope(self, codes: IntVector) -> Vector:
        """Log-odds per unit of the offset column."""
        slopes = np.array([sigmoid.slope for sigmoid in self.sigmoids])
        own: Vector = self.row_weights(codes) @ slopes
        return np.where(self.in_fit(codes), self.blended.slope, 1.0) * own

    def recalibrated(self, log_odds: Vector, target: Vector, codes: IntVector, share: float) -> FittedBlend:
        """The same blend with new hazard ratios.

        The common one is that of products in the fit: a launch tells nothing of their level.

        Parameters
        ----------
        log_odds : ndarray of shape (n,)
            Log-odds of recent rows as fitted.
        target : ndarray of shape (n,)
            Adoption within the short horizon, 0 or 1.
        codes : ndarray of int
            Product codes.
        share : float
            Short horizon ÷ horizon, in (0, 1].

        """
        fitted = self.in_fit(codes)
        common = recency_log_ratio(log_odds[fitted], target[fitted], share) if fitted.any() else 0.0
        moved = shorter_horizon(log_odds, share * float(np.exp(common)))
        variance = self.products_spread(target, moved, codes) if len(self.products) > 1 else 0.0
        variances = [variance] * len(self.products) + [LAUNCH_VARIANCE] * len(self.later)
        ratios = []
        for code, spread in enumerate(variances):
            at = np.flatnonzero(codes == code)
            ratios.append(recent_deviation(target[at], moved[at], spread))
        return replace(self, recency=common, recent=tuple(ratios))

    def products_spread(self, target: Vector, expected: Vector, codes: IntVector) -> float:
        r"""Between-product variance of observed ÷ expected beyond Poisson noise, by the method of moments, ≥ 0.

        :math:`\tau^2 = \sum w_p ((o_p - e_p)^2 - e_p) / \sum w_p e_p^2` with :math:`w_p = (1 + \tau^2 e_p)^{-2}`,
        iterated: every product's moment weighted by about the inverse of its own variance. One sale of a product of
        which next to none is expected says next to nothing then, and a product that sells most no more than others
        that sell enough. That of the ratio and not of its logarithm, as the Gamma prior of :func:`recent_deviation`
        has it.
        """
        fitted, count = self.in_fit(codes), len(self.weights)
        observed, sizes = (
            np.bincount(codes[fitted], weights=values[fitted], minlength=count) for values in (target, expected)
        )
        if not sizes.any():
            return 0.0
        surplus = (observed - sizes) ** 2 - sizes
        variance = 0.0
        for _ in range(SPREAD_ROUNDS):
            weight = (1.0 + variance * sizes) ** -2
            variance = max(0.0, float((weight * surplus).sum() / (weight * sizes**2).sum()))
        return variance


def recent_deviation(target: Vector, expected: Vector, variance: float) -> float:
    """Shrunk log(observed ÷ expected) of one product: a Gamma-Poisson posterior mean.

    Examples
    --------
    >>> recent_deviation(np.ones(4), np.full(4, 0.5), variance=0.5)  # (4 + 2) / (2 + 2)
    0.4054651081081644

    """
    if variance <= 0:
        return 0.0
    strength = 1.0 / variance
    return float(np.log((target.sum() + strength) / (expected.sum() + strength)))
