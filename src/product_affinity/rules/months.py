"""Calendar months between days, and the day a number of them is reached."""

from __future__ import annotations

import numpy as np


def add_months(days: np.ndarray, months: np.ndarray | int) -> np.ndarray:
    """Return the same day of a later month, or that month's last day where it has no such day.

    Parameters
    ----------
    days : datetime64[D]; NaT stays NaT.
    months : how many, ≥ 0 or negative.

    >>> add_months(np.array(["2026-01-31"], dtype="datetime64[D]"), 1)
    array(['2026-02-28'], dtype='datetime64[D]')
    """
    first = days.astype("datetime64[M]")
    day_of_month = days - first.astype("datetime64[D]")
    target = first + np.asarray(months).astype("timedelta64[M]")
    last = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    moved: np.ndarray = np.minimum(target.astype("datetime64[D]") + day_of_month, last)
    return moved


def months_between(since: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Return the calendar months from `since` to `until`, with the fraction of the running month.

    Whole exactly on the same day of the month, so that "more than 9 months" begins the day after.

    Parameters
    ----------
    since, until : datetime64[D], `until` not before `since`; NaT gives NaN.

    >>> days = np.array(["2026-01-15", "2026-01-15"], dtype="datetime64[D]")
    >>> months_between(days, np.array(["2026-10-15", "2026-10-16"], dtype="datetime64[D]")).round(3).tolist()
    [9.0, 9.032]
    """
    unknown = np.isnat(since) | np.isnat(until)
    known_since = np.where(unknown, np.datetime64("2000-01-01", "D"), since)
    known_until = np.where(unknown, np.datetime64("2000-01-01", "D"), until)
    months = (known_until.astype("datetime64[M]") - known_since.astype("datetime64[M]")).astype(int)
    months -= add_months(known_since, months) > known_until
    begun, complete = add_months(known_since, months), add_months(known_since, months + 1)
    fraction = (known_until - begun).astype(float) / (complete - begun).astype(float)
    return np.where(unknown, np.nan, months + fraction)


def day_of_month_count(since: np.ndarray, months: np.ndarray, *, strictly: bool) -> np.ndarray:
    """Return the first day on which `months_between` has reached, or strictly passed, a number of months.

    Parameters
    ----------
    since : datetime64[D]; NaT stays NaT.
    months : how many, ≥ 0; fractions count days of the month they fall in.
    strictly : whether exactly so many is not enough.

    >>> day_of_month_count(np.array(["2026-02-28"], dtype="datetime64[D]"), np.array([9.0]), strictly=True)
    array(['2026-11-29'], dtype='datetime64[D]')
    """
    whole = np.floor(months).astype(int)
    begun, complete = add_months(since, whole), add_months(since, whole + 1)
    # .1 of a month of thirty days is three days, and a hair more in floating point, which would count as a fourth
    days = np.round((months - whole) * np.where(np.isnat(since), 0, (complete - begun).astype(int)), 9)
    after = np.floor(days) + 1 if strictly else np.ceil(days)
    reached: np.ndarray = begun + after.astype("timedelta64[D]")
    return reached
