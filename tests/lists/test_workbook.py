from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from dataclasses import replace

import openpyxl
import pytest

from product_affinity.lists.content import by_owner
from product_affinity.lists.play_sheet import OUTCOME_REASONS, TIER_FILLS
from product_affinity.lists.sheets import Book, Cell, Column, safe_link
from product_affinity.lists.track import OPEN
from product_affinity.lists.workbook import write_owner_workbook, write_team_workbook
from product_affinity.schema.tables import OUTCOME_STATUSES
from tests.lists.night import night, others, published, without_track
from tests.plays import AS_OF, plays

SHEETS = ["Worklist", "In flight", "Why not", "Gone", "Track record", "Read me", "Choices"]
OWNER_SHEETS = [SHEETS[0], "Before the call", *SHEETS[1:]]


def opened(path):
    return openpyxl.load_workbook(path)


def table(sheet):
    """Rows of a sheet as dicts by header."""
    header, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def team(tmp_path, content):
    write_team_workbook(tmp_path / "worklist.xlsx", content)
    return opened(tmp_path / "worklist.xlsx")


def owned(tmp_path, content, key):
    part = next(part for part in by_owner(content) if part.key == key)
    write_owner_workbook(tmp_path / f"{key}.xlsx", part)
    return opened(tmp_path / f"{key}.xlsx")


def said(book):
    return {row[0].value: row[1].value or "" for row in book["Read me"].iter_rows() if row[0].value}


def test_sheets_frozen_headers_filters_and_at_most_twenty_visible_columns(tmp_path):
    content = night()
    for book, names in ((team(tmp_path, content), SHEETS), (owned(tmp_path, content, "U-001"), OWNER_SHEETS)):
        assert book.sheetnames == names
        assert book.active.title == "Worklist"
        assert book["Choices"].sheet_state == "hidden"
        for name in names[:-2]:
            sheet = book[name]
            assert sheet.freeze_panes is not None
            assert sheet.auto_filter.ref == f"A1:{sheet.cell(sheet.max_row, sheet.max_column).coordinate}"
        sheet = book["Worklist"]
        spans = [(span.min, span.max) for span in sheet.column_dimensions.values() if span.hidden]
        hidden = [cell.value for cell in sheet[1] if any(first <= cell.column <= last for first, last in spans)]
        assert sheet.max_column - len(hidden) <= 20
        assert hidden == ["play_id", "owner", "account_id", "product_id"]


def test_the_columns_come_in_the_order_a_person_reads(tmp_path):
    header = [cell.value for cell in team(tmp_path, night())["Worklist"][1]]
    asked = [
        "Rank",
        "Account",
        "Owner",
        "Offer",
        "Chance",
        "Why",
        "Why now",
        "Talk to",
        "Careful",
        "Next step",
        "Status",
    ]
    assert [name for name in header if name in asked] == asked


def test_a_row_says_what_a_play_is(tmp_path):
    content = night(
        1,
        account_name="Acme",
        tier=2,
        account_arr_usd=64_000.0,
        renewal_on="2026-07-30",
        health=71.0,
        health_change=-4.2,
        open_urgent=2.0,
        open_urgent_oldest_days=12.0,
        caution="last purchase 40 days ago",
        caution_sayable=False,
        propensity=0.12,
        expected_arr_usd=9_000.0,
        reason_1="41 of 60 seats active",
        reason_2="health 71",
        reason_2_sayable=False,
        reason_3=None,
        problem_statement="they merge by hand",
        problem_source="qbr",
        problem_noted_on="2026-06-11",
        trigger="Problem",
        trigger_evidence="noted",
        days_on_list=21,
        change="up",
        next_step="Ask them",
        best_by="2026-07-31",
        status="contacted",
        outcome_reason="",
        outcome_note="Tuesday",
        crm_url="https://crm.example.com/1",
        stakeholder_role="CMO",
        stakeholder_name="Kim Okafor",
    )
    book = owned(tmp_path, content, "U-001")
    (row,) = table(book["Worklist"])
    cells = {book["Worklist"].cell(1, cell.column).value: cell for cell in book["Worklist"][2]}
    assert row["Account"] == "Acme"
    assert cells["Account"].hyperlink.target == "https://crm.example.com/1"
    assert (row["Tier"], cells["Tier"].fill.fgColor.rgb) == (2, "FF" + TIER_FILLS[2].removeprefix("#"))
    assert (row["Account ARR"], cells["Account ARR"].number_format) == (64_000, "$#,##0_)")
    assert row["Renewal in"] == 30
    assert (row["Health"], cells["Health"].number_format) == (71, '0 "▼ 4"')
    assert (row["Chance"], cells["Chance"].number_format) == (0.12, "0.0%")
    assert row["Why"] == "• 41 of 60 seats active\n• health 71 (internal)"
    assert row["Why now"] == "Problem: noted\n“they merge by hand” (QBR, 2026-06-11)"
    assert row["Talk to"] == "Kim Okafor, CMO"
    assert row["Careful"] == "2 open P1/P2, oldest 12 days\nlast purchase 40 days ago (internal)"
    assert row["Next step"] == "Pitch · CSM · by 2026-07-31\nAsk them"
    assert (row["On list"], cells["On list"].number_format) == (21, '0 "d ▲"')
    assert (row["Status"], row["Reason"], row["Note"]) == ("contacted", None, "Tuesday")
    assert (row["play_id"], row["owner"]) == (content.plays["play_id"].iloc[0], "U-001")


