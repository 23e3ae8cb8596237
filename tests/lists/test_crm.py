from __future__ import annotations

import csv

import pandas as pd
import pytest

from product_affinity.lists import find_gone
from product_affinity.lists.crm import FIELD_LIMIT, NAME_LIMIT, write_crm_files
from product_affinity.lists.privacy import WITHHELD
from product_affinity.lists.writers import cut_text
from tests.lists.night import night, published, scored
from tests.plays import plays, watchlist

NO_GONE = night(0, held=0, flying=0).gone


def read(path):
    """Rows of a CRM file as the vendor's parser sees them: text by header, nothing trimmed or guessed."""
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def written(tmp_path, rows, gone=NO_GONE, **options):
    said = write_crm_files(tmp_path / "crm", rows, gone, **{"problem_text": False, **options})
    return read(tmp_path / "crm" / "salesforce.csv"), read(tmp_path / "crm" / "hubspot.csv"), said


def test_files_are_plain_utf_8_with_line_feeds_and_field_names(tmp_path):
    written(tmp_path, plays(3))
    for vendor in ("salesforce", "hubspot"):
        text = (tmp_path / "crm" / f"{vendor}.csv").read_bytes()
        assert not text.startswith(b"\xef\xbb\xbf")
        assert b"\r" not in text
        assert text.endswith(b"\n")
    header = (tmp_path / "crm" / "salesforce.csv").read_text("utf-8").splitlines()[0].split(",")
    assert all(name == "Name" or name.endswith("__c") for name in header)
    assert len(set(header)) == len(header)


def test_a_play_is_one_record_under_its_play_id(tmp_path):
    rows = plays(6)
    salesforce, hubspot, said = written(tmp_path, rows)
    assert [row["Play_Id__c"] for row in salesforce] == rows["play_id"].tolist()
    assert [row["Play ID"] for row in hubspot] == rows["play_id"].tolist()
    assert said["salesforce"] == {"rows": 6, "files": 1, "without_crm_id": 0}


def test_figures_and_dates_are_written_as_the_vendors_read_them(tmp_path):
    row = plays(1, propensity=0.12345, expected_arr_usd=9_000.0, value_usd=-12.5, best_by="2026-07-31", tier=2)
    salesforce, hubspot, _ = written(tmp_path, row)
    names = ("Propensity__c", "Expected_ARR__c", "Value__c", "Best_By__c", "Tier__c", "As_Of__c", "Is_Active__c")
    assert [salesforce[0][name] for name in names] == [
        "12.35",
        "9000",
        "-12.50",
        "2026-07-31",
        "2",
        "2026-06-30",
        "true",
    ]
    assert [hubspot[0][name] for name in ("Chance (%)", "Worth", "Best by")] == ["12.35", "-12.50", "2026-07-31"]


def test_what_is_no_longer_known_is_cleared_and_what_is_not_ours_is_left_alone(tmp_path):
    row = plays(1, caution=None, trigger=None, trigger_evidence=None, best_by=None, status="", crm_id=None, rank=1)
    salesforce, hubspot, said = written(tmp_path, row)
    assert [salesforce[0][name] for name in ("Careful__c", "Why_Now__c", "Best_By__c")] == ["#N/A"] * 3
    assert [salesforce[0][name] for name in ("Status__c", "Account__c")] == ["", ""]
    assert [hubspot[0][name] for name in ("Careful", "Why now", "Best by", "Company record ID")] == [
        "none",
        "none",
        "",
        "",
    ]
    assert said["salesforce"]["without_crm_id"] == 1


@pytest.mark.parametrize(
    ("crm_id", "salesforce", "hubspot"),
    [
        ("0015g00000AbCdE", True, False),
        ("0015g00000AbCdEAAA", True, False),
        ("000123", False, True),
        ("0015g00000AbCd", False, False),
        ("0015g00000AbCd!", False, False),
        ("#N/A", False, False),
    ],
)
def test_an_id_goes_only_where_it_can_be_one(tmp_path, crm_id, salesforce, hubspot):
    one, other, said = written(tmp_path, plays(1, crm_id=crm_id))
    assert one[0]["Account__c"] == (crm_id if salesforce else "")
    assert other[0]["Company record ID"] == (crm_id if hubspot else "")
    assert said["salesforce"]["without_crm_id"] == 1 - salesforce
    assert said["hubspot"]["without_crm_id"] == 1 - hubspot


@pytest.mark.parametrize("name", ["#N/A", " #n/a "])
def test_a_customer_called_like_the_command_to_clear_clears_nothing(tmp_path, name):
    salesforce, _, _ = written(tmp_path, plays(1, product_name=name, owner_id=name))
    assert salesforce[0]["Product_Name__c"] == salesforce[0]["Owner_Key__c"] == "# N/A"


