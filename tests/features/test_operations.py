"""Every operation against the slow oracle, over generated logs: late rows, versions, gaps and time zones."""

from __future__ import annotations

import datetime as dt
from itertools import chain

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from product_affinity.contracts.facts import Facts
from product_affinity.features import build_features
from tests.company import catalog
from tests.features import oracle
from tests.features.builders import build, family, pairs_of, spine_of, value

FIRST = dt.date(2026, 3, 1)  # both zones below change their clocks within the generated days
AS_OFS = ("2026-03-29", "2026-03-30", "2026-04-06")
WINDOWS = (3, 7)
OPS = ("sum", "count", "mean", "max", "last", "distinct", "days_since", "trend", "slope")
KEY = ("account_id", "product_id", "date")

_row = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(["A", "B"]),
        "product_id": st.sampled_from(["crm", "chat", "desk"]),
        "date": st.integers(0, 40).map(lambda day: FIRST + dt.timedelta(days=day)),
        "active_users": st.one_of(
            st.none(), st.integers(0, 9).map(float), st.integers(0, 10**9).map(lambda k: k / 10**6)
        ),
        "delay_hours": st.sampled_from([None, 1, 5, 22, 23, 24, 30, 80, 400]),
    }
)


def _log(rows: list[dict]) -> oracle.Log:
    """Rows with unique (key, known_at); `delay_hours` counts from midnight after the day, UTC."""
    found = {}
    for row in rows:
        delay = row["delay_hours"]
        midnight = dt.datetime.combine(row["date"], dt.time()) + dt.timedelta(days=1)
        known_at = None if delay is None else midnight + dt.timedelta(hours=delay)
        line = {name: row[name] for name in (*KEY, "active_users")} | {"known_at": known_at}
        found[(*(row[name] for name in KEY), known_at)] = line
    return list(found.values())


def _frame(log: oracle.Log) -> pd.DataFrame:
    frame = pd.DataFrame(log, columns=[*KEY, "active_users", "known_at"])
    return frame.assign(
        date=pd.to_datetime(frame["date"]),
        known_at=pd.to_datetime(frame["known_at"]),
        active_users=frame["active_users"].astype("float64"),
    )


def _expected(log: oracle.Log, account: str, owned: set, across: str | None, op: str, window: int, day: dt.date, rule):
    timezone, lag = rule
    start = oracle.first_day(log, KEY, "date", day, timezone, lag)
    reach = 2 * window if op == "trend" else window
    known = oracle.usable_rows(log, KEY, "date", day, timezone, lag)
    if start is None or day - dt.timedelta(days=reach) < start:
        return None
    if all(row["active_users"] is None for row in known):
        return None
    mine = [row for row in known if row["account_id"] == account]
    if across is None:
        return oracle.operation(mine, "active_users", "date", op, window, day)
    by_product = [[row for row in mine if row["product_id"] == product] for product in sorted(owned)]
    if across == "core":
        return oracle.operation(by_product[0], "active_users", "date", op, window, day)
    if across == "sum" and op in ("sum", "count", "trend", "slope"):
        return oracle.operation([*chain(*by_product)], "active_users", "date", op, window, day)
    values = [oracle.operation(rows, "active_users", "date", op, window, day) for rows in by_product]
    values = [value for value in values if value is not None]
    if not values:
        return None
    if op == "days_since":
        return min(values)
    return sum(values) if across == "sum" else max(values)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(_row, max_size=40),
    timezone=st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland"]),
    lag=st.sampled_from([0, 2]),
    across=st.sampled_from([None, "sum", "max", "core"]),
)
def test_every_operation_equals_the_oracle(rows, timezone, lag, across):
    log = _log(rows)
    facts = Facts.from_frames({"usage": _frame(log)}, timezone=timezone, lag_days={"usage": lag})
    signal = {"of": "active_users", "ops": OPS, "windows": WINDOWS} | ({"across": across} if across else {})
    owned = {"A": {"crm", "chat"}, "B": {"desk"}}
    spine = spine_of(["A", "B"], AS_OFS)
    pairs = pairs_of(spine, ["crm", "chat", "desk"], owned)
    tables = build_features(
        facts,
        catalog("crm", "chat", "desk"),
        (family("usage", source="usage", signals={"users": signal}),),
        spine,
        pairs,
    )
    for row in tables.account.itertuples():
        for op in OPS:
            for window in WINDOWS:
                seen = getattr(row, f"usage_users_{op}_{window}d")
                # No prices: the core product is the owned one whose id sorts first.
                wanted = _expected(
                    log,
                    row.account_id,
                    owned[row.account_id],
                    across,
                    op,
                    window,
                    row.as_of.date(),
                    (timezone, lag),
                )
                context = f"{op} {window} {row.account_id} {row.as_of.date()}"
                if wanted is None:
                    assert np.isnan(seen), context
                elif op in ("sum", "count", "max", "last", "distinct", "days_since"):
                    assert seen == pytest.approx(wanted, rel=1e-15, abs=0), context
                else:
                    assert seen == pytest.approx(wanted, rel=1e-12, abs=1e-15), context


