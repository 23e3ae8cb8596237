"""How far a share could be off by chance, and how long something takes when some of it is not over yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

LEVEL = 0.95
Vector = npt.NDArray[np.float64]


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, level: float = LEVEL) -> tuple[Vector, Vector]:
    r"""Wilson interval of a share.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    with :math:`\hat p` = successes ÷ trials (Wilson 1927); it stays within 0–1 and is no point at 0 successes.

    Parameters
    ----------
    successes, trials : counts ≥ 0, of one shape; they need not be whole (effective counts).
    level : coverage, in (0, 1).

    Returns
    -------
    low, high : NaN where there was no trial.

    Raises
    ------
    ValueError : `level` is out of range, or there are more successes than trials.

    >>> low, high = wilson(5, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2366, 0.7634)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    won, count = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    if (won > count * (1 + 1e-12)).any() or (won < 0).any():
        raise ValueError(f"successes must lie between 0 and trials, got {won.max()} of {count.max()}")
    z = float(norm.ppf((1 + level) / 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(count > 0, won / count, np.nan)
        middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
        reach = z * np.sqrt(np.maximum(share * (1 - share), 0) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    # rounding would otherwise leave the bound of a share of 0 or 1 a hair inside of it
    low, high = np.where(share == 0, 0.0, middle - reach), np.where(share == 1, 1.0, middle + reach)
    return np.where(count > 0, low, np.nan), np.where(count > 0, high, np.nan)


def clustered_shares(rows: pd.DataFrame, by: list[str], value: str, cluster: str = "account_id") -> pd.DataFrame:
    """Share of ones per group with an interval that knows that rows of one account stand or fall together.

    The Wilson interval is taken at the effective number of rows, rows ÷ design effect, where the design effect
    is the cluster-robust variance of the share (linearised ratio of cluster totals, Cochran 1977, §9A) over that
    of independent rows, at least 1. Without a single one, or without a zero, the effect cannot be told and every
    cluster counts as one row.

    Parameters
    ----------
    rows : `by`, `value` (1, 0 or missing) and `cluster` columns; rows with a missing value are not counted.
    by : columns of the group.
    value, cluster : column names.

    Returns
    -------
    DataFrame
        Indexed by `by`: rows, accounts, ones, share, low, high (95 %).

    >>> rows = pd.DataFrame({"rule": "R", "account_id": list("AABB"), "adopted": [1, 0, 0, 0]})
    >>> clustered_shares(rows, ["rule"], "adopted")[["rows", "accounts", "ones", "share"]].values.tolist()
    [[4.0, 2.0, 1.0, 0.25]]
    """
    known = rows.loc[rows[value].notna(), [*by, cluster, value]]
    known = known.assign(**{value: known[value].astype("float64")})
    clusters = known.groupby([*by, cluster], sort=True, observed=True)[value].agg(["size", "sum"])
    clusters = clusters.reset_index()
    groups = clusters.groupby(by, sort=True, observed=True)
    table = groups.agg(rows=("size", "sum"), accounts=("size", "size"), ones=("sum", "sum"))
    table["share"] = table["ones"] / table["rows"]
    expected = clusters["size"] * groups["sum"].transform("sum") / groups["size"].transform("sum")
    spread = (clusters["sum"] - expected).pow(2).groupby([clusters[name] for name in by], observed=True).sum()
    effective = _effective_rows(table, spread.reindex(table.index).to_numpy(dtype=float))
    table["low"], table["high"] = wilson(table["share"].to_numpy() * effective, effective)
    return table.astype({"rows": "int64", "accounts": "int64", "ones": "int64"})


def _effective_rows(table: pd.DataFrame, spread: Vector) -> Vector:
    count, accounts = table["rows"].to_numpy(dtype=float), table["accounts"].to_numpy(dtype=float)
    share = table["share"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = spread / count**2 * accounts / (accounts - 1)
        design_effect = np.maximum(variance / (share * (1 - share) / count), 1.0)
        effective = np.maximum(count / design_effect, 1.0)
    return np.where((share > 0) & (share < 1) & (accounts > 1), effective, accounts)


@dataclass(frozen=True)
class Median:
    """A median time with its 95 % interval; NaN where it, or a bound, is not reached."""

    days: float
    low: float
    high: float


def median_duration(days: npt.ArrayLike, ended: npt.ArrayLike) -> Median:
    r"""Kaplan–Meier median: the first day by which half would have ended, had nobody stopped looking.

    .. math:: \hat S(t) = \prod_{t_i \le t} (1 - d_i / n_i), \qquad \text{median} = \min\{t : \hat S(t) \le 1/2\}

    with d ended and n still followed on day :math:`t_i`; what is open leaves n after its last day and never counts
    as ended (Kaplan & Meier 1958). Leaving the open ones out would make slow things look fast. The interval is that
    of Brookmeyer & Crowley (1982): the days at which S is within :math:`z` Greenwood errors of one half.

    Parameters
    ----------
    days : length seen so far, ≥ 0.
    ended : whether it ended then (else it is still open).

    >>> median_duration([10, 20, 30], [True, True, True]).days
    20.0
    >>> median_duration([10, 20, 30, 5], [True, False, False, False])
    Median(days=nan, low=10.0, high=nan)
    """
    length, over = np.asarray(days, dtype=float), np.asarray(ended, dtype=bool)
    times = np.unique(length[over])
    followed = (length[None, :] >= times[:, None]).sum(axis=1)
    closing = (length[over][None, :] == times[:, None]).sum(axis=1)
    left = np.cumprod(1 - closing / followed)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = left * np.sqrt(np.cumsum(closing / (followed * (followed - closing))))
    # where nobody is left the error is no number and S itself decides
    reach = float(norm.ppf((1 + LEVEL) / 2)) * np.nan_to_num(error, nan=0.0, posinf=0.0)
    return Median(*(_first_day(times, curve) for curve in (left, left - reach, left + reach)))


def _first_day(times: Vector, curve: Vector) -> float:
    reached = np.flatnonzero(curve <= 0.5 + 1e-12)
    return float(times[reached[0]]) if len(reached) else float("nan")
