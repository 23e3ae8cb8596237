"""Rows before `since` are left out of files by the local day of their event, said, and no gap is taken for nothing."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.errors import UsageError
from product_affinity.features import build
from product_affinity.pipeline.check import CheckReport, check_sources
from product_affinity.pipeline.checked import facts_folder
from product_affinity.project import Project
from tests.pipeline.test_check import AS_OF, make

USAGE = "account_id,product_id,date,active_users\n"
DAYS = ("31.05.2025", "01.06.2025", "02.06.2025")


def settings(table: str, since: str, **more: str) -> str:
    lines = [f"{key} = {value}" for key, value in {"since": since, **more}.items()]
    head = '[project]\ntimezone = "America/New_York"\n[contracts]\ntolerated_share = 1.0\n'
    return f"{head}[sources.tables.{table}]\n" + "\n".join(lines) + "\n"


def table_of(report: CheckReport, name: str) -> tuple[int, int, int, tuple[str, ...]]:
    (table,) = (table for table in report.tables if table.name == name)
    return table.rows_in, table.used, table.quarantined, table.notes


def usage_project(root: Path, since: str) -> Project:
    rows = "".join(f"A-1,crm,{day},4\n" for day in DAYS) + "A-1,crm,,4\nNOBODY,crm,30.05.2025,4\n"
    return make(root, settings("usage", since, date_format='"%d.%m.%Y"'), usage=USAGE + rows)


def test_earlier_rows_of_a_file_are_left_out_and_counted(tmp_path):
    report = check_sources(usage_project(tmp_path, "2025-06-01"), AS_OF, threads=1)
    # of five rows two lie before, one of them faulty as well; one has no day, which stays a fault
    assert table_of(report, "usage") == (3, 2, 1, ("2 rows before 2025-06-01 left out",))
    assert "usage: 2 rows before 2025-06-01 left out" in report.render()


def test_an_instant_is_left_out_by_its_local_day(tmp_path):
    tickets = (
        "ticket_id,account_id,opened_at,priority\nT-1,A-1,2025-06-01T03:59:59Z,P1\nT-2,A-1,2025-06-01T04:00:00Z,P1\n"
    )
    report = check_sources(make(tmp_path, settings("tickets", "2025-06-01"), tickets=tickets), AS_OF, threads=1)
    assert table_of(report, "tickets") == (1, 1, 0, ("1 rows before 2025-06-01 left out",))


def test_another_since_is_another_check(tmp_path):
    first = check_sources(usage_project(tmp_path, "2025-06-01"), AS_OF, threads=1)
    second = check_sources(usage_project(tmp_path, "2025-06-02"), AS_OF, threads=1)
    assert first.fingerprint != second.fingerprint
    assert table_of(second, "usage")[:2] == (2, 1)
    assert table_of(check_sources(usage_project(tmp_path, "2025-06-01"), AS_OF, threads=1), "usage")[:2] == (3, 2)


@pytest.mark.parametrize(("reach", "covered"), [(30, True), (31, False)])
def test_a_window_that_begins_before_is_not_covered(tmp_path, reach, covered):
    project = usage_project(tmp_path, "2025-06-01")
    report = check_sources(project, AS_OF, threads=1)
    facts = Facts.from_folder(facts_folder(project.var, report.fingerprint), timezone="America/New_York")
    as_of = dt.date(2025, 7, 1)
    facts.connection.execute(f"create table fe_dates as select 0 as t, date '{as_of}' as as_of")
    assert build._coverage(facts, "usage", ()).holds([as_of], reach).tolist() == [covered]


@pytest.mark.parametrize(
    ("table", "since", "message"),
    [
        ("subscriptions", "2024-01-01", r"subscriptions: takes no since, .* it is for usage, feature_usage, "),
        ("accounts", "2024-01-01", "accounts: takes no since"),
        ("contacts", "2024-01-01", "contacts: takes no since"),
        ("usages", "2024-01-01", r"usages is no source table \(did you mean usage\?\)"),
        ("usage", '"soon"', r"sources\.tables\.usage\.since"),
        ("usage", "1969-12-31", r"sources\.tables\.usage\.since"),
    ],
)
def test_since_is_for_rows_that_have_a_day(tmp_path, table, since, message):
    with pytest.raises(UsageError, match=message):
        make(tmp_path, settings(table, since))
