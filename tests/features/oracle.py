"""The slow, obvious truth about operations: one row at a time, in plain Python, from the raw logs.

Knows nothing of tiles, derived days or SQL: local days come from `zoneinfo`, versions from a sort, exact sums
from fractions, slopes from the normal equations.
"""

from __future__ import annotations

import datetime as dt
import math
from fractions import Fraction
from zoneinfo import ZoneInfo

Log = list[dict[str, object]]


def local_day(instant: dt.datetime, timezone: str) -> dt.date:
    return instant.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(timezone)).date()


def known_day(row: dict, event: str, timezone: str, lag_days: int) -> dt.date:
    known_at = row.get("known_at")
    return local_day(known_at, timezone) if known_at is not None else row[event] + dt.timedelta(days=lag_days)


def usable_rows(log: Log, key: tuple[str, ...], event: str, as_of: dt.date, timezone: str, lag_days: int = 0) -> Log:
    """Per key the latest version known before the date, if its event lies before the date too."""
    latest: dict[tuple, dict] = {}
    for row in log:
        if known_day(row, event, timezone, lag_days) >= as_of:
            continue
        identity = tuple(row[name] for name in key)
        rank = row.get("known_at") or dt.datetime.min
        if identity not in latest or rank > (latest[identity].get("known_at") or dt.datetime.min):
            latest[identity] = row
    return [row for row in latest.values() if row[event] < as_of]


def operation(rows: Log, of: str | None, event: str, op: str, window: int, as_of: dt.date) -> float | None:
    """One operation over usable rows of one account (and product), before any rule on coverage."""
    seen = [
        (
            (as_of - row[event]).days,
            row.get("known_at") or dt.datetime.min,
            exact(row[of]) if of else Fraction(1),
        )
        for row in rows
        if of is None or row[of] is not None
    ]
    inside = [line for line in seen if 1 <= line[0] <= window]
    before = [line for line in seen if window < line[0] <= 2 * window]
    values = [value for _, _, value in inside]
    if op in ("sum", "count"):
        return float(sum(values)) if op == "sum" else float(len(values))
    if not inside:
        return None
    simple = {
        "mean": lambda: sum(values) / len(values),
        "max": lambda: max(values),
        "last": lambda: min(inside, key=lambda line: (line[0], dt.datetime.max - line[1], -line[2]))[2],
        "distinct": lambda: len(set(values)),
        "days_since": lambda: min(days for days, _, _ in inside),
        "trend": lambda: math.log(float(1 + sum(values)) / float(1 + sum(value for _, _, value in before))),
        "slope": lambda: slope([sum(v for days, _, v in inside if days == window - day) for day in range(window)]),
    }
    return float(simple[op]())


def exact(value: float) -> Fraction:
    """The decimal a float stands for, to six places."""
    return Fraction(value).limit_denominator(10**6)


def slope(daily: list[Fraction]) -> Fraction:
    """Least squares of daily sums on the day's number."""
    days = [Fraction(day) for day in range(len(daily))]
    mean_day, mean = sum(days) / len(days), sum(daily) / len(daily)
    moment = sum((day - mean_day) * (value - mean) for day, value in zip(days, daily, strict=True))
    return moment / sum((day - mean_day) ** 2 for day in days)


def first_day(
    log: Log, key: tuple[str, ...], event: str, as_of: dt.date, timezone: str, lag_days: int
) -> dt.date | None:
    days = [row[event] for row in usable_rows(log, key, event, as_of, timezone, lag_days)]
    return min(days, default=None)
