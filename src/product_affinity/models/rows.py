"""Training rows after encoding, and the sampling of negatives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from product_affinity.models.encoding import FloatMatrix, IntVector
from product_affinity.models.logistic import Prior, Vector, fit_logistic

#: tables of up to so many rows are used whole, and larger ones are not sampled down to fewer ...
SAMPLED_ABOVE_ROWS = 50_000
#: ... nor to fewer negatives per positive than this
NEGATIVES_PER_POSITIVE = 10


@dataclass(frozen=True)
class Rows:
    """Encoded training rows.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Encoded columns.
    target : ndarray of shape (n,)
        1 for an adoption, else 0.
    weight : ndarray of shape (n,)
        Weight of each row in the population, ≥ 0: sample weight, times the inverse sampling rate
        for a sampled negative.
    fit_weight : ndarray of shape (n,)
        Weight of each row in a fit: the sample weight alone.
    prior_shift : float
        What to add to the log-odds of a sampled fit's starting point, so that it learns log-odds
        of the population.
    offset : ndarray of shape (n,)
        Base-rate log-odds of each row, 0 without an offset column.
    codes : ndarray of shape (n,)
        Product code, 0 … products - 1.
    accounts : ndarray of shape (n,) or None
        Account code.
    days : ndarray of shape (n,) or None
        As-of date in days.

    """

    matrix: FloatMatrix
    target: Vector
    weight: Vector
    fit_weight: Vector
    prior_shift: float
    offset: Vector
    codes: IntVector
    accounts: IntVector | None = None
    days: IntVector | None = None

    def by_event(self, gap_days: int) -> Rows:
        """The same rows with weights that count an adoption once, however many as-of dates look at it."""
        if self.accounts is None or self.days is None:
            return self
        overlap = label_overlap(self.target, self.codes, self.accounts, self.days, gap_days)
        return replace(self, weight=self.weight / overlap, fit_weight=self.fit_weight / overlap)

    @property
    def start(self) -> Vector:
        """Log-odds from which a fit on these rows starts: offset and prior shift."""
        return self.offset + self.prior_shift


@dataclass(frozen=True)
class Sample:
    """Which rows a fit uses.

    Parameters
    ----------
    rows : ndarray of int
        Positions, increasing.
    prior_shift : float
        Log of (negative weight of all rows ÷ negative weight of the sample), ≥ 0: sampled log-odds
        exceed those of the population by this much (King & Zeng 2001, eq. 7).

    """

    rows: IntVector
    prior_shift: float


def sample_negatives(target: Vector, weight: Vector, seed: int) -> Sample:
    """Keep all positives, and of many negatives a uniform sample: ten per positive, or 50,000 rows if that is more.

    Parameters
    ----------
    target : ndarray of shape (n,)
        0 or 1.
    weight : ndarray of shape (n,)
        Sample weights; rows of weight 0 are left out.
    seed : int
        Seed of the draw.

    Returns
    -------
    Sample
        The shift uses the weight actually drawn, so the correction is exact whatever the weights.

    Examples
    --------
    >>> sample_negatives(np.array([0.0, 1.0, 0.0]), np.ones(3), seed=0)
    Sample(rows=array([0, 1, 2]), prior_shift=0.0)

    """
    used = np.flatnonzero(weight > 0)
    positives = used[target[used] == 1]
    negatives = used[target[used] == 0]
    wanted = max(NEGATIVES_PER_POSITIVE * len(positives), SAMPLED_ABOVE_ROWS - len(positives))
    if len(negatives) <= wanted:
        return Sample(used, 0.0)
    drawn = np.random.default_rng(seed).choice(negatives, size=wanted, replace=False)
    shift = float(np.log(weight[negatives].sum() / weight[drawn].sum()))
    return Sample(np.sort(np.concatenate([positives, drawn])), shift)


def population_weight(target: Vector, weight: Vector, prior_shift: float) -> Vector:
    """Weights under which a sample stands for the population.

    Examples
    --------
    >>> population_weight(np.array([1.0, 0.0]), np.array([1.0, 2.0]), float(np.log(5)))
    array([ 1., 10.])

    """
    return np.asarray(weight * np.where(target == 1, 1.0, np.exp(prior_shift)), dtype=np.float64)


def label_overlap(target: Vector, codes: IntVector, accounts: IntVector, days: IntVector, gap_days: int) -> float:
    """How many positive rows tell of the same adoption, on average, ≥ 1.

    With a horizon longer than the time between as-of dates an adoption is the label of several rows. Counted as
    separate events they would make every penalty and weight that is learnt too sure of itself.

    Parameters
    ----------
    target : ndarray of shape (n,)
        0 or 1.
    codes, accounts, days : ndarray of shape (n,)
        Product, account and as-of day.
    gap_days : int
        Positives of a pair fewer days apart than this tell of the same adoption.

    Examples
    --------
    >>> zeros = np.zeros(4, dtype=int)
    >>> label_overlap(np.array([1.0, 1.0, 1.0, 0.0]), zeros, np.array([0, 0, 1, 1]), np.array([0, 30, 30, 60]), 97)
    1.5

    """
    positive = np.flatnonzero(target == 1)
    order = positive[np.lexsort((days[positive], codes[positive], accounts[positive]))]
    same_pair = (np.diff(accounts[order]) == 0) & (np.diff(codes[order]) == 0)
    repeated = int((same_pair & (np.diff(days[order]) < gap_days)).sum())
    return len(order) / (len(order) - repeated) if len(order) else 1.0


def base_log_odds(target: Vector, weight: Vector, offset: Vector) -> float:
    """Intercept that makes expected adoptions equal the observed ones, given the offset."""
    observed = float(weight @ target)
    # exact without an offset, and close with one
    start = np.log(observed / (weight.sum() - observed)) - weight @ offset / weight.sum()
    prior = Prior.free(np.array([1e-6]))
    design = np.ones((len(target), 1))
    return float(fit_logistic(design, target, weight, offset, prior, np.array([start])).coefficients[0])


def event_count(target: Vector) -> int:
    """Positives, or negatives where these are fewer: without both there is nothing to learn or to test.

    Examples
    --------
    >>> event_count(np.array([1.0, 1.0, 0.0]))
    1

    """
    positives = int(target.sum())
    return min(positives, len(target) - positives)


def positive_counts(codes: npt.NDArray[np.int64], target: Vector, size: int) -> IntVector:
    """Number of positives of each product code."""
    return np.bincount(codes[target == 1], minlength=size).astype(np.int64)
