"""Calibration: a sigmoid and product intercepts in log-odds, and the present level as a hazard ratio.

Nothing here can change the order of accounts within a product. There is no isotonic step: fitted
per product it ruins the order across products.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from product_affinity.models.encoding import IntVector
from product_affinity.models.grouped_logistic import fit_grouped, fit_levels
from product_affinity.models.logistic import Prior, Vector

#: events below which a slope is not estimated
MIN_EVENTS = 100
#: prior precision of the slope around 1: worth about fifty events
SLOPE_PRECISION = 50.0
#: prior precision of a level that nothing is known of: next to nothing
LEVEL_PRECISION = 1e-3
#: largest prior standard deviation of a product intercept, in log-odds
MAX_INTERCEPT_SD = 2.0
#: events that the belief in an unmoved level is worth
RECENCY_PRIOR_EVENTS = 10.0
#: below this variance between products their intercepts are noise
MIN_INTERCEPT_VARIANCE = 1e-6


@dataclass(frozen=True)
class Sigmoid:
    """``log-odds → centre + shift + slope · (log-odds - centre) + intercept of the product``.

    Parameters
    ----------
    centre, shift, slope : float
        Slope > 0; 1 and shift 0 change nothing.
    intercepts : tuple of float
        By product code; a product beyond it gets none.

    """

    centre: float = 0.0
    shift: float = 0.0
    slope: float = 1.0
    intercepts: tuple[float, ...] = field(default=())

    def apply(self, log_odds: Vector, codes: IntVector) -> Vector:
        """Calibrated log-odds."""
        return self.constant(codes) + self.slope * log_odds

    def constant(self, codes: IntVector) -> Vector:
        """The part that does not depend on the log-odds."""
        moved = self.centre + self.shift - self.slope * self.centre
        return moved + product_values(self.intercepts, codes)


def product_values(values: tuple[float, ...], codes: IntVector) -> Vector:
    """Value of each row's product; 0 for unseen products (code -1).

    Examples
    --------
    >>> product_values((1.0, 2.0), np.array([1, -1]))
    array([2., 0.])

    """
    return np.append(np.array(values, dtype=np.float64), 0.0)[np.where(codes < len(values), codes, -1)]


def fold_drift(log_odds: Vector, target: Vector, weight: Vector, folds: IntVector | None) -> Vector:
    """How far each row's fold and product has moved away from its predictions, in log-odds.

    Parameters
    ----------
    log_odds, target, weight, folds
        As of :func:`fit_sigmoid`.

    Returns
    -------
    ndarray of shape (n,)
        0 where folds don't follow each other in time.

    """
    if folds is None:
        return np.zeros(len(target))
    groups, count = fold_groups(folds, len(target))
    return fit_levels(groups, count, target, weight, log_odds, LEVEL_PRECISION)[groups]


def fit_sigmoid(
    log_odds: Vector,
    drift: Vector,
    target: Vector,
    weight: Vector,
    folds: IntVector | None,
    codes: IntVector,
    products: int,
) -> Sigmoid:
    """Fit the slope on out-of-fold predictions, and product intercepts where time plays no part.

    Parameters
    ----------
    log_odds : ndarray of shape (n,)
        Out-of-fold log-odds.
    drift : ndarray of shape (n,)
        What to add to them for the level of their own fold, as of :func:`fold_drift`: the level learnt is what is
        still missing then. A weighted mean of log-odds expects less than each of them wherever they disagree, so a
        blend's drift is the mean of its candidates' and not what its own predictions lack.
    target, weight : ndarray of shape (n,)
        0 or 1, and weights.
    folds : ndarray of int or None
        Fold and product of each row as one code where folds follow each other in time. What moved
        a product within a fold (a trend, a season, its launch) is a nuisance then: the final fit has
        seen those rows, and the present level is the recency ratio's matter.
    codes : ndarray of int
        Product codes.
    products : int
        Number of products.

    """
    if target.sum() < MIN_EVENTS:
        return Sigmoid()
    groups, count = fold_groups(folds, len(target))
    centre = float(np.average(log_odds, weights=weight * expit(log_odds)))
    around = (log_odds - centre)[:, None]
    prior = Prior.free(np.array([SLOPE_PRECISION]))
    prior.lower[:] = -0.9
    present = log_odds + drift
    fit = fit_grouped(around, groups, count, target, weight, present, LEVEL_PRECISION, prior)
    slope = 1.0 + float(fit.coefficients[0])
    chance = expit(present + fit.levels[groups] + (slope - 1.0) * around[:, 0])
    # by information: a group without an event has a level far away that nothing but the prior holds
    shift = float(np.average(fit.levels[groups], weights=weight * chance * (1.0 - chance)))
    sigmoid = Sigmoid(centre, shift, slope)
    if folds is not None:
        return sigmoid
    level = sigmoid.apply(log_odds, codes)
    return replace(sigmoid, intercepts=product_intercepts(level, target, weight, codes, products))


def fold_groups(folds: IntVector | None, row_count: int) -> tuple[IntVector, int]:
    """Group of each row and number of groups: its fold, or one for all where folds don't follow each other in time.

    Examples
    --------
    >>> fold_groups(np.array([4, 7, 7]), 3)
    (array([0, 1, 1]), 2)

    """
    if folds is None:
        return np.zeros(row_count, dtype=np.int64), 1
    values, group = np.unique(folds, return_inverse=True)
    return group.astype(np.int64), len(values)


def product_intercepts(
    log_odds: Vector, target: Vector, weight: Vector, codes: IntVector, products: int
) -> tuple[float, ...]:
    r"""Empirical-Bayes intercepts per product, relative to the given log-odds.

    Each product's intercept is :math:`a_p \sim N(0, \tau^2)`. With `o` observed and `e` expected
    events, :math:`\log\frac{o+1/2}{e+1/2}` has variance :math:`1/(o+1/2)` beyond :math:`\tau^2`, which
    gives :math:`\tau^2` by the method of moments; the intercepts are the posterior mode. With one
    product there is nothing to compare.

    Returns
    -------
    tuple of float
        By product code; empty for one product.

    """
    if products < 2:
        return ()

    def per_product(values: Vector) -> Vector:
        totals: Vector = np.bincount(codes, weights=values, minlength=products).astype(np.float64)
        return totals

    observed, expected = per_product(weight * target), per_product(weight * expit(log_odds))
    ratio = np.log((observed + 0.5) / (expected + 0.5))
    spread = float(np.average(ratio**2 - 1.0 / (observed + 0.5), weights=expected))
    if spread < MIN_INTERCEPT_VARIANCE:
        return (0.0,) * products
    precision = 1.0 / min(spread, MAX_INTERCEPT_SD**2)
    intercepts = fit_levels(codes, products, target, weight, log_odds, precision)
    return tuple(intercepts.tolist())


def shorter_horizon(log_odds: Vector, share: float) -> Vector:
    r"""Probability of adoption within a share of the horizon under a constant hazard.

    :math:`1 - (1 - p)^{h/H}`.

    Examples
    --------
    >>> shorter_horizon(np.array([0.0]), 1.0)
    array([0.5])
    >>> shorter_horizon(np.array([0.0]), 0.5).round(4)
    array([0.2929])

    """
    return np.asarray(-np.expm1(-share * np.logaddexp(0.0, log_odds)), dtype=np.float64)


def scaled_hazard(log_odds: Vector, log_ratio: Vector) -> Vector:
    r"""Log-odds after the hazard has been multiplied: :math:`p' = 1 - (1 - p)^r`.

    A moved base rate multiplies hazards. Added to log-odds, what doubles a chance of 1 % would raise one of 50 % to
    67 % instead of 75 %, and a total that contains both would be met at the wrong level of each.

    Parameters
    ----------
    log_odds : ndarray of shape (n,)
        Before.
    log_ratio : ndarray of shape (n,)
        log r of each row; 0 changes nothing, to the last bit.

    Examples
    --------
    >>> moved = scaled_hazard(np.array([0.0, -20.0, 3.0]), np.log([2.0, 2.0, 1.0]))
    >>> (1 / (1 + np.exp(-moved[0]))).round(2), (moved[1] + 20 - np.log(2)).round(6), moved[2]
    (np.float64(0.75), np.float64(0.0), np.float64(3.0))

    """
    hazard = np.logaddexp(0.0, log_odds) * np.exp(log_ratio)
    with np.errstate(divide="ignore"):
        moved = hazard + np.log(-np.expm1(-hazard))
    # a hazard this small is its own probability, and would be rounded away
    moved = np.where(log_odds < -30.0, log_odds + log_ratio, moved)
    return np.asarray(np.where(log_ratio == 0.0, log_odds, moved), dtype=np.float64)


def recency_log_ratio(log_odds: Vector, target: Vector, share: float) -> float:
    r"""Log of the hazard ratio that makes expected short-horizon adoptions meet the observed ones.

    Solves :math:`\sum (1-(1-p_i)^{r h/H}) = e\,(\sum y_i + k) / (e + k)` for log r by bisection, with `e` what is
    expected at r = 1 and `k` = ``RECENCY_PRIOR_EVENTS``.
    """
    at_one = float(shorter_horizon(log_odds, share).sum())
    goal = at_one * (float(target.sum()) + RECENCY_PRIOR_EVENTS) / (at_one + RECENCY_PRIOR_EVENTS)
    low, high = -8.0, 8.0
    for _ in range(60):
        middle = (low + high) / 2
        expected = float(shorter_horizon(log_odds, share * float(np.exp(middle))).sum())
        low, high = (middle, high) if expected < goal else (low, middle)
    return (low + high) / 2
