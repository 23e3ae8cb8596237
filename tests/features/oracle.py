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


def usable_attributes(log: Log, as_of: dt.date, timezone: str) -> Log:
    """Per account the row valid latest, then known latest, of those valid and known before the date."""
    latest: dict[object, dict] = {}
    for row in log:
        if row["valid_from"] >= as_of or known_day(row, "valid_from", timezone, 0) >= as_of:
            continue
        held = latest.get(row["account_id"])
        if held is None or _validity(row) > _validity(held):
            latest[row["account_id"]] = row
    return [*latest.values()]


def _validity(row: dict) -> tuple:
    return row["valid_from"], row.get("known_at") or dt.datetime.min


def running(rows: Log, until: str, as_of: dt.date) -> Log:
    """Of usable rows those that have not ended before the date."""
    return [row for row in rows if row[until] is None or row[until] >= as_of]


def state(rows: Log, of: str | None, event: str, op: str, as_of: dt.date) -> float | None:
    """One operation over all usable rows there are, whatever their age."""
    counted = [row for row in rows if of is None or row[of] is not None]
    if op == "count":
        return float(len(counted))
    if op == "days_until":
        ahead = [(row[of] - as_of).days for row in counted if row[of] >= as_of]
        return float(min(ahead)) if ahead else None
    if not counted:
        return None
    days = [(as_of - row[event]).days for row in counted]
    simple = {
        "age": lambda: max(days),
        "days_since": lambda: min(days),
        "sum": lambda: sum(exact(row[of]) for row in counted),
        "mean": lambda: sum(exact(row[of]) for row in counted) / len(counted),
        "max": lambda: max(exact(row[of]) for row in counted),
        "distinct": lambda: len({row[of] for row in counted}),
        "last": lambda: min(
            counted,
            key=lambda row: ((as_of - row[event]).days, dt.datetime.max - _arrival(row, event), -exact(row[of])),
        )[of],
    }
    return float(simple[op]())


def _arrival(row: dict, event: str) -> dt.datetime:
    """When a row reached us; without a record of it, with the end of its day."""
    return row.get("known_at") or dt.datetime.combine(row[event], dt.time())


def logit(share: float) -> float:
    return math.log(share / (1 - share))


class Rates:
    """Encodings of one date from paid rows usable then: account by account and day by day, from their definitions."""

    def __init__(self, rows: Log, products: list[str], as_of: dt.date) -> None:
        self.as_of, self.products = as_of, products
        self.held = {
            name: [
                (
                    row["product_id"],
                    row["start_on"],
                    row["end_on"] if row["end_on"] and row["end_on"] < as_of else dt.date.max,
                )
                for row in rows
                if row["account_id"] == name
            ]
            for name in sorted({row["account_id"] for row in rows})
        }

    def first(self, account: str, product: str | None = None) -> dt.date:
        """First start of a product, or of any; the end of time without."""
        return min((s for p, s, _ in self.held[account] if product in (None, p)), default=dt.date.max)

    def affinity(self, lookback: int, strength: float) -> tuple[dict, dict]:
        """Shrunk rates by (owned, target), and overall rates by target."""
        one = {(a, b): self._counts([a], b, lookback) for a in self.products for b in self.products if a != b}
        every = {b: self._counts([a for a in self.products if a != b], b, lookback) for b in self.products}
        base = (sum(adopted for _, adopted in every.values()) + 0.5) / (sum(n for n, _ in every.values()) + 1)
        overall = {b: (adopted + strength * base) / (n + strength) for b, (n, adopted) in every.items()}
        return {
            (a, b): (adopted + strength * overall[b]) / (n + strength) for (a, b), (n, adopted) in one.items()
        }, overall

    def _counts(self, owned: list[str], target: str, lookback: int) -> tuple[int, int]:
        since, exposed, adopted = self.as_of - dt.timedelta(days=lookback), 0, 0
        for account, held in self.held.items():
            start = self.first(account, target)
            before = [(s, e) for p, s, e in held if p in owned and s < start and e > since]
            if start >= since and before:
                exposed += 1
                adopted += start < self.as_of and any(start < end for _, end in before)
        return exposed, adopted

    def recent_rate(self, lookback: int, strength: float, horizon: int, launched: dict, open_share: dict) -> dict:
        """Log-odds of adopting each product within the horizon."""
        adopted, days = dict.fromkeys(self.products, 0), dict.fromkeys(self.products, 0.0)
        for account, held in self.held.items():
            began, gone = self.first(account), max(end for _, _, end in held)
            for product in self.products:
                start = self.first(account, product)
                since = self.as_of - dt.timedelta(days=lookback)
                adopted[product] += since <= start < self.as_of and start > began
                for back in range(1, lookback + 1):
                    day = self.as_of - dt.timedelta(days=back)
                    without = began <= day < min(start, gone) and day >= launched.get(product, dt.date.min)
                    days[product] += open_share[product] * without
        weight = strength * lookback
        hazard = (sum(adopted.values()) + 0.5) / (sum(days.values()) + weight)
        hazards = {b: (adopted[b] + weight * hazard) / (days[b] + weight) for b in self.products}
        return {b: logit(1 - math.exp(-hazards[b] * horizon)) for b in self.products}


def peers(account: str, target: str, groups: dict, segments: dict, owners: dict, strength: float) -> float | None:
    """Share of the account's peers that own the target, the account left out, shrunk to its segment's share."""
    if segments[account] is None:
        return None
    others = [a for a in segments if a != account and segments[a] == segments[account]]
    if not others:
        return None
    segment_rate = sum(target in owners[a] for a in others) / len(others)
    alike = [a for a in others if groups[account] is not None and groups[a] == groups[account]]
    return (sum(target in owners[a] for a in alike) + strength * segment_rate) / (len(alike) + strength)
