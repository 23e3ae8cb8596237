"""The linear candidate: ridge logistic regression with product deviations and declared directions.

Pooled coefficients are fitted first; each product with enough events then gets deviations from
them, shrunk as strongly as the data ask for. All penalties come from the evidence, which needs
no folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from product_affinity.models.calibration import product_values
from product_affinity.models.encoding import FloatMatrix, IntVector
from product_affinity.models.linear_terms import LinearTerms
from product_affinity.models.logistic import TOLERANCE, LogisticFit, Matrix, Prior, Vector, fit_logistic
from product_affinity.models.product_prior import ProductPrior
from product_affinity.models.rows import base_log_odds

#: prior precision of the pooled intercept: practically free
INTERCEPT_PRECISION = 1e-3
#: rows scored at once: their design stays in the fast cache
SCORED_ROWS = 2048
#: the grid on which the pooled penalty is searched, from nearly free to nearly nothing
PENALTIES = tuple(float(value) for value in 3.0 ** np.arange(-1, 10))
FIRST_PENALTY = 27.0
FIRST_DEVIATION_PENALTY = 81.0
DEVIATION_ROUNDS = 5
#: tolerance of fits that only choose a penalty: the last one of all is exact
ROUGH = 1e-2
#: rounds in which pooled coefficients get precisions of their own
POOLED_ROUNDS = 4
#: how many coefficients' worth the common variance counts for each column's: deviations, pooled coefficients
SHARED_DEVIATIONS = 2.0
SHARED_POOLED = 3.0
#: a design with so many times more columns than filled ones a row is kept sparse
SPARSE_FROM = 20.0
#: least relevance of a column
RELEVANCE_FLOOR = 0.3


@dataclass(frozen=True)
class RidgeModel:
    """Coefficients on :class:`LinearTerms`, pooled and per product.

    Parameters
    ----------
    terms : LinearTerms
        How rows become a design.
    pooled : ndarray of shape (1 + size,)
        Intercept first; log-odds per standard deviation.
    prior : ProductPrior
        What is known of products without coefficients of their own, beside the pooled ones.
    products : mapping of product code to ndarray of shape (1 + size,)
        Complete coefficients of products that deviate.
    levels : tuple of float
        By product code, log-odds that a product without coefficients of its own has beyond the prior's; empty where
        an offset says the levels, or every product deviates.

    """

    terms: LinearTerms
    pooled: Vector
    prior: ProductPrior
    products: Mapping[int, Vector] = field(default_factory=dict)
    levels: tuple[float, ...] = ()

    def log_odds(self, matrix: FloatMatrix, codes: IntVector) -> Vector:
        """Log-odds of each row, without the offset."""
        out = np.empty(len(matrix))
        for start in range(0, len(matrix), SCORED_ROWS):
            rows = slice(start, start + SCORED_ROWS)
            design = self.terms.design(matrix[rows])
            block = codes[rows]
            for code in np.unique(block):
                at = np.flatnonzero(block == code)
                beta = self.products.get(int(code))
                if beta is None:
                    alike = self.prior.log_odds(design[at], _linear(design[at], self.pooled))
                    out[start + at] = alike + product_values(self.levels, block[at])
                else:
                    out[start + at] = _linear(design[at], beta)
        return out

    def contributions(self, matrix: FloatMatrix, codes: IntVector) -> tuple[Matrix, Vector]:
        """Additive parts per matrix column, and the intercept of each row."""
        design = self.terms.design(matrix)
        beta = np.array([self.products.get(int(code), self.pooled) for code in codes])
        terms, constant = design * beta[:, 1:], beta[:, 0].copy()
        new = np.flatnonzero([int(code) not in self.products for code in codes])
        terms[new] += self.prior.contributions(design[new], _linear(design[new], self.pooled))
        constant[new] += self.prior.level + product_values(self.levels, codes[new])
        parts = np.zeros(matrix.shape)
        np.add.at(parts.T, self.terms.sources, terms.T)
        return parts, constant


@dataclass(frozen=True)
class RidgeData:
    """What the ridge is fitted on: encoded rows with target, weight, offset and product code.

    The prior shift is the part of all offsets that only the sampling of negatives has put there.
    """

    matrix: FloatMatrix
    target: Vector
    weight: Vector
    offset: Vector
    codes: IntVector
    prior_shift: float = 0.0


@dataclass(frozen=True)
class Penalties:
    """Prior precisions of a ridge.

    Parameters
    ----------
    pooled : ndarray of shape (size,)
        Of each pooled coefficient.
    deviations : ndarray of shape (size,)
        Of a product's deviation from each pooled coefficient; the same for all products, so that
        a column that tells products apart is learnt to do so from all of them.

    """

    pooled: Vector
    deviations: Vector


def fit_ridge(
    data: RidgeData,
    terms: LinearTerms,
    directions: Mapping[int, int],
    deviating: Sequence[int] = (),
) -> tuple[RidgeModel, Penalties]:
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

    """
    fit = _RidgeFit(data, terms, directions, deviating)
    precision, beta = fit.pooled()
    if not deviating:
        agreed = ProductPrior(np.zeros(terms.size))
        return RidgeModel(terms, beta, agreed), Penalties(precision, np.full(terms.size, PENALTIES[-1]))
    deviations = fit.deviation_penalties(beta)
    fits = fit.products(beta, deviations)
    betas = {code: found.coefficients for code, found in fits.items()}
    return RidgeModel(terms, beta, fit.prior(beta, deviations), betas), Penalties(precision, deviations)


