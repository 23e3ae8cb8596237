"""Recorded outcomes become facts beside the company's own, whatever shape its table has."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from product_affinity.contracts.checking import TableCheck
from product_affinity.contracts.facts import open_engine
from product_affinity.outcomes import merge_outcomes
from product_affinity.outcomes.store import SCHEMA
from product_affinity.project.settings import TableSettings
from product_affinity.sources import map_tables, open_sources

ZONE = "Europe/Berlin"
ACCOUNTS = "account_id,name\nA-1,One\n00012,Two\n"
NOTED = dt.datetime(2026, 7, 1, 22, 30, 0, 123456)
KNOWN = dt.datetime(2026, 7, 3, 10)


def entry(play="P-1", **changes):
    row = dict.fromkeys(SCHEMA.names)
    row |= {"play_id": play, "account_id": "00012", "product_id": "crm", "as_of": dt.date(2026, 6, 30)}
    row |= {"status": "not_now", "reason": "no budget", "note": "private", "noted_at": NOTED, "noted_by": "U-001"}
    return row | {"arr_usd": 12.5, "follow_up_on": dt.date(2026, 10, 1), "known_at": KNOWN} | changes


def record(root, *rows):
    (root / "var" / "outcomes").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), root / "var" / "outcomes" / "outcomes.parquet")


def check(root, own=None, **changes):
    """Check accounts and outcomes as the pipeline does; return the facts, the report and the fingerprints."""
    data, workspace = root / "data", root / "var" / ".check"
    for folder in (data, workspace / "results" / "facts", workspace / "results" / "quarantine"):
        folder.mkdir(parents=True, exist_ok=True)
    (data / "accounts.csv").write_text(ACCOUNTS)
    (data / "subscriptions.csv").write_text("account_id,product_id,start_on\nA-1,crm,2025-01-01\n")
    if isinstance(own, str):
        (data / "outcomes.csv").write_text(own)
    elif own is not None:
        own.to_parquet(data / "outcomes.parquet")
    settings = {"outcomes": TableSettings(**changes)} if changes else {}
    connection = open_engine(threads=1)
    try:
        raw = open_sources(connection, data, workspace)
        wanted = settings.get("outcomes", TableSettings())
        found = map_tables(raw, settings)
        raw, found = merge_outcomes(raw, found, root / "var", workspace, settings=wanted, timezone=ZONE)
        checked = TableCheck(connection, ZONE, ("crm",), workspace / "results")
        checked.check(found["accounts"], TableSettings(), "")
        result = checked.check(found["outcomes"], wanted, "") if "outcomes" in found else None
    finally:
        connection.close()
    prints = {name: raw.tables[name].fingerprint for name in found["outcomes"].inputs} if result else {}
    assert result is None or not result.faults
    facts = pd.read_parquet(workspace / "results" / "facts" / "outcomes.parquet") if result else None
    return facts, result and result.report, prints


def test_nothing_recorded_changes_nothing(tmp_path):
    facts, report, _ = check(tmp_path, own="play_id,status,noted_at\nP-9,won,2026-05-01\n")
    assert report.origin == "outcomes.csv"
    assert facts["play_id"].tolist() == ["P-9"]
    assert check(tmp_path / "bare")[0] is None


def test_recorded_outcomes_alone_are_the_table(tmp_path):
    record(tmp_path, entry())
    facts, report, _ = check(tmp_path)
    (row,) = facts.to_dict("records")
    assert (row["play_id"], row["account_id"], row["status"], row["reason"]) == ("P-1", "00012", "not_now", "no budget")
    assert (row["noted_at"], row["arr_usd"]) == (pd.Timestamp(NOTED), 12.5)
    assert (row["as_of"], row["follow_up_on"]) == (dt.date(2026, 6, 30), dt.date(2026, 10, 1))
    # noted at 22:30 UTC is the next day in Berlin; it was known to us two days later
    assert (row["_event_on"], row["_known_on"]) == (dt.date(2026, 7, 2), dt.date(2026, 7, 3))
    assert (report.used, report.quarantined, report.origin) == (1, 0, "var/outcomes/outcomes.parquet")


CSV = "play_id,status,noted_at\nP-9,won,2026-05-01\nP-8,sold,2026-05-01\n"
OTHER_NAMES = "wann,was,Kunde,Produkt,Liste,extra\n01.05.2026,won,A-1,crm,30.04.2026,x\n"
NATIVE = pd.DataFrame(
    {
        "play_id": [9.0],
        "status": ["won"],
        "noted_at": pd.to_datetime(["2026-04-30 22:00"]),
        "as_of": [dt.date(2026, 4, 30)],
        "arr_usd": [100],
        "Reason": ["a column of another name"],
    }
)


GERMAN = {"noted_at": "wann", "status": "was", "account_id": "Kunde", "product_id": "Produkt", "as_of": "Liste"}
QUERY = "select n as noted_at, p as play_id, s as status from outcomes"


@pytest.mark.parametrize(
    ("own", "settings", "play_id"),
    [
        (CSV, {}, "P-9"),
        (OTHER_NAMES, {"columns": GERMAN, "date_format": "%d.%m.%Y"}, None),
        (NATIVE, {}, "9"),
        (NATIVE, {"date_format": "%d.%m.%Y"}, "9"),
        ("n,p,s\n2026-05-01,P-9,won\n", {"query": QUERY}, "P-9"),
    ],
)
def test_both_tables_keep_their_rows_whatever_names_types_and_formats(tmp_path, own, settings, play_id):
    record(tmp_path, entry())
    facts, report, _ = check(tmp_path, own=own, **settings)
    ours, theirs = facts[facts["play_id"].eq("P-1")], facts[~facts["play_id"].eq("P-1")]
    (row,) = ours.to_dict("records")
    assert (row["noted_at"], row["known_at"]) == (pd.Timestamp(NOTED), pd.Timestamp(KNOWN))
    assert (row["as_of"], row["follow_up_on"], row["arr_usd"]) == (dt.date(2026, 6, 30), dt.date(2026, 10, 1), 12.5)
    assert (row["account_id"], row["reason"]) == ("00012", "no budget")
    (own_row,) = theirs.to_dict("records")
    assert play_id == (None if pd.isna(own_row["play_id"]) else own_row["play_id"])
    assert (own_row["status"], own_row["_event_on"], own_row["_known_on"]) == (
        "won", dt.date(2026, 5, 1), dt.date(2026, 5, 1)
    )  # fmt: skip
    assert report.rows_in == report.used + report.quarantined
    assert report.origin.endswith(" with var/outcomes/outcomes.parquet")


def test_a_bad_row_of_the_company_is_quarantined_as_it_was_written(tmp_path):
    record(tmp_path, entry())
    _, report, _ = check(tmp_path, own=CSV + "P-7,won,some day\n")
    assert (report.rows_in, report.used, report.quarantined) == (4, 2, 2)
    said = [str(violation) for violation in report.violations]
    assert any("sold" in line for line in said)
    assert any("some day" in line for line in said)


def test_what_the_company_holds_as_well_counts_once(tmp_path):
    """The company loads our outcomes into its warehouse and delivers them back as its own."""
    record(tmp_path, entry(), entry("P-2"))
    own = "play_id,account_id,product_id,status,noted_at\nP-1,00012,crm,not_now,2026-07-01T22:30:00.123456Z\n"
    facts, report, _ = check(tmp_path, own=own)
    assert sorted(facts["play_id"]) == ["P-1", "P-2"]
    assert report.quarantined == 0


def test_a_new_outcome_changes_the_fingerprint_and_nothing_else_does(tmp_path):
    record(tmp_path, entry())
    _, _, first = check(tmp_path, own=CSV)
    _, _, same = check(tmp_path, own=CSV)
    record(tmp_path, entry(), entry("P-2"))
    _, _, later = check(tmp_path, own=CSV)
    assert first == same
    assert set(first) == set(later) == {"outcomes", "var/outcomes/outcomes.parquet"}
    assert first["outcomes"] == later["outcomes"]
    assert first["var/outcomes/outcomes.parquet"] != later["var/outcomes/outcomes.parquet"]


def test_several_words_on_one_play_are_all_facts(tmp_path):
    later = NOTED + dt.timedelta(days=1)
    record(tmp_path, entry(status="contacted"), entry(noted_at=later, status="won"))
    facts, report, _ = check(tmp_path)
    assert sorted(facts["status"]) == ["contacted", "won"]
    assert set(facts["_superseded_on"]) == {dt.date(9999, 12, 31)}
    assert report.quarantined == 0
