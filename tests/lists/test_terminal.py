from __future__ import annotations

import json

import pandas as pd
import pytest
from rich.console import Console

from product_affinity.errors import UsageError
from product_affinity.lists.terminal import owner_list
from product_affinity.schema.lists import WORKLIST_COLUMNS
from tests.plays import plays


def rows(*owners, **changes):
    ids, names = zip(*owners, strict=True)
    count = len(owners)
    return plays(count, owner_id=list(ids), owner_name=list(names), rank=list(range(count, 0, -1)), **changes)


ADA, BEN, NOBODY = ("U-1", "Ada Abel"), ("U-2", "Ben Brook"), (None, None)


def printed(found, width=200):
    console = Console(width=width, record=True, force_terminal=False, file=None, quiet=False)
    with console.capture() as capture:
        console.print(found.render())
    return capture.get()


@pytest.mark.parametrize("owner", ["U-1", "u-1", "Ada Abel", " ada abel "])
def test_an_owner_is_found_by_id_or_name_and_sees_their_rows_only_by_rank(owner):
    found = owner_list(rows(ADA, BEN, ADA), owner)
    assert found.owner == "Ada Abel"
    assert found.rows["owner_id"].tolist() == ["U-1", "U-1"]
    assert found.rows["rank"].tolist() == [1, 3]


def test_a_typo_names_the_closest_owner():
    with pytest.raises(UsageError, match=r"--owner Ada Abl: no rows on this list \(did you mean Ada Abel\?\)"):
        owner_list(rows(ADA, BEN), "Ada Abl")
    with pytest.raises(UsageError, match="nobody has any"):
        owner_list(rows(NOBODY), "Ada")


def test_two_owners_of_one_name_are_told_apart_by_id():
    both = rows(ADA, ("U-9", "Ada Abel"))
    with pytest.raises(UsageError, match="2 owners are called so: give the id, U-1 or U-9"):
        owner_list(both, "Ada Abel")
    assert owner_list(both, "U-9").rows["owner_id"].tolist() == ["U-9"]


def test_an_id_wins_over_somebody_called_like_it():
    assert owner_list(rows(ADA, ("Ada Abel", "Odd One")), "Ada Abel").owner == "Odd One"


def test_rows_without_an_owner_are_asked_for_by_their_file():
    found = owner_list(rows(ADA, NOBODY), "_unassigned")
    assert len(found.rows) == 1
    assert "no owner" in printed(found)


def test_an_owner_without_a_name_goes_by_the_id():
    assert owner_list(rows(("U-7", None)), "U-7").owner == "U-7"


def test_the_table_says_who_what_how_strong_and_why():
    said = printed(
        owner_list(
            rows(ADA, propensity=0.125, one_in=8, value_usd=1234.5, caution="2 open urgent (P1/P2) tickets"), "U-1"
        )
    )
    for words in ("1 play of Ada Abel", "2026-06-30", "12.5%", "one in 8", "1,23", "41 of 60", "2 open urgent"):
        assert words in said


def test_hostile_names_are_text():
    said = printed(owner_list(rows(ADA, account_name="[bold red]x[/]\x1b[31m\r\u202eevil", caution=None), "U-1"), 400)
    assert "[bold red]x[/]" in said
    assert not set("\x1b\r\u202e") & set(said)


def test_json_holds_every_published_column_and_reads_back():
    found = owner_list(rows(ADA, caution=None), "U-1").to_json()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["owner"] == "Ada Abel"
    assert set(again["rows"][0]) == set(WORKLIST_COLUMNS)
    assert again["rows"][0]["caution"] is None
    assert again["rows"][0]["as_of"] == "2026-06-30"
    assert again["rows"][0]["tier"] == int(plays(1)["tier"].iloc[0])


def test_the_published_parquet_is_read_as_well(tmp_path):
    rows(ADA, BEN)[list(WORKLIST_COLUMNS)].to_parquet(tmp_path / "w.parquet")
    found = owner_list(pd.read_parquet(tmp_path / "w.parquet"), "Ben Brook")
    assert json.dumps(found.to_json(), allow_nan=False)
    assert "Ben Brook" in printed(found)
