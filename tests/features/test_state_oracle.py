"""What runs, what has ended, ages, dates ahead, changes and attributes against the slow oracle, over random logs."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from product_affinity.contracts.facts import Facts
from product_affinity.features import build_features
from tests.company import catalog
from tests.features import oracle
from tests.features.builders import family, pairs_of, spine_of

FIRST = dt.date(2026, 2, 25)  # New York changes its clocks on 8 March
AS_OFS = ("2026-03-08", "2026-03-09", "2026-03-10", "2026-03-16")
ZONES = ("UTC", "America/New_York", "Pacific/Auckland")
ACCOUNTS, PRODUCTS = ("A", "B"), ("chat", "crm", "desk")
OWNED = {"A": {"crm", "chat"}, "B": {"desk"}}
slow = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))

_day = st.integers(0, 20).map(lambda day: FIRST + dt.timedelta(days=day))
_maybe_day = st.one_of(st.none(), _day)
_instant = st.integers(0, 20 * 48).map(
    lambda half: dt.datetime.combine(FIRST, dt.time()) + half * dt.timedelta(minutes=30)
)
_known_at = st.one_of(st.none(), _instant)
_subscription = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(ACCOUNTS),
        "product_id": st.sampled_from(PRODUCTS),
        "start_on": _day,
        "end_on": _maybe_day,
        "renewal_on": _maybe_day,
        "seats": st.one_of(st.none(), st.integers(0, 5)),
        "known_at": _known_at,
    }
)
KEY = ("account_id", "product_id", "start_on")


def _unique(rows: list[dict], *names: str) -> oracle.Log:
    """The last of the rows that agree in `names`."""
    return list({tuple(row[name] for name in names): row for row in rows}.values())


def _frame(log: oracle.Log, like: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(log, columns=list(like))
    for name in like:
        if name.endswith(("_on", "_at")) or name == "valid_from":
            frame[name] = pd.to_datetime(frame[name])
    return frame


def _features(facts: Facts, *families) -> pd.DataFrame:
    spine = spine_of(ACCOUNTS, AS_OFS)
    pairs = pairs_of(spine, PRODUCTS, OWNED)
    return build_features(facts, catalog(*PRODUCTS), families, spine, pairs).account


def _same(seen: float, wanted: float | None, context: object) -> None:
    if wanted is None:
        assert np.isnan(seen), context
    else:
        assert seen == pytest.approx(wanted, rel=1e-12, abs=1e-15), context


RUNS = {"running": True}
SIGNALS = {
    "seats": RUNS | {"of": "seats", "ops": ["sum", "mean", "max", "last", "distinct"]},
    "rows": RUNS | {"ops": ["count", "age", "days_since"]},
    "ever": {"ops": ["count", "age", "days_since"]},
    "all_seats": {"of": "seats", "ops": ["sum", "mean", "max", "last", "distinct"]},
    "renewal": RUNS | {"of": "renewal_on", "ops": ["days_until"]},
    "growth": RUNS | {"of": "seats", "ops": ["change"], "windows": [7]},
    "number": RUNS | {"ops": ["change"], "windows": [7]},
    "ended": {"event": "end_on", "ops": ["count", "days_since"], "windows": [3, 7]},
}


@slow
@given(st.lists(_subscription, min_size=3, max_size=16), st.sampled_from(ZONES), st.sampled_from([0, 2]))
def test_what_runs_and_what_has_ended_equals_the_oracle(drawn, timezone, lag):
    log = _unique(drawn, *KEY, "known_at")
    frame = _frame(log, (*KEY, "end_on", "renewal_on", "seats", "known_at")).astype({"seats": "float64"})
    facts = Facts.from_frames({"subscriptions": frame}, timezone=timezone, lag_days={"subscriptions": lag})
    table = _features(facts, family("own", source="subscriptions", signals=SIGNALS))
    for line in table.itertuples():
        day = line.as_of.date()
        known = oracle.usable_rows(log, KEY, "start_on", day, timezone, lag)
        mine = [row for row in known if row["account_id"] == line.account_id]
        runs = oracle.running(mine, "end_on", day)
        for name, signal in SIGNALS.items():
            of = signal.get("of")
            told = any(of is None or row[of] is not None for row in known)
            rows = runs if signal.get("running") else mine
            for op in signal["ops"] if "windows" not in signal else ():
                wanted = oracle.state(rows, of, "start_on", op, day) if known and told else None
                if name == "seats" and op == "sum" and not any(row["seats"] is not None for row in rows):
                    wanted = None  # nothing that runs has a value
                if name == "all_seats" and op == "sum" and known and told and wanted is None:
                    wanted = 0.0
                _same(getattr(line, f"own_{name}_{op}"), wanted, (name, op, line.account_id, day))
        _same(line.own_growth_change_7d, _change(log, line.account_id, day, timezone, lag, "seats"), ("growth", day))
        _same(line.own_number_change_7d, _change(log, line.account_id, day, timezone, lag, None), ("number", day))
        for window in (3, 7):
            ended = [row for row in mine if row["end_on"] and 1 <= (day - row["end_on"]).days <= window]
            started = min((row["start_on"] for row in known), default=day)
            covered = bool(known) and day - dt.timedelta(days=window) >= started
            since = min(((day - row["end_on"]).days for row in ended), default=None)
            _same(getattr(line, f"own_ended_count_{window}d"), float(len(ended)) if covered else None, (window, day))
            _same(getattr(line, f"own_ended_days_since_{window}d"), since if covered else None, (window, day))


def _change(log: oracle.Log, account: str, day: dt.date, timezone: str, lag: int, of: str | None) -> float | None:
    """What runs now against what was known seven days ago to run then."""
    then_day = day - dt.timedelta(days=7)
    now_known = oracle.usable_rows(log, KEY, "start_on", day, timezone, lag)
    if min((row["start_on"] for row in now_known), default=day) > then_day:
        return None
    if of and all(row[of] is None for row in now_known):
        return None
    values = []
    for at in (day, then_day):
        known = oracle.usable_rows(log, KEY, "start_on", at, timezone, lag)
        runs = oracle.running([row for row in known if row["account_id"] == account], "end_on", at)
        filled = [row for row in runs if of is None or row[of] is not None]
        values.append(Fraction(sum(1 if of is None else row[of] for row in filled)) if filled or of is None else None)
    now, then = values
    return float(now / then - 1) if now is not None and then else None


@slow
@given(st.lists(_subscription, min_size=3, max_size=16), st.sampled_from(["sum", "max", "core"]))
def test_what_runs_across_owned_products_equals_the_oracle(drawn, across):
    log = _unique(drawn, *KEY, "known_at")
    frame = _frame(log, (*KEY, "end_on", "seats", "known_at")).astype({"seats": "float64"})
    facts = Facts.from_frames({"subscriptions": frame})
    ops = ["sum", "max", "last", "age", "days_since"]
    signals = {"seats": RUNS | {"of": "seats", "across": across, "ops": ops}}
    table = _features(facts, family("own", source="subscriptions", signals=signals))
    for line in table.itertuples():
        day = line.as_of.date()
        known = oracle.usable_rows(log, KEY, "start_on", day, "UTC", 0)
        runs = oracle.running([row for row in known if row["account_id"] == line.account_id], "end_on", day)
        # without prices the core product is the owned one whose id sorts first
        owned = sorted(OWNED[line.account_id])[: 1 if across == "core" else None]
        for op in ops:
            each = [
                oracle.state([row for row in runs if row["product_id"] == p], "seats", "start_on", op, day)
                for p in owned
            ]
            found = [value for value in each if value is not None]
            how = {"age": max, "days_since": min}.get(op, max if across == "max" else sum)
            _same(getattr(line, f"own_seats_{op}"), how(found) if found else None, (across, op, day))


_ticket = st.fixed_dictionaries(
    {
        "ticket_id": st.sampled_from(["t1", "t2", "t3", "t4", "t5"]),
        "account_id": st.sampled_from(ACCOUNTS),
        "opened_at": _instant,
        "open_hours": st.one_of(st.none(), st.integers(1, 400)),
        "priority": st.sampled_from(["P1", "P2", "P3"]),
        "escalated": st.one_of(st.none(), st.booleans()),
        "known_at": _known_at,
    }
)
TICKETS = {
    "urgent": RUNS | {"where": {"priority": ["P1", "P2"]}, "ops": ["count", "age"]},
    "opened": {"where": {"priority": "P1"}, "ops": ["count", "days_since"], "windows": [3, 7]},
    "escalated": {"where": {"escalated": True}, "ops": ["count"], "windows": [7]},
}


@slow
@given(st.lists(_ticket, min_size=3, max_size=14), st.sampled_from(ZONES), st.sampled_from([0, 1]))
def test_instants_in_local_days_across_clock_changes_equal_the_oracle(drawn, timezone, lag):
    log = _unique(drawn, "ticket_id", "known_at")
    # one ticket belongs to one account and was opened once, whatever is corrected later
    for row in log:
        same = next(other for other in log if other["ticket_id"] == row["ticket_id"])
        row |= {"account_id": same["account_id"], "opened_at": same["opened_at"]}
        row["closed_at"] = row["opened_at"] + dt.timedelta(hours=row["open_hours"]) if row["open_hours"] else None
        row["opened_on"] = oracle.local_day(row["opened_at"], timezone)
        row["closed_on"] = oracle.local_day(row["closed_at"], timezone) if row["closed_at"] else None
    columns = ("ticket_id", "account_id", "opened_at", "closed_at", "priority", "escalated", "known_at")
    facts = Facts.from_frames({"tickets": _frame(log, columns)}, timezone=timezone, lag_days={"tickets": lag})
    table = _features(facts, family("help", source="tickets", signals=TICKETS))
    for line in table.itertuples():
        day = line.as_of.date()
        known = oracle.usable_rows(log, ("ticket_id",), "opened_on", day, timezone, lag)
        mine = [row for row in known if row["account_id"] == line.account_id]
        urgent = [row for row in oracle.running(mine, "closed_on", day) if row["priority"] in ("P1", "P2")]
        for op in ("count", "age"):
            wanted = oracle.state(urgent, None, "opened_on", op, day) if known else None
            _same(getattr(line, f"help_urgent_{op}"), wanted, (op, day))
        started = min((row["opened_on"] for row in known), default=dt.date.max)
        first = [row for row in mine if row["priority"] == "P1"]
        for window in (3, 7):
            covered = day - dt.timedelta(days=window) >= started
            for op in ("count", "days_since"):
                wanted = oracle.operation(first, None, "opened_on", op, window, day) if covered else None
                _same(getattr(line, f"help_opened_{op}_{window}d"), wanted, (op, window, day))
        # an escalation is overwritten in place: only rows that say when they were known tell of it
        flagged = [row for row in mine if row["escalated"] and row["known_at"] is not None]
        escalated = oracle.operation(flagged, None, "opened_on", "count", 7, day)
        filled = all(any(row[name] is not None for row in known) for name in ("escalated", "known_at"))
        told = filled and day - dt.timedelta(days=7) >= started
        _same(line.help_escalated_count_7d, escalated if told else None, day)


_attributes = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(ACCOUNTS),
        "valid_from": _day,
        "employees": st.one_of(st.none(), st.integers(0, 9)),
        "industry": st.sampled_from([None, "NA", "media"]),
        "known_at": _known_at,
    }
)


@slow
@given(st.lists(_attributes, min_size=2, max_size=12), st.sampled_from(ZONES))
def test_attribute_histories_equal_the_oracle(drawn, timezone):
    log = _unique(drawn, "account_id", "valid_from", "known_at")
    frame = _frame(log, ("account_id", "valid_from", "employees", "industry", "known_at")).assign(name="x")
    frame["employees"] = frame["employees"].astype("float64").astype("Int64")
    facts = Facts.from_frames({"accounts": frame}, timezone=timezone)
    signals = {
        "employees": {"of": "employees", "ops": ["last"]},
        "growth": {"of": "employees", "ops": ["change"], "windows": [7]},
        "industry": {"of": "industry", "ops": ["last"], "unit": "category"},
    }
    table = _features(facts, family("firm", source="accounts", signals=signals))
    for line in table.itertuples():
        day = line.as_of.date()
        now, then = (
            {row["account_id"]: row for row in oracle.usable_attributes(log, at, timezone)}
            for at in (day, day - dt.timedelta(days=7))
        )
        row, before = now.get(line.account_id, {}), then.get(line.account_id, {})
        _same(line.firm_employees_last, row.get("employees"), day)
        assert (None if pd.isna(line.firm_industry_last) else line.firm_industry_last) == row.get("industry")
        grown = None
        covered = min((held["valid_from"] for held in now.values()), default=day) <= day - dt.timedelta(days=7)
        if covered and row.get("employees") is not None and before.get("employees"):
            grown = row["employees"] / before["employees"] - 1
        _same(line.firm_growth_change_7d, grown, ("growth", day))
