"""CSV exports: the vendors' headers, stages and dates; what does not fit is said."""

from __future__ import annotations

import datetime as dt

import pytest

from product_affinity.errors import UsageError
from product_affinity.outcomes import exports, read_opportunity_csv, read_outcome_csv


@pytest.fixture
def write(tmp_path):
    def writer(text, encoding="utf-8"):
        path = tmp_path / "export.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return writer


def opportunities(path, **options):
    return read_opportunity_csv(path, timezone="UTC", **options).rows


def test_a_salesforce_export(write):
    (row,) = opportunities(
        write(
            "Id,Play_Id__c,StageName,CloseDate,Amount,Loss_Reason__c,LastModifiedDate\n"
            '0065g00000AAAAA,P-1,Closed Lost,2026-07-02,"12,500.50",price,2026-07-09T08:00:00.000+0000\n'
        )
    )
    assert (row.play_id, row.status, row.reason, row.arr_usd) == ("P-1", "lost", "price", 12500.5)
    assert row.noted_at == dt.datetime(2026, 7, 2)
    assert row.fault is None


def test_a_hubspot_export_with_byte_order_mark_and_semicolons(write):
    text = "Record ID;Play ID;Deal Stage;Close Date;Last Modified Date\n1;P-1;closedwon;2026-07-02;\n"
    text += "2;P-2;Contract sent;2026-12-31;2026-07-03 08:30\n3;P-3;Appointment scheduled;;\n"
    won, sent, undated = opportunities(write(text, "utf-8-sig"))
    assert (won.status, won.noted_at) == ("won", dt.datetime(2026, 7, 2))
    # the close date of an open deal is a plan: it counts from its last change
    assert (sent.status, sent.noted_at) == ("meeting", dt.datetime(2026, 7, 3, 8, 30))
    assert (undated.status, undated.noted_at) == ("meeting", None)


def test_our_own_statuses_columns_and_stages_of_the_company(write):
    path = write("play,phase,when\nP-1,Verhandlung,3.7.2026\nP-2,not_now,4.7.2026\n")
    first, second = opportunities(
        path,
        columns={"play_id": "play", "stage": "phase", "changed_on": "when"},
        stages={"verhandlung": "meeting"},
        date_formats=("%d.%m.%Y",),
    )
    assert (first.status, first.noted_at) == ("meeting", dt.datetime(2026, 7, 3))
    assert (second.status, second.noted_at) == ("not_now", dt.datetime(2026, 7, 4))


def test_a_pair_stands_for_a_play_and_ids_stay_as_written(write):
    (row,) = opportunities(write("Account_Key__c,Product_Key__c,StageName\n00012,1E5,Qualification\n"))
    assert (row.play_id, row.account_id, row.product_id, row.status) == (None, "00012", "1E5", "contacted")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("P-1,Verhandlung,1,", "stage 'Verhandlung' is not mapped to a status"),
        ("P-1,Closed Wonn,1,", "stage 'Closed Wonn' is not mapped to a status; did you mean closedwon?"),
        ("P-1,,1,", "no stage"),
        ('P-1,Closed Won,"1.000,50",', "amount '1.000,50' is no amount (12500.50)"),
        ("P-1,Closed Won,-5,", "amount '-5' is no amount (12500.50)"),
        ("P-1,Closed Won,1,7/4/2026", "closed_on '7/4/2026' is no date (2026-06-30)"),
        ("P-1,Closed Won", "has more or fewer cells than the header"),
    ],
)
def test_rows_that_cannot_be_read_say_why(write, line, fault):
    header = "Play ID,Stage,Amount,Close Date\n"
    (row,) = opportunities(write(header + line + "\n"))
    assert row.fault == fault
    assert row.place == "line 2"


def test_missing_or_mistyped_mappings_stop(write):
    path = write("Play ID,Stage\nP-1,Closed Won\n")
    with pytest.raises(UsageError, match=r"nothing of ours is called stag \(did you mean stage\?\)"):
        opportunities(path, columns={"stag": "Stage"})
    with pytest.raises(UsageError, match=r"no column Stge for stage \(did you mean Stage\?\)"):
        opportunities(path, columns={"stage": "Stge"})
    with pytest.raises(UsageError, match=r"stages: signed is no status"):
        opportunities(path, stages={"Signed": "signed"})
    with pytest.raises(UsageError, match="needs a stage"):
        opportunities(write("Play ID,Amount\nP-1,3\n"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "needs a header line"),
        (b"status\xff\n", "not UTF-8 at byte 6"),
        (b"status,play_id\nwon,\0\n", "null characters"),
        (b"play_id,status,Status\n", "column status appears twice"),
        (b'play_id,status\n"P-1,won\n', "not readable as CSV"),
        (b"play_id,statuss\nP-1,won\n", r"unknown column statuss \(did you mean status\?\)"),
        (b"status,account_id\nwon,A\n", "needs status, and play_id or account_id and product_id"),
    ],
)
def test_files_that_are_no_table_say_so(write, content, why):
    with pytest.raises(UsageError, match=why):
        read_outcome_csv(write(content), timezone="UTC")


def test_too_many_rows_are_refused(write, monkeypatch):
    monkeypatch.setattr(exports, "MOST_ROWS", 2)
    with pytest.raises(UsageError, match="more than 2 rows"):
        read_outcome_csv(write("play_id,status\nP-1,won\nP-2,won\nP-3,won\n"), timezone="UTC")


def test_a_plain_table_of_outcomes(write):
    text = "play_id,status,noted_at,note,arr_usd,follow_up_on,noted_by\n"
    text += 'P-1,not now,2026-07-01T23:30+02:00,"two\nlines",,2026-10-01,Ada\n\n,,,,,,\nNA,won,,,7,,\n'
    first, second = read_outcome_csv(write(text), timezone="UTC").rows
    assert (first.status, first.note, first.noted_by) == ("not_now", "two lines", "Ada")
    assert first.noted_at == dt.datetime(2026, 7, 1, 21, 30)
    assert first.follow_up_on == dt.date(2026, 10, 1)
    assert (second.play_id, second.place, second.arr_usd) == ("NA", "line 6", 7.0)
