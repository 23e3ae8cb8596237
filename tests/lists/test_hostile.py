"""Every writer against hostile texts: what comes back is the text, or the text made harmless, and nothing else."""

from __future__ import annotations

import csv
import re

import openpyxl
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_affinity.lists.crm import FIELD_LIMIT, NAME_LIMIT, TEXT_LIMIT
from product_affinity.lists.files import write_list_files
from product_affinity.lists.worklist import owner_key
from product_affinity.lists.writers import CELL_LIMIT, clean_text, cut_text, guard_cell
from tests.lists.night import night

HOSTILE = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+44 20",
    "-2",
    "@SUM(A1)",
    "\t=1",
    "\ufeff=1",
    "＝1",
    "Acme\rLtd",
    "Acme\r\nLtd",
    "a\nb",
    "gpj\u202eexe",
    "\u200f\u061cabc",
    "x\x00y\x07\x1b[31m",
    "_x000D_",
    "00012",
    "1E5",
    "NA",
    "None",
    "null",
    "#N/A",
    "#REF!",
    "TRUE",
    "2026-06-30",
    "1,234",
    'a,b"c";d',
    "'quoted",
    "../../etc/passwd",
    "{=1}",
    "https://x.example",
    "internal:A1",
    "&<>&amp;",
    "\ufffe\uffff",
    "🚀" * 40,
    "x" * 40_000,
)
texts = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text("=+-@\t\r\n\"', \u202e0123E#", max_size=12)
).filter(lambda text: text.strip() != "")
rows_of = st.lists(st.tuples(texts, texts, texts), min_size=6, max_size=6, unique_by=lambda row: row[1])


def cells(path, encoding):
    with path.open(encoding=encoding, newline="") as handle:
        return list(csv.DictReader(handle))


def in_cell(text):
    """What a cell of several lines shows of a text."""
    return cut_text("\n".join(clean_text(line) for line in text.split("\n")), CELL_LIMIT)


def written(folder, rows, owner):
    """Write a night whose plays carry hostile texts wherever a source can put one."""
    names, ids, words = (list(column) for column in zip(*rows, strict=True))
    content = night(
        len(rows),
        held=0,
        flying=0,
        account_name=names,
        account_id=ids,
        owner_id=owner,
        owner_name=names,
        next_step=words,
        product_name=words,
        reason_1=words,
        reason_2=None,
        reason_3=None,
        crm_url=names,
        crm_id=ids,
    )
    write_list_files(folder, content, {})
    return content


def check_tables(folder, plays):
    parquet = pd.read_parquet(folder / "worklist.parquet")
    columns = ["account_name", "account_id", "owner_id", "next_step", "reason_1"]
    assert parquet[columns].to_numpy().tolist() == plays[columns].to_numpy().tolist()
    for row, play in zip(cells(folder / "worklist.csv", "utf-8-sig"), plays.to_dict("records"), strict=True):
        assert [row[name] for name in columns] == [guard_cell(play[name]) for name in columns]
        assert not any(cell.lstrip().startswith(("=", "+", "@", "\t", "\r")) for cell in row.values())


def check_crm(folder, plays):
    def sent(text, limit):
        kept = cut_text(clean_text(text), limit)
        return "# N/A" if kept.strip().upper() == "#N/A" else kept

    salesforce, hubspot = (cells(folder / "crm" / f"{vendor}.csv", "utf-8") for vendor in ("salesforce", "hubspot"))
    for one, other, play in zip(salesforce, hubspot, plays.to_dict("records"), strict=True):
        assert one["Account_Key__c"] == other["Account key"] == sent(play["account_id"], TEXT_LIMIT)
        assert one["Owner_Key__c"] == other["Owner key"] == sent(play["owner_id"], TEXT_LIMIT)
        assert one["Next_Step__c"] == other["Next step"] == sent(play["next_step"], FIELD_LIMIT)
        assert one["Name"] == sent(f"{play['account_name']} · {play['product_name']}", NAME_LIMIT)


def check_workbook(path, plays):
    book = openpyxl.load_workbook(path)
    for cell in (cell for sheet in book for line in sheet.iter_rows() for cell in line):
        assert cell.data_type != "f"
        assert cell.hyperlink is None or re.match("https?://", cell.hyperlink.target)
    header, *lines = book["Worklist"].iter_rows(values_only=True)
    for line, play in zip(lines, plays.to_dict("records"), strict=True):
        found = dict(zip(header, line, strict=True))
        assert found["Account"] == in_cell(play["account_name"])
        assert found["account_id"] == in_cell(play["account_id"])
        assert found["Offer"] == in_cell(play["product_name"])
        assert found["Why"] == in_cell(f"• {play['reason_1']}")


def check_all(folder, rows, owner):
    content = written(folder, rows, owner)
    plays = content.plays
    check_tables(folder, plays)
    check_crm(folder, plays)
    check_workbook(folder / "worklist.xlsx", plays)
    check_workbook(folder / "owners" / f"{owner_key(owner)}.xlsx", plays)
    inside = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert all(re.fullmatch(r"([a-z]+/)?[A-Za-z0-9_-]{1,64}(\.[a-z]+)?", path) for path in inside)
    assert len((folder / "digest.md").read_text("utf-8").splitlines()) == 10


def test_known_attacks_and_look_alikes_survive_every_format(tmp_path):
    turned = HOSTILE[1:] + HOSTILE[:1]
    check_all(tmp_path, list(zip(HOSTILE, turned, HOSTILE, strict=True)), "../=1")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows_of, texts)
def test_every_format_gives_a_text_back_or_makes_it_harmless(tmp_path_factory, rows, owner):
    check_all(tmp_path_factory.mktemp("night"), rows, owner)
