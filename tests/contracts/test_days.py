"""Digests tell two logs apart exactly where the logs cut off at a date differ; engines stay within their memory."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_affinity.contracts.checking import TableCheck
from product_affinity.contracts.days import days_query, days_relation, known_digests
from product_affinity.contracts.facts import MEMORY_MB, Facts, open_engine
from product_affinity.errors import UsageError
from product_affinity.project.settings import TableSettings
from product_affinity.schema import TABLES
from tests.contracts.rows import raw_rows

FIRST = dt.datetime(2026, 3, 1)
AS_OFS = [dt.date(2026, 2, 1), dt.date(2026, 3, 2), dt.date(2026, 3, 4), dt.date(2026, 3, 9)]
_instant = st.integers(0, 16).map(lambda half: FIRST + half * dt.timedelta(hours=12))
_maybe = st.one_of(st.none(), _instant)
_row = st.fixed_dictionaries(
    {
        "ticket_id": st.sampled_from(["t1", "t2", "t3"]),
        "account_id": st.sampled_from(["A", "B"]),
        "opened_at": _instant,
        "closed_at": _maybe,
        "priority": st.sampled_from(["P1", "P2"]),
        "known_at": _maybe,
    }
)
_log = st.lists(_row, max_size=5, unique_by=lambda row: (row["ticket_id"], row["known_at"]))


def cut_off(log: list[dict], as_of: dt.date, lag_days: int) -> list[tuple]:
    """The log as it stood at UTC midnight of a date: row by row, from the definition."""
    midnight = dt.datetime.combine(as_of, dt.time())
    seen = []
    for row in log:
        arrived = row["known_at"] or dt.datetime.combine(row["opened_at"], dt.time()) + dt.timedelta(days=lag_days)
        if arrived < midnight:
            closed = row["closed_at"] if row["closed_at"] and row["closed_at"] < midnight else None
            seen.append(tuple({**row, "closed_at": closed}.values()))
    return sorted(seen, key=str)


def tickets(log: list[dict], lag_days: int = 0) -> Facts:
    kinds = {"opened_at": "datetime64[us]", "closed_at": "datetime64[us]", "known_at": "datetime64[us]"}
    names = ["ticket_id", "account_id", "opened_at", "closed_at", "priority", "known_at"]
    frame = pd.DataFrame(log, columns=names).astype(kinds)
    # a table without a row counts as absent; this one is beyond every date
    other = {name: None for name in names} | {"ticket_id": "t9", "account_id": "A", "priority": "P3"}
    other["opened_at"] = pd.Timestamp("2030-01-01")
    frame = pd.concat([frame, pd.DataFrame([other]).astype(kinds)], ignore_index=True)
    texts = {"ticket_id": "str", "account_id": "str", "priority": "str"}
    return Facts.from_frames({"tickets": frame.astype(texts)}, lag_days={"tickets": lag_days})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(_log, st.data(), st.sampled_from([0, 2]))
def test_digests_are_equal_where_the_logs_cut_off_are(log, data, lag_days):
    more = st.lists(_row, min_size=1).map(log.__add__)
    other = data.draw(st.one_of(_log, st.permutations(log), st.just(log[1:]), more))
    mine, theirs = (known_digests(tickets(rows, lag_days), "tickets", AS_OFS) for rows in (log, other))
    for as_of in AS_OFS:
        same = cut_off(log, as_of, lag_days) == cut_off(other, as_of, lag_days)
        assert (mine[as_of] == theirs[as_of]) == same, as_of


def test_a_value_and_the_zone_are_part_of_a_digest_and_so_is_a_columns_type():
    key = {"account_id": ["A"], "product_id": ["crm"], "date": pd.to_datetime(["2026-03-01"])}
    usage = pd.DataFrame({**key, "uses": 1})
    day = dt.date(2026, 3, 9)

    def digest(frame: pd.DataFrame, zone: str = "UTC") -> str:
        return known_digests(Facts.from_frames({"usage": frame}, timezone=zone), "usage", [day])[day]

    kinds = [usage, usage.assign(uses=2), usage.assign(uses=1.0), usage.assign(uses=[None]).astype({"uses": "float64"})]
    digests = [*map(digest, kinds), digest(usage, "Europe/Berlin"), digest(usage.rename(columns={"uses": "used"}))]
    assert len(set(digests)) == len(digests)
    assert digest(usage) == digests[0]
    assert known_digests(Facts.from_frames({}), "usage", [day]) == {day: "absent"}


def test_a_check_writes_the_days_of_its_facts():
    tickets = pd.DataFrame(
        {
            "ticket_id": ["1", "2", "3"],
            "account_id": ["A-1", "A-2", "nobody"],
            "opened_at": pd.to_datetime(["2026-01-05 10:00", "2026-01-06 09:00", "2026-01-07 09:00"]),
            "closed_at": pd.to_datetime(["2026-02-01 23:30", None, None]),
            "priority": ["P1", "P2", "P3"],
        }
    )
    accounts = pd.DataFrame({"account_id": ["A-1", "A-2"], "name": ["One", "Two"]})
    with tempfile.TemporaryDirectory() as place, open_engine(threads=1) as engine:
        for part in ("facts", "quarantine"):
            (Path(place) / part).mkdir()
        check = TableCheck(engine, "Europe/Berlin", ("crm",), Path(place))
        for name, frame in (("accounts", accounts), ("tickets", tickets)):
            check.check(raw_rows(engine, name, frame), TableSettings(), "")
        facts = Facts.from_folder(Path(place) / "facts", timezone="Europe/Berlin")
        relation = days_relation(facts, "tickets")
        assert "tickets.days.parquet" in relation
        written = facts.connection.execute(f"from {relation} order by all").df()
        again = days_query(TABLES["tickets"], (), "facts.tickets")
        pd.testing.assert_frame_equal(written, facts.connection.execute(f"from ({again}) order by all").df())
    # two rows opened, and one line for the closing, which Berlin saw on the second of February
    assert written["_rows"].sum() == 3
    closing = written[written["_event_on"].isna()]
    assert closing["_known_on"].tolist() == [pd.Timestamp("2026-02-02")]


def test_an_engine_takes_two_gigabytes_or_what_it_is_told(monkeypatch, tmp_path):
    def megabytes(**environment: str) -> float:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with open_engine(1, tmp_path / "spill") as engine:
            said, spill = engine.execute(
                "select current_setting('memory_limit'), current_setting('temp_directory')"
            ).fetchall()[0]
        assert Path(spill) == tmp_path / "spill"
        number, unit = said.split()
        return float(number) * {"MiB": 1.048576, "GiB": 1073.741824}[unit]

    monkeypatch.delenv("AFFINITY_MEMORY", raising=False)
    assert 0 < megabytes() <= MEMORY_MB
    assert megabytes(AFFINITY_MEMORY="300MB") == pytest.approx(300, rel=0.01)
    with pytest.raises(UsageError, match="AFFINITY_MEMORY"):
        megabytes(AFFINITY_MEMORY="lots")


def test_what_does_not_fit_is_put_aside_and_removed(monkeypatch, tmp_path):
    monkeypatch.setenv("AFFINITY_MEMORY", "60MB")
    spill = tmp_path / "spill"
    with open_engine(1, spill) as engine:
        engine.execute(
            "create table t as select i, hash(i)::varchar || hash(-i)::varchar as h from range(2_000_000) r(i)"
        )
        assert any(spill.iterdir())
        assert engine.execute("select count(*), max(i) from t").fetchall() == [(2_000_000, 1_999_999)]
    assert not spill.exists()