USAGE = family("usage", source="usage", signals={"users": {"of": "active_users", "ops": OPS, "windows": (7,)}})


def usage(*rows: tuple[str, float | None], **columns: list) -> Facts:
    frame = pd.DataFrame(rows, columns=["date", "active_users"]).assign(account_id="A", product_id="crm", **columns)
    return Facts.from_frames({"usage": frame.assign(date=pd.to_datetime(frame["date"]))})


def test_the_window_starts_with_its_first_day_and_ends_before_the_date():
    facts = usage(
        ("2026-01-01", 0.0),
        ("2026-01-02", 1.0),
        ("2026-01-03", 10.0),
        ("2026-01-09", 100.0),
        ("2026-01-10", 1000.0),
    )
    tables = build(facts, USAGE, as_ofs=["2026-01-10"])
    assert value(tables, "usage_users_sum_7d", "2026-01-10") == 110.0


def test_an_empty_window_is_zero_for_sum_and_count_and_missing_for_the_rest():
    facts = usage(("2026-01-01", 5.0))
    tables = build(facts, USAGE, as_ofs=["2026-02-01"])
    assert value(tables, "usage_users_sum_7d", "2026-02-01") == 0.0
    assert value(tables, "usage_users_count_7d", "2026-02-01") == 0.0
    others = [f"usage_users_{op}_7d" for op in OPS if op not in ("sum", "count")]
    assert tables.account[others].isna().all(axis=None)


def test_a_window_that_starts_before_the_feed_is_missing_even_where_rows_are():
    facts = usage(("2026-01-01", 5.0))
    tables = build(facts, USAGE, as_ofs=["2026-01-07", "2026-01-08", "2026-01-14", "2026-01-15"])
    assert np.isnan(value(tables, "usage_users_sum_7d", "2026-01-07"))
    assert value(tables, "usage_users_sum_7d", "2026-01-08") == 5.0
    # A trend looks back over two windows.
    assert np.isnan(value(tables, "usage_users_trend_7d", "2026-01-14"))
    assert np.isnan(value(tables, "usage_users_trend_7d", "2026-01-15"))
    facts = usage(("2026-01-01", 5.0), ("2026-01-08", 2.0))
    tables = build(facts, USAGE, as_ofs=["2026-01-15"])
    assert value(tables, "usage_users_trend_7d", "2026-01-15") == pytest.approx(np.log(3 / 6), rel=1e-15)


def test_slope_is_per_day_with_absent_days_as_zero():
    facts = usage(("2026-01-01", 0.0), ("2026-01-12", 3.0), ("2026-01-13", 3.0), ("2026-01-14", 3.0))
    tables = build(facts, USAGE, as_ofs=["2026-01-15"])
    days, users = np.arange(7), np.array([0, 0, 0, 0, 3, 3, 3])
    assert value(tables, "usage_users_slope_7d", "2026-01-15") == pytest.approx(np.polyfit(days, users, 1)[0], rel=1e-9)


def test_decimals_add_up_exactly():
    facts = usage(*[(f"2026-01-{day:02}", 0.1) for day in range(1, 8)])
    tables = build(facts, USAGE, as_ofs=["2026-01-08"])
    assert value(tables, "usage_users_sum_7d", "2026-01-08") == 0.7  # adding floats gives 0.7000000000000001


def test_last_takes_the_latest_date_before_the_latest_arrival():
    facts = usage(
        ("2026-01-01", 0.0),
        ("2026-01-09", 9.0),
        ("2026-01-08", 8.0),
        known_at=pd.to_datetime(["2026-01-01 09:00", "2026-01-09 08:00", "2026-01-09 20:00"]),
    )
    tables = build(facts, USAGE, as_ofs=["2026-01-10"])
    assert value(tables, "usage_users_last_7d", "2026-01-10") == 9.0


