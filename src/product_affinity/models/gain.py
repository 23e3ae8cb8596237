"""The gain curve: what the first rows of a ranking capture. Every rank metric is read from it.

Rows of equal score form one step that is crossed in a straight line, so ties count in proportion and the
order of the rows cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GainCurve:
    """Cumulative weight and gain by descending score, for one or more weightings of the same rows.

    Attributes
    ----------
    depth : ndarray of shape (steps + 1, weightings)
        Weight of the rows down to each distinct score, from 0 to the total weight.
    gain : ndarray of shape (steps + 1, weightings)
        Weighted gain (adoptions, or their value) down to each distinct score, from 0 to its total.
    """

    depth: Matrix
    gain: Matrix

    @property
    def rows(self) -> Vector:
        """Total weight per weighting."""
        return np.asarray(self.depth[-1])

    @property
    def total(self) -> Vector:
        """Total gain per weighting."""
        return np.asarray(self.gain[-1])

    def gain_at(self, depth: Vector | float) -> Vector:
        """Gain of the first `depth` rows, in proportion within a tie; a depth beyond the end gains all."""
        wanted = np.minimum(np.broadcast_to(depth, self.rows.shape), self.rows)
        step = np.maximum((self.depth < wanted).sum(axis=0), 1)
        index = np.arange(len(step))
        low, high = self.depth[step - 1, index], self.depth[step, index]
        part = np.divide(wanted - low, high - low, out=np.zeros_like(wanted), where=high > low)
        before, after = self.gain[step - 1, index], self.gain[step, index]
        return np.asarray(before + part * (after - before))

    def auc(self) -> Vector:
        """Area under the ROC curve, `gain` being adoptions; NaN where one class has no weight."""
        missed = self.depth - self.gain
        area = (np.diff(missed, axis=0) * (self.gain[1:] + self.gain[:-1]) / 2).sum(axis=0)
        return ratio(area, self.total * missed[-1])

    def average_precision(self) -> Vector:
        """Precision at each distinct score, weighted by the adoptions found there; NaN without adoptions."""
        precision = ratio(self.gain[1:], self.depth[1:], empty=0.0)
        return ratio((precision * np.diff(self.gain, axis=0)).sum(axis=0), self.total)


def gain_curve(gain: Vector, score: Vector, weights: Matrix) -> GainCurve:
    """Rank rows by descending score and accumulate weight and gain.

    Parameters
    ----------
    gain : ndarray of shape (n,)
        1 for an adoption, or its value.
    score : ndarray of shape (n,)
        Finite; higher ranks first.
    weights : ndarray of shape (n, weightings)
        Row weights ≥ 0, for example one column per bootstrap resample.

    >>> curve = gain_curve(np.array([1.0, 0.0, 1.0]), np.array([0.9, 0.5, 0.5]), np.ones((3, 1)))
    >>> curve.gain[:, 0].tolist(), curve.gain_at(2).tolist()
    ([0.0, 1.0, 2.0], [1.5])
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    steps = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1])
    weight = weights[order]
    weighted = weight * gain[order, None]
    if len(steps) < len(order):
        weight, weighted = np.add.reduceat(weight, steps, axis=0), np.add.reduceat(weighted, steps, axis=0)
    return GainCurve(_from_zero(weight), _from_zero(weighted))


def checked_columns(
    y: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> tuple[Vector, Vector, Vector]:
    """Outcome, score and weight as float columns of one length.

    Raises
    ------
    ValueError : lengths differ or are 0, `y` is not 0 or 1, `p` is not finite, or a weight is below 0.
    """
    target, score = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    weight = np.ones(len(target)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if not len(target) or target.shape != score.shape or target.shape != weight.shape or target.ndim != 1:
        shapes = f"{target.shape}, {score.shape}, {weight.shape}"
        raise ValueError(f"y, p and sample_weight must be columns of one length ≥ 1, got shapes {shapes}")
    refuse(~np.isin(target, (0.0, 1.0)), target, "y must be 0 or 1")
    refuse(~np.isfinite(score), score, "p must be finite")
    refuse(~(weight >= 0), weight, "sample_weight must be at least 0")
    return target, score, weight


def refuse(wrong: npt.NDArray[np.bool_], values: Vector, rule: str) -> None:
    """Raise ValueError with the rule, the first wrong value and its row, where any value is wrong."""
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{rule}, got {values[row]} in row {row}")


def ratio(numerator: Vector, denominator: Vector, empty: float = np.nan) -> Vector:
    """Quotient, `empty` where the denominator is 0.

    >>> ratio(np.array([1.0, 1.0]), np.array([4.0, 0.0])).tolist()
    [0.25, nan]
    """
    result = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), empty)
    return np.asarray(np.divide(numerator, denominator, out=result, where=denominator != 0))


def _from_zero(values: Matrix) -> Matrix:
    curve = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=curve[1:])
    return curve
