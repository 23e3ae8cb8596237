"""Logistic regression whose intervals know that rows of one account stand or fall together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from product_affinity.models.logistic import Prior, fit_logistic
from product_affinity.reports.intervals import LEVEL, Vector

Matrix = npt.NDArray[np.float64]

#: of the Gaussian prior of every coefficient but the first: a log-odds of 3 is one standard deviation away, which
#: ten adopters outweigh, and no column that separates perfectly runs off to infinity
PRECISION = 1 / 9


@dataclass(frozen=True)
class LogOdds:
    """Coefficients of a fit.

    Attributes
    ----------
    estimate, low, high : per column of the design, log-odds with their 95 % interval.
    """

    estimate: Vector
    low: Vector
    high: Vector


def fit_log_odds(design: Matrix, ones: npt.ArrayLike, clusters: npt.ArrayLike, *, only_up: int = 0) -> LogOdds:
    r"""Fit log-odds by columns, the first of them the intercept, with account-clustered intervals.

    The variance is :math:`H^{-1} (\sum_c g_c g_c^\top) H^{-1}` with the score :math:`g_c` of each cluster (Liang &
    Zeger 1986), and never below :math:`H^{-1}`: a group without a single one has no score to speak of.

    Parameters
    ----------
    design : ndarray of shape (n, d)
        Finite; column 0 is 1.
    ones : array-like of shape (n,)
        0 or 1.
    clusters : array-like of shape (n,)
        Account of each row.
    only_up : int
        The columns 1 to `only_up` may not be negative.

    >>> x = np.array([[1.0, 0.0]] * 200 + [[1.0, 1.0]] * 200)
    >>> y = np.repeat([1, 0, 1, 0], [50, 150, 100, 100])
    >>> fit = fit_log_odds(x, y, np.arange(400))
    >>> round(float(np.exp(fit.estimate[1])), 1), bool(fit.low[1] > 0)
    (3.0, True)
    """
    y = np.asarray(ones, dtype=float)
    precision = np.full(design.shape[1], PRECISION)
    precision[0] = 0.0
    prior = Prior.free(precision)
    prior.lower[1 : only_up + 1] = 0.0
    fit = fit_logistic(design, y, np.ones(len(y)), np.zeros(len(y)), prior)
    score = design * (y - expit(design @ fit.coefficients))[:, None]
    codes, _ = pd.factorize(np.asarray(clusters))
    totals = np.zeros((int(codes.max(initial=-1)) + 1, design.shape[1]))
    np.add.at(totals, codes, score)
    bread = np.linalg.inv(fit.hessian)
    robust = bread @ (totals.T @ totals) @ bread
    reach = float(norm.ppf((1 + LEVEL) / 2)) * np.sqrt(np.maximum(np.diag(robust), np.diag(bread)))
    return LogOdds(fit.coefficients, fit.coefficients - reach, fit.coefficients + reach)


def indicators(values: pd.Series) -> Matrix:
    """One column of 0 and 1 per distinct value but the first; missing is a value of its own.

    >>> indicators(pd.Series(["a", "b", "c", "a"])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    """
    codes, _ = pd.factorize(values.astype("object").where(values.notna(), "\0"), sort=True)
    return np.asarray(codes[:, None] == np.arange(1, int(codes.max(initial=0)) + 1)[None, :], dtype=float)
