"""Tables of a real PostgreSQL server become the same facts as files do, and only what is needed leaves it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tests.postgres
from product_affinity.contracts.facts import open_engine
from product_affinity.errors import AffinityError, ContractError, UsageError
from product_affinity.pipeline.check import check_sources
from product_affinity.pipeline.doctor import diagnose
from product_affinity.project import load_project
from product_affinity.project.settings import TableSettings
from product_affinity.sources import RawTables, SourceTable, load_rows, map_tables, open_sources
from product_affinity.sources.postgres import Server
from tests.pipeline.test_check import AS_OF, make

postgres = tests.postgres.postgres

COMPANY = """
    create table accounts (account_id bigint, name text, industry text);
    insert into accounts values (1, 'One', 'retail'), (2, 'Two', null), (3, 'Three', 'NA');
    create table subscriptions (account_id bigint, product_id text, start_on date, note text);
    insert into subscriptions values (1, 'crm', '2025-01-01', 'private'), (2, 'ads', '2025-02-01', 'private');
"""
BILLING = {"product_id": "product", "start_on": "started"}


class Database:
    """A database of the test's own."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def run(self, script: str, *values: object) -> None:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(script.encode(), values or None)


@pytest.fixture
def database(postgres: tests.postgres.Postgres, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    name = f"db_{uuid.uuid4().hex[:8]}"
    Database(postgres.uri).run(f"create database {name}")
    return Database(postgres.uri.replace("/postgres?", f"/{name}?"))


@pytest.fixture
def company(database: Database) -> Database:
    database.run(COMPANY)
    return database


@pytest.fixture
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = open_engine(threads=1)
    yield connection
    connection.close()


def read(
    engine: duckdb.DuckDBPyConnection, database: Database, workspace: Path, **tables: object
) -> tuple[RawTables, dict[str, SourceTable]]:
    wanted = {name: TableSettings.model_validate(value) for name, value in tables.items()}
    with open_sources(engine, database.uri, workspace) as raw:
        found = map_tables(raw, wanted)
        load_rows(raw, found)
    return raw, found


def prints(database: Database, workspace: Path, **tables: object) -> dict[str, str]:
    engine = open_engine(threads=1)
    wanted = {name: TableSettings.model_validate(value) for name, value in tables.items()}
    with open_sources(engine, database.uri, workspace) as raw:
        found = map_tables(raw, wanted)
    engine.close()
    return {name: raw.tables[source.inputs[0]].fingerprint for name, source in found.items()}


def test_every_type_arrives_as_it_is(engine, company, tmp_path):
    company.run(
        """
        set timezone = 'Asia/Tokyo';
        create table wild (account_id uuid, product_id char(6), date timestamptz, active_users numeric(30, 4),
            events real, limit_share double precision, seats smallint, is_big boolean, written timestamp,
            day date, "odd ""name" int);
        insert into wild values ('00000000-0000-0000-0000-00000000000a', 'crm', '2025-03-30 01:59:59.123456+02',
            12345678901234567890.5, 0.1, 'NaN', -3, true, '2025-01-01 12:00', 'infinity', 7)
        """
    )
    _, found = read(engine, company, tmp_path, usage={"name": "wild"})
    usage = found["usage"]
    assert usage.types == {
        "account_id": "VARCHAR",
        "product_id": "VARCHAR",
        "date": "TIMESTAMP WITH TIME ZONE",
        "active_users": "DOUBLE",
        "events": "DOUBLE",
        "limit_share": "DOUBLE",
        "seats": "SMALLINT",
        "is_big": "BOOLEAN",
        'odd "name': "INTEGER",
    }
    row = engine.execute(f"select columns(*)::varchar from {usage.relation}").fetchone()
    assert row == (
        "1",
        "00000000-0000-0000-0000-00000000000a",
        "crm",
        "2025-03-29 23:59:59.123456+00",
        "1.2345678901234567e+19",
        "0.1",
        "nan",
        "-3",
        "true",
        "7",
    )


def test_numbers_that_are_ids_keep_every_digit(engine, company, tmp_path):
    company.run("create table wide as select 12345678901234567890.10 as account_id, 'x'::varchar as name")
    _, found = read(engine, company, tmp_path, accounts={"name": "wide"})
    rows = engine.execute(f"from {found['accounts'].relation}").fetchall()
    assert rows == [(1, "12345678901234567890.10", "x")]


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.none(), max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(company, tmp_path, texts):
    texts = [*texts, "", None, "NA", 'a "b", c', "two\nlines", "lone\rreturn", "\\.", "\\N", "😀", " "]
    company.run("truncate accounts")
    company.run("insert into accounts select * from unnest(%s::int[], %s::text[])", list(range(len(texts))), texts)
    engine = open_engine(threads=1)
    _, found = read(engine, company, tmp_path)
    rows = engine.execute(f"select account_id, name from {found['accounts'].relation}").fetchall()
    engine.close()
    assert sorted(rows, key=lambda row: int(row[0])) == [(str(i), text) for i, text in enumerate(texts)]


def test_only_needed_columns_leave(engine, company, tmp_path):
    # whoever reads the column note fails
    company.run(
        "create view billing as select account_id, product_id as product, start_on as started, "
        "1 / (account_id - account_id) as note from subscriptions"
    )
    _, found = read(engine, company, tmp_path, subscriptions={"name": "billing", "columns": BILLING})
    assert set(found["subscriptions"].types) == {"account_id", "product", "started"}
    assert engine.execute(f"select count(*) from {found['subscriptions'].relation}").fetchone() == (2,)


def test_a_query_runs_in_the_server(engine, company, tmp_path):
    query = (
        "select distinct on (account_id) account_id, product_id, start_on from subscriptions "
        "where start_on >= '2025-01-15'::date order by account_id, start_on desc -- the latest;"
    )
    _, found = read(engine, company, tmp_path, subscriptions={"query": query})
    rows = engine.execute(f"from {found['subscriptions'].relation}").fetchall()
    assert rows == [(1, "2", "ads", dt.date(2025, 2, 1))]


def test_all_tables_are_of_one_instant(engine, company, tmp_path):
    with open_sources(engine, company.uri, tmp_path) as raw:
        company.run("insert into accounts values (4, 'Late', null); delete from subscriptions")
        found = map_tables(raw, {})
        company.run("update accounts set name = 'changed'")
        load_rows(raw, found)
    names = engine.execute(f"select name from {found['accounts'].relation} order by name").fetchall()
    assert names == [("One",), ("Three",), ("Two",)]
    assert engine.execute(f"select count(*) from {found['subscriptions'].relation}").fetchone() == (2,)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select account_id, meddle() as product_id, start_on from subscriptions", "read-only transaction"),
        ("select 1) as q; drop table accounts; select * from (select 1", "multiple commands|syntax error"),
        ("delete from subscriptions returning *", "syntax error"),
        ("select 1; select 2", "syntax error"),
        ("select strt_on from subscriptions", r'column "strt_on" does not exist \(Perhaps .*start_on'),
        ('select 1 as a, 2 as "A"', "column a comes twice"),
        ("select pg_sleep(0) as _row", "_row is reserved"),
    ],
)
def test_a_query_can_change_nothing_and_its_faults_are_told(engine, company, tmp_path, query, message):
    company.run(
        "create function meddle() returns text language sql volatile as "
        "'delete from subscriptions returning product_id'"
    )
    with pytest.raises(AffinityError, match=message) as raised:
        read(engine, company, tmp_path, subscriptions={"query": query})
    assert "\n" not in str(raised.value)
    _, found = read(open_engine(threads=1), company, tmp_path)
    assert set(found) == {"accounts", "subscriptions"}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"subscriptions": {"name": "sales.bilings"}},
            r"subscriptions\.name: no table sales\.bilings in db_\w+ on /tmp/pg-\S+ \(did you mean sales\.billings\?\)",
        ),
        (
            {"subscriptions": {"name": "sales.billings", "columns": {**BILLING, "start_on": "startd"}}},
            r"columns\.start_on: no column startd in db_\w+ on \S+: sales\.billings \(did you mean started\?\)",
        ),
    ],
)
def test_a_wrong_name_says_where_and_what_is_closest(engine, company, tmp_path, tables, message):
    company.run("create schema sales; create table sales.billings (account_id int, product text, started date)")
    with pytest.raises(UsageError, match=message):
        read(engine, company, tmp_path, **tables)