def test_a_problem_the_trigger_quotes_is_not_said_twice(tmp_path):
    told = {"trigger": "Problem", "trigger_evidence": "they merge by hand", "problem_statement": "they merge by hand"}
    content = night(1, **told, problem_source="ticket", problem_noted_on="2026-06-11")
    (row,) = table(team(tmp_path, content)["Worklist"])
    assert row["Why now"] == "Problem: they merge by hand\n(ticket, 2026-06-11)"


def test_unknown_facts_are_empty_and_unknown_tickets_are_said(tmp_path):
    unknown = dict.fromkeys(("renewal_on", "health", "health_change", "open_urgent", "account_arr_usd", "caution"))
    (row,) = table(team(tmp_path, night(1, **unknown, problem_statement=None))["Worklist"])
    assert [row[name] for name in ("Renewal in", "Health", "Account ARR")] == [None, None, None]
    assert row["Careful"] == "open tickets unknown"


def test_drop_downs_offer_the_statuses_and_reasons(tmp_path):
    book = team(tmp_path, night())
    for sheet in (book["Worklist"], book["In flight"]):
        header = {cell.value: cell.column_letter for cell in sheet[1]}
        rules = {str(rule.sqref): rule for rule in sheet.data_validations.dataValidation}
        last = sheet.max_row
        status, reason = (rules[f"{header[name]}2:{header[name]}{last}"] for name in ("Status", "Reason"))
        assert status.errorStyle in (None, "stop")
        assert reason.errorStyle == "information"
        for rule, choices in ((status, OUTCOME_STATUSES), (reason, OUTCOME_REASONS)):
            name, cells = rule.formula1.split("!")
            assert [row[0].value for row in book[name][cells.replace("$", "")]] == list(choices)


def test_contacts_are_named_in_their_owners_workbook_only(tmp_path):
    content = night(9, stakeholder_name="Kim Okafor", stakeholder_role="CMO")

    def text(book):
        return "\n".join(str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row)

    assert "Kim Okafor" in text(owned(tmp_path, content, "U-001"))
    assert "Kim Okafor" not in text(team(tmp_path, content))
    assert "Kim Okafor" not in text(owned(tmp_path, content, "_unassigned"))
    assert "CMO" in text(team(tmp_path, content))


def test_an_owner_sees_only_their_own_rows(tmp_path):
    content = night(12, previous=published(plays(20)))
    book = owned(tmp_path, content, "U-002")
    assert {row["owner"] for row in table(book["Worklist"])} == {"U-002"}
    for name, frame in (("Why not", content.watchlist), ("In flight", content.in_flight), ("Gone", content.gone)):
        expected = frame.loc[frame["owner_id"].eq("U-002"), "account_name"]
        assert [row["Account"] for row in table(book[name])] == expected.tolist()
        assert len(expected)


def test_the_read_me_tells_chance_from_readiness_and_where_it_comes_from(tmp_path):
    about = said(team(tmp_path, night()))
    assert "2026-06-30" in about["As of"]
    assert "fbdd9801cd52" in about["Model"]
    assert about["12 %"].startswith("is a chance of buying")
    assert "not readiness" in about["12 %"]
    assert about["usage"] == "newest row 2026-06-29"
    assert all(status in about["Status"] for status in OUTCOME_STATUSES)
    assert "4 have no owner" in about["Worklist"]


