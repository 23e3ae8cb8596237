"""What an as-of date makes of facts: today's state at past dates, and use before it was bought, are said."""

from __future__ import annotations

import datetime as dt

from product_affinity.contracts.facts import Facts, overwritten_columns
from product_affinity.contracts.timeliness import Timeliness, read_timeliness
from product_affinity.schema import TABLES
from tests.company import account, company, subscription

AS_OF = dt.date(2026, 3, 1)


def contact(**attributes: object) -> tuple[str, dict[str, object]]:
    return "contacts", {"contact_id": "c", "account_id": "A", "role": "cto", **attributes}


def used(product: str, day: str) -> tuple[str, dict[str, object]]:
    return "usage", {"account_id": "A", "product_id": product, "date": day, "active_users": 1.0}


def seen(facts: Facts, table: str, tmp_path) -> Timeliness:
    for name in facts.present:
        facts.connection.execute(f"copy facts.{name} to '{tmp_path / name}.parquet' (format parquet)")
    return read_timeliness(facts.connection, TABLES[table], tmp_path / f"{table}.parquet", AS_OF)


def test_flags_without_a_history_are_named(tmp_path):
    facts = company(account("A"), contact(is_champion=True, opted_out=False))
    assert overwritten_columns(facts) == {"contacts": ("is_champion", "opted_out")}
    assert seen(facts, "contacts", tmp_path).note(AS_OF) == (
        "no known_at: is_champion, opted_out say of the past what is true today, so no feature is made of them"
    )


def test_versions_are_a_history(tmp_path):
    facts = company(account("A"), contact(is_champion=True, known_at="2026-01-01"))
    assert overwritten_columns(facts) == {}
    assert seen(facts, "contacts", tmp_path).note(AS_OF) is None


def test_a_closing_column_is_no_overwritten_state(tmp_path):
    ticket = {
        "ticket_id": "t",
        "account_id": "A",
        "opened_at": "2026-01-01",
        "closed_at": "2026-01-03",
        "priority": "P1",
    }
    assert seen(company(account("A"), ("tickets", ticket)), "tickets", tmp_path).note(AS_OF) is None


def test_use_before_the_first_start_is_counted_from_the_day_before(tmp_path):
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-02-01"),
        subscription("A", "crm", "2026-02-20"),
        *(used("crm", day) for day in ("2026-01-30", "2026-01-31", "2026-02-01", "2026-02-10")),
        used("chat", "2026-01-01"),
    )
    note = seen(facts, "usage", tmp_path).note(AS_OF)
    assert note is not None
    assert note.startswith(
        "2 rows of 1 purchases lie before the product's first start (first: A, crm, 2026-01-30, started 2026-02-01)"
    )


def test_use_from_the_first_start_on_is_nothing_to_say(tmp_path):
    facts = company(account("A"), subscription("A", "crm", "2026-02-01", is_trial=True), used("crm", "2026-02-01"))
    assert seen(facts, "usage", tmp_path).note(AS_OF) is None
