"""What no replay can prove is named, with all that rests on it; what can be proven is not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from product_affinity.features.audit import AuditReport
from product_affinity.features.unproven import NOT_OWNED, Unproven, unproven_columns
from product_affinity.project.families import load_families
from tests.company import Row, account, company, subscription
from tests.features.builders import family

FAMILIES = load_families(Path(__file__).parents[2] / "features")
VERSIONED = subscription("A", "crm", "2025-01-01", seats=5, known_at="2025-01-01")
DATED = account("A", valid_from="2025-01-01")


def contact(**attributes: object) -> Row:
    return "contacts", {"contact_id": "c", "account_id": "A", "role": "cto", "is_champion": True, **attributes}


def used(product: str, day: str) -> Row:
    return "usage", {"account_id": "A", "product_id": product, "date": day, "active_users": 1.0}


def named(*rows: Row, families=FAMILIES) -> dict[str, Unproven]:
    return {found.source: found for found in unproven_columns(company(*rows), families)}


def firm(name: str) -> tuple:
    return (family("firm", source="accounts", signals={name: {"of": name, "ops": ["last"]}}),)


def test_flags_of_contacts_are_left_out():
    found = named(DATED, VERSIONED, contact())
    assert set(found) == {"contacts.is_champion"}, "the others are not filled, so nothing can be wrong about them"
    assert found["contacts.is_champion"].withheld
    assert found["contacts.is_champion"].columns == ("engagement_champions_count", "engagement_champions_left_count")
    assert str(found["contacts.is_champion"]).startswith(
        "left out: contacts.is_champion has no history (no known_at), so nothing is learnt from it: engagement_"
    )


def test_versions_and_histories_leave_nothing_to_say():
    assert named(DATED, VERSIONED, contact(known_at="2025-06-01")) == {}


def test_what_lines_of_subscriptions_say_is_used_and_named_with_what_is_derived_from_it():
    found = named(DATED, subscription("A", "crm", "2025-01-01", seats=5))
    assert not found["subscriptions.seats"].withheld
    columns = found["subscriptions.seats"].columns
    assert {"ownership_seats_sum", "usage_seats_used_share", "ownership_arr_per_seat_usd"} <= set(columns)
    assert "anchor_seats_used_share" in columns, "a query that names the column rests on it"
    assert "usage_core_users_mean_28d" in found["subscriptions.arr_usd"].columns, "the core product has the highest ARR"


def test_attributes_without_a_history_are_named_also_where_the_spine_hands_them_on():
    found = named(account("A", employees=10, industry="media"), VERSIONED)
    assert "firmographic_segment_last" in found["accounts.employees"].columns
    assert found["accounts.industry"].columns == ("firmographic_industry_last",)
    assert "no valid_from" in str(found["accounts.industry"])


def test_a_value_of_today_on_every_version_is_named():
    """Both accounts have versions, and none of them ever says another number."""
    rows = [
        account(name, valid_from=day, products_in_use=count, known_at=day)
        for name, count in (("A", 1), ("B", 3))
        for day in ("2025-01-01", "2025-06-01")
    ]
    found = named(*rows, VERSIONED, families=firm("products_in_use"))
    assert found["accounts.products_in_use"].columns == ("firm_products_in_use_last",)
    assert "the same on every version of all 2 accounts that have several" in str(found["accounts.products_in_use"])
    changed = account("B", valid_from="2025-09-01", products_in_use=4, known_at="2025-09-01")
    assert named(*rows, changed, VERSIONED, families=firm("products_in_use")) == {}


def test_a_value_that_comes_later_is_a_history():
    rows = [account("A", valid_from="2025-01-01"), account("A", valid_from="2025-06-01", tier="gold")]
    assert named(*rows, VERSIONED, families=firm("tier")) == {}


def test_one_version_an_account_is_no_evidence_against_it():
    assert named(account("A", valid_from="2025-01-01", tier="gold"), VERSIONED, families=firm("tier")) == {}


def test_use_before_the_first_start_matters_where_products_not_owned_are_read():
    early = [used("crm", "2024-12-30"), used("crm", "2025-01-01"), used("chat", "2024-12-30")]
    users = {"of": "active_users", "ops": ["mean"], "windows": [28]}
    families = tuple(
        family(name, source="usage", signals={"users": users | more}, **rest)
        for name, more, rest in (
            ("pooled", {}, {}),
            ("owned", {"across": "sum"}, {}),
            ("target", {}, {"grain": "pair"}),
        )
    )
    found = named(DATED, VERSIONED, *early, families=families)[f"usage.{NOT_OWNED}"]
    assert found.columns == ("pooled_users_mean_28d", "target_users_mean_28d")
    assert "(1: provisioned before billing)" in str(found)
    assert named(DATED, VERSIONED, *early[1:], families=families) == {}


def test_the_families_we_ship_read_the_use_of_owned_products_only():
    assert named(DATED, VERSIONED, used("crm", "2024-12-30")) == {}


def test_the_audit_names_both_kinds():
    unproven = (
        Unproven("contacts.is_champion", "has no history", ("engagement_champions_count",), withheld=True),
        Unproven("subscriptions.seats", "has no history", ("ownership_seats_sum",)),
    )
    report = AuditReport(dt.date(2026, 1, 1), 2, 10, (), unproven)
    assert report.passed
    assert report.to_json()["unproven"] == {"subscriptions.seats": ["ownership_seats_sum"]}
    assert report.to_json()["left_out"] == {"contacts.is_champion": ["engagement_champions_count"]}
    assert report.render().splitlines()[1:] == [
        "left out: contacts.is_champion has no history: engagement_champions_count",
        "not provable: subscriptions.seats has no history: ownership_seats_sum",
    ]
