"""Workbooks: written by our writer, filled in as people do, read back; what is not safe is refused."""

from __future__ import annotations

import datetime as dt
import io
import zipfile

import openpyxl
import pytest

from product_affinity.errors import UsageError
from product_affinity.outcomes import archive, read_workbook, workbook
from tests.outcomes.desk import AS_OF, fill, keys_of, publish


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    return publish(tmp_path_factory.mktemp("var"))


@pytest.fixture
def own(lists):
    return lists / "owners" / "U-001.xlsx"


def read(path, **options):
    return read_workbook(path, timezone="Europe/Berlin", **options)


def test_what_is_filled_in_comes_back_with_its_keys(own, tmp_path):
    page = openpyxl.load_workbook(own)["Worklist"]
    returned = read(
        fill(own, tmp_path / "U-001 (2).xlsx", (3, {"Status": "not_now", "Reason": "no budget", "Note": "until May"}))
    )
    keys = keys_of(own, 3)
    (row,) = returned.rows
    assert (row.place, row.status, row.reason, row.note) == ("Worklist row 3", "not_now", "no budget", "until May")
    assert (row.play_id, row.account_id, row.product_id) == (keys["play_id"], keys["account_id"], keys["product_id"])
    assert row.noted_at is None
    assert row.fault is None
    assert returned.owner_key == "U-001"
    assert returned.listed_on == AS_OF
    flying = openpyxl.load_workbook(own)["In flight"].max_row - 1
    assert returned.blank == page.max_row - 1 + flying - 1


def test_the_sheet_of_work_in_flight_is_read_too(own, tmp_path):
    returned = read(fill(own, tmp_path / "a.xlsx", (2, {"Status": "won"}), sheet="In flight"))
    (row,) = returned.rows
    assert (row.place, row.status, row.play_id) == ("In flight row 2", "won", None)
    assert row.account_id == keys_of(own, 2, "In flight")["account_id"]


def test_days_people_add_are_local_midnights(own, tmp_path):
    values = {"Status": "not_now", "Noted on": dt.datetime(2026, 7, 2), "Follow up on": "2026-10-01"}
    (row,) = read(fill(own, tmp_path / "a.xlsx", (2, values))).rows
    assert row.noted_at == dt.datetime(2026, 7, 1, 22)
    assert row.follow_up_on == dt.date(2026, 10, 1)


def test_the_order_of_columns_does_not_matter(own, tmp_path):
    book = openpyxl.load_workbook(fill(own, tmp_path / "a.xlsx", (2, {"Status": "won", "Note": "signed"})))
    page = book["Worklist"]
    rows = [list(line)[::-1] for line in page.iter_rows(values_only=True)]
    for line, values in enumerate(rows, start=1):
        for column, value in enumerate(values, start=1):
            page.cell(line, column).value = value
    book.save(tmp_path / "b.xlsx")
    (row,) = read(tmp_path / "b.xlsx").rows
    assert (row.play_id, row.status, row.note) == (keys_of(own, 2)["play_id"], "won", "signed")


def test_the_teams_workbook_belongs_to_nobody_and_keeps_the_owner_of_each_row(lists, tmp_path):
    last = openpyxl.load_workbook(lists / "worklist.xlsx")["Worklist"].max_row
    path = fill(lists / "worklist.xlsx", tmp_path / "team.xlsx", *((n, {"Status": "accepted"}) for n in (2, last)))
    returned = read(path)
    assert returned.owner_key is None
    assert {row.owner_key for row in returned.rows} == {"U-001", "_unassigned"}
    assert all(row.fault is None for row in returned.rows)


def test_a_row_of_another_owner_does_not_belong_in_a_workbook(own, lists, tmp_path):
    theirs = keys_of(lists / "owners" / "U-002.xlsx", 2)
    returned = read(fill(own, tmp_path / "a.xlsx", (2, {"Status": "won", **theirs})))
    assert returned.rows[0].fault == "belongs to owner U-002, not to U-001's workbook"
    with_owner = read(tmp_path / "a.xlsx", owner_key="U-002")
    assert with_owner.rows[0].fault is None


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"Status": "acepted"}, "status 'acepted' is none of ours (did you mean accepted?)"),
        ({"Note": "spoke on Tuesday"}, "something is written, but no status is chosen"),
        ({"Status": "=1+1"}, "a formula in column Status; write the value itself"),
        ({"Status": "won", "Note": '=HYPERLINK("http://x.example","y")'}, "a formula in column Note; write the value"),
        ({"Status": "won", "play_id": "=A1"}, "a formula in column play_id; write the value itself"),
        ({"Status": "#N/A"}, "an error value in column Status; write the value itself"),
        ({"Status": "won", "Noted on": "soon"}, "Noted on 'soon' is no date (2026-06-30)"),
        ({"Status": "not_now", "Follow up on": "31.12.2026"}, "Follow up on '31.12.2026' is no date (2026-06-30)"),
    ],
)
def test_rows_that_cannot_be_read_say_why(own, tmp_path, values, fault):
    (row,) = read(fill(own, tmp_path / "a.xlsx", (2, values))).rows
    assert row.fault.startswith(fault)
    assert row.status == ""


