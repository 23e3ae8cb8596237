"""Rows for the hand-made company of the readiness tests, dated in days before its as-of date."""

from __future__ import annotations

import itertools

import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.readiness import ReadinessSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.rules import build_evidence
from product_affinity.spine import build_spine
from tests.company import Row, account, catalog, company, subscription
from tests.rules.trigger_rows import AS_OF, ago, health, problem, signal, survey, ticket, usage, uses

BESIDE = {"icp_overlap": "high", "workflow_integration": "high"}
PROBLEM_FIRST = {"icp_overlap": "high", "workflow_integration": "low"}
CORE = ["a", "b", "c", "d", "e"]
_numbers = itertools.count()


def small_catalog() -> Catalog:
    """Crm is owned by everybody; mail is primary beside it, sms problem-first, chat has nothing listed."""
    return catalog(
        "crm",
        "mail",
        "sms",
        "chat",
        crm={"category": "sales", "core_features": CORE},
        mail={
            "category": "marketing",
            "solves": ["slow"],
            "adjacent_features": ["export"],
            "adjacency": {"crm": BESIDE},
        },
        sms={"category": "marketing", "solves": ["slow"], "adjacency": {"crm": PROBLEM_FIRST}},
    )


def customer(start: str = "2024-06-30", *, arr: float = 30_000.0, employees: int = 50, **more: object) -> list[Row]:
    """A customer of crm: mid tier (motion), small, renewing in a year, unless said otherwise."""
    rows = {"arr_usd": arr, "seats": 10, "renewal_on": "2027-06-30"} | more
    return [account("A", employees=employees), subscription("A", "crm", start, **rows)]


def contact(name: str | None = "Ann", area: str | None = "marketing", **more: object) -> Row:
    row = {"contact_id": f"c{next(_numbers)}", "account_id": "A", "role": "head", "name": name, "area": area}
    return "contacts", row | {"from_on": ago(100), "is_champion": False} | more


def implementation(start: int, end: int | str | None, product: str = "crm") -> Row:
    end_on = ago(end) if isinstance(end, int) else end
    row = {"account_id": "A", "product_id": product, "start_on": ago(start), "end_on": end_on}
    return "implementations", row


def core(features: str, *days: int) -> list[Row]:
    return [row for feature in features for row in uses(feature, *(days or (1,)), product="crm")]


def used(users: float, *days: int) -> list[Row]:
    return [usage(day, "crm", active_users=float(users)) for day in days]


def answers(*scores: int, days: int = 1) -> list[Row]:
    return [survey(days + place, score) for place, score in enumerate(scores)]


def flat(*rows: object) -> list[Row]:
    """Rows and lists of rows as one list."""
    found: list[Row] = []
    for row in rows:
        found += [row] if isinstance(row, tuple) else flat(*row)
    return found


def feeds() -> list[Row]:
    """A customer whose old rows make every feed reach back over its look-back, and every product tracked."""
    return flat(
        customer(),
        ticket(400),
        signal("launch", 400),
        survey(400, 8),
        health(300, 75),
        contact(),
        problem("loud", 400),
        implementation(500, 400),
        used(6, 1, 8, 15, 22),
        core("a"),
        uses("export", 1, product="crm"),
    )


def moved_to(name: str, rows: list[Row]) -> list[Row]:
    """The same rows for another account, with ids of their own."""
    moved = []
    for table, row in rows:
        row = row | {"account_id": name}
        if table == "accounts":
            row["name"] = name
        for key in ("ticket_id", "problem_id", "contact_id"):
            if key in row:
                row[key] = f"{row[key]}-{name}"
        moved.append((table, row))
    return moved


def facts_of(accounts: dict[str, list[Row]]) -> Facts:
    return company(*(row for name, rows in accounts.items() for row in moved_to(name, rows)))


def evidence_of(facts: Facts, spec: ReadinessSpec, products: tuple[str, ...] = ("mail",)) -> pd.DataFrame:
    """Evidence of every customer for some products, one row an account and product."""
    spine = build_spine(facts, SegmentSettings(), [AS_OF])
    pairs = spine[["account_id", "as_of"]].merge(pd.DataFrame({"product_id": products}, dtype="str"), how="cross")
    return build_evidence(facts, small_catalog(), spec, spine, pairs)
