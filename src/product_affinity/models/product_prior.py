"""What is known of a product without coefficients of its own: how those of the others scatter.

Its coefficients are a draw around the pooled ones, so its chance is the mean over that draw, not the chance at the
mean. The two differ where products differ: an account far from the average on a column that draws some products' buyers
and repels others' is more likely to buy than the pooled coefficients say, whichever way the new product turns out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from product_affinity.models.logistic import Matrix, Vector

#: points of the integral: its error stays below .006 in log-odds up to a standard deviation of 4
NODES = 21


@dataclass(frozen=True)
class ProductPrior:
    """Normal prior of a product's coefficients around the pooled ones.

    Parameters
    ----------
    spread : ndarray of shape (size,)
        Variance of each coefficient between products; 0 where products must not differ, or do not.
    centre : float
        Usual offset: the chance is averaged there.
    level : float
        Log-odds that make all training rows, scored like a new product's, adopt as often as they did.

    """

    spread: Vector
    centre: float = 0.0
    level: float = 0.0

    def correction(self, design: Matrix, log_odds: Vector) -> tuple[Vector, Vector]:
        """What averaging over products adds to the pooled log-odds of each row, and the variance it stems from.

        Parameters
        ----------
        design : ndarray of shape (n, size)
            Terms of each row.
        log_odds : ndarray of shape (n,)
            Pooled log-odds without the offset.

        """
        if not self.spread.any():
            return np.zeros(len(design)), np.zeros(len(design))
        # no BLAS here, whose threads round differently
        variance: Vector = np.einsum("ij,ij,j->i", design, design, self.spread)
        usual = log_odds + self.centre
        return averaged_log_odds(usual, variance) - usual, variance

    def log_odds(self, design: Matrix, log_odds: Vector) -> Vector:
        """Log-odds of a new product from the pooled ones, both without the offset."""
        return log_odds + self.correction(design, log_odds)[0] + self.level

    def contributions(self, design: Matrix, log_odds: Vector) -> Matrix:
        """The correction of each row, divided between its terms as they share in the variance."""
        correction, variance = self.correction(design, log_odds)
        per_variance = np.divide(correction, variance, out=np.zeros_like(variance), where=variance > 0)
        return np.asarray(per_variance[:, None] * design**2 * self.spread)


def averaged_log_odds(mean: Vector, variance: Vector) -> Vector:
    r"""Log-odds of the mean chance :math:`E[1 / (1 + e^{-z})]` where the log-odds z are normal.

    By Gauss-Hermite quadrature. For a rare outcome and a small variance it is ``mean + variance / 2``.

    Parameters
    ----------
    mean, variance : ndarray of shape (n,)
        Of the log-odds.

    Examples
    --------
    >>> averaged_log_odds(np.array([-6.0, -6.0, -6.0]), np.array([0.0, 0.5, 9.0])).round(2)
    array([-6.  , -5.75, -3.09])

    """
    nodes, weights = hermegauss(NODES)
    deviation = np.sqrt(variance)
    # in logarithms, so that chances next to 0 and 1 stay apart from them
    adopts, declines = np.full(len(mean), -np.inf), np.full(len(mean), -np.inf)
    for node, log_weight in zip(nodes, np.log(weights / weights.sum()), strict=True):
        z = mean + node * deviation
        adopts = np.logaddexp(adopts, log_weight - np.logaddexp(0.0, -z))
        declines = np.logaddexp(declines, log_weight - np.logaddexp(0.0, z))
    return np.asarray(adopts - declines)
