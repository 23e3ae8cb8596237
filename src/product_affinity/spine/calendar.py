"""As-of dates: the days we look back from."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.errors import ContractError
from product_affinity.project.settings import TimeSettings


def training_as_ofs(time: TimeSettings, first_day: dt.date, as_of: dt.date) -> tuple[dt.date, ...]:
    """Return the as-of dates of training and backtest, ascending, the last not after `as_of`.

    Parameters
    ----------
    time : `[time]` of the settings; `as_ofs` is "month_end", "weekly" (counted back from `as_of`) or dates.
    first_day : first day of the history; nothing is looked back from before `warmup_days` after it, nor from
        more than `history_days` before `as_of`.
    as_of : the run's as-of date.

    Raises
    ------
    ContractError : no date is left; the message names both ends.

    >>> training_as_ofs(TimeSettings(warmup_days=31), dt.date(2026, 1, 1), dt.date(2026, 3, 31))
    (datetime.date(2026, 2, 28), datetime.date(2026, 3, 31))
    """
    earliest = max(first_day + dt.timedelta(days=time.warmup_days), as_of - dt.timedelta(days=time.history_days))
    if time.as_ofs == "month_end":
        dates = [day.date() for day in pd.date_range(earliest, as_of, freq="ME")]
    elif time.as_ofs == "weekly":
        dates = [as_of - dt.timedelta(weeks=k) for k in range((as_of - earliest).days // 7, -1, -1)]
    else:
        dates = sorted({day for day in time.as_ofs if earliest <= day <= as_of})
    if not dates:
        raise ContractError(
            f"as-of {as_of}: no as-of date lies at least {time.warmup_days} days after the history begins "
            f"({first_day}). Pass a later --as-of or lower [time] warmup_days."
        )
    return tuple(dates)
