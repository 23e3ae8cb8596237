"""Other ways to the usage features of `benchmarks.features`, each as its author would write it with care."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import open_engine

KEYS = ["account_id", "product_id"]
VALUES = ["active_users", "events", "limit_share"]
DAYS = ["_event_on", "_known_on", "_superseded_on"]
LONGEST = 180


def pandas_loop(path: Path, dates: tuple[dt.date, ...]) -> pd.DataFrame:
    """One date after the other over rows sorted by day, so that a date touches its look-back alone."""
    rows = pd.read_parquet(path, columns=[*KEYS, *VALUES, *DAYS], engine="pyarrow", read_dictionary=KEYS)
    for name in KEYS:
        rows[name] = rows[name].astype("category")
    for name in DAYS:
        # the last day of the calendar lies beyond nanoseconds
        rows[name] = rows[name].to_numpy(dtype="datetime64[D]").astype("int64").astype("int32")
    rows = rows.sort_values("_event_on", kind="stable", ignore_index=True)
    event = rows["_event_on"].to_numpy()
    first_day = int(event[0]) if len(event) else 0
    days = {date: (date - dt.date(1970, 1, 1)).days for date in dates}
    tables = [_at(rows, event, day, first_day).assign(as_of=pd.Timestamp(date)) for date, day in days.items()]
    return pd.concat(tables, ignore_index=True)


def _at(rows: pd.DataFrame, event: np.ndarray, as_of: int, first_day: int) -> pd.DataFrame:
    """Features of one date, by account."""
    begin, end = np.searchsorted(event, [as_of - LONGEST, as_of])
    part = rows.iloc[begin:end]
    part = part[(part["_known_on"] < as_of) & (part["_superseded_on"] >= as_of)]
    age = as_of - part["_event_on"].to_numpy()
    in_28, in_56, in_90 = (part[age <= days] for days in (28, 56, 90))
    everyone = rows["account_id"].cat.categories

    def by_product(frame: pd.DataFrame, name: str, how: str) -> pd.Series:
        return frame.groupby(KEYS, observed=True)[name].agg(how).dropna()

    def by_account(values: pd.Series, how: str) -> pd.Series:
        return values.groupby(level=0, observed=True).agg(how).reindex(everyone)

    def trend(now: pd.DataFrame, both: pd.DataFrame) -> pd.Series:
        recent = now.groupby("account_id", observed=True)["active_users"].sum().reindex(everyone)
        total = both.groupby("account_id", observed=True)["active_users"].sum().reindex(everyone)
        return np.log((1 + recent) / (1 + total - recent))

    weights = (in_28["_event_on"] - (as_of - 28) - 13.5) * in_28["events"]
    moment = weights.groupby(in_28["account_id"], observed=True).sum()
    table = {
        "usage_active_users_mean_28d": by_account(by_product(in_28, "active_users", "mean"), "sum"),
        "usage_active_users_mean_90d": by_account(by_product(in_90, "active_users", "mean"), "sum"),
        "usage_active_users_trend_28d": trend(in_28, in_56),
        "usage_active_users_trend_90d": trend(in_90, part),
        "usage_events_sum_28d": by_account(by_product(in_28, "events", "sum"), "sum").fillna(0.0),
        "usage_events_slope_28d": (moment * 12 / (28 * (28**2 - 1))).reindex(everyone),
        "usage_active_days_count_28d": by_account(
            in_28[in_28["active_users"] > 0].groupby(KEYS, observed=True).size(), "max"
        ).fillna(0.0),
        "usage_limit_share_max_28d": by_account(by_product(in_28, "limit_share", "max"), "max"),
        "usage_limit_share_mean_28d": by_account(by_product(in_28, "limit_share", "mean"), "max"),
    }
    for name in table:
        reach = int(name[-3:-1]) * (2 if "trend" in name else 1)
        if as_of - reach < first_day:
            table[name] = table[name] * np.nan
    return pd.DataFrame(table, index=everyone).rename_axis("account_id").reset_index().astype({"account_id": "str"})


_GROUPED = """
    select f.account_id, f.product_id, {as_of} as as_of,
        {parts}
    from {relation} as f {join}
    where f._event_on < {as_of} and f._event_on >= {as_of} - 180 and f._known_on < {as_of}
        and f._superseded_on >= {as_of}
    group by all
"""
_PARTS = """
        count(active_users) filter (_event_on >= {as_of} - 28) as n28,
        sum(active_users) filter (_event_on >= {as_of} - 28) as s28,
        sum(active_users) filter (_event_on < {as_of} - 28 and _event_on >= {as_of} - 56) as p28,
        count(active_users) filter (_event_on >= {as_of} - 90) as n90,
        sum(active_users) filter (_event_on >= {as_of} - 90) as s90,
        sum(active_users) filter (_event_on < {as_of} - 90) as p90,
        sum(events) filter (_event_on >= {as_of} - 28) as e28,
        sum(events * ((_event_on - {as_of}) + 14.5)) filter (_event_on >= {as_of} - 28) as w28,
        count(*) filter (_event_on >= {as_of} - 28 and active_users > 0) as d28,
        max(limit_share) filter (_event_on >= {as_of} - 28) as m28,
        avg(limit_share) filter (_event_on >= {as_of} - 28) as a28
"""
_COMBINED = """
    select account_id, as_of,
        sum(s28 / nullif(n28, 0)) as usage_active_users_mean_28d,
        sum(s90 / nullif(n90, 0)) as usage_active_users_mean_90d,
        case when sum(n28) > 0 then ln((1 + sum(s28)) / (1 + coalesce(sum(p28), 0))) end
            as usage_active_users_trend_28d,
        case when sum(n90) > 0 then ln((1 + sum(s90)) / (1 + coalesce(sum(p90), 0))) end
            as usage_active_users_trend_90d,
        coalesce(sum(e28), 0) as usage_events_sum_28d,
        sum(w28) * 12 / (28 * (28 * 28 - 1)) as usage_events_slope_28d,
        max(d28) as usage_active_days_count_28d,
        max(m28) as usage_limit_share_max_28d,
        max(a28) as usage_limit_share_mean_28d
    from grouped group by all
"""


def range_join(path: Path, dates: tuple[dt.date, ...]) -> pd.DataFrame:
    """One query: every row joined to the dates whose look-back holds it."""
    values = ", ".join(f"(date '{date}')" for date in dates)
    return _query(path, "s.as_of", f"join (values {values}) as s(as_of) on true")


def scan_and_group(path: Path, dates: tuple[dt.date, ...]) -> pd.DataFrame:
    """One date: read its look-back and group it, the least that must be done."""
    return _query(path, f"date '{dates[-1]}'", "")


def _query(path: Path, as_of: str, join: str) -> pd.DataFrame:
    engine = open_engine(threads=1)
    engine.execute(f"set memory_limit = '6GB'; set temp_directory = '{path.parent / 'spill'}'")
    relation = f"read_parquet('{path}')"
    grouped = _GROUPED.format(as_of=as_of, relation=relation, join=join, parts=_PARTS.format(as_of=as_of))
    found = engine.execute(f"with grouped as ({grouped}) {_COMBINED}").df()
    engine.close()
    found["as_of"] = pd.to_datetime(found["as_of"])
    return found
