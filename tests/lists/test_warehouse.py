from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

import tests.postgres
from product_affinity.errors import RefusedError, UsageError
from product_affinity.lists.warehouse import DEFAULT_COLUMNS, Upserted, upsert_worklist
from tests.plays import plays

postgres = tests.postgres.postgres


@pytest.fixture
def warehouse(postgres, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    return postgres.uri


@pytest.fixture
def table(request):
    """A table of the test's own."""
    return request.node.name[:60]


def stored(uri, table, columns="account_id, product_id, propensity, is_active, updated_at, xmin::text, ctid::text"):
    with psycopg.connect(uri) as connection:
        name = sql.Identifier(*table.split("."))
        rows = connection.execute(
            sql.SQL("select {} from {} order by account_id, product_id").format(sql.SQL(columns), name)
        ).fetchall()
    return {row[:2]: row[2:] for row in rows}


def test_the_first_night_writes_every_row_under_its_key(warehouse, table):
    rows = plays(5)
    assert upsert_worklist(warehouse, table, rows) == Upserted(5, 0, 0, 0)
    found = stored(warehouse, table, f"account_id, product_id, {', '.join(DEFAULT_COLUMNS)}, is_active")
    assert list(found) == sorted(zip(rows["account_id"], rows["product_id"], strict=True))
    first = dict(zip((*DEFAULT_COLUMNS, "is_active"), found["00001", rows["product_id"].iloc[0]], strict=True))
    assert first["account_name"] == rows["account_name"].iloc[0]
    assert first["propensity"] == 0.31
    assert first["is_active"] is True


def test_an_unchanged_row_is_not_touched(warehouse, table):
    upsert_worklist(warehouse, table, plays(4))
    before = stored(warehouse, table)
    again = plays(4, rank=(4, 3, 2, 1), days_on_list=30)
    again["propensity"] *= 1.0001  # the same in two digits
    assert upsert_worklist(warehouse, table, again) == Upserted(0, 0, 4, 0)
    assert stored(warehouse, table) == before


def test_updated_at_moves_with_a_mapped_value_and_for_that_row_alone(warehouse, table):
    upsert_worklist(warehouse, table, plays(3))
    before = stored(warehouse, table)
    changed = plays(3)
    changed.loc[1, "owner_id"] = None
    assert upsert_worklist(warehouse, table, changed) == Upserted(0, 1, 2, 0)
    after = stored(warehouse, table)
    key = (changed["account_id"][1], changed["product_id"][1])
    assert after[key][2] > before[key][2]
    assert {k: v for k, v in after.items() if k != key} == {k: v for k, v in before.items() if k != key}
    assert upsert_worklist(warehouse, table, changed) == Upserted(0, 0, 3, 0), "null is null again"


def test_what_left_the_list_stays_inactive_and_may_come_back(warehouse, table):
    upsert_worklist(warehouse, table, plays(3))
    assert upsert_worklist(warehouse, table, plays(2)) == Upserted(0, 0, 2, 1)
    third = plays(3).iloc[2]
    gone = stored(warehouse, table)[third["account_id"], third["product_id"]]
    assert gone[1] is False
    assert upsert_worklist(warehouse, table, plays(2)) == Upserted(0, 0, 2, 0), "deactivated once"
    assert stored(warehouse, table)[third["account_id"], third["product_id"]] == gone
    assert upsert_worklist(warehouse, table, plays(3)) == Upserted(0, 1, 2, 0)
    assert stored(warehouse, table)[third["account_id"], third["product_id"]][1] is True


def test_an_empty_list_deactivates_everything(warehouse, table):
    upsert_worklist(warehouse, table, plays(2))
    assert upsert_worklist(warehouse, table, plays(2).head(0)) == Upserted(0, 0, 0, 2)


@pytest.mark.parametrize("name", ['say "hi"; drop table x; --', "Über Pläne", "select", "listed", "wh'x.work\"list"])
def test_any_name_is_quoted(warehouse, name):
    if "." in name:
        with psycopg.connect(warehouse) as connection:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name.split(".")[0])))
    assert upsert_worklist(warehouse, name, plays(1)).inserted == 1
    assert len(stored(warehouse, name)) == 1


