"""Every shipped trigger, and every example in its comments, just inside and just outside its boundary."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.triggers import load_triggers
from product_affinity.project.reading import read_yaml, validate
from product_affinity.rules.triggers import fire_triggers
from product_affinity.schema import TABLES
from tests.company import account, catalog, company, subscription
from tests.rules.trigger_rows import AS_OF, ago, health, pairs, problem, signal, survey, ticket, usage, uses

ROOT = Path(__file__).parents[2]
CATALOG = validate(Catalog, read_yaml(ROOT / "models" / "catalog.yml"), "catalog.yml")
SHIPPED = load_triggers(ROOT / "playbook", CATALOG)
ALL = set(CATALOG.product_ids)
BESIDE_EMAIL = {
    "sales_crm",
    "support_desk",
    "analytics",
    "marketing_automation",
    "customer_data_platform",
    "ai_assistant",
}
WEEKLY, THREE_WEEKS = (1, 8, 15, 22), (1, 8, 15, 21)
BIG = catalog("sms", "time_tracking", "landing_pages", "planning", "social", "crm_integration")


def weekly(feature, products):
    return [(uses(feature, *WEEKLY), products), (uses(feature, *THREE_WEEKS), None), (uses("other", *WEEKLY), None)]


def event(kind, window, products=ALL, product=None):
    """A signal counts up to its window's edge; one of another kind does not."""
    return [
        ([signal(kind, window, product)], products),
        ([signal(kind, window + 1, product)], None),
        ([signal(kind, 0, product)], None),
        ([signal("unheard_of", 1, product)], None),
    ]


def industry(*names, products):
    inside = [([account("A", industry=name)], products) for name in names]
    return [*inside, ([account("A", industry="mining")], None), ([account("A", industry=None)], None)]


def crm(start="2023-01-01", **more):
    return subscription("A", "sales_crm", start, **more)


CASES = {
    "T01": event("request", 180, {"analytics"}, "analytics"),
    "T02": [
        ([problem("reports_in_spreadsheets", 365)], {"analytics"}),
        ([problem("data_in_silos", 1)], {"data_warehouse", "customer_data_platform"}),
        ([problem("reports_in_spreadsheets", 366)], None),
        ([problem("unheard_of", 1)], None),
        ([problem("data_in_silos", 9, solved_at=f"{ago(1)} 10:00")], None),
    ],
    "T10": [
        ([usage(28, limit_share=0.85)], BESIDE_EMAIL),
        ([usage(28, limit_share=0.849)], None),
        ([usage(29, limit_share=0.99)], None),
        ([usage(1, limit_share=None), usage(40, limit_share=0.1)], None),
    ],
    "T11": weekly("spreadsheet_export", {"analytics"}),
    "T12": weekly("contact_export", {"customer_data_platform"}) + weekly("list_upload", {"customer_data_platform"}),
    "T13": [
        (uses("newsletter", 3, 28, n=3, product="email_marketing"), {"marketing_automation"}),
        (uses("newsletter", 3, 29, n=3, product="email_marketing"), None),
        (uses("newsletter", 3, n=5, product="email_marketing"), None),
        (uses("newsletter", 3, n=9, product="sales_crm"), None),
    ],
    "T14": weekly("funnel_report", {"marketing_automation"}),
    "T15": weekly("call_recording", {"ai_assistant"}),
    "T16": event("substitute", 365, {"email_marketing"}, "email_marketing"),
    "T17": weekly("bulk_reply", {"email_marketing"}),
    "T18": event("milestone", 30),
    "T20": event("funding", 90),
    "T21": event("hiring", 60),
    "T22": event("acquisition", 180),
    "T23": event("executive_change", 90),
    "T24": event("department_growth", 60),
    "T25": event("launch", 60),
    "T26": [
        ([crm("2024-06-29")], ALL),
        ([crm("2024-05-31")], ALL),
        ([crm("2024-05-30")], None),
        ([crm("2026-06-29")], None),
        ([crm("2024-06-29", end=ago(1))], None),
        ([crm("2024-06-29", is_trial=True)], None),
    ],
    "T27": event("onboarding_done", 90, BESIDE_EMAIL, "email_marketing"),
    "T28": [
        ([crm(renewal_on=ago(-89)), health(30, 76)], ALL),
        ([crm(renewal_on=ago(0)), health(1, 76)], ALL),
        ([crm(renewal_on=ago(-90)), health(1, 76)], None),
        ([crm(renewal_on=ago(-30)), health(1, 75)], None),
        ([crm(renewal_on=ago(-30)), health(31, 99)], None),
        ([crm(renewal_on=ago(-30)), health(9, 99), health(1, 60)], None),
        ([crm(renewal_on=ago(-30)), health(1, 99, "sales_crm")], None),
        ([crm(renewal_on=None), health(1, 99), crm("2022-01-01", end="2022-02-01", renewal_on="2023-01-01")], None),
    ],
    "T29": [
        ([survey(60, 9)], ALL),
        ([survey(61, 10)], None),
        ([survey(60, 8)], None),
        ([survey(9, 10), survey(3, 8)], None),
    ],
    "T30": [
        ([ticket(30), signal("hiring", 90)], ALL),
        ([ticket(1, escalated=None, priority="P4"), signal("department_growth", 1)], ALL),
        ([ticket(31), signal("hiring", 1)], None),
        ([ticket(1), signal("hiring", 91)], None),
        ([ticket(1, priority="P2"), signal("hiring", 1)], None),
        ([ticket(1, escalated=True), signal("hiring", 1)], None),
        ([ticket(1), signal("funding", 1)], None),
    ],
    "T40": industry("healthcare", "finance", products={"customer_data_platform"}),
    "T41": industry("media", "retail", products={"email_marketing"}),
    "T42": [([account("A", industry="retail")], None)],  # June; its season is tested below
}  # fmt: skip
EXAMPLES = {
    "T50": [
        ([usage(28, opens=26, sends=100)], {"sms"}),
        ([usage(28, opens=25, sends=100)], None),
        ([usage(28, opens=None, sends=100), usage(99, opens=1, sends=1)], None),
    ],
    "T51": weekly("time_note", {"time_tracking"}),
    "T52": [([usage(28, paid_visits=500)], {"landing_pages"}), ([usage(28, paid_visits=499)], None)],
    "T53": [([usage(28, contending_users=5)], {"planning"}), ([usage(28, contending_users=4)], None)],
    "T54": industry("agency", "media", "retail", products={"social"}),
    "T55": weekly("contact_export", {"crm_integration"}),
}