def test_a_correction_replaces_a_row_from_the_day_after_it_arrived():
    facts = usage(
        ("2026-01-01", 1.0),
        ("2026-01-05", 5.0),
        ("2026-01-05", 50.0),
        known_at=pd.to_datetime(["2026-01-01 09:00", "2026-01-06 09:00", "2026-01-08 12:00"]),
    )
    tables = build(facts, USAGE, as_ofs=["2026-01-08", "2026-01-09"])
    assert value(tables, "usage_users_sum_7d", "2026-01-08") == 6.0
    assert value(tables, "usage_users_sum_7d", "2026-01-09") == 50.0


def test_the_local_midnight_decides_what_a_day_is():
    """22:30 UTC is the next day in Berlin in summer and the same day in winter."""
    tickets = pd.DataFrame(
        {
            "ticket_id": ["t0", "t1", "t2"],
            "account_id": "A",
            "priority": "P1",
            "opened_at": pd.to_datetime(["2026-01-01 00:00", "2026-03-28 22:30", "2026-03-29 22:30"]),
        }
    )
    facts = Facts.from_frames({"tickets": tickets}, timezone="Europe/Berlin")
    health = family("health", source="tickets", signals={"tickets": {"ops": ("count",), "windows": (7,)}})
    tables = build(facts, health, as_ofs=["2026-03-29", "2026-03-30", "2026-03-31"])
    counts = tables.account.sort_values("as_of")["health_tickets_count_7d"].tolist()
    assert counts == [1.0, 1.0, 2.0]


def test_rows_of_products_that_are_not_owned_do_not_reach_the_account():
    frame = pd.DataFrame(
        {
            "account_id": "A",
            "product_id": ["crm", "crm", "chat"],
            "date": pd.to_datetime(["2026-01-01", "2026-01-09", "2026-01-09"]),
            "active_users": [1.0, 2.0, 40.0],
        }
    )
    signals = {"users": {"of": "active_users", "across": "sum", "ops": ("mean",), "windows": (7,)}}
    pooled = {"all": {"of": "active_users", "ops": ("sum",), "windows": (7,)}}
    facts = Facts.from_frames({"usage": frame})
    tables = build(
        facts,
        family("usage", source="usage", signals=signals | pooled),
        as_ofs=["2026-01-10"],
        owned={"A": ["crm"]},
    )
    assert value(tables, "usage_users_mean_7d", "2026-01-10") == 2.0
    assert value(tables, "usage_all_sum_7d", "2026-01-10") == 42.0


def test_the_core_product_has_the_highest_arr_running_at_the_date():
    subscriptions = pd.DataFrame(
        {
            "account_id": "A",
            "product_id": ["chat", "crm", "crm"],
            "arr_usd": [5.0, 2.0, 9.0],
            "start_on": pd.to_datetime(["2025-01-01", "2025-01-01", "2026-01-11"]),
        }
    )
    usage = pd.DataFrame(
        {
            "account_id": "A",
            "product_id": ["crm", "chat"] * 2,
            "active_users": [1.0, 2.0, 3.0, 4.0],
            "date": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-09", "2026-01-09"]),
        }
    )
    facts = Facts.from_frames({"subscriptions": subscriptions, "usage": usage})
    core = {"core": {"of": "active_users", "across": "core", "ops": ("sum",), "windows": (7,)}}
    tables = build(facts, family("usage", source="usage", signals=core), as_ofs=["2026-01-11", "2026-01-12"])
    assert value(tables, "usage_core_sum_7d", "2026-01-11") == 4.0
    assert value(tables, "usage_core_sum_7d", "2026-01-12") == 3.0


@pytest.mark.parametrize("table", ["usage", "tickets"])
def test_a_missing_table_leaves_every_column_missing(table):
    facts = Facts.from_frames({"accounts": pd.DataFrame({"account_id": ["A"], "name": ["A"]})})
    signals = {"rows": {"ops": ("count",), "windows": (7,)}, "ever": {"ops": ("count", "days_since")}}
    tables = build(facts, family("x", source=table, signals=signals), as_ofs=["2026-01-10"])
    assert tables.account.filter(like="x_").isna().all(axis=None)
    assert len(tables.account.filter(like="x_").columns) == 3
