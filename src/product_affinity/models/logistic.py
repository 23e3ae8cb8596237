"""One numerical method for every linear part: logistic regression with a Gaussian prior and bounds.

Ridge candidate, blend weights, sigmoid calibration and product intercepts are all the same small
convex problem, solved to machine precision by Newton's method on the free coefficients; where every
row belongs to one of many groups with a level each, by `grouped_logistic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.special import expit

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Design = Matrix | csr_array

MAX_ITERATIONS = 60
#: Newton converges quadratically: after a step this small the next would move the twelfth digit
TOLERANCE = 1e-6


@dataclass(frozen=True)
class LogisticFit:
    """Coefficients and how well they explain the data.

    Parameters
    ----------
    coefficients : ndarray of shape (d,)
        Posterior mode.
    log_evidence : float
        Laplace approximation of the log marginal likelihood, up to a constant that does not
        depend on the penalty (MacKay 1992).
    hessian : ndarray of shape (d, d)
        Second derivatives at the mode: the inverse of the posterior covariance.

    """

    coefficients: Vector
    log_evidence: float
    hessian: Matrix

    def variances(self) -> Vector:
        """Posterior variance of each coefficient (Laplace)."""
        return np.asarray(np.diag(np.linalg.inv(self.hessian)), dtype=np.float64)


@dataclass(frozen=True)
class Prior:
    """Gaussian prior with bounds on each coefficient.

    Parameters
    ----------
    precision : ndarray of shape (d,)
        1 ÷ variance, ≥ 0; 0 leaves a coefficient free.
    mean : ndarray of shape (d,)
        Prior mean.
    lower, upper : ndarray of shape (d,)
        Bounds, ±inf for none.

    """

    precision: Vector
    mean: Vector
    lower: Vector
    upper: Vector

    @classmethod
    def free(cls, precision: Vector) -> Prior:
        """Prior around zero without bounds."""
        infinite = np.full(len(precision), np.inf)
        return cls(precision, np.zeros(len(precision)), -infinite, infinite)


def fit_logistic(
    design: Design,
    target: Vector,
    weight: Vector,
    offset: Vector,
    prior: Prior,
    start: Vector | None = None,
    tolerance: float = TOLERANCE,
) -> LogisticFit:
    r"""Minimise :math:`\sum_i w_i \ell(y_i, o_i + x_i\beta) + \frac12\sum_j\lambda_j(\beta_j-\mu_j)^2`.

    Parameters
    ----------
    design : ndarray or csr_array of shape (n, d)
        Finite numbers.
    target : ndarray of shape (n,)
        0 or 1.
    weight : ndarray of shape (n,)
        Row weights ≥ 0.
    offset : ndarray of shape (n,)
        Fixed part of the log-odds.
    prior : Prior
        Penalty and bounds per coefficient.
    start : ndarray of shape (d,), optional
        Where to start; the prior mean by default.
    tolerance : float
        Largest change of a coefficient in the last step, > 0.

    Returns
    -------
    LogisticFit

    """
    problem = _Problem(design, target, weight, offset, prior)
    beta = np.clip(prior.mean if start is None else start, prior.lower, prior.upper)
    value = problem.loss(beta)
    hessian = np.diag(prior.precision)
    for _ in range(MAX_ITERATIONS):
        gradient, hessian = problem.derivatives(beta)
        step = _newton_step(beta, gradient, hessian, prior)
        beta, value, moved = line_search(problem.loss, beta, value, gradient, step, prior.lower, prior.upper)
        if moved < tolerance:
            break
    return LogisticFit(beta, problem.log_evidence(value, hessian), hessian)


@dataclass(frozen=True)
class _Problem:
    design: Design
    target: Vector
    weight: Vector
    offset: Vector
    prior: Prior

    def loss(self, beta: Vector) -> float:
        margin = self.offset + self.design @ beta
        data = self.weight @ (np.logaddexp(0.0, margin) - self.target * margin)
        return float(data + 0.5 * self.prior.precision @ (beta - self.prior.mean) ** 2)

    def derivatives(self, beta: Vector) -> tuple[Vector, Matrix]:
        probability = expit(self.offset + self.design @ beta)
        residual = self.weight * (probability - self.target)
        gradient = self.design.T @ residual + self.prior.precision * (beta - self.prior.mean)
        hessian = weighted_gram(self.design, self.weight * probability * (1.0 - probability))
        # a separable column would leave a free coefficient without curvature
        hessian[np.diag_indices_from(hessian)] += self.prior.precision + 1e-9
        return gradient, hessian

    def log_evidence(self, loss: float, hessian: Matrix) -> float:
        penalised = self.prior.precision > 0
        log_prior = 0.5 * np.log(self.prior.precision[penalised]).sum()
        return float(-loss + log_prior - 0.5 * np.linalg.slogdet(hessian)[1])


def weighted_gram(design: Design, weight: Vector) -> Matrix:
    """``X' diag(w) X``, dense.

    Examples
    --------
    >>> weighted_gram(np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([1.0, 3.0]))
    array([[1., 2.],
           [2., 7.]])

    """
    root = np.sqrt(weight)[:, None]
    if isinstance(design, csr_array):
        sparse = design.multiply(root).tocsr()
        return np.asarray((sparse.T @ sparse).toarray(), dtype=np.float64)
    scaled = design * root
    # a product with its own transpose takes half the operations
    return scaled.T @ scaled


def pinned(beta: Vector, gradient: Vector, prior: Prior) -> npt.NDArray[np.bool_]:
    """Coefficients that lie on a bound and would leave it for less loss."""
    at_lower = (beta <= prior.lower) & (gradient > 0)
    return np.asarray(at_lower | ((beta >= prior.upper) & (gradient < 0)))


def _newton_step(beta: Vector, gradient: Vector, hessian: Matrix, prior: Prior) -> Vector:
    free = ~pinned(beta, gradient, prior)
    step = np.zeros_like(beta)
    if free.any():
        factor = cho_factor(hessian[np.ix_(free, free)], check_finite=False)
        step[free] = -cho_solve(factor, gradient[free], check_finite=False)
    return step


def line_search(
    loss: Callable[[Vector], float],
    beta: Vector,
    value: float,
    gradient: Vector,
    step: Vector,
    lower: Vector,
    upper: Vector,
) -> tuple[Vector, float, float]:
    """Coefficients, loss and largest change after the longest halving of a step that lowers the loss enough.

    Parameters
    ----------
    loss : callable
        Loss at given coefficients.
    beta, value, gradient, step : ndarray, float, ndarray, ndarray
        Present coefficients, their loss and gradient, and the step proposed.
    lower, upper : ndarray
        Bounds; a step is cut off there.

    """
    for shrink in 0.5 ** np.arange(30):
        trial = np.clip(beta + shrink * step, lower, upper)
        change = trial - beta
        trial_value = loss(trial)
        # rounding noise of the loss would otherwise stop the last, exact step
        slack = 1e-12 * max(1.0, abs(value))
        if trial_value <= value + 1e-4 * float(gradient @ change) + slack:
            return trial, trial_value, float(np.abs(change).max(initial=0.0))
    return beta, value, 0.0