def examples(folder: Path):
    """The examples of the shipped file, their comment marks taken away."""
    text = (ROOT / "playbook" / "triggers.yml").read_text(encoding="utf-8")
    block = text.split("# example:", 1)[1].split("\n", 1)[1]
    (folder / "triggers.yml").write_text("triggers:\n" + re.sub(r"^#(?: |$)", "", block, flags=re.M), encoding="utf-8")
    return load_triggers(folder, BIG)


def reached(triggers, products, table):
    """Products that each case's trigger leads to: every case is an account of one company."""
    rows = []
    for code, number, (facts, _) in each(table):
        found = facts if any(name == "accounts" for name, _ in facts) else [account("A", industry="mining"), *facts]
        rows += [(name, renamed(row, f"{code}-{number}")) for name, row in found]
    accounts = [f"{code}-{number}" for code, number, _ in each(table)]
    fired = fire_triggers(company(*rows), products, triggers, pairs(products, *accounts))
    own = fired[fired["account_id"].str.split("-").str[0].eq(fired["code"])]
    return own.groupby("account_id")["product_id"].agg(set).to_dict()


def each(table):
    return [(code, number, case) for code in table for number, case in enumerate(table[code])]


def renamed(row, name):
    keys = {key: f"{name} {row[key]}" for key in ("problem_id", "ticket_id") if key in row}
    return row | keys | {"account_id": name}


def cases(table):
    return [pytest.param(f"{code}-{number}", case[1], id=f"{code}-{number}") for code, number, case in each(table)]


@pytest.fixture(scope="module")
def shipped():
    return reached(SHIPPED, CATALOG, CASES)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return reached(examples(tmp_path_factory.mktemp("playbook")), BIG, EXAMPLES)


@pytest.mark.parametrize(("case", "products"), cases(CASES))
def test_a_shipped_trigger_at_its_boundary(shipped, case, products):
    assert shipped.get(case) == products


@pytest.mark.parametrize(("case", "products"), cases(EXAMPLES))
def test_an_example_at_its_boundary(shown, case, products):
    assert shown.get(case) == products


def test_every_trigger_has_its_cases(tmp_path):
    assert [trigger.code for trigger in SHIPPED] == list(CASES)
    assert [trigger.code for trigger in examples(tmp_path)] == list(EXAMPLES)