def test_an_open_window_is_marked(tmp_path):
    rows = table(team(tmp_path, night())["Track record"])
    assert [row["State"].split(":")[0] for row in rows] == ["complete", "complete", OPEN]
    assert [row["Predicted to buy"] for row in rows] == [5.4, 2.4, 4.0]
    assert [row["Whose"] for row in rows] == ["everybody", "Ada Abel", "everybody"]
    mine = table(owned(tmp_path, night(), "U-001")["Track record"])
    assert [row["Whose"] for row in mine] == ["everybody", "yours", "everybody"]
    assert "No list is 30 days old" in said(team(tmp_path, without_track(night())))["Track record"]


def test_an_empty_list_explains_itself(tmp_path):
    content = night(0, extra=[others("below_value", 7), others("held_back", 2, prefix="Y")])
    book = team(tmp_path, content)
    (row,) = table(book["Worklist"])
    assert row["Account"].startswith("No play is listed today: 8 blocked by a gate; 7 worth less than a play costs; ")
    assert row["play_id"] is None
    assert said(book)["Worklist"] == row["Account"]
    owner = owned(tmp_path, content, "U-001")
    assert table(owner["Worklist"])[0]["Account"] == "No play is listed today: 3 blocked by a gate; 1 being worked on."


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_team_workbook(tmp_path / name, night(previous=published(plays(20))))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_long_watchlist_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("product_affinity.lists.workbook.TEAM_WATCHLIST_ROWS", 5)
    book = team(tmp_path, night(held=8))
    assert len(table(book["Why not"])) == 5
    assert "the 5 most valuable are shown, watchlist.csv has all" in said(book)["Why not"]


def test_rows_beyond_a_sheet_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("product_affinity.lists.sheets.SHEET_ROWS", 4)
    with Book(tmp_path / "a.xlsx", "t", AS_OF) as book:
        book.add_table("T", [Column("n", 5)], [[k] for k in range(9)])
    assert [row["n"] for row in table(opened(tmp_path / "a.xlsx")["T"])] == [0, 1, 2]


def test_links_beyond_what_a_sheet_holds_are_text(tmp_path, monkeypatch):
    monkeypatch.setattr("product_affinity.lists.sheets._SHEET_LINKS", 2)
    with Book(tmp_path / "a.xlsx", "t", AS_OF) as book:
        book.add_table("T", [Column("n", 5)], [[Cell(f"row {k}", link="https://x.example")] for k in range(4)])
    sheet = opened(tmp_path / "a.xlsx")["T"]
    assert [bool(row[0].hyperlink) for row in sheet.iter_rows(min_row=2)] == [True, True, False, False]
    assert [row["n"] for row in table(sheet)] == [f"row {k}" for k in range(4)]


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "internal:Sheet1!A1",
        "external:c:\\x.xlsx",
        "mailto:a@b.example",
        "ftp://x.example",
        "//x.example",
        "https://",
        "https://user@x.example",
        "https://x.example/a b",
        "https://x.example/\u202e",
        "https://[x",
        "https://x.example/" + "a" * 2_100,
        "",
        None,
        float("nan"),
        7,
    ],
)
def test_a_link_of_another_kind_is_dropped(link):
    assert safe_link(link) is None


def test_a_web_address_is_a_link():
    assert safe_link("https://crm.example.com/a?b=1#c") == "https://crm.example.com/a?b=1#c"


def test_other_currencies_are_shown_as_such(tmp_path):
    book = team(tmp_path, replace(night(1), currency="EUR"))
    header = {cell.value: cell.column for cell in book["Worklist"][1]}
    assert book["Worklist"].cell(2, header["If bought"]).number_format == '#,##0 "EUR"_)'


def test_dates_are_dates(tmp_path):
    rows = table(team(tmp_path, night())["Why not"])
    assert dt.datetime(2026, 12, 1) in {row["Opens on"] for row in rows}


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_opens_it_without_loss(tmp_path):
    content = night(6, account_name=["=1+1", "00012", "1E5", "NA", "Łódź", "x" * 300])
    write_team_workbook(tmp_path / "worklist.xlsx", content)
    command = [
        "soffice",
        f"-env:UserInstallation=file://{tmp_path}/profile",
        "--headless",
        "--convert-to",
        "xlsx:Calc MS Excel 2007 XML",
    ]
    done = subprocess.run(
        [*command, "--outdir", str(tmp_path / "out"), str(tmp_path / "worklist.xlsx")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Error" not in done.stderr
    before, after = opened(tmp_path / "worklist.xlsx"), opened(tmp_path / "out" / "worklist.xlsx")
    assert after.sheetnames == before.sheetnames
    for name in before.sheetnames:
        assert table(after[name]) == table(before[name])
    assert len(after["Worklist"].data_validations.dataValidation) == 2