def column_relevance(ridge: RidgeModel, penalties: Penalties, column_count: int) -> Vector:
    """How much each matrix column matters to products, as the ridge sees it.

    The expected square of a product's coefficient (pooled squared plus deviation variance) relative
    to the mean of all columns, at most 1. The floor leaves room for effects without a slope.

    Returns
    -------
    ndarray of shape (column_count,)
        In [RELEVANCE_FLOOR, 1].

    """
    squares = np.zeros(column_count)
    np.maximum.at(squares, ridge.terms.sources, ridge.pooled[1:] ** 2 + 1.0 / penalties.deviations)
    mean = float(squares.mean())
    return np.clip(squares / mean, RELEVANCE_FLOOR, 1.0) if mean > 0 else np.ones(column_count)


class _RidgeFit:
    """Design and bounds, shared by the fits for different penalties."""

    def __init__(
        self, data: RidgeData, terms: LinearTerms, directions: Mapping[int, int], deviating: Sequence[int]
    ) -> None:
        self.data = data
        self.size = terms.size
        design = np.column_stack([np.ones(len(data.target)), terms.design(data.matrix)])
        # indicators of hundreds of levels are zeros with one exception a row
        filled = np.count_nonzero(design) / len(design)
        self.design = csr_array(design) if SPARSE_FROM * filled < design.shape[1] else design
        self.lower, self.upper = _bounds(terms, directions)
        self.rows = {code: np.flatnonzero(data.codes == code) for code in deviating}

    def pooled(self) -> tuple[Vector, Vector]:
        """Precision of each pooled coefficient, learnt from the evidence, and the coefficients."""
        return self._relevant(*self._best_common())

    def _best_common(self) -> tuple[float, LogisticFit]:
        """The one penalty for all columns that has the highest evidence, and its fit."""
        at = PENALTIES.index(FIRST_PENALTY)
        fits = {at: self._pooled_at(PENALTIES[at], None)}
        for direction in (1, -1):
            best = max(fits, key=lambda index: fits[index].log_evidence)
            while 0 <= best + direction < len(PENALTIES) and best + direction not in fits:
                fits[best + direction] = self._pooled_at(PENALTIES[best + direction], fits[best].coefficients)
                if fits[best + direction].log_evidence <= fits[best].log_evidence:
                    break
                best += direction
        best = max(fits, key=lambda index: fits[index].log_evidence)
        return PENALTIES[best], fits[best]

    def _relevant(self, penalty: float, fit: LogisticFit) -> tuple[Vector, Vector]:
        """A precision for each pooled coefficient (automatic relevance determination), from a common one."""
        precision = np.full(self.size, penalty)
        for _ in range(POOLED_ROUNDS):
            squares = fit.coefficients[1:] ** 2
            precision = learnt_precision(squares, _determined(fit, precision), SHARED_POOLED)
            fit = self._pooled_at(precision, fit.coefficients)
        return precision, self._pooled_at(precision, fit.coefficients, TOLERANCE).coefficients

    def _pooled_at(self, penalty: float | Vector, start: Vector | None, tolerance: float = ROUGH) -> LogisticFit:
        precision = np.append(INTERCEPT_PRECISION, np.broadcast_to(penalty, self.size))
        prior = Prior(precision, np.zeros(1 + self.size), self.lower, self.upper)
        data = self.data
        return fit_logistic(self.design, data.target, data.weight, data.offset, prior, start, tolerance)

    def products(
        self,
        beta: Vector,
        deviations: Vector,
        start: Mapping[int, LogisticFit] | None = None,
        tolerance: float = TOLERANCE,
    ) -> dict[int, LogisticFit]:
        """Complete coefficients of each deviating product, shrunk towards the pooled ones."""
        prior = Prior(np.append(1.0, deviations), beta, self.lower, self.upper)
        fits = {}
        for code, at in self.rows.items():
            first = start[code].coefficients if start else None
            data = self.data
            parts = (self.design[at], data.target[at], data.weight[at], data.offset[at])
            fits[code] = fit_logistic(*parts, prior, first, tolerance)
        return fits

    def prior(self, beta: Vector, deviations: Vector) -> ProductPrior:
        """How products scatter around the pooled coefficients; alike where a direction is declared."""
        data = self.data
        free = np.isinf(self.lower[1:]) & np.isinf(self.upper[1:])
        centre = float(np.average(data.offset, weights=data.weight)) - data.prior_shift
        prior = ProductPrior(np.where(free, 1.0 / deviations, 0.0), centre)
        terms = self.design[:, 1:]
        dense = terms.toarray() if isinstance(terms, csr_array) else terms
        scored = data.offset + prior.log_odds(dense, self.design @ beta)
        return replace(prior, level=base_log_odds(data.target, data.weight, scored))

    def deviation_penalties(self, beta: Vector) -> Vector:
        """Precision of each coefficient's deviations, learnt from all products together."""
        precision = np.full(self.size, FIRST_DEVIATION_PENALTY)
        fits: dict[int, LogisticFit] | None = None
        for _ in range(DEVIATION_ROUNDS):
            fits = self.products(beta, precision, fits, ROUGH)
            squares = np.zeros(self.size)
            determined = np.zeros(self.size)
            for fit in fits.values():
                squares += (fit.coefficients - beta)[1:] ** 2
                determined += _determined(fit, precision)
            precision = learnt_precision(squares, determined, SHARED_DEVIATIONS)
        return precision