@pytest.mark.parametrize(("day", "fires"), [((8, 31), False), ((9, 1), True), ((10, 31), True), ((11, 1), False)])
def test_the_season(day, fires):
    asked = pairs(CATALOG, "A", as_of=dt.date(2026, *day))
    fired = fire_triggers(company(account("A", industry="retail")), CATALOG, SHIPPED, asked)
    found = set(fired.loc[fired["code"].eq("T42"), "product_id"])
    assert found == ({"email_marketing", "marketing_automation"} if fires else set())


def random_company(seed: int) -> dict[str, pd.DataFrame]:
    """Facts of every table that triggers read, half of them after the as-of date."""
    rng = np.random.default_rng(seed)
    n, products = 150, np.array(CATALOG.product_ids)

    def days(low: int = 200, high: int = 200) -> pd.Series:
        return pd.Series(pd.Timestamp(AS_OF) - pd.to_timedelta(rng.integers(-high, low, n), unit="D"))

    accounts = rng.choice(["A", "B", "C"], n)
    product, feature = rng.choice(products, n), rng.choice(["spreadsheet_export", "bulk_reply", "call_recording"], n)
    known = days(120, 120) + pd.Timedelta(hours=9)
    base = {"account_id": accounts, "known_at": known}
    kinds = ["request", "funding", "hiring", "substitute", "milestone", "onboarding_done"]
    tags = ["slow_replies", "data_in_silos", "reports_in_spreadsheets"]
    frames = {
        "signals": {**base, "kind": rng.choice(kinds, n), "happened_on": days(), "product_id": product},
        "usage": {**base, "product_id": product, "date": days(), "limit_share": rng.random(n)},
        "feature_usage": {**base, "product_id": product, "feature": feature, "date": days(30, 30), "uses": 2.0},
        "problems": {
            **base, "problem_id": [f"N{i}" for i in range(n)], "tag": rng.choice(tags, n), "statement": "s",
            "noted_at": days(), "source": "qbr", "solved_at": days(),
        },
        "surveys": {**base, "responded_at": days(), "score": rng.integers(5, 11, n)},
        "health": {**base, "date": days(), "score": rng.uniform(50, 100, n), "product_id": None},
        "tickets": {
            **base, "ticket_id": [f"K{i}" for i in range(n)], "opened_at": days(), "closed_at": days(),
            "priority": rng.choice(["P1", "P3", "P4"], n), "escalated": rng.random(n) < 0.3,
        },
        "subscriptions": {
            **base, "product_id": product, "start_on": days(900, 90), "end_on": days(), "renewal_on": days(),
            "arr_usd": 9.0,
        },
    }  # fmt: skip
    found = {name: pd.DataFrame(columns) for name, columns in frames.items()}
    found["accounts"] = pd.DataFrame(
        {"account_id": ["A", "B", "C"], "name": "x", "industry": ["retail", "finance", None]}
    )
    return {
        name: frame.drop_duplicates([*TABLES[name].key, *(["known_at"] if "known_at" in frame else [])])
        for name, frame in found.items()
    }


def forget(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The same company as it stood at the as-of date: nothing later is left, what closes later is still open."""
    as_of, cut = pd.Timestamp(AS_OF), {}
    for name, frame in frames.items():
        event = TABLES[name].event
        kept = frame.copy()
        if "known_at" in kept:
            kept = kept[(kept["known_at"] < as_of) & (kept[event] < as_of)]
        for column in TABLES[name].columns:
            if column.closed_by is not None and column.name in kept:
                kept[column.name] = kept[column.name].where(kept[column.closed_by] < as_of)
        cut[name] = kept
    return cut


@pytest.mark.parametrize("seed", range(3))
def test_forgetting_the_future_changes_nothing(seed):
    frames = random_company(seed)
    asked = pairs(CATALOG, "A", "B", "C")
    whole = fire_triggers(Facts.from_frames(frames), CATALOG, SHIPPED, asked)
    pd.testing.assert_frame_equal(whole, fire_triggers(Facts.from_frames(forget(frames)), CATALOG, SHIPPED, asked))
    assert whole["code"].nunique() >= 10
    assert (whole["fired_on"].isna() | (whole["fired_on"] < whole["as_of"])).all()
    assert not whole.duplicated(["account_id", "product_id", "as_of", "code"]).any()


def test_every_shipped_trigger_is_documented():
    page = (ROOT / "docs" / "triggers.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (T\d\d) \| ([^|]+) \|", page, flags=re.M)
    assert documented == [(trigger.code, trigger.title) for trigger in SHIPPED]
