"""What the first months of a product teach: who adopts it, not how many.

An offset says what the level of each product is, as far as its past tells. A product being launched has none, so its
rows adopt more or less often than their offset says, and a fit would learn the difference as the product's own: it
would count twice once the offset has caught up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from product_affinity.models.encoding import IntVector
from product_affinity.models.grouped_logistic import fit_levels
from product_affinity.models.rows import Rows, base_log_odds, event_count

MONTH_DAYS = 30
#: prior precision of a launch month's level: next to nothing for dozens of events, much for a single row, which
#: would otherwise be told its own label
LAUNCH_PRECISION = 1.0


def launch_groups(codes: IntVector, days: IntVector, counted: npt.NDArray[np.bool_], gap_days: int) -> IntVector:
    """Product and month since its launch of each row as one code, -1 for rows that tell of no launch.

    A product is being launched from its first row until the first label of it has closed, `gap_days` later. What is
    there within `gap_days` of the first row of all may have been there before, and is not launched.

    Parameters
    ----------
    codes, days : ndarray of int of shape (n,)
        Product and as-of day of each row.
    counted : ndarray of bool of shape (n,)
        Rows of weight above 0.
    gap_days : int
        Horizon and maturity, in days, > 0.

    Examples
    --------
    >>> codes, days = np.array([0, 0, 1, 1, 1, 1]), np.array([0, 200, 200, 231, 296, 297])
    >>> launch_groups(codes, days, np.ones(6, dtype=bool), gap_days=97)
    array([-1, -1,  4,  5,  7, -1])

    """
    used_codes, used_days = codes[counted], days[counted]
    began = np.full(codes.max() + 1, used_days.max())
    np.minimum.at(began, used_codes, used_days)
    since = days - began[codes]
    launched = counted & (began[codes] > used_days.min() + gap_days) & (since < gap_days)
    months = gap_days // MONTH_DAYS + 1
    return np.where(launched, codes * months + since // MONTH_DAYS, -1)


def at_observed_levels(rows: Rows, launches: IntVector) -> Rows:
    """The same rows, the offset of those that tell of a launch moved to the level observed in their month.

    The level is that beyond what settled products show at the same offset, so that nothing of it is left to learn.

    Parameters
    ----------
    rows : Rows
        Training rows with an offset; where none is launched, they come back as they are.
    launches : ndarray of int of shape (n,)
        Their :func:`launch_groups`.

    """
    if launches.max() < 0:
        return rows
    settled, at = np.flatnonzero(launches < 0), np.flatnonzero(launches >= 0)
    base = 0.0
    if event_count(rows.target[settled]):
        base = base_log_odds(rows.target[settled], rows.fit_weight[settled], rows.start[settled])
    months, group = np.unique(launches[at], return_inverse=True)
    start = rows.start[at] + base
    levels = fit_levels(group, len(months), rows.target[at], rows.fit_weight[at], start, LAUNCH_PRECISION)
    offset = rows.offset.copy()
    offset[at] += levels[group]
    return replace(rows, offset=offset)
