"""From an encoded matrix to the design of a linear model: scaled numbers and indicators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from product_affinity.models.encoding import FloatMatrix, IntVector
from product_affinity.models.logistic import Matrix, Vector

#: standard deviations beyond which a number counts as its bound, so that no outlier steers a score
CLIP = 4.0
#: a numeric column more skewed than this enters on a logarithmic scale
SKEWED = 2.0
#: a number with at most so many whole values is a code, whose values get indicators of their own ...
MAX_CODES = 50
#: ... where that many rows have them
MIN_CODE_WEIGHT = 50.0
#: rows that a level needs for an indicator in a column of more levels than that: hundreds of rarer ones would cost
#: minutes and tell nothing
MIN_LEVEL_ROWS = 10


@dataclass(frozen=True)
class LinearTerms:
    """Standardised numbers, missing indicators and level indicators of an encoded matrix.

    Parameters
    ----------
    numbers : tuple of int
        Matrix columns that are numbers, not constant in training.
    means, scales, logs : tuple of float
        Per number: mean, standard deviation, and scale of the logarithm (0 for none).
    missing : tuple of int
        Numeric matrix columns that get an indicator for missing values.
    levels : tuple of (int, int)
        (matrix column, code) of each level indicator.

    """

    numbers: tuple[int, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    logs: tuple[float, ...]
    missing: tuple[int, ...]
    levels: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Number of design columns."""
        return len(self.numbers) + len(self.missing) + len(self.levels)

    @property
    def sources(self) -> IntVector:
        """Matrix column each design column comes from."""
        at = [*self.numbers, *self.missing, *(column for column, _ in self.levels)]
        return np.array(at, dtype=np.int64)

    def design(self, matrix: FloatMatrix) -> Matrix:
        """Design matrix of the given rows, float64, without intercept."""
        count = len(self.numbers)
        out = np.empty((len(matrix), self.size))
        numbers = out[:, :count]
        numbers[:] = np.take(matrix, self.numbers, axis=1)
        for at, scale in enumerate(self.logs):
            if scale > 0:
                numbers[:, at] = np.arcsinh(numbers[:, at] / scale)
        numbers -= np.array(self.means)
        numbers /= np.array(self.scales)
        np.clip(numbers, -CLIP, CLIP, out=numbers)
        np.copyto(numbers, 0.0, where=np.isnan(numbers))
        out[:, count : count + len(self.missing)] = np.isnan(np.take(matrix, self.missing, axis=1))
        for at, (column, code) in enumerate(self.levels, start=count + len(self.missing)):
            out[:, at] = matrix[:, column] == code
        return out


def fit_terms(
    matrix: FloatMatrix, weight: Vector, level_columns: Sequence[int], constrained: Collection[int] = ()
) -> LinearTerms:
    """Learn scales, indicators and levels from the training rows.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Encoded rows.
    weight : ndarray of shape (n,)
        Row weights ≥ 0; rows of weight 0 do not count.
    level_columns : sequence of int
        Matrix columns that hold codes.
    constrained : collection of int
        Columns with a declared direction; other numbers of few whole values also get indicators.

    """
    used = weight > 0
    rows, weight = matrix[used], weight[used]
    levelled = set(level_columns)
    scaled = {
        at: moments
        for at in range(rows.shape[1])
        if at not in levelled and (moments := _moments(rows[:, at].astype(np.float64), weight))
    }
    missing = [at for at in range(rows.shape[1]) if at not in levelled and _varies(np.isnan(rows[:, at]))]
    levels = [(at, code) for at in level_columns for code in _common_levels(rows[:, at])]
    for at in scaled:
        if at not in constrained:
            levels += [(at, code) for code in _codes(rows[:, at], weight)]
    return LinearTerms(
        numbers=tuple(scaled),
        means=tuple(moments[0] for moments in scaled.values()),
        scales=tuple(moments[1] for moments in scaled.values()),
        logs=tuple(moments[2] for moments in scaled.values()),
        missing=tuple(missing),
        levels=tuple(levels),
    )


def _common_levels(values: FloatMatrix) -> list[int]:
    codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
    least = MIN_LEVEL_ROWS if len(codes) > MAX_CODES else 1
    return [int(code) for code in codes[counts >= least]]


def _moments(values: Vector, weight: Vector) -> tuple[float, float, float] | None:
    known = ~np.isnan(values)
    if not known.any():
        return None
    values, weight = values[known], weight[known]
    mean, scale, skewness = _shape(values, weight)
    if not scale > 1e-9 * max(abs(mean), 1e-300):
        return None
    if abs(skewness) <= SKEWED:
        return mean, scale, 0.0
    log_scale = float(np.average(np.abs(values), weights=weight))
    mean, scale, _ = _shape(np.arcsinh(values / log_scale), weight)
    return mean, scale, log_scale


def _shape(values: Vector, weight: Vector) -> tuple[float, float, float]:
    mean = float(np.average(values, weights=weight))
    centred = values - mean
    scale = float(np.sqrt(np.average(centred**2, weights=weight)))
    skewness = float(np.average((centred / scale) ** 3, weights=weight)) if scale > 0 else 0.0
    return mean, scale, skewness


def _codes(values: FloatMatrix, weight: Vector) -> list[int]:
    """Whole values of a coded column that are frequent enough for an indicator."""
    known = ~np.isnan(values)
    found, code_of = np.unique(values[known], return_inverse=True)
    if not 3 <= len(found) <= MAX_CODES or not np.all(found == np.floor(found)):
        return []
    frequent = np.bincount(code_of, weights=weight[known]) >= MIN_CODE_WEIGHT
    return [int(value) for value in found[frequent]]


def _varies(flags: npt.NDArray[np.bool_]) -> bool:
    return bool(flags.any() and not flags.all())