def test_other_schemas_views_and_partitioned_tables_are_listed_once(engine, company, tmp_path):
    company.run(
        """
        create schema sales;
        create table sales."Bill.ings" (account_id int, product text, started date) partition by range (started);
        create table sales.part partition of sales."Bill.ings" for values from ('2024-01-01') to ('2025-01-01');
        insert into sales."Bill.ings" values (1, 'crm', '2024-05-01');
        create materialized view recent as select * from subscriptions
        """
    )
    with open_sources(engine, company.uri, tmp_path) as raw:
        assert set(raw.tables) == {"accounts", "subscriptions", "recent", "sales.Bill.ings"}
        found = map_tables(
            raw, {"subscriptions": TableSettings.model_validate({"name": "sales.Bill.ings", "columns": BILLING})}
        )
        load_rows(raw, found)
    rows = engine.execute(f"from {found['subscriptions'].relation}").fetchall()
    assert rows == [(1, "1", "crm", dt.date(2024, 5, 1))]


def test_rows_before_since_stay_on_the_server(engine, company, tmp_path):
    company.run("set timezone = 'UTC'; create table feed (account_id int, product_id text, date date)")
    company.run("create table desk (ticket_id int, account_id int, priority text, opened_at timestamptz, day text)")
    company.run(
        "insert into feed values (1, 'crm', '-infinity'), (1, 'crm', '2024-05-31'), (1, 'crm', '2024-06-01'),"
        "(1, 'crm', null);"
        "insert into desk values (1, 1, 'P1', '2024-05-31 21:59:59+00', '2024-05-31'),"
        "(2, 1, 'P1', '2024-05-31 22:00+00', '2024-06-01')"
    )
    since = {"since": "2024-06-01"}
    asked = {
        "usage": {"query": "select * from feed", **since},
        "tickets": {"name": "desk", **since},
        "problems": {"name": "desk", "columns": {"problem_id": "ticket_id", "noted_at": "day"}, **since},
    }
    wanted = {name: TableSettings.model_validate(value) for name, value in asked.items()}
    with open_sources(engine, company.uri, tmp_path) as raw:
        found = map_tables(raw, wanted, timezone="Europe/Berlin")
        load_rows(raw, found)
    days = engine.execute(f"select date from {found['usage'].relation} order by 1 nulls last").fetchall()
    assert days == [(dt.date(2024, 6, 1),), (None,)]
    assert engine.execute(f"select ticket_id from {found['tickets'].relation}").fetchall() == [("2",)]
    # texts cannot be compared on the server: they leave, and the check leaves them out
    assert engine.execute(f"select count(*) from {found['problems'].relation}").fetchone() == (2,)
    assert [found[name].notes for name in asked] == [("rows before 2024-06-01 stay in the warehouse",)] * 2 + [()]


