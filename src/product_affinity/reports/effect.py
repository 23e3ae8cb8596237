r"""Did the lists cause anything? The difference between accounts proposed and accounts held back by a draw.

A *unit* is an account in one epoch, with the arm it was drawn for, whatever was then done with it (intention to
treat). Units are grouped into strata of equal probability of treatment. In stratum s with :math:`n_s` units

.. math:: \hat\tau_s = \bar y_{s1} - \bar y_{s0}, \qquad
          \hat V_s = s_{s1}^2 / n_{s1} + s_{s0}^2 / n_{s0}, \qquad
          \hat\tau = \sum_s \tfrac{n_s}{n} \hat\tau_s, \quad \hat V = \sum_s (\tfrac{n_s}{n})^2 \hat V_s

(Neyman 1923; within a stratum the mean of an arm is its inverse-probability weighted mean, as the weights are equal).
The variance is never too small on average, whatever the effects of single accounts are. With covariates known before
the draw, y is first replaced by :math:`y - (x - \bar x)\theta`, with θ from least squares in each arm, combined with
the *other* arm's share, which cannot widen the interval in large samples (Lin 2013; CUPED, Deng et al. 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, norm, t

LEVEL = 0.95
#: below these a normal interval of rare adoptions is not worth its name
MIN_UNITS, MIN_ADOPTIONS = 30, 5
#: the chance of so uneven arms, were the draw as logged, below which something is wrong with the log or the draw
SAMPLE_RATIO_ALPHA = 0.001
IMBALANCE = 0.1

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """A difference between arms.

    Attributes
    ----------
    treated, held_back : units in each arm.
    treated_mean, held_back_mean : means of the outcome, weighted over the strata, not adjusted.
    difference : effect of being proposed on a unit, in the outcome's unit; adjusted where covariates were given.
    standard_error : of the difference.
    low, high : 95 % interval.
    """

    treated: int
    held_back: int
    treated_mean: float
    held_back_mean: float
    difference: float
    standard_error: float
    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def estimate_effect(
    outcome: npt.ArrayLike,
    treated: npt.ArrayLike,
    probability: npt.ArrayLike,
    covariates: npt.ArrayLike | None = None,
) -> Estimate:
    """Estimate the effect of being proposed from units whose arm was drawn (formulas: module).

    Parameters
    ----------
    outcome : array-like of shape (n,)
        What came of each unit within its closed horizon; finite.
    treated : array-like of shape (n,)
        Whether the unit was drawn to be proposed.
    probability : array-like of shape (n,)
        Chance it had of being drawn so, in (0, 1).
    covariates : array-like of shape (n, d), optional
        Numbers known before the draw, propensity above all; a missing one counts as the mean of the others.

    Raises
    ------
    ValueError : a probability is not in (0, 1), or a stratum lacks two units in an arm.

    >>> found = estimate_effect([1, 1, 0, 1, 0, 0, 1, 0], [True] * 4 + [False] * 4, [0.5] * 8)
    >>> found.difference, found.treated_mean, found.held_back_mean
    (0.5, 0.75, 0.25)
    """
    y, arm = np.asarray(outcome, dtype=float), np.asarray(treated, dtype=bool)
    chance = np.asarray(probability, dtype=float)
    if not ((chance > 0) & (chance < 1)).all():
        raise ValueError(f"probability must lie strictly between 0 and 1, got {chance.min():g} to {chance.max():g}")
    strata = strata_of(chance)
    for stratum in np.unique(strata):
        counts = [int((arm[strata == stratum] == side).sum()) for side in (True, False)]
        if min(counts) < 2:
            raise ValueError(f"probability {stratum:g}: {counts[0]} treated and {counts[1]} held back, 2 each needed")
    adjusted, used = (y, 0) if covariates is None else _adjusted(y, arm, np.asarray(covariates, dtype=float))
    plain, final = _stratified(y, arm, strata, 0), _stratified(adjusted, arm, strata, used)
    reach = float(t.ppf((1 + LEVEL) / 2, final.freedom)) * final.error
    return Estimate(
        treated=int(arm.sum()),
        held_back=int((~arm).sum()),
        treated_mean=plain.means[0],
        held_back_mean=plain.means[1],
        difference=final.difference,
        standard_error=final.error,
        low=final.difference - reach,
        high=final.difference + reach,
    )


def strata_of(probability: npt.ArrayLike) -> Vector:
    """Return the stratum of each unit: its probability, rounded so that 0.1 + 0.2 is 0.3."""
    return np.round(np.asarray(probability, dtype=float), 6)


@dataclass(frozen=True)
class _Difference:
    means: tuple[float, float]
    error: float
    freedom: float

    @property
    def difference(self) -> float:
        return self.means[0] - self.means[1]


def _stratified(y: Vector, arm: Mask, strata: Vector, fitted: int) -> _Difference:
    """Difference over strata; `fitted` coefficients cost each arm its share of degrees of freedom."""
    means, variance, freedom = np.zeros(2), 0.0, 0.0
    for stratum in np.unique(strata):
        inside = strata == stratum
        weight = float(inside.mean())
        for side, chosen in enumerate((inside & arm, inside & ~arm)):
            part, count = y[chosen], int(chosen.sum())
            spare = max(count - 1 - fitted * count / len(y), 1.0)
            own = float(((part - part.mean()) ** 2).sum()) / spare / count * weight**2
            means[side] += weight * float(part.mean())
            variance += own
            freedom += own**2 / spare
    # Welch–Satterthwaite: a small held-back arm makes the tails heavier than normal
    return _Difference(
        (float(means[0]), float(means[1])),
        float(np.sqrt(variance)),
        variance**2 / freedom if freedom > 0 else float(len(y)),
    )


def _adjusted(y: Vector, arm: Mask, covariates: Vector) -> tuple[Vector, int]:
    x = covariates.reshape(len(y), -1)
    x = np.where(np.isnan(x), np.nanmean(np.where(np.isnan(x).all(axis=0), 0.0, x), axis=0), x)
    x = x - x.mean(axis=0)
    x = x[:, x.std(axis=0) > 0]
    slopes = [_slopes(x[side], y[side]) for side in (arm, ~arm)]
    share = float(arm.mean())
    theta = (1 - share) * slopes[0] + share * slopes[1]
    return y - x @ theta, x.shape[1]


def _slopes(x: Vector, y: Vector) -> Vector:
    centred = x - x.mean(axis=0)
    return np.asarray(np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0], dtype=float)


def neyman_width(outcome: npt.ArrayLike, treated: npt.ArrayLike) -> float:
    """Width of Neyman's interval of the plain difference in means: the yardstick for anything cleverer.

    >>> round(neyman_width([1, 1, 0, 1, 0, 0, 1, 0], [True] * 4 + [False] * 4), 3)
    1.386
    """
    y, arm = np.asarray(outcome, dtype=float), np.asarray(treated, dtype=bool)
    variance = sum(float(y[side].var(ddof=1)) / int(side.sum()) for side in (arm, ~arm))
    return float(2 * norm.ppf((1 + LEVEL) / 2) * np.sqrt(variance))


@dataclass(frozen=True)
class SampleRatio:
    """Whether as many units were treated as the logged probabilities say.

    Attributes
    ----------
    treated, expected : units treated, and the sum of their probabilities.
    p_value : chance of a gap at least as wide (chi-square with one degree of freedom).
    """

    treated: int
    expected: float
    p_value: float

    @property
    def is_suspect(self) -> bool:
        """Whether the draw was not as logged, so that no effect may be read from it."""
        return self.p_value < SAMPLE_RATIO_ALPHA


def check_sample_ratio(treated: npt.ArrayLike, probability: npt.ArrayLike) -> SampleRatio:
    r"""Compare the number treated with its expectation: :math:`\chi^2 = (n_1 - \sum p)^2 / \sum p (1 - p)`.

    Parameters
    ----------
    treated, probability : per unit, as in `estimate_effect`.

    >>> found = check_sample_ratio([True] * 60 + [False] * 40, [0.5] * 100)
    >>> found.expected, round(found.p_value, 4), found.is_suspect
    (50.0, 0.0455, False)
    """
    arm, chance = np.asarray(treated, dtype=bool), np.asarray(probability, dtype=float)
    expected, variance = float(chance.sum()), float((chance * (1 - chance)).sum())
    statistic = (int(arm.sum()) - expected) ** 2 / variance if variance > 0 else 0.0
    return SampleRatio(int(arm.sum()), expected, float(chi2.sf(statistic, 1)))


@dataclass(frozen=True)
class Balance:
    """One covariate in both arms.

    Attributes
    ----------
    covariate : name.
    treated_mean, held_back_mean : over the units where it is known.
    standardised : difference in standard deviations of all units.
    p_value : of that difference, were arms drawn at random.
    """

    covariate: str
    treated_mean: float
    held_back_mean: float
    standardised: float
    p_value: float

    @property
    def is_suspect(self) -> bool:
        """Whether the arms differ by more than a draw explains *and* enough to matter."""
        return abs(self.standardised) > IMBALANCE and self.p_value < SAMPLE_RATIO_ALPHA


def check_balance(name: str, values: npt.ArrayLike, treated: npt.ArrayLike, probability: npt.ArrayLike) -> Balance:
    """Compare a covariate between the arms, each unit weighted by 1 ÷ the probability of its arm.

    Parameters
    ----------
    name : of the covariate.
    values : known before the draw, missing allowed.
    treated, probability : per unit, as in `estimate_effect`.

    >>> found = check_balance("seats", [1.0, 3.0, 1.0, 3.0], [True, True, False, False], [0.5] * 4)
    >>> found.treated_mean, found.standardised, found.is_suspect
    (2.0, 0.0, False)
    """
    x, arm, chance = (np.asarray(part, dtype=float) for part in (values, treated, probability))
    known = ~np.isnan(x)
    x, side, chance = x[known], arm[known] > 0, chance[known]
    weight = np.where(side, 1 / chance, 1 / (1 - chance))
    spread = float(x.std(ddof=1)) if len(x) > 1 else 0.0
    if spread == 0 or side.all() or not side.any():
        seen = [float(x[chosen].mean()) if chosen.any() else float("nan") for chosen in (side, ~side)]
        return Balance(name, seen[0], seen[1], 0.0, 1.0)
    means, variance = [], 0.0
    for chosen in (side, ~side):
        own = weight[chosen] / weight[chosen].sum()
        means.append(float(own @ x[chosen]))
        variance += float((own**2) @ (x[chosen] - means[-1]) ** 2)
    gap = means[0] - means[1]
    p_value = float(2 * norm.sf(abs(gap) / np.sqrt(variance))) if variance > 0 else 0.0
    return Balance(name, means[0], means[1], gap / spread, p_value)