@pytest.mark.parametrize("name", ["", "a.b.c", "a.", "x" * 64, "é" * 32, "a\0b"])
def test_a_name_no_table_can_have_is_refused(name):
    with pytest.raises(UsageError, match="is no table name"):
        upsert_worklist("postgresql://nobody@127.0.0.1:1/x", name, plays(1))


def test_hostile_values_come_back_as_they_were(warehouse, table):
    names = ["=1+1", "NA", "Robert'); drop table x; --", "tab\there\\n\\N", "\\.", "🙂", "null", "", "x" * 40_000]
    rows = plays(len(names), account_name=names, account_id=["00012", "1E5", "NA", "\\N", *"abcde"])
    upsert_worklist(warehouse, table, rows)
    found = {k[0]: v[0] for k, v in stored(warehouse, table, "account_id, product_id, account_name").items()}
    expected = dict(zip(rows["account_id"], names, strict=True))
    assert found == expected | {"\\N": "tab here\\n\\N"}


def test_all_or_nothing(warehouse, table):
    upsert_worklist(warehouse, table, plays(2))
    before = stored(warehouse, table)
    with psycopg.connect(warehouse) as connection:
        name = sql.Identifier(table)
        connection.execute(sql.SQL("alter table {} add constraint few check (propensity < 0.5)").format(name))
    with pytest.raises(RefusedError, match=r"not updated: new row .* violates check constraint"):
        upsert_worklist(warehouse, table, plays(3, propensity=(0.1, 0.2, 0.9)))
    assert stored(warehouse, table) == before


def test_a_table_without_a_mapped_column_is_refused_by_its_name(warehouse, table):
    upsert_worklist(warehouse, table, plays(1), columns=["owner_id"])
    with pytest.raises(RefusedError, match=f'warehouse table {table[:20]}.*column "play_id"'):
        upsert_worklist(warehouse, table, plays(1))


def test_keys_must_be_there_and_once():
    uri = "postgresql://nobody@127.0.0.1:1/x"
    with pytest.raises(RefusedError, match="1 rows without product_id"):
        upsert_worklist(uri, "t", plays(2, product_id=["crm", None]))
    with pytest.raises(RefusedError, match="A × crm is listed 2 times"):
        upsert_worklist(uri, "t", plays(2, account_id="A", product_id="crm"))


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://me:hunter2@127.0.0.1:1/x",
        "host=127.0.0.1 port=1 password=hunter2",
        "postgresql://me@127.0.0.1:1/x?sslpassword=hunter2",
        "postgresql://me:hunter2@127.0.0.1:notaport/x",
        "not a uri hunter2",
    ],
)
def test_a_password_in_the_uri_is_refused_and_never_repeated(uri):
    with pytest.raises((UsageError, RefusedError)) as error:
        upsert_worklist(uri, "t", plays(1))
    assert "hunter2" not in str(error.value)
    assert error.value.__context__ is None or error.value.__suppress_context__


def test_a_wrong_password_is_told_without_it(postgres, monkeypatch, table):
    monkeypatch.setenv("PGPASSWORD", "wrong-hunter2")
    with pytest.raises(RefusedError, match="password authentication failed") as error:
        upsert_worklist(postgres.uri, table, plays(1))
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("propensty", r"no column propensty to map \(did you mean propensity\?\)"),
        ("talk_track", "may quote what a customer wrote"),
        ("account_id", "no column account_id to map"),
    ],
)
def test_only_columns_of_the_worklist_that_may_leave_are_mapped(column, message):
    with pytest.raises(UsageError, match=message):
        upsert_worklist("postgresql://nobody@127.0.0.1:1/x", "t", plays(1), columns=[column])