def test_another_since_is_another_fingerprint_and_rows_before_it_are_none(company, tmp_path):
    company.run("create table usage as select 1 as account_id, 'crm' as product_id, date '2024-06-01' as date")
    before = prints(company, tmp_path, usage={"since": "2024-06-01"})
    assert prints(company, tmp_path, usage={"since": "2024-06-02"})["usage"] != before["usage"]
    company.run("insert into usage values (1, 'crm', '2024-05-01')")
    assert prints(company, tmp_path, usage={"since": "2024-06-01"}) == before


def test_a_server_and_files_give_the_same_facts_since_a_day(company, tmp_path):
    reports, folders = [], make_projects(tmp_path, company)
    company.run("insert into usage values (1, 'ads', '2025-12-31', 7, null)")
    with (folders[1] / "data" / "usage.csv").open("a") as file:
        file.write("1,ads,2025-12-31,7,\n")
    for folder in folders:
        with (folder / "affinity.toml").open("a") as file:
            file.write("[sources.tables.usage]\nsince = 2025-12-31\n")
        project = load_project(folder)
        reports.append(check_sources(project, AS_OF, threads=1))
        days = duckdb.sql(f"select date, events from '{project.var}/facts/usage.parquet'").fetchall()
        assert days == [(dt.date(2025, 12, 31), 7)]
    server, files = (next(t for t in report.tables if t.name == "usage") for report in reports)
    assert "rows before 2025-12-31 stay in the warehouse" in server.notes
    assert "2 rows before 2025-12-31 left out" in files.notes


