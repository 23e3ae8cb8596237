"""Applying: right play, right owner, right order, once; the balance of rows holds whatever comes back."""

from __future__ import annotations

import datetime as dt
import json
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_affinity.errors import ContractError, UsageError
from product_affinity.outcomes import ReturnedFile, read_opportunity_csv, read_outcome_csv
from product_affinity.outcomes.returned import ReturnedRow
from product_affinity.schema.tables import OUTCOME_STATUSES
from tests.lists.night import night
from tests.outcomes.desk import AS_OF, RECEIVED, apply, balanced, fates, fill, keys_of, publish, recorded, send

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Folder of everything generated with one list, never written to by a test."""
    folder = tmp_path_factory.mktemp("published")
    publish(folder)
    return folder


@pytest.fixture
def var(template, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "lists").symlink_to(template / "lists", target_is_directory=True)
    return tmp_path / "var"


@pytest.fixture
def own(var):
    return var / "lists" / str(AS_OF) / "owners" / "U-001.xlsx"


@pytest.fixture
def table(tmp_path):
    """Write a plain table of outcomes and read it."""

    def read(*lines, header="play_id,status,noted_at"):
        path = tmp_path / "outcomes.csv"
        path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
        return read_outcome_csv(path, timezone="UTC")

    return read


def test_a_word_is_recorded_once_with_all_its_keys(var, own, tmp_path):
    values = {"Status": "not_now", "Reason": "no budget", "Note": "until May", "Follow up on": "2026-10-01"}
    path = fill(own, tmp_path / "a.xlsx", (2, values), (3, {"Status": "acepted"}))
    report = send(var, path)
    assert balanced(report) == {
        "rows_in": 2, "applied": 1, "unchanged": 0, "rejected": 1, "conflicts": 0, "blank": report.blank
    }  # fmt: skip
    (row,) = recorded(var).to_dict("records")
    keys = keys_of(own, 2)
    plays = pd.read_parquet(var / "lists" / str(AS_OF) / "worklist.parquet").set_index("play_id")
    first = AS_OF - int(plays.loc[keys["play_id"], "days_on_list"]) * DAY
    assert {name: row[name] for name in ("play_id", "account_id", "product_id")} == {
        name: keys[name] for name in ("play_id", "account_id", "product_id")
    }
    assert (row["as_of"], row["follow_up_on"]) == (first, dt.date(2026, 10, 1))
    assert (row["status"], row["reason"], row["note"]) == ("not_now", "no budget", "until May")
    assert row["noted_at"] == row["known_at"] == RECEIVED.replace(tzinfo=None)
    assert (row["source"], row["noted_by"], row["place"]) == ("workbook", "U-001", "Worklist row 2")
    rejected = pd.read_parquet(var / "outcomes" / report.rejected_file)
    assert rejected["why"].tolist() == ["status 'acepted' is none of ours (did you mean accepted?)"]


def test_the_same_file_again_changes_not_a_byte_of_the_log(var, own, tmp_path):
    path = fill(own, tmp_path / "a.xlsx", (2, {"Status": "accepted"}), (3, {"Status": "contacted"}))
    send(var, path)
    before = (var / "outcomes" / "outcomes.parquet").read_bytes()
    again = send(var, path, received=RECEIVED + 5 * DAY)
    assert balanced(again)["unchanged"] == 2
    assert again.seen_before
    assert (var / "outcomes" / "outcomes.parquet").read_bytes() == before
    assert len((var / "outcomes" / "files.jsonl").read_text().splitlines()) == 2


def test_a_workbook_filled_in_further_adds_only_what_is_new(var, own, tmp_path):
    first = fill(own, tmp_path / "a.xlsx", (2, {"Status": "accepted"}))
    send(var, first)
    second = fill(first, tmp_path / "b.xlsx", (2, {"Status": "contacted"}), (3, {"Status": "meeting"}))
    assert balanced(send(var, second, received=RECEIVED + DAY))["applied"] == 2
    # the first copy again: what it says is known, and that something newer is known too
    report = send(var, first, received=RECEIVED + 2 * DAY)
    assert fates(report) == {"Worklist row 2": ("unchanged", "recorded already (2026-07-03, since then: contacted)")}
    assert recorded(var)["status"].tolist() == ["accepted", "contacted", "meeting"]


def test_what_a_list_showed_is_no_news(tmp_path):
    var = tmp_path / "var"
    folder = publish(var, night(status="accepted", outcome_reason="other", outcome_note=""))
    path = fill(folder / "owners" / "U-001.xlsx", tmp_path / "a.xlsx", (3, {"Status": "meeting"}))
    report = send(var, path)
    found = fates(report)
    assert found["Worklist row 2"] == ("unchanged", "as the list showed it")
    assert found["Worklist row 3"] == ("applied", "")
    assert balanced(report)["applied"] == 1


def test_altered_keys_and_strangers_are_refused(var, own, tmp_path):
    other = keys_of(own, 3)
    answers = (
        (2, {"Status": "won", "play_id": "P-ffff"}),
        (3, {"Status": "won", "account_id": "99999"}),
        (4, {"Status": "won", "play_id": other["play_id"]}),
        (5, {"Status": "won", "play_id": None}),
    )
    found = fates(send(var, fill(own, tmp_path / "a.xlsx", *answers)))
    assert found["Worklist row 2"] == ("rejected", "play P-ffff was never published")
    assert "the row says 99999; its keys were altered" in found["Worklist row 3"][1]
    assert "its keys were altered" in found["Worklist row 4"][1]
    assert "was ever published" in found["Worklist row 5"][1]
    assert recorded(var).empty


def test_a_play_of_somebody_else_is_refused_even_with_a_changed_owner(var, own, tmp_path):
    theirs = keys_of(own.with_name("U-002.xlsx"), 2)
    stolen = {"Status": "won", **theirs, "owner": "U-001"}
    ((fate, why),) = fates(send(var, fill(own, tmp_path / "a.xlsx", (2, stolen)))).values()
    assert (fate, why) == ("rejected", f"play {theirs['play_id']} was never on the list of owner U-001")


def test_work_that_did_not_begin_on_a_list_is_known_by_its_pair(var, own, tmp_path):
    path = fill(own, tmp_path / "a.xlsx", (2, {"Status": "lost", "Reason": "price"}), sheet="In flight")
    assert balanced(send(var, path))["applied"] == 1
    (row,) = recorded(var).to_dict("records")
    assert pd.isna(row["play_id"])
    assert (row["account_id"], row["as_of"]) == (keys_of(own, 2, "In flight")["account_id"], AS_OF)
    assert balanced(send(var, path, received=RECEIVED + DAY))["unchanged"] == 1


def test_two_words_on_one_play_in_one_file_conflict_unless_both_are_dated(var, own, table):
    play = keys_of(own, 2)["play_id"]
    undated = apply(var, table(f"{play},won,", f"{play},lost,", f"{play},won,"))
    assert balanced(undated) == {
        "rows_in": 3, "applied": 0, "unchanged": 1, "rejected": 2, "conflicts": 2, "blank": 0
    }  # fmt: skip
    assert fates(undated)["line 2"][1] == "conflict: line 3 says lost of the same play; keep one, or date both"
    assert fates(undated)["line 4"] == ("unchanged", "the same as line 2")
    mixed = apply(var, table(f"{play},won,2026-07-02", f"{play},lost,"))
    assert balanced(mixed)["conflicts"] == 2
    same_day = apply(var, table(f"{play},won,2026-07-02", f"{play},lost,2026-07-02"))
    assert balanced(same_day)["conflicts"] == 2
    dated = apply(var, table(f"{play},won,2026-07-02", f"{play},meeting,2026-07-01"))
    assert balanced(dated)["applied"] == 2
    assert recorded(var).sort_values("noted_at")["status"].tolist() == ["meeting", "won"]


def test_a_word_for_a_time_already_taken_conflicts(var, own, table):
    play = keys_of(own, 2)["play_id"]
    apply(var, table(f"{play},meeting,2026-07-01"))
    report = apply(var, table(f"{play},lost,2026-07-01"))
    assert report.conflicts[0].why == "conflict: meeting is recorded for the very same time 2026-07-01 00:00 UTC"
    assert balanced(apply(var, table(f"{play},lost,2026-07-02")))["applied"] == 1


def test_a_workbook_does_not_overrule_what_came_from_elsewhere_since_its_list(var, own, table, tmp_path):
    play = keys_of(own, 2)["play_id"]
    apply(var, table(f"{play},won,2026-07-01"))
    late = send(var, fill(own, tmp_path / "a.xlsx", (2, {"Status": "contacted"})), received=RECEIVED + DAY)
    assert late.conflicts[0].why.startswith("conflict: won came back elsewhere on 2026-07-01")
    dated = {"Status": "not_now", "Noted on": "2026-07-02"}
    assert balanced(send(var, fill(own, tmp_path / "b.xlsx", (2, dated))))["applied"] == 1


def test_a_workbook_is_newer_than_what_came_before_its_list(var, own, table, tmp_path):
    plays = pd.read_parquet(var / "lists" / str(AS_OF) / "worklist.parquet")
    old = plays[plays["owner_id"].eq("U-001") & plays["days_on_list"].gt(1)].iloc[0]
    apply(var, table(f"{old['play_id']},contacted,{AS_OF - DAY}"))
    path = fill(own, tmp_path / "a.xlsx", (int(old["rank"]) + 1, {"Status": "won"}))
    assert keys_of(path, int(old["rank"]) + 1)["play_id"] == old["play_id"]
    assert balanced(send(var, path))["applied"] == 1


@pytest.mark.parametrize(
    ("line", "header", "why"),
    [
        ("{play},won,2026-07-04", "play_id,status,noted_at", "noted on 2026-07-04, after the file came in on"),
        ("{play},won,2020-01-01", "play_id,status,noted_at", "noted on 2020-01-01, before the play was first listed"),
        ("{play},not_now,2026-07-02", "play_id,status,follow_up_on", "follow up on 2026-07-02 lies before 2026-07-03"),
        ("{play},not_now,2036-07-02", "play_id,status,follow_up_on", "follow up on 2036-07-02 lies before"),
    ],
)  # fmt: skip
def test_dates_that_cannot_be_are_refused(var, own, table, line, header, why):
    play = keys_of(own, 2)["play_id"]
    ((fate, said),) = fates(apply(var, table(line.format(play=play), header=header))).values()
    assert fate == "rejected"
    assert said.startswith(why)


def test_days_are_local(var, own, table):
    """23:30 UTC on 3 July is 4 July in Berlin: a word noted on the 4th has come in time there."""
    play = keys_of(own, 2)["play_id"]
    late = RECEIVED.replace(hour=23, minute=30)
    file = table(f"{play},won,2026-07-03T23:00")
    assert balanced(apply(var, file, received=late, timezone="Europe/Berlin"))["applied"] == 1
    early = table(f"{play},lost,2026-07-04")
    assert balanced(apply(var, early, received=late, timezone="UTC"))["rejected"] == 1
    assert balanced(apply(var, early, received=late, timezone="Europe/Berlin"))["applied"] == 1


def test_an_opportunity_finds_the_play_of_its_pair(var, own, tmp_path):
    keys = keys_of(own, 2)
    path = tmp_path / "deals.csv"
    path.write_text(
        "Account_Key__c,Product_Key__c,StageName,CloseDate,Amount\n"
        f"{keys['account_id']},{keys['product_id']},Closed Won,2026-07-01,9000\n"
        "elsewhere,crm,Closed Won,2026-07-01,1\n"
        ",,Closed Won,2026-07-01,1\n"
    )
    report = apply(var, read_opportunity_csv(path, timezone="UTC"))
    assert [line.why for line in report.lines] == [
        "",
        "no play on crm for account elsewhere was ever published",
        "names no play, and not both an account and a product",
    ]
    (row,) = recorded(var).to_dict("records")
    assert (row["play_id"], row["status"], row["arr_usd"]) == (keys["play_id"], "won", 9000.0)
    assert row["noted_at"] == dt.datetime(2026, 7, 1)
    assert row["known_at"] == RECEIVED.replace(tzinfo=None)


def test_a_play_keeps_its_owners_over_the_lists(tmp_path):
    """Yesterday U-001 had the play, today U-002: both of their workbooks may answer it."""
    var = tmp_path / "var"
    first = publish(var, night(status="", outcome_note=""))
    keys = keys_of(first / "owners" / "U-001.xlsx", 2)
    content = night(status="", outcome_note="")
    moved = content.plays.copy()
    mine = moved["play_id"].eq(keys["play_id"])
    moved.loc[mine, ["owner_id", "owner_name"]] = ["U-002", "Ben Brook"]
    moved["days_on_list"] += 1
    tomorrow = AS_OF + DAY
    publish(var, replace(content, plays=moved.assign(as_of=tomorrow), as_of=tomorrow))
    for owner, status, received in (("U-001", "accepted", RECEIVED), ("U-002", "meeting", RECEIVED + DAY)):
        row = ReturnedRow("row 2", status, owner_key=owner, **{k: keys[k] for k in ("play_id", "account_id")})
        file = ReturnedFile("a.xlsx", owner * 8, "workbook", (row,), owner_key=owner, listed_on=tomorrow + 5 * DAY)
        assert balanced(apply(var, file, received=received))["applied"] == 1


def test_without_a_list_or_with_an_altered_one_nothing_is_recorded(tmp_path, own):
    empty = tmp_path / "empty"
    path = fill(own, tmp_path / "a.xlsx", (2, {"Status": "won"}))
    with pytest.raises(UsageError, match="no list is published"):
        send(empty, path)
    var = tmp_path / "altered"
    folder = publish(var)
    (folder / "in_flight.parquet").write_bytes(b"x")
    with pytest.raises(ContractError, match=r"2026-06-30/in_flight.parquet: missing or altered"):
        send(var, path)
    assert not (var / "outcomes" / "outcomes.parquet").exists()


def test_a_damaged_log_stops_and_is_not_overwritten(var, own, tmp_path):
    path = fill(own, tmp_path / "a.xlsx", (2, {"Status": "won"}))
    send(var, path)
    log = var / "outcomes" / "outcomes.parquet"
    log.write_bytes(b"x")
    with pytest.raises(ContractError, match="damaged"):
        send(var, path)
    assert log.read_bytes() == b"x"


def test_a_fault_while_writing_leaves_the_log_as_it_was(var, own, tmp_path, monkeypatch):
    first = fill(own, tmp_path / "a.xlsx", (2, {"Status": "accepted"}))
    send(var, first)
    before = (var / "outcomes" / "outcomes.parquet").read_bytes()
    second = fill(own, tmp_path / "b.xlsx", (3, {"Status": "accepted"}))
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            send(var, second)
    assert (var / "outcomes" / "outcomes.parquet").read_bytes() == before
    assert not list((var / "outcomes").glob(".*"))
    assert balanced(send(var, second))["applied"] == 1


def test_only_owner_and_group_may_read(var, own, tmp_path):
    send(var, fill(own, tmp_path / "a.xlsx", (2, {"Status": "won"}), (3, {"Note": "x"})))
    folder = var / "outcomes"
    assert stat.S_IMODE(folder.stat().st_mode) & 0o027 == 0
    for path in (folder / "outcomes.parquet", folder / "files.jsonl", *(folder / "rejected").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
    assert not list(folder.glob(".*"))


def test_the_report_says_it_in_words_and_in_json(var, own, tmp_path):
    path = fill(own, tmp_path / "a.xlsx", (2, {"Status": "won"}), (3, {"Status": "won"}), (4, {"Note": "x"}))
    report = send(var, path)
    lines = report.render().splitlines()
    assert lines[0].startswith(
        "a.xlsx (workbook of U-001): 3 rows in = 2 applied + 0 unchanged + 1 rejected (conflicts 0); "
    )
    assert lines[1:3] == [
        "  applied: won 2",
        "  rejected: Worklist row 4: something is written, but no status is chosen",
    ]
    content = json.loads(json.dumps(report.to_json()))
    assert content["counts"]["applied"] == 2
    assert content["lines"][2]["why"] == "something is written, but no status is chosen"


def _row(number, plays, picked, status, day, note, strange):
    play = plays[picked]
    noted = None if day is None else dt.datetime(2026, 6, 28) + day * DAY
    return ReturnedRow(
        f"line {number}",
        status,
        play_id="P-unknown" if strange else play,
        note=note,
        noted_at=noted,
        fault="not readable" if not status else None,
    )


_ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(("", *OUTCOME_STATUSES)),
        st.one_of(st.none(), st.integers(0, 8)),
        st.sampled_from(("", "a", "b")),
        st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(_ROWS, min_size=1, max_size=3))
def test_rows_balance_nothing_is_applied_twice_and_no_two_words_share_a_time(template, files):
    plays = sorted(pd.read_parquet(template / "lists" / str(AS_OF) / "worklist.parquet")["play_id"])[:3]
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        (var / "lists").symlink_to(template / "lists", target_is_directory=True)
        applied = 0
        for number, drawn in enumerate(files):
            rows = tuple(_row(k, plays, *values) for k, values in enumerate(drawn))
            file = ReturnedFile("x.csv", f"{number:064x}", "outcomes", rows)
            received = RECEIVED + number * DAY
            counts = balanced(apply(var, file, received=received))
            assert counts["rows_in"] == len(rows)
            applied += counts["applied"]
            again = balanced(apply(var, file, received=received + DAY / 2))
            assert again["applied"] == 0
            assert again["rejected"] == counts["rejected"]
        log = recorded(var)
        assert len(log) == applied
        if applied:
            assert not log.duplicated(["play_id", "noted_at"]).any()
            assert set(log["play_id"]) <= set(plays)
