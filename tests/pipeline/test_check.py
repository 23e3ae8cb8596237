"""`check_sources` on whole projects: bad input becomes a clear line or a quarantined row, never silence."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.errors import ContractError, FreshnessError, UsageError
from product_affinity.pipeline import check as checking
from product_affinity.pipeline.check import CheckReport, check_sources
from product_affinity.pipeline.prepare import prepare
from product_affinity.project import Project, load_project

EXAMPLES = Path(__file__).parents[2] / "examples"
AS_OF = dt.date(2026, 1, 1)
ACCOUNTS = "account_id,name\nA-1,One\nA-2,Two\nA-3,Three\n"
SUBSCRIPTIONS = "account_id,product_id,start_on,end_on,arr_usd\nA-1,crm,2025-01-01,,100\nA-2,crm,2025-02-01,,200\n"
USAGE_HEADER = "account_id,product_id,date,events\n"


def make(root: Path, settings: str = "", **tables: str) -> Project:
    """Write a project whose tables are given as CSV texts; `None` leaves a table out."""
    (root / "data").mkdir(exist_ok=True)
    for folder in ("features", "models", "playbook"):
        shutil.copytree(EXAMPLES / "maven_crm" / folder, root / folder, dirs_exist_ok=True)
    products = "".join(f"  - {{product_id: {name}, name: {name}}}\n" for name in ("crm", "ads"))
    (root / "models" / "catalog.yml").write_text(f"products:\n{products}")
    (root / "affinity.toml").write_text(settings)
    for name, text in {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, **tables}.items():
        (root / "data" / f"{name}.csv").write_text(text, encoding="utf-8")
    return load_project(root)


def broken(project: Project, as_of: dt.date = AS_OF) -> str:
    with pytest.raises(ContractError) as raised:
        check_sources(project, as_of, threads=1).raise_if_broken()
    return str(raised.value)


def reasons(project: Project, table: str) -> list[str]:
    return list(pd.read_parquet(project.var / "quarantine" / f"{table}.parquet")["_reason"])


def test_good_sources_become_facts(tmp_path):
    project = make(tmp_path, '[project]\ntimezone = "Europe/Berlin"\n', usage=USAGE_HEADER + "A-1,crm,2025-12-31,4\n")
    report = check_sources(project, AS_OF, threads=1)
    report.raise_if_broken()
    assert [(table.name, table.rows_in, table.used, table.quarantined) for table in report.tables] == [
        ("accounts", 3, 3, 0),
        ("subscriptions", 2, 2, 0),
        ("usage", 1, 1, 0),
    ]
    assert "tickets" in report.absent
    assert "usage" not in report.absent
    facts = Facts.from_folder(project.var / "facts", timezone="Europe/Berlin")
    assert facts.connection.execute("select sum(events) from facts.usage").fetchall() == [(4.0,)]
    assert facts.present == {"accounts", "subscriptions", "usage"}


def test_the_report_is_json_and_says_the_same(tmp_path):
    report = check_sources(make(tmp_path), AS_OF, threads=1)
    content = json.loads(json.dumps(report.to_json()))
    assert content["tables"][1]["rows_in"] == 2
    assert "subscriptions: used 2 of 2 rows of subscriptions.csv" in report.render()


def test_an_empty_accounts_table_stops(tmp_path):
    assert broken(make(tmp_path, accounts="account_id,name\n")).startswith(
        "accounts: accounts.csv has no rows, and nothing can be done without accounts"
    )


def test_accounts_all_in_quarantine_stop_even_when_tolerated(tmp_path):
    project = make(tmp_path, "[contracts]\ntolerated_share = 1.0\n", accounts="account_id,name\n,One\n")
    assert "accounts: all 1 rows of accounts.csv are quarantined" in broken(project)


def test_a_missing_column_and_bad_rows_elsewhere_are_told_at_once(tmp_path):
    usage = USAGE_HEADER + "A-1,crm,yesterday,1\nA-1,crm,2025-01-01,many\n"
    project = make(tmp_path, subscriptions="account_id,product_id,started\nA-1,crm,2025-01-01\n", usage=usage)
    lines = broken(project).splitlines()
    assert lines[0].startswith("subscriptions: missing column start_on in subscriptions.csv (closest present: started)")
    assert lines[1].startswith("usage: 2 of 2 rows quarantined (100.0%, tolerated 5.0%)")
    assert 'usage.date  1 of 2 rows not a date (ISO 8601) (first: A-1, crm, yesterday: "yesterday")' in lines
    assert 'usage.events  1 of 2 rows not a number (first: A-1, crm, 2025-01-01: "many")' in lines


def test_dates_in_three_formats(tmp_path):
    dates = ["2025-03-01", "02.03.2025", "03/03/2025"]
    usage = USAGE_HEADER + "".join(f"A-1,crm,{day},1\n" for day in dates)
    assert "usage.date  2 of 3 rows not a date" in broken(make(tmp_path, usage=usage))
    formats = '[sources.tables.usage]\ndate_format = ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]\n'
    project = make(tmp_path, formats, usage=usage)
    check_sources(project, AS_OF, threads=1).raise_if_broken()
    days = pd.read_parquet(project.var / "facts" / "usage.parquet")["date"].astype(str).str[:10]
    assert list(days) == ["2025-03-01", "2025-03-02", "2025-03-03"]


TOLERANT = "[contracts]\ntolerated_share = 0.9\n"


def test_bad_rows_below_the_tolerated_share_are_quarantined_and_the_run_goes_on(tmp_path):
    lines = [
        "A-1,crm,2025-01-01,,100",
        "A-1,crm,2025-01-01,,100",
        "A-2,crm,2025-02-01,2025-01-01,200",
        "A-2,CRM,2025-02-01,,200",
        "A-9,crm,2025-02-01,,200",
    ]
    project = make(tmp_path, TOLERANT, subscriptions=SUBSCRIPTIONS.splitlines()[0] + "\n" + "\n".join(lines))
    check_sources(project, AS_OF, threads=1).raise_if_broken()
    assert reasons(project, "subscriptions") == [
        "duplicate of another row",
        "end_on before start_on",
        "product_id not in the catalogue",
        "account_id not in accounts",
    ]
    quarantine = pd.read_parquet(project.var / "quarantine" / "subscriptions.parquet")
    assert list(quarantine["_row"]) == [2, 3, 4, 5]
    assert list(quarantine["end_on"].fillna("")) == ["", "2025-01-01", "", ""]


def test_one_table_may_be_dirtier_than_the_others(tmp_path):
    usage = USAGE_HEADER + "A-1,crm,2025-12-31,4\nA-1,crm,2025-12-30,-4\n"
    assert "usage: 1 of 2 rows quarantined (50.0%, tolerated 5.0%)" in broken(make(tmp_path, usage=usage))
    project = make(tmp_path, "[contracts.tolerated_shares]\nusage = 0.5\n", usage=usage)
    check_sources(project, AS_OF, threads=1).raise_if_broken()


def test_rows_of_a_quarantined_account_follow_it(tmp_path):
    project = make(tmp_path, TOLERANT, accounts=ACCOUNTS.replace("A-2,Two", "A-2,"))
    check_sources(project, AS_OF, threads=1).raise_if_broken()
    assert reasons(project, "subscriptions") == ["account_id not in accounts"]


def test_a_product_in_usage_that_is_not_in_the_catalogue(tmp_path):
    usage = USAGE_HEADER + "A-1,crmm,2025-12-31,4\n"
    assert 'rows not in the catalogue (first: A-1, crmm, 2025-12-31: "crmm", closest: crm)' in broken(
        make(tmp_path, usage=usage)
    )


def test_future_rows_are_used_later_and_said_now(tmp_path):
    usage = USAGE_HEADER + "A-1,crm,2025-12-31,4\nA-1,crm,2026-01-01,4\nA-2,crm,2026-02-01,4\n"
    report = check_sources(make(tmp_path, usage=usage), AS_OF, threads=1)
    report.raise_if_broken()
    assert (
        "usage: 2 of 3 rows have date on or after 2026-01-01 and are not used (first: A-1, crm, 2026-01-01)"
        in report.render()
    )
    assert "on or after" not in check_sources(make(tmp_path, usage=usage), dt.date(2026, 3, 1), threads=1).render()


def test_an_as_of_date_before_all_data(tmp_path):
    assert broken(make(tmp_path), dt.date(2025, 1, 1)) == (
        "as-of date 2025-01-01: nothing is known yet, subscriptions begin on 2025-01-01. Choose a later --as-of."
    )
    check_sources(make(tmp_path), dt.date(2025, 1, 2), threads=1).raise_if_broken()


FRESH = "[contracts.fresh_within_days]\nusage = 7\n"


def test_freshness_is_judged_against_the_as_of_date(tmp_path):
    usage = USAGE_HEADER + "A-1,crm,2025-12-24,4\nA-1,crm,2026-06-01,4\n"
    project = make(tmp_path, FRESH, usage=usage)
    with pytest.raises(FreshnessError) as raised:
        check_sources(project, AS_OF, threads=1).raise_if_broken()
    assert str(raised.value).startswith(
        "usage: newest row before 2026-01-01 is of 2025-12-24, 8 days old, wanted within 7 days"
    )
    check_sources(project, dt.date(2025, 12, 31), threads=1).raise_if_broken()


def test_a_row_that_arrived_too_late_does_not_count_as_fresh(tmp_path):
    usage = "account_id,product_id,date,known_at\nA-1,crm,2025-12-30,2026-01-05 00:00\n"
    with pytest.raises(FreshnessError, match="usage: nothing before 2026-01-01"):
        check_sources(make(tmp_path, FRESH, usage=usage), AS_OF, threads=1).raise_if_broken()


def test_freshness_of_a_table_that_is_not_there_is_said(tmp_path):
    report = check_sources(make(tmp_path, FRESH), AS_OF, threads=1)
    report.raise_if_broken()
    assert "usage: freshness is wanted but there is no such table" in report.render()


def test_a_misspelt_mapping_is_a_usage_error(tmp_path):
    project = make(tmp_path, '[sources.tables.subscriptions.columns]\nstart_on = "strt_on"\n')
    with pytest.raises(UsageError, match=r"no column strt_on in subscriptions\.csv \(did you mean start_on\?\)"):
        check_sources(project, AS_OF, threads=1)


def test_a_missing_required_table(tmp_path):
    project = make(tmp_path)
    (tmp_path / "data" / "subscriptions.csv").rename(tmp_path / "data" / "subscription.csv")
    assert broken(project).startswith(
        "subscriptions: required table missing in data (closest present: subscription.csv)"
    )


def test_raw_tables_nobody_reads_are_said(tmp_path):
    report = check_sources(make(tmp_path, ticket="a\n1\n"), AS_OF, threads=1)
    assert report.notes == ("not read, no table of ours and in no query: ticket",)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_second_check_reads_its_report_and_says_the_same(tmp_path, monkeypatch):
    usage = USAGE_HEADER + "A-1,crm,2025-12-31,4\nA-1,crm,2026-01-01,-4\nA-2,crm,2026-02-01,4\n"
    project = make(tmp_path, TOLERANT, usage=usage)
    first = check_sources(project, AS_OF, threads=1)
    before = everything_in(project.var)
    monkeypatch.setattr(checking, "_check_tables", None)  # would raise if the work were done again
    assert check_sources(project, AS_OF, threads=1) == first
    assert everything_in(project.var) == before
    assert check_sources(project, dt.date(2026, 3, 1), threads=1).tables[2].notes == ()


@pytest.mark.parametrize("change", ["data", "settings", "catalog"])
def test_a_change_of_what_matters_checks_again(tmp_path, change):
    first = check_sources(make(tmp_path), AS_OF, threads=1)
    if change == "data":
        (tmp_path / "data" / "subscriptions.csv").write_text(SUBSCRIPTIONS.replace("200", "201"))
    if change == "settings":
        (tmp_path / "affinity.toml").write_text("[sources.tables.subscriptions]\nlag_days = 1\n")
    if change == "catalog":
        path = tmp_path / "models" / "catalog.yml"
        path.write_text(path.read_text() + "  - {product_id: new, name: New}\n")
    assert check_sources(load_project(tmp_path), AS_OF, threads=1).fingerprint != first.fingerprint


def test_only_the_time_of_a_file_changes_nothing(tmp_path):
    first = check_sources(make(tmp_path), AS_OF, threads=1)
    (tmp_path / "data" / "subscriptions.csv").touch()
    assert check_sources(load_project(tmp_path), AS_OF, threads=1).fingerprint == first.fingerprint


def test_the_same_sources_give_the_same_bytes(tmp_path):
    usage = USAGE_HEADER + "".join(
        f"A-{1 + day % 3},crm,2025-{1 + day // 28:02}-{1 + day % 28:02},{day}\n" for day in range(300)
    )
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, threads in zip(folders, (1, 2), strict=True):
        folder.mkdir()
        check_sources(make(folder, usage=usage), AS_OF, threads=threads).raise_if_broken()
    assert everything_in(folders[0] / "var") == everything_in(folders[1] / "var")


def test_broken_sources_leave_the_last_good_facts(tmp_path):
    check_sources(make(tmp_path), AS_OF, threads=1).raise_if_broken()
    before = everything_in(tmp_path / "var" / "facts")
    broken(make(tmp_path, subscriptions=SUBSCRIPTIONS.replace("2025", "25")))
    assert everything_in(tmp_path / "var" / "facts") == before
    assert reasons(load_project(tmp_path), "subscriptions") == ["start_on not a date (ISO 8601)"] * 2
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == ["checks", "facts", "quarantine"]


def test_a_command_keeps_the_facts_it_checked_while_another_checks_newer_sources(tmp_path):
    first = prepare(make(tmp_path), AS_OF, jobs=1, progress=lambda sentence: None)
    before = first.facts.connection.execute("from facts.subscriptions").fetchall()
    check_sources(make(tmp_path, subscriptions=SUBSCRIPTIONS.replace("2025", "2024")), AS_OF, threads=1)
    assert first.facts.connection.execute("from facts.subscriptions").fetchall() == before
    newer = Facts.from_folder(tmp_path / "var" / "facts", timezone="UTC")
    assert newer.connection.execute("from facts.subscriptions").fetchall() != before


def test_sources_changed_forth_and_back_are_not_checked_again(tmp_path, monkeypatch):
    first = check_sources(make(tmp_path), AS_OF, threads=1)
    check_sources(make(tmp_path, subscriptions=SUBSCRIPTIONS.replace("2025", "2024")), AS_OF, threads=1)
    monkeypatch.setattr("product_affinity.pipeline.check.TableCheck", None)
    assert check_sources(make(tmp_path), AS_OF, threads=1) == first
    assert (tmp_path / "var" / "facts").resolve().parent.name == first.fingerprint[:16]


@pytest.mark.parametrize("rows", ["", "A-1,crm,yesterday,1\n"])
def test_a_table_without_a_usable_row_is_unknown(tmp_path, rows):
    project = make(tmp_path, "[contracts]\ntolerated_share = 1.0\n", usage=USAGE_HEADER + rows)
    report = check_sources(project, AS_OF, threads=1)
    report.raise_if_broken()
    assert f"usage: used 0 of {len(rows.splitlines())} rows of usage.csv" in report.render()
    assert "usage: no rows, everything that needs it is unknown" in report.render()
    facts = Facts.from_folder(project.var / "facts", timezone="UTC")
    assert facts.has("subscriptions")
    assert not facts.has("usage")
    assert facts.connection.execute("select count(*) from facts.usage").fetchall() == [(0,)]


def test_a_parquet_file_without_rows_is_unknown(tmp_path):
    project = make(tmp_path)
    frame = pd.DataFrame({"account_id": ["A"], "product_id": ["crm"], "date": [AS_OF], "events": [1.0]})
    frame.iloc[:0].to_parquet(tmp_path / "data" / "usage.parquet")
    assert "usage: no rows" in check_sources(project, AS_OF, threads=1).render()


def test_facts_damaged_since_are_made_again(tmp_path):
    project = make(tmp_path)
    first = check_sources(project, AS_OF, threads=1)
    before = everything_in(project.var)
    (project.var / "facts" / "subscriptions.parquet").write_bytes(b"x")
    assert check_sources(project, AS_OF, threads=1) == first
    assert everything_in(project.var) == before
    (project.var / "facts" / "check.json").write_text("[]")
    assert check_sources(project, AS_OF, threads=1) == first


@pytest.mark.parametrize("kind", ["file", "link"])
def test_var_that_is_no_folder_is_one_line(tmp_path, kind):
    project = make(tmp_path)
    if kind == "file":
        project.var.write_text("")
    else:
        project.var.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"var: cannot be written: it is no folder\. Remove it") as raised:
        check_sources(project, AS_OF, threads=1)
    assert "\n" not in str(raised.value)


def test_var_that_may_not_be_written_is_one_line(tmp_path, monkeypatch):
    def refuse(**_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checking.tempfile, "mkdtemp", refuse)
    with pytest.raises(UsageError, match=r"var: cannot be written: Permission denied\. Make it writable"):
        check_sources(make(tmp_path), AS_OF, threads=1)


def test_an_unusable_date_format_names_its_key(tmp_path):
    project = make(tmp_path, '[sources.tables.subscriptions]\ndate_format = ["%Y-%m-%d", "%Q", ""]\n')
    with pytest.raises(UsageError) as raised:
        check_sources(project, AS_OF, threads=1)
    lines = str(raised.value).splitlines()
    assert lines[0].startswith('affinity.toml: sources.tables.subscriptions.date_format: "%Q" reads no date: Unrec')
    assert lines[1].startswith('affinity.toml: sources.tables.subscriptions.date_format: "" reads no date: it is empty')


def test_only_the_violations_of_tables_at_fault_stop_with_them(tmp_path):
    accounts = ACCOUNTS + "".join(f"B-{number},Many\n" for number in range(30)) + "C-1,\n"
    project = make(tmp_path, accounts=accounts, usage=USAGE_HEADER + "A-1,crm,yesterday,1\n")
    message = broken(project)
    assert message.startswith("usage: 1 of 1 rows quarantined")
    assert "usage.date  1 of 1 rows" in message
    assert "accounts." not in message
    assert "accounts.name  1 of 34 rows empty" in check_sources(project, AS_OF, threads=1).render()


def test_columns_named_like_row_numbers_do_no_harm(tmp_path):
    rows = [line + f",{9 - number}" for number, line in enumerate(SUBSCRIPTIONS.splitlines()[1:])]
    header = SUBSCRIPTIONS.splitlines()[0] + ",rowid"
    project = make(tmp_path, TOLERANT, subscriptions="\n".join([header, *rows, "A-9,crm,2025-01-01,,1,7\n"]))
    check_sources(project, AS_OF, threads=1).raise_if_broken()
    quarantine = pd.read_parquet(project.var / "quarantine" / "subscriptions.parquet")
    assert list(quarantine["_row"]) == [3]
    assert list(quarantine["rowid"]) == ["7"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('[sources.tables.usage]\nname = "bad"\n', r"^warehouse\.duckdb: bad: .*gone\.parquet"),
        ('[sources.tables.usage]\nquery = "from bad"\n', r"tables\.usage\.query: warehouse\.duckdb: bad: .*gone"),
    ],
)
def test_a_broken_view_stops_only_whoever_uses_it(tmp_path, settings, message):
    make(tmp_path)
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "gone.parquet")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as writer:
        for name in ("accounts", "subscriptions"):
            path = tmp_path / "data" / f"{name}.csv"
            writer.execute(f"create table {name} as from read_csv('{path}', header = true)")
        writer.execute(f"create view bad as from '{tmp_path / 'gone.parquet'}'")
    (tmp_path / "gone.parquet").unlink()
    where = '[sources]\npath = "warehouse.duckdb"\n'
    (tmp_path / "affinity.toml").write_text(where)
    check_sources(load_project(tmp_path), AS_OF, threads=1).raise_if_broken()
    (tmp_path / "affinity.toml").write_text(where + settings)
    with pytest.raises(ContractError, match=message):
        check_sources(load_project(tmp_path), AS_OF, threads=1)


def test_a_failing_query_leaves_nothing_behind(tmp_path):
    project = make(tmp_path, '[sources.tables.usage]\nquery = "select x from accounts"\n')
    assert broken(project).startswith("affinity.toml: sources.tables.usage.query: Referenced column")
    assert list((tmp_path / "var").iterdir()) == []


def test_the_tables_may_come_from_a_duckdb_file(tmp_path):
    make(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as writer:
        for name in ("accounts", "subscriptions"):
            path = tmp_path / "data" / f"{name}.csv"
            writer.execute(f"create table {name} as from read_csv('{path}', header = true)")
    (tmp_path / "affinity.toml").write_text('[sources]\npath = "warehouse.duckdb"\n')
    report: CheckReport = check_sources(load_project(tmp_path), AS_OF, threads=1)
    report.raise_if_broken()
    assert [(table.origin, table.used) for table in report.tables] == [
        ("warehouse.duckdb: accounts", 3),
        ("warehouse.duckdb: subscriptions", 2),
    ]


def test_an_address_of_a_kind_we_cannot_read_is_refused_in_one_line(tmp_path):
    project = make(tmp_path, '[sources]\npath = "mysql://host/db"\n')
    with pytest.raises(UsageError, match=r"mysql://host/db is an address of a kind we cannot read"):
        check_sources(project, AS_OF, threads=1)


PUBLIC_DATA = EXAMPLES.parents[1] / "shared" / "data"


@pytest.mark.parametrize(
    ("name", "quarantined"),
    [
        (
            "ravenstack",
            {"accounts": 0, "subscriptions": 63, "usage": 18_895, "feature_usage": 19_140, "tickets": 1_077},
        ),
        ("maven_crm", {"accounts": 0, "subscriptions": 0, "opportunities": 1_588}),
    ],
)
def test_an_example_checks_its_public_data(tmp_path, name, quarantined):
    if not (PUBLIC_DATA / name).exists():
        pytest.skip(f"public data of {name} is not on this machine")
    shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=shutil.ignore_patterns("data", "var"))
    (tmp_path / name / "data").symlink_to(PUBLIC_DATA / name)
    report = check_sources(load_project(tmp_path / name), dt.date(2025, 1, 1), threads=1)
    report.raise_if_broken()
    assert {table.name: table.quarantined for table in report.tables} == quarantined
    assert all(table.rows_in == table.used + table.quarantined for table in report.tables)