def test_of_accounts_only_columns_that_the_project_names_leave(company, tmp_path):
    company.run("alter table accounts add phone text default '0171', add \"Segment\" text default 'a', add fleet int")
    project = load_project(make_projects(tmp_path, company)[0])
    family = next((project.root / "features").glob("*.yml"))
    family.write_text(f"{family.read_text()}\n# by segment and fleet_size\n")
    check_sources(project, AS_OF, threads=1)
    columns = duckdb.sql(f"from '{project.var}/facts/accounts.parquet'").columns
    assert "Segment" in columns
    assert not {"phone", "fleet"} & set(columns)
    assert {"name", "industry"} <= set(columns)


def test_the_fingerprint_follows_what_is_read_and_nothing_else(company, tmp_path):
    before = prints(company, tmp_path)
    company.run("update subscriptions set note = 'other'; create table unrelated as select 1 as a")
    company.run("create table copied as select * from accounts order by account_id desc")
    company.run("truncate accounts; insert into accounts select * from copied")
    company.run("vacuum full accounts")
    assert prints(company, tmp_path) == before
    company.run("update accounts set name = 'Tow' where account_id = 2")
    changed = prints(company, tmp_path)
    assert changed["accounts"] != before["accounts"]
    assert changed["subscriptions"] == before["subscriptions"]
    company.run("update accounts set name = null where account_id = 2")
    nulled = prints(company, tmp_path)["accounts"]
    company.run("update accounts set name = '' where account_id = 2")
    assert len({before["accounts"], changed["accounts"], nulled, prints(company, tmp_path)["accounts"]}) == 4


def test_the_fingerprint_of_a_query_follows_its_result(company, tmp_path):
    asked = {"subscriptions": {"query": "select account_id, product_id, start_on from subscriptions where note > ''"}}
    before = prints(company, tmp_path, **asked)
    company.run("update subscriptions set note = 'still there'")
    assert prints(company, tmp_path, **asked) == before
    company.run("update subscriptions set note = '' where account_id = 1")
    assert prints(company, tmp_path, **asked)["subscriptions"] != before["subscriptions"]


def make_projects(tmp_path: Path, company: Database) -> tuple[Path, Path]:
    """The same company, once on the server and once in files."""
    company.run("alter table subscriptions drop column note; delete from accounts where account_id = 3")
    company.run("create table usage (account_id int, product_id text, date date, events int, known_at timestamptz)")
    company.run(
        "insert into usage values (1, 'crm', '2025-12-30', 4, '2025-12-31 23:30+00'), "
        "(1, 'crm', '2025-12-30', 5, '2026-01-02 00:00+00'), (2, 'ads', '2025-12-31', -1, '2025-12-31 12:00+00'), "
        "(9, 'crm', '2025-12-31', 1, null), (2, 'ads', 'infinity', 1, '2025-12-31 12:00+00'), "
        "(2, 'ads', '0044-03-15 BC', 1, '2025-12-31 12:00+00')"
    )
    zone = '[project]\ntimezone = "Europe/Berlin"\n[contracts]\ntolerated_share = 1.0\n'
    folders = tmp_path / "server", tmp_path / "files"
    for folder in folders:
        folder.mkdir()
    make(folders[0], f'{zone}[sources]\npath = "{company.uri}"\n')
    make(
        folders[1],
        zone,
        accounts="account_id,name,industry\n1,One,retail\n2,Two,\n",
        subscriptions="account_id,product_id,start_on\n1,crm,2025-01-01\n2,ads,2025-02-01\n",
        usage="account_id,product_id,date,events,known_at\n1,crm,2025-12-30,4,2025-12-31T23:30Z\n"
        "1,crm,2025-12-30,5,2026-01-02T00:00\n2,ads,2025-12-31,-1,2025-12-31T12:00\n9,crm,2025-12-31,1,\n"
        "2,ads,infinity,1,2025-12-31T12:00\n2,ads,0044-03-15 BC,1,2025-12-31T12:00\n",
    )
    return folders


