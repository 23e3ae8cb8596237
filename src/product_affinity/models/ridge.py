"""The linear candidate: ridge logistic regression with product deviations and declared directions.

Pooled coefficients are fitted first; each product with enough events then gets deviations from
them, shrunk as strongly as the data ask for. Both penalties maximise the evidence, which needs
no folds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from product_affinity.models.encoding import BLOCK_ROWS, FloatMatrix, IntVector
from product_affinity.models.logistic import LogisticFit, Matrix, Prior, Vector, fit_logistic

#: standard deviations beyond which a number counts as its bound, so that no outlier steers a score
CLIP = 4.0
#: a numeric column more skewed than this enters on a logarithmic scale
SKEWED = 2.0
#: prior precision of intercepts: practically free
INTERCEPT_PRECISION = 1e-3
#: the grid on which penalties are searched, from nearly free to nearly nothing
PENALTIES = tuple(float(value) for value in 3.0 ** np.arange(-1, 10))


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
        numbers[:] = matrix[:, self.numbers]
        for at, scale in enumerate(self.logs):
            if scale > 0:
                numbers[:, at] = np.arcsinh(numbers[:, at] / scale)
        numbers -= np.array(self.means)
        numbers /= np.array(self.scales)
        np.clip(numbers, -CLIP, CLIP, out=numbers)
        np.nan_to_num(numbers, copy=False, nan=0.0)
        out[:, count : count + len(self.missing)] = np.isnan(matrix[:, self.missing])
        for at, (column, code) in enumerate(self.levels, start=count + len(self.missing)):
            out[:, at] = matrix[:, column] == code
        return out


@dataclass(frozen=True)
class RidgeModel:
    """Coefficients on :class:`LinearTerms`, pooled and per product.

    Parameters
    ----------
    terms : LinearTerms
        How rows become a design.
    pooled : ndarray of shape (1 + size,)
        Intercept first; log-odds per standard deviation.
    products : mapping of product code to ndarray of shape (1 + size,)
        Complete coefficients of products that deviate.
    penalty, deviation_penalty : float
        Prior precisions chosen by the evidence.

    """

    terms: LinearTerms
    pooled: Vector
    products: Mapping[int, Vector] = field(default_factory=dict)
    penalty: float = 1.0
    deviation_penalty: float = 1.0

    def log_odds(self, matrix: FloatMatrix, codes: IntVector) -> Vector:
        """Log-odds of each row, without the offset."""
        out = np.empty(len(matrix))
        for start in range(0, len(matrix), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            design = self.terms.design(matrix[rows])
            out[rows] = self.pooled[0] + design @ self.pooled[1:]
            block = codes[rows]
            for code in np.unique(block):
                beta = self.products.get(int(code))
                if beta is not None:
                    at = np.flatnonzero(block == code)
                    out[start + at] = beta[0] + design[at] @ beta[1:]
        return out

    def contributions(self, matrix: FloatMatrix, codes: IntVector) -> tuple[Matrix, Vector]:
        """Additive parts per matrix column, and the intercept of each row."""
        design = self.terms.design(matrix)
        beta = np.array([self.products.get(int(code), self.pooled) for code in codes])
        parts = np.zeros(matrix.shape)
        np.add.at(parts.T, self.terms.sources, (design * beta[:, 1:]).T)
        return parts, beta[:, 0]


@dataclass(frozen=True)
class RidgeData:
    """What the ridge is fitted on: encoded rows with target, weight, offset and product code."""

    matrix: FloatMatrix
    target: Vector
    weight: Vector
    offset: Vector
    codes: IntVector


def fit_terms(matrix: FloatMatrix, weight: Vector, level_columns: Sequence[int]) -> LinearTerms:
    """Learn scales, indicators and levels from the training rows.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Encoded rows.
    weight : ndarray of shape (n,)
        Row weights ≥ 0; rows of weight 0 do not count.
    level_columns : sequence of int
        Matrix columns that hold codes.

    """
    used = weight > 0
    rows, weight = matrix[used], weight[used]
    levelled = set(level_columns)
    scaled = {
        at: moments
        for at in range(rows.shape[1])
        if at not in levelled and (moments := _moments(rows[:, at].astype(np.float64), weight))
    }
    missing = [
        at for at in range(rows.shape[1]) if at not in levelled and _varies(np.isnan(rows[:, at]))
    ]
    levels = [
        (at, int(code)) for at in level_columns for code in np.unique(rows[:, at]) if not np.isnan(code)
    ]
    return LinearTerms(
        numbers=tuple(scaled),
        means=tuple(moments[0] for moments in scaled.values()),
        scales=tuple(moments[1] for moments in scaled.values()),
        logs=tuple(moments[2] for moments in scaled.values()),
        missing=tuple(missing),
        levels=tuple(levels),
    )


def fit_ridge(
    data: RidgeData,
    terms: LinearTerms,
    directions: Mapping[int, int],
    deviating: Sequence[int] = (),
    penalties: tuple[float, float] | None = None,
) -> RidgeModel:
    """Fit pooled coefficients, then the deviations of the given products.

    Parameters
    ----------
    data : RidgeData
        Training rows.
    terms : LinearTerms
        How rows become a design.
    directions : mapping of matrix column to -1 or 1
        Sign that a number's coefficient must have.
    deviating : sequence of int
        Product codes with events enough for coefficients of their own.
    penalties : tuple of float, optional
        Penalties of pooled coefficients and deviations; by evidence where not given.

    """
    design = _with_intercept(terms.design(data.matrix))
    lower, upper = _bounds(terms, directions)

    def pooled_at(penalty: float, start: Vector | None) -> LogisticFit:
        prior = Prior(_precision(penalty, terms.size), np.zeros(1 + terms.size), lower, upper)
        return fit_logistic(design, data.target, data.weight, data.offset, prior, start)

    penalty, pooled = _most_evident(pooled_at, 27.0) if penalties is None else _fixed(pooled_at, penalties[0])
    beta = pooled.coefficients

    def deviations_at(precision: float) -> dict[int, LogisticFit]:
        prior = Prior(_precision(precision, terms.size, intercept=1.0), beta, lower, upper)
        return {code: _fit_product(design, data, code, prior) for code in deviating}

    if not deviating:
        return RidgeModel(terms, beta, {}, penalty, PENALTIES[-1])
    precision = _deviation_penalty(deviations_at) if penalties is None else penalties[1]
    fits = deviations_at(precision)
    return RidgeModel(terms, beta, {c: f.coefficients for c, f in fits.items()}, penalty, precision)


def _fit_product(design: Matrix, data: RidgeData, code: int, prior: Prior) -> LogisticFit:
    at = np.flatnonzero(data.codes == code)
    return fit_logistic(design[at], data.target[at], data.weight[at], data.offset[at], prior)


def _deviation_penalty(deviations_at: Callable[[float], dict[int, LogisticFit]]) -> float:
    grid = PENALTIES[3::2]
    evidence = [sum(fit.log_evidence for fit in deviations_at(value).values()) for value in grid]
    return grid[int(np.argmax(evidence))]


def _most_evident(
    fit_at: Callable[[float, Vector | None], LogisticFit], first: float
) -> tuple[float, LogisticFit]:
    at = int(np.argmin([abs(np.log(value / first)) for value in PENALTIES]))
    fits = {at: fit_at(PENALTIES[at], None)}
    for direction in (1, -1):
        best = max(fits, key=lambda index: fits[index].log_evidence)
        while 0 <= best + direction < len(PENALTIES) and best + direction not in fits:
            fits[best + direction] = fit_at(PENALTIES[best + direction], fits[best].coefficients)
            if fits[best + direction].log_evidence <= fits[best].log_evidence:
                break
            best += direction
    best = max(fits, key=lambda index: fits[index].log_evidence)
    return PENALTIES[best], fits[best]


def _fixed(
    fit_at: Callable[[float, Vector | None], LogisticFit], penalty: float
) -> tuple[float, LogisticFit]:
    return penalty, fit_at(penalty, None)


def _with_intercept(design: Matrix) -> Matrix:
    return np.column_stack([np.ones(len(design)), design])


def _precision(penalty: float, size: int, intercept: float = INTERCEPT_PRECISION) -> Vector:
    return np.append(intercept, np.full(size, penalty))


def _bounds(terms: LinearTerms, directions: Mapping[int, int]) -> tuple[Vector, Vector]:
    lower = np.full(1 + terms.size, -np.inf)
    upper = np.full(1 + terms.size, np.inf)
    for at, column in enumerate(terms.numbers, start=1):
        if directions.get(column, 0) > 0:
            lower[at] = 0.0
        if directions.get(column, 0) < 0:
            upper[at] = 0.0
    return lower, upper


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


def _varies(flags: npt.NDArray[np.bool_]) -> bool:
    return bool(flags.any() and not flags.all())
