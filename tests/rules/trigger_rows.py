"""Facts that triggers are about, dated in days before the as-of date of these tests, and triggers about them."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.triggers import Triggers
from product_affinity.rules.triggers import fire_triggers
from tests.company import Row, account, catalog, company

AS_OF = dt.date(2026, 6, 30)
HIGH = {"icp_overlap": "high", "workflow_integration": "high"}
LOW = {"icp_overlap": "high", "workflow_integration": "low"}
SUM_OF_USES = {"table": "feature_usage", "op": "sum", "of": "uses", "evidence": "{feature} {value}"}
PRODUCTS = catalog(
    "crm",
    "mail",
    "bi",
    crm={"adjacency": {"mail": HIGH}},
    bi={"solves": ["slow"], "adjacent_features": ["export", "print"], "adjacency": {"mail": LOW}},
)


def ago(days: int) -> str:
    """The day `days` before the as-of date; negative days lie ahead."""
    return str(AS_OF - dt.timedelta(days=days))


def signal(kind: str, days: int, product: str | None = None, **more: object) -> Row:
    row = {"account_id": "A", "kind": kind, "happened_on": ago(days), "product_id": product}
    return "signals", row | more


def usage(days: int, product: str = "email_marketing", **measures: object) -> Row:
    return "usage", {"account_id": "A", "product_id": product, "date": ago(days), **measures}


def uses(feature: str, *days: int, n: int = 1, product: str = "sales_crm") -> list[Row]:
    row = {"account_id": "A", "product_id": product, "feature": feature, "uses": n}
    return [("feature_usage", row | {"date": ago(day)}) for day in days]


def problem(tag: str, days: int, name: str = "N1", **more: object) -> Row:
    row = {"problem_id": name, "account_id": "A", "tag": tag, "statement": f"about {tag}", "source": "qbr"}
    return "problems", row | {"noted_at": f"{ago(days)} 12:00"} | more


def ticket(days: int, **more: object) -> Row:
    row = {"ticket_id": f"K{days}", "account_id": "A", "priority": "P3", "escalated": False}
    return "tickets", row | {"opened_at": f"{ago(days)} 12:00"} | more


def survey(days: int, score: int) -> Row:
    return "surveys", {"account_id": "A", "responded_at": f"{ago(days)} 12:00", "score": score}


def health(days: int, score: float, product: str | None = None) -> Row:
    return "health", {"account_id": "A", "date": ago(days), "score": score, "product_id": product}


def pairs(catalog: Catalog, *accounts: str, as_of: dt.date = AS_OF) -> pd.DataFrame:
    """Every product of the catalogue for the given accounts."""
    keys = [(account, product, pd.Timestamp(as_of)) for account in accounts for product in catalog.product_ids]
    return pd.DataFrame(keys, columns=["account_id", "product_id", "as_of"])


def triggers(*whens, points_to="any", **more):
    """One trigger per list of conditions, T01 first."""
    lines = [
        {"code": f"T{n:02}", "title": f"title {n}", "kind": "event", "when": when, "points_to": points_to, "say": "Hi."}
        for n, when in enumerate(whens, start=1)
    ]
    return Triggers.model_validate({"triggers": [line | more for line in lines]})


def fire(rows, *whens, as_of=AS_OF, **more):
    facts = company(account("A"), *rows)
    return fire_triggers(facts, PRODUCTS, triggers(*whens, **more), pairs(PRODUCTS, "A", as_of=as_of))


def evidence(rows, when, **more):
    """The words for the account, or None where it does not fire."""
    fired = fire(rows, [when], points_to=["crm"], **more)
    return fired["evidence"].item() if len(fired) else None


def usage_of(**measures):
    return {"table": "usage", "window_days": 28, "evidence": "{value}", **measures}
