from __future__ import annotations

import stat
from dataclasses import replace

import openpyxl
import pandas as pd
import pytest

from product_affinity.errors import RefusedError
from product_affinity.lists import latest_before, publish_lists, verify_list
from product_affinity.lists.files import balance, write_list_files
from product_affinity.schema.lists import DISPOSITIONS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS
from tests.lists.night import KEYS, YESTERDAY, night, others, published, scored
from tests.plays import AS_OF, plays

HELD = others("held_back", 2, prefix="HELD")
DRAWS = HELD[KEYS].assign(epoch="2026-1", arm="held_back", arm_probability=0.1)


def publish(tmp_path, content):
    said = {"as_of": str(content.as_of)}
    return publish_lists(tmp_path, content.as_of, lambda folder: write_list_files(folder, content, said))


def everything(path):
    """All text of a file."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv()
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        return "\n".join(str(row) for sheet in book for row in sheet.iter_rows(values_only=True))
    return path.read_text("utf-8")


def test_a_night_is_published_whole(tmp_path):
    content = night(12, previous=published(plays(20)))
    folder = publish(tmp_path, content)
    assert verify_list(folder.resolve()) == []
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    tables = {f"{name}.{kind}" for name in ("worklist", "watchlist", "gone") for kind in ("csv", "parquet")}
    owners = {
        f"owners/{key}.{kind}" for key in ("U-001", "U-002", "_unassigned") for kind in ("csv", "parquet", "xlsx")
    }
    more = {"scores.parquet", "in_flight.parquet", "worklist.xlsx", "digest.md", "manifest.json", "_SUCCESS"}
    assert names - {name for name in names if name.startswith("products/")} == (
        tables | owners | more | {"crm/salesforce.csv", "crm/hubspot.csv"}
    )
    worklist = pd.read_parquet(folder / "worklist.parquet")
    assert list(worklist.columns) == list(WORKLIST_COLUMNS)
    assert worklist["play_id"].tolist() == content.plays["play_id"].tolist()
    assert list(pd.read_parquet(folder / "watchlist.parquet").columns) == list(WATCHLIST_COLUMNS)
    assert len((folder / "digest.md").read_text("utf-8").splitlines()) == 10


def test_a_rerun_gives_the_same_bytes(tmp_path):
    content = night(12, previous=published(plays(20)), draws=DRAWS, extra=[HELD])
    first = publish(tmp_path, content).resolve()
    assert publish(tmp_path, content).resolve() == first


def test_the_published_list_is_the_next_nights_predecessor(tmp_path):
    content = night(4)
    publish(tmp_path, replace(content, as_of=YESTERDAY))
    found = latest_before(tmp_path, AS_OF)
    assert found.as_of == YESTERDAY
    assert sorted(found.episodes()["play_id"]) == sorted(content.plays["play_id"])
    assert found.in_flight["account_id"].tolist() == content.in_flight["account_id"].tolist()


def test_only_the_team_may_read_and_only_measurers_the_arms(tmp_path):
    folder = publish(tmp_path, night(4, draws=DRAWS, extra=[HELD])).resolve()
    for path in (folder, *folder.rglob("*")):
        private = path.name in ("measurement.parquet", "scores.parquet")
        expected = 0o750 if path.is_dir() else 0o600 if private else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == expected, path
    assert pd.read_parquet(folder / "measurement.parquet")["arm"].tolist() == ["held_back"] * 2


def test_a_held_back_pair_is_in_no_file_an_owner_reads(tmp_path):
    folder = publish(tmp_path, night(4, draws=DRAWS, extra=[HELD], previous=published(plays(8))))
    internal = {"scores.parquet", "measurement.parquet", "manifest.json"}
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in internal:
            text = everything(path)
            assert "HELD" not in text, path
            assert "held_back" not in text, path
            assert "arm_probability" not in text, path


def test_contacts_are_named_in_their_owners_workbook_and_nowhere_else(tmp_path):
    content = night(12, stakeholder_name="Kim Okafor", next_step="Call Kim Okafor")
    folder = publish(tmp_path, content)
    naming = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() if "Kim" in everything(path)
    }
    assert naming == {"owners/U-001.xlsx", "owners/U-002.xlsx"}


def test_problem_text_stays_out_of_crm_files_and_digest(tmp_path):
    statement = "they merge by hand, says jo@example.com"
    folder = publish(tmp_path, night(6, problem_statement=statement, talk_track=f"You said: {statement}"))
    for path in (folder / "digest.md", *folder.glob("crm/*")):
        assert "merge by hand" not in everything(path)
    for path in folder.rglob("*"):
        if path.is_file():
            assert "jo@example.com" not in everything(path), path


def test_an_empty_list_explains_itself_to_a_reader_and_stays_empty_for_a_machine(tmp_path):
    folder = publish(tmp_path, night(0, held=2, extra=[others("below_value", 3)]))
    assert pd.read_parquet(folder / "worklist.parquet").empty
    assert "No play is listed today: 3 being worked on; 3 worth less than a play costs; 2 blocked by a gate" in (
        folder / "worklist.csv"
    ).read_text("utf-8-sig")
    assert (folder / "owners" / "U-001.xlsx").exists()


def test_campaign_and_sales_export_have_their_own_files(tmp_path):
    campaign = plays(2, account_id=["C1", "C2"], play_type="campaign")
    new = others("net_new", 1, prefix="N")
    content = night(3, extra=[scored(campaign, "campaign"), new])
    content = replace(content, campaign=campaign, net_new=new[KEYS])
    folder = publish(tmp_path, content)
    assert pd.read_parquet(folder / "campaign.parquet")["account_id"].tolist() == ["C1", "C2"]
    assert "N0,analytics" in (folder / "net_new.csv").read_text("utf-8-sig")
    assert not {"C1", "C2", "N0"} & set(pd.read_parquet(folder / "worklist.parquet")["account_id"])


def test_counts_balance():
    campaign = plays(2, account_id=["C1", "C2"])
    content = night(
        5,
        held=4,
        flying=2,
        draws=DRAWS,
        extra=[HELD, scored(campaign, "campaign"), others(None, 6, status="not_eligible", prefix="E")],
    )
    counts = balance(replace(content, campaign=campaign))
    assert (counts["pairs"], counts["owned"], counts["not_owned"], counts["not_eligible"]) == (26, 5, 21, 6)
    assert counts["dispositions"] == dict.fromkeys(DISPOSITIONS, 0) | {
        "listed": 5,
        "watchlist": 4,
        "in_flight": 2,
        "campaign": 2,
        "held_back": 2,
    }
    assert counts["watchlist_by_gate"] == {"C01": 1, "G02": 1, "G05": 1, "R03": 1}
    assert counts["listed_without_owner"] == int(content.plays["owner_id"].isna().sum())


@pytest.mark.parametrize(
    ("extra", "changes"),
    [
        ([others(None, 1)], {}),
        ([others("nowhere", 1)], {}),
        ([others("listed", 1)], {}),
        ([others("watchlist", 1)], {}),
        ([others("in_flight", 1)], {}),
        ([others("held_back", 1)], {}),
        ([others("held_back", 1)], {"draws": DRAWS}),
        ([others("campaign", 1)], {"campaign": plays(0)}),
        ([others("net_new", 1)], {"net_new": plays(0)}),
    ],
)
def test_a_pair_that_would_disappear_stops_the_publication(extra, changes):
    with pytest.raises(RefusedError, match="do not balance"):
        balance(replace(night(2, extra=extra), **changes))