def learnt_precision(squares: Vector, determined: Vector, shared: float) -> Vector:
    r"""Precision of each column's coefficients, one step of MacKay's (1992) fixed point.

    :math:`\tau_j^2 = (\sum\delta_j^2 + a\bar\tau^2) / (\sum\gamma_j + a)`, with :math:`\bar\tau^2` the same over
    all columns: a column of which the data say little takes the common variance.

    Parameters
    ----------
    squares : ndarray of shape (size,)
        Per column, sum of its squared coefficients.
    determined : ndarray of shape (size,)
        Per column, how many of its coefficients the data determine, γ.
    shared : float
        a, how many coefficients' worth the common variance counts, > 0.

    Examples
    --------
    >>> learnt_precision(np.array([0.5, 0.0]), np.array([1.0, 0.0]), shared=1.0)  # (.5 + .5) / 2 and .5 / 1
    array([2., 2.])

    """
    common = squares.sum() / max(determined.sum(), 1e-9)
    variance = (squares + shared * common) / (determined + shared)
    return np.asarray(np.clip(1.0 / np.maximum(variance, 1e-9), PENALTIES[0], PENALTIES[-1]), dtype=np.float64)


def _determined(fit: LogisticFit, precision: Vector) -> Vector:
    """Share of each coefficient that the data determine, without the intercept: 1 - posterior ÷ prior variance."""
    return np.asarray(np.clip(1.0 - fit.variances()[1:] * precision, 0.0, 1.0), dtype=np.float64)


def _linear(design: Matrix, beta: Vector) -> Vector:
    # not BLAS: its threads cost more than they save here, and round differently
    scores: Vector = np.einsum("ij,j->i", design, beta[1:])
    return scores + float(beta[0])


def _bounds(terms: LinearTerms, directions: Mapping[int, int]) -> tuple[Vector, Vector]:
    lower = np.full(1 + terms.size, -np.inf)
    upper = np.full(1 + terms.size, np.inf)
    for at, column in enumerate(terms.numbers, start=1):
        if directions.get(column, 0) > 0:
            lower[at] = 0.0
        if directions.get(column, 0) < 0:
            upper[at] = 0.0
    return lower, upper
