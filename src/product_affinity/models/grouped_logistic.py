"""Logistic regression with one level per group beside a few columns, for as many groups as there are.

As indicator columns, a thousand products in two folds would be a matrix of gigabytes. Groups touch each other
only through the columns, so their levels are eliminated one by one (the Schur complement of a block-diagonal matrix).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from product_affinity.models.encoding import IntVector
from product_affinity.models.logistic import MAX_ITERATIONS, TOLERANCE, Matrix, Prior, Vector, line_search, pinned


@dataclass(frozen=True)
class GroupedFit:
    """Posterior mode.

    Parameters
    ----------
    levels : ndarray of shape (groups,)
        0 for a group without rows.
    coefficients : ndarray of shape (d,)
        Of the columns.

    """

    levels: Vector
    coefficients: Vector


def fit_levels(
    groups: IntVector, count: int, target: Vector, weight: Vector, offset: Vector, precision: float
) -> Vector:
    """Level of each group, given a fixed part of the log-odds; parameters as of :func:`fit_grouped`.

    Returns
    -------
    ndarray of shape (count,)
        In log-odds; 0 for a group without rows.

    Examples
    --------
    >>> groups, target = np.array([0, 0, 0, 1, 1]), np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    >>> fit_levels(groups, 2, target, np.ones(5), np.zeros(5), precision=1e-6).round(3) + 0.0  # log(1/2), log(1/1)
    array([-0.693,  0.   ])

    """
    nothing = Prior.free(np.empty(0))
    return fit_grouped(np.empty((len(groups), 0)), groups, count, target, weight, offset, precision, nothing).levels


def fit_grouped(
    design: Matrix,
    groups: IntVector,
    count: int,
    target: Vector,
    weight: Vector,
    offset: Vector,
    precision: float,
    prior: Prior,
) -> GroupedFit:
    r"""Minimise :math:`\sum_i w_i \ell(y_i, o_i + a_{g_i} + x_i\beta) + \frac{\lambda}{2}\sum_g a_g^2` and β's penalty.

    Parameters
    ----------
    design : ndarray of shape (n, d)
        Finite numbers; d may be 0.
    groups : ndarray of int of shape (n,)
        Group of each row, in 0 … count - 1.
    count : int
        Number of groups.
    target, weight, offset : ndarray of shape (n,)
        0 or 1, weights ≥ 0, fixed part of the log-odds.
    precision : float
        1 ÷ prior variance of a level, > 0.
    prior : Prior
        Penalty and bounds of the columns' coefficients.

    Returns
    -------
    GroupedFit

    """
    problem = _Problem(design, groups, count, target, weight, offset, precision, prior)
    unbounded = np.full(count, np.inf)
    lower, upper = np.append(-unbounded, prior.lower), np.append(unbounded, prior.upper)
    theta = np.append(np.zeros(count), np.clip(prior.mean, prior.lower, prior.upper))
    value = problem.loss(theta)
    for _ in range(MAX_ITERATIONS):
        gradient, step = problem.newton(theta)
        theta, value, moved = line_search(problem.loss, theta, value, gradient, step, lower, upper)
        if moved < TOLERANCE:
            break
    return GroupedFit(theta[:count], theta[count:])


@dataclass(frozen=True)
class _Problem:
    design: Matrix
    groups: IntVector
    count: int
    target: Vector
    weight: Vector
    offset: Vector
    precision: float
    prior: Prior

    def _margin(self, theta: Vector) -> Vector:
        margin: Vector = self.offset + theta[self.groups] + self.design @ theta[self.count :]
        return margin

    def _per_group(self, values: Vector) -> Vector:
        return np.bincount(self.groups, weights=values, minlength=self.count).astype(np.float64)

    def loss(self, theta: Vector) -> float:
        margin = self._margin(theta)
        levels, beta = theta[: self.count], theta[self.count :]
        data = self.weight @ (np.logaddexp(0.0, margin) - self.target * margin)
        penalty = self.precision * (levels @ levels) + self.prior.precision @ (beta - self.prior.mean) ** 2
        return float(data + 0.5 * penalty)

    def newton(self, theta: Vector) -> tuple[Vector, Vector]:
        """Gradient, and Newton step of what no bound holds."""
        levels, beta = theta[: self.count], theta[self.count :]
        probability = expit(self._margin(theta))
        residual = self.weight * (probability - self.target)
        curvature = self.weight * probability * (1.0 - probability)
        of_levels = self._per_group(residual) + self.precision * levels
        of_columns = self.design.T @ residual + self.prior.precision * (beta - self.prior.mean)
        own = self._per_group(curvature) + self.precision
        scaled = self.design * curvature[:, None]
        mixed = np.array([self._per_group(column) for column in scaled.T]).reshape(len(beta), self.count)
        hessian = self.design.T @ scaled + np.diag(self.prior.precision + 1e-9)
        free = ~pinned(beta, of_columns, self.prior)
        move = np.zeros_like(beta)
        schur = hessian - (mixed / own) @ mixed.T
        goal = of_columns - (mixed / own) @ of_levels
        move[free] = -np.linalg.solve(schur[np.ix_(free, free)], goal[free])
        return np.append(of_levels, of_columns), np.append(-(of_levels + move @ mixed) / own, move)