def test_texts_keep_within_their_fields(tmp_path):
    long = "🚀" * 40_000
    salesforce, hubspot, _ = written(tmp_path, plays(1, account_name=long, next_step=long, talk_track=long))
    for row in (*salesforce, *hubspot):
        assert all(len(cell.encode("utf-16-le")) / 2 <= FIELD_LIMIT for cell in row.values())
    assert len(salesforce[0]["Name"].encode("utf-16-le")) / 2 <= NAME_LIMIT
    assert salesforce[0]["Next_Step__c"] == cut_text(long, FIELD_LIMIT)


def test_the_problem_is_in_the_files_on_opt_in_only(tmp_path):
    statement = "they merge by hand"
    rows = plays(
        1, problem_statement=statement, talk_track=f"You said {statement}.", trigger_evidence=f"QBR: {statement}"
    )
    written(tmp_path, rows)
    for vendor in ("salesforce", "hubspot"):
        text = (tmp_path / "crm" / f"{vendor}.csv").read_text("utf-8")
        assert statement not in text
        assert "roblem__c" not in text.splitlines()[0]
        assert f"You said {WITHHELD}." in text
    salesforce = write_and_read(tmp_path / "opted", rows)
    assert salesforce[0]["Problem__c"] == statement
    assert salesforce[0]["Talk_Track__c"] == f"You said {statement}."


def write_and_read(folder, rows):
    write_crm_files(folder, rows, NO_GONE, problem_text=True)
    return read(folder / "salesforce.csv")


def test_what_ended_is_switched_off_and_what_goes_on_is_not(tmp_path):
    before = plays(4)
    today = before.iloc[:1]
    scores = pd.concat(
        [
            scored(today, "listed"),
            scored(before.iloc[1:2], "in_flight", status="in_pipeline"),
            scored(before.iloc[2:3], "below_value"),
            scored(before.iloc[3:4], None, status="owned"),
        ]
    )
    gone = find_gone(published(before), today, scores, watchlist(0))
    salesforce, hubspot, _ = written(tmp_path, today, gone)
    active = {row["Play_Id__c"]: (row["Is_Active__c"], row["Gone_Why__c"]) for row in salesforce}
    ids = before["play_id"].tolist()
    assert active == {
        ids[0]: ("true", "#N/A"),
        ids[2]: ("false", "worth less than a play costs"),
        ids[3]: ("false", "bought it"),
    }
    assert {row["Play ID"]: row["Deal stage"] for row in hubspot if row["Play ID"] != ids[0]} == {
        ids[2]: "Gone",
        ids[3]: "Gone",
    }
    # everything else of such a record stays as it is in the CRM
    assert [
        cell
        for name, cell in salesforce[1].items()
        if name not in ("Play_Id__c", "Name", "Is_Active__c", "Gone_Why__c")
    ] == [""] * (len(salesforce[1]) - 4)


def test_a_stage_people_moved_on_is_not_put_back(tmp_path):
    rows = plays(3, days_on_list=[0, 7, 7], status=["", "", "meeting"])
    _, hubspot, _ = written(tmp_path, rows)
    assert [row["Deal stage"] for row in hubspot] == ["Listed", "", "Meeting"]


@pytest.mark.parametrize("limits", [{"file_bytes": 3_000}, {"file_rows": 4}])
def test_files_above_a_limit_are_split_and_none_of_their_rows_is_lost(tmp_path, limits):
    rows = plays(20)
    _, _, said = written(tmp_path, rows, **limits)
    paths = sorted((tmp_path / "crm").glob("salesforce*.csv"), key=lambda path: (len(path.name), path.name))
    assert len(paths) == said["salesforce"]["files"] > 1
    assert paths[0].name == "salesforce.csv"
    assert paths[1].name == "salesforce-2.csv"
    found = [row["Play_Id__c"] for path in paths for row in read(path)]
    assert found == rows["play_id"].tolist()
    for path in paths:
        assert path.stat().st_size <= limits.get("file_bytes", 10**9)
        assert len(read(path)) + 1 <= limits.get("file_rows", 10**9)


def test_importing_twice_means_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_crm_files(tmp_path / name, plays(9), NO_GONE, problem_text=True)
    for vendor in ("salesforce", "hubspot"):
        assert (tmp_path / "a" / f"{vendor}.csv").read_bytes() == (tmp_path / "b" / f"{vendor}.csv").read_bytes()


def test_without_a_play_the_files_hold_their_header(tmp_path):
    salesforce, hubspot, said = written(tmp_path, plays(0))
    assert salesforce == hubspot == []
    assert said["hubspot"] == {"rows": 0, "files": 1, "without_crm_id": 0}