def test_hostile_text_is_one_plain_line(own, tmp_path):
    book = openpyxl.load_workbook(fill(own, tmp_path / "a.xlsx", (2, {"Status": " Not Now "})))
    cell = book["Worklist"].cell(2, [c.value for c in book["Worklist"][1]].index("Note") + 1)
    cell.value = "=cmd()\n\u202egnp.exe\ttab " + "x" * 5000
    cell.data_type = "s"
    book.save(tmp_path / "b.xlsx")
    (row,) = read(tmp_path / "b.xlsx").rows
    assert row.status == "not_now"
    assert row.note.startswith("=cmd() gnp.exe tab xxx")
    assert len(row.note) == 2000
    assert row.note.endswith("…")


def repack(source, target, change):
    """Copy a workbook; `change(name, content)` gives a part's new content, parts it returns extra are added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))
    return target


def added(source, target, name, content):
    repack(source, target, lambda _, text: text)
    with zipfile.ZipFile(target, "a", zipfile.ZIP_DEFLATED) as archived:
        archived.writestr(name, content)
    return target


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("xl/vbaProject.bin", "it holds macros"),
        ("xl/macrosheets/sheet1.xml", "it holds macros"),
        ("xl/externalLinks/externalLink1.xml", "it links to other files"),
        ("xl/connections.xml", "it links to a data source"),
        ("xl/embeddings/oleObject1.bin", "it holds embedded files"),
    ],
)
def test_macros_links_and_embedded_files_are_refused(own, tmp_path, part, why):
    with pytest.raises(UsageError, match=f"a.xlsx: refused, {why}"):
        read(added(own, tmp_path / "a.xlsx", part, b"x"))


def test_a_macro_workbook_is_refused_by_its_name_and_by_its_content(own, tmp_path):
    (tmp_path / "a.xlsm").write_bytes(own.read_bytes())
    with pytest.raises(UsageError, match=r"a.xlsm: not an .xlsx file"):
        read(tmp_path / "a.xlsm")

    def as_macro(name, text):
        main = b"spreadsheetml.sheet.main+xml"
        return text.replace(main, b"sheet.macroEnabled.main+xml") if name == "[Content_Types].xml" else text

    with pytest.raises(UsageError, match="it holds macros"):
        read(repack(own, tmp_path / "b.xlsx", as_macro))


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(own, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "UNPACKED_BYTES", 3_000_000)
    path = added(own, tmp_path / "a.xlsx", "xl/worksheets/sheet99.xml", b" " * 4_000_000)
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("a part was unpacked"))
    with pytest.raises(UsageError, match="it unpacks to 4 MB, at most 3 MB"):
        read(path)


def test_too_many_parts_are_refused(own, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_PARTS", 5)
    with pytest.raises(UsageError, match="parts in it, at most 5"):
        read(own)


@pytest.mark.parametrize("sign", [b"<!DOCTYPE x [<!ENTITY a 'b'>]>", "\ufeff<a/>".encode("utf-16")])
def test_entities_and_encodings_that_hide_them_are_refused(own, tmp_path, sign):
    def prefix(name, text):
        return sign + text if name == "xl/sharedStrings.xml" else text

    with pytest.raises(UsageError, match=r"defines entities|is not UTF-8"):
        read(repack(own, tmp_path / "a.xlsx", prefix))


def test_files_beyond_the_limits_are_refused(own, tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "FILE_BYTES", 1_000)
    with pytest.raises(UsageError, match=r"U-001.xlsx: larger than 0 MB"):
        read(own)
    monkeypatch.undo()
    monkeypatch.setattr(workbook, "MOST_ROWS", 2)
    with pytest.raises(UsageError, match="sheet Worklist has more than 2 rows"):
        read(own)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04 but nothing more", "no readable .xlsx file"),
        (b"", "no readable .xlsx file"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "protected by a password or in the old format"),
    ],
)
def test_files_that_are_no_workbook_say_so(tmp_path, content, why):
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(UsageError, match=why):
        read(tmp_path / "a.xlsx")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_what_is_compressed_is_one_line(tmp_path, compression):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("[Content_Types].xml", "".join(str(number * 7919) for number in range(2000)))
    content = bytearray(buffer.getvalue())
    content[100:400] = b"\xff" * 300
    (tmp_path / "a.xlsx").write_bytes(content)
    with pytest.raises(UsageError, match=r"a\.xlsx: refused, no readable \.xlsx file"):
        read(tmp_path / "a.xlsx")


def test_damage_inside_is_one_line(own, tmp_path):
    def cut(name, text):
        return text[: len(text) // 2] if name.startswith("xl/worksheets/sheet1") else text

    with pytest.raises(UsageError, match="damaged, not readable as a workbook"):
        read(repack(own, tmp_path / "a.xlsx", cut))


def test_another_workbook_is_not_ours(tmp_path):
    book, buffer = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["Status", "Note"])
    book.save(buffer)
    (tmp_path / "a.xlsx").write_bytes(buffer.getvalue())
    with pytest.raises(UsageError, match="no sheet with the columns Status, play_id, owner, account_id, product_id"):
        read(tmp_path / "a.xlsx")
    with pytest.raises(UsageError, match=r"b.xlsx: not readable \(No such file or directory\)"):
        read(tmp_path / "b.xlsx")


def test_a_repeated_column_is_refused(own, tmp_path):
    book = openpyxl.load_workbook(own)
    book["Worklist"].cell(1, book["Worklist"].max_column + 1, "Status")
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UsageError, match="column Status appears twice"):
        read(tmp_path / "a.xlsx")
