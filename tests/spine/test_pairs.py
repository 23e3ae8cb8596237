from __future__ import annotations

import datetime as dt

import pytest

from product_affinity.project.model_spec import ModelSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.spine import build_pairs, build_spine
from tests.company import account, catalog, company, opportunity, subscription

DAY = dt.date(2026, 3, 1)
BASE = (account("A", employees=50, region="EU"), subscription("A", "crm", "2025-01-01"))


def status_of(*rows, product="mail", rules=None):
    """Status, reason and win-back mark of one product for account A."""
    facts = company(*BASE, *rows)
    spine = build_spine(facts, SegmentSettings(), [DAY])
    products = catalog("crm", "mail", "desk", **({product: rules} if rules else {}))
    pairs = build_pairs(facts, products, ModelSpec(), spine)
    row = pairs[(pairs["account_id"] == "A") & (pairs["product_id"] == product)].iloc[0]
    return (
        row["status"],
        (row["why_not"] if isinstance(row["why_not"], str) else None),
        bool(row["is_winback"]),
    )


WHITE = ("white_space", None, False)


def barred(reason):
    return ("not_eligible", reason, False)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2025-06-01", None, ("owned", None, False)),
        ("2026-03-01", None, WHITE),  # starts on the as-of date: not known yet
        ("2025-06-01", "2026-03-01", ("owned", None, False)),  # its end is not known yet
        ("2025-06-01", "2026-02-28", barred("recently_dropped")),
        ("2025-06-01", "2025-12-02", barred("recently_dropped")),  # 89 days ago
        ("2025-06-01", "2025-12-01", ("white_space", None, True)),  # 90 days ago
    ],
)
def test_ownership_and_winback(start, end, expected):
    assert status_of(subscription("A", "mail", start, end)) == expected


def test_a_trial_is_not_ownership():
    assert status_of(subscription("A", "mail", "2025-06-01", is_trial=True)) == WHITE


def test_a_one_time_purchase_in_use_is_ownership():
    assert status_of(subscription("A", "mail", "2025-06-01", arr_usd=0.0, one_time=True))[0] == "owned"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"launched_on": dt.date(2026, 3, 2)}, barred("not_launched")),
        ({"launched_on": dt.date(2026, 3, 1)}, WHITE),
        ({"sunset_on": dt.date(2026, 3, 1)}, barred("sunset")),
        ({"sunset_on": dt.date(2026, 3, 2)}, WHITE),
        ({"sellable_to": {"segment": ["enterprise"]}}, barred("segment")),
        ({"sellable_to": {"segment": ["smb"]}}, WHITE),
        ({"sellable_to": {"region": ["US"]}}, barred("region")),
        ({"sellable_to": {"industry": ["retail"]}}, WHITE),  # industry unknown: excludes nothing
        ({"prerequisites": ["desk"]}, barred("prerequisite")),
        ({"prerequisites": ["crm"]}, WHITE),
        ({"conflicts": ["crm"]}, barred("conflict")),
        ({"conflicts": ["desk"]}, WHITE),
    ],
)
def test_catalogue_rules(rules, expected):
    assert status_of(rules=rules) == expected


@pytest.mark.parametrize(
    ("deal", "expected"),
    [
        ({"created": "2026-02-28"}, ("in_pipeline", None, False)),
        ({"created": "2026-03-01"}, WHITE),
        ({"created": "2026-01-01", "closed_on": "2026-03-01", "result": "won"}, ("in_pipeline", None, False)),
        ({"created": "2026-01-01", "closed_on": "2026-02-28", "result": "won"}, barred("won_pending")),
        ({"created": "2026-01-01", "closed_on": "2026-02-28", "result": "lost"}, WHITE),
        (
            {"created": "2025-01-01", "closed_on": "2025-08-01", "result": "won"},
            WHITE,
        ),  # won long ago, never started
        ({"created": "2026-01-01", "kind": "upsell"}, WHITE),
    ],
)
def test_opportunities(deal, expected):
    assert status_of(opportunity("O", "A", "mail", **deal)) == expected


def test_a_pending_deal_is_settled_by_its_start():
    rows = [
        opportunity("O", "A", "mail", "2026-01-01", closed_on="2026-01-10", result="won"),
        subscription("A", "mail", "2026-01-15"),
    ]
    assert status_of(*rows)[0] == "owned"


def test_every_account_has_every_product_once():
    facts = company(*BASE, account("B"), subscription("B", "mail", "2025-01-01"))
    spine = build_spine(facts, SegmentSettings(), [DAY, dt.date(2026, 2, 1)])
    pairs = build_pairs(facts, catalog("crm", "mail", "desk"), ModelSpec(), spine)
    assert len(pairs) == 2 * 2 * 3
    assert not pairs.duplicated(["account_id", "product_id", "as_of"]).any()
