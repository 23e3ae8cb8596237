"""Tables and columns map as the settings say, and a misspelt name stops the run with the closest one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from product_affinity.contracts.facts import open_engine
from product_affinity.errors import AffinityError, ContractError, UsageError
from product_affinity.project.settings import TableSettings
from product_affinity.sources import SourceTable, map_tables, open_sources
from product_affinity.sources.mapping import unused_tables

Mapper = Callable[..., dict[str, SourceTable]]


@pytest.fixture
def mapped(tmp_path: Path) -> Iterator[Mapper]:
    engine = open_engine(threads=1)
    folder, workspace = tmp_path / "data", tmp_path / "workspace"
    folder.mkdir()
    workspace.mkdir()
    (folder / "accounts.csv").write_text("account_id,name\nA-1,One\nA-2,Two\n")
    (folder / "billing.csv").write_text("account_id,product,started\nA-1,crm,2025-01-01\nA-2,crm,2025-02-01\n")

    def run(**settings: object) -> dict[str, SourceTable]:
        raw = open_sources(engine, folder, workspace)
        found = map_tables(raw, {name: TableSettings.model_validate(value) for name, value in settings.items()})
        run.raw, run.engine = raw, engine  # for the few tests that look deeper
        return found

    yield run
    engine.close()


BILLING = {"name": "billing", "columns": {"product_id": "product", "start_on": "started"}}


def test_a_mapped_table_has_our_columns(mapped):
    found = mapped(subscriptions=BILLING)
    assert found["subscriptions"].columns == {
        "account_id": "account_id",
        "product_id": "product",
        "start_on": "started",
    }
    assert found["subscriptions"].origin == "billing.csv"
    assert "usage" not in found


def test_a_query_sees_raw_tables_and_is_sorted(mapped):
    query = "select account_id, product as product_id, started from billing order by 1 desc -- newest;"
    found = mapped(subscriptions={"query": query, "columns": {"start_on": "started"}})
    rows = mapped.engine.execute(f"from {found['subscriptions'].relation} order by _row").fetchall()
    assert [row[:2] for row in rows] == [(1, "A-1"), (2, "A-2")]
    assert not found["subscriptions"].numbered
    assert found["subscriptions"].inputs == ("billing",)


def test_a_mapping_applies_to_a_query(mapped):
    found = mapped(subscriptions={"query": "from billing", "columns": BILLING["columns"]})
    assert found["subscriptions"].columns["start_on"] == "started"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"name": "biling"},
            UsageError,
            r"affinity\.toml: sources\.tables\.subscriptions\.name: no table biling in data "
            r"\(did you mean billing\?\)",
        ),
        (
            {"name": "billing", "columns": {"start_on": "startd"}},
            UsageError,
            r"subscriptions\.columns\.start_on: no column startd in billing\.csv \(did you mean started\?\)",
        ),
        (
            {"name": "billing", "columns": {"start_onn": "started"}},
            UsageError,
            r"columns\.start_onn: subscriptions has no such column \(did you mean start_on\?\)",
        ),
        (
            {"query": "select strted from billing"},
            ContractError,
            r"affinity\.toml: sources\.tables\.subscriptions\.query: Referenced column \"strted\" not found",
        ),
        ({"query": "from biling"}, ContractError, r"subscriptions\.query: .*biling does not exist"),
        ({"query": "drop view billing"}, UsageError, r"subscriptions\.query: must be one select statement"),
        ({"query": "select 1; drop view billing"}, UsageError, r"must be one select statement"),
        (
            {"query": "from billing) ; drop view billing; from (select 1"},
            AffinityError,
            r"subscriptions\.query",
        ),
        (
            {"query": "from read_csv('/etc/hostname')"},
            ContractError,
            r"subscriptions\.query: Cannot access file",
        ),
        ({"query": "select *, 1 as _row from billing"}, UsageError, r"_row is reserved"),
    ],
)
def test_a_wrong_setting_stops_with_place_and_closest_name(mapped, settings, error, message):
    with pytest.raises(error, match=message):
        mapped(subscriptions=settings)


def test_a_query_may_return_a_column_rowid(mapped):
    query = "select account_id, product as product_id, started as start_on, 9 as rowid from billing"
    found = mapped(subscriptions={"query": query})
    rows = mapped.engine.execute(f"select _row, rowid, account_id from {found['subscriptions'].relation}").fetchall()
    assert rows == [(1, 9, "A-1"), (2, 9, "A-2")]


def test_all_wrong_settings_are_named_at_once(mapped):
    with pytest.raises(UsageError) as raised:
        mapped(
            subscriptions={**BILLING, "columns": {"start_on": "startd", "prodct_id": "product"}},
            usage={"name": "telemetry"},
        )
    assert len(str(raised.value).splitlines()) == 3


def test_a_missing_required_table_names_the_closest_file(mapped):
    with pytest.raises(ContractError) as raised:
        mapped(accounts={"name": "accounts"})
    assert str(raised.value).startswith("subscriptions: required table missing in data (present: accounts, billing).")


def test_an_extra_measure_may_be_renamed_but_a_near_miss_is_a_typo(mapped):
    usage = {"query": "select account_id, product as product_id, started as date, 1 as n, 2 as m from billing"}
    found = mapped(subscriptions=BILLING, usage={**usage, "columns": {"exports": "n"}})
    assert found["usage"].columns["exports"] == "n"
    assert unused_tables(mapped.raw, found) == ()


def test_a_near_miss_of_a_measure_is_a_typo(mapped):
    usage = {"query": "select account_id, product as product_id, started as date, 1 as n from billing"}
    with pytest.raises(UsageError, match=r"columns\.active_user: usage has no such column .*active_users"):
        mapped(subscriptions=BILLING, usage={**usage, "columns": {"active_user": "n"}})


def test_unread_tables_are_known(mapped):
    found = mapped(subscriptions={"query": "select 'A-1' as account_id, 'crm' as product_id, '2025-01-01' as start_on"})
    assert unused_tables(mapped.raw, found) == ("billing",)