def test_a_server_and_files_give_the_same_facts(company, tmp_path):

    server, files = (load_project(folder) for folder in make_projects(tmp_path, company))
    ours, theirs = check_sources(server, AS_OF, threads=1), check_sources(files, AS_OF, threads=1)
    ours.raise_if_broken()
    assert [(t.name, t.rows_in, t.used) for t in ours.tables] == [(t.name, t.rows_in, t.used) for t in theirs.tables]
    assert [t.used for t in ours.tables] == [2, 2, 2]
    for table in ("accounts", "subscriptions", "usage"):
        rows = [
            duckdb.sql(f"select columns(*)::varchar from '{project.var}/facts/{table}.parquet' order by all").fetchall()
            for project in (server, files)
        ]
        assert rows[0] == rows[1]
    assert "outside 1970 to 2100" in ours.render()
    assert ours.notes == ()


def test_nothing_leaves_while_nothing_changes(company, tmp_path, monkeypatch):

    project = load_project(make_projects(tmp_path, company)[0])
    first = check_sources(project, AS_OF, threads=1)

    def refuse(*_: object) -> None:
        raise AssertionError("rows left the server")

    monkeypatch.setattr(Server, "write_rows", refuse)
    company.run("create table another_one (a int)")
    assert check_sources(project, AS_OF, threads=1).fingerprint == first.fingerprint
    company.run("update usage set events = 6 where events = 5")
    with pytest.raises(AssertionError, match="rows left"):
        check_sources(project, AS_OF, threads=1)


def test_no_result_and_no_message_names_who_logged_in(company, postgres, tmp_path, capfd):

    project = load_project(make_projects(tmp_path, company)[0])
    report = check_sources(project, AS_OF, threads=1)
    doctor = diagnose(project.root, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    said = report.render() + json.dumps(report.to_json()) + json.dumps(doctor.to_json())
    assert postgres.password not in said
    assert f"{tests.postgres.USER}@" not in said
    assert "tables readable: accounts, subscriptions, usage" in said
    written = [path for path in project.var.rglob("*") if path.is_file()]
    assert written
    assert not any(postgres.password.encode() in path.read_bytes() for path in written)
    assert not [path for path in project.var.iterdir() if path.name.startswith(".check-")]


def test_a_wrong_password_is_told_without_it(engine, company, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "S3cret")
    with pytest.raises(UsageError, match=r"db_\w+ on /tmp/pg-\S+: .*authentication failed for user \*\*\*") as raised:
        open_sources(engine, company.uri, tmp_path)
    assert "S3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_is_not_there_is_named(engine, tmp_path):
    with pytest.raises(UsageError, match=r"sources\.path: sales on 127\.0\.0\.1: .*refused"):
        open_sources(engine, "postgresql://somebody@127.0.0.1:1/sales", tmp_path)


def test_a_table_one_may_not_read_is_named(engine, company, tmp_path):
    reader = f"reader_{uuid.uuid4().hex[:8]}"
    company.run(f"create role {reader} login password '{tests.postgres.PASSWORD}'")
    company.run(f"grant select on subscriptions to {reader}")
    limited = Database(company.uri.replace("//affinity@", f"//{reader}@"))
    with pytest.raises(ContractError, match=r"^db_\w+ on \S+: accounts: permission denied for table accounts$"):
        read(engine, limited, tmp_path)


def test_the_server_is_left_as_soon_as_rows_are_there(engine, company, tmp_path):
    with open_sources(engine, company.uri, tmp_path) as raw:
        load_rows(raw, map_tables(raw, {}))
        assert raw.server is not None
        assert raw.server.connection.closed
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["accounts.parquet", "subscriptions.parquet"]
