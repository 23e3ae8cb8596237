from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.lists import PublishedList, build_in_flight, build_watchlist, build_worklist, owner_key
from product_affinity.lists.worklist import IN_FLIGHT_COLUMNS, NAME_COLUMNS, PLAY_COLUMNS
from product_affinity.schema.lists import WATCHLIST_COLUMNS
from tests.plays import in_flight, plays, watchlist

DAY = dt.date(2026, 6, 30)


def listed(*rows):
    frame = pd.DataFrame(rows, columns=["account_id", "product_id", "owner_id", "value_usd", "propensity"])
    frame["owner_id"] = frame["owner_id"].astype("str")
    return frame.assign(
        owner_key=frame["owner_id"].map(owner_key, na_action=None),
        owner_name=frame["owner_id"],
        account_name=frame["account_id"],
        product_name=frame["product_id"],
        owned_products="CRM",
        base_rate=0.02,
        expected_arr_usd=1000.0,
        tier=1,
        reason_1="r",
        reason_2=None,
        reason_3=None,
        caution=None,
    )


def test_rows_rank_by_value_within_their_owner_with_ids_breaking_ties():
    rows = listed(
        ("B", "x", "o", 5.0, 0.05),
        ("A", "x", "o", 5.0, 0.05),
        ("C", "x", "o", 9.0, 0.1),
        ("D", "x", "p", 1.0, 0.3),
    )
    found = build_worklist(rows, None, DAY)
    assert list(found.columns) == list(PLAY_COLUMNS)
    assert found[["account_id", "rank"]].to_numpy().tolist() == [["C", 1], ["A", 2], ["B", 3], ["D", 1]]
    assert found["lift"].tolist() == [5.0, 2.5, 2.5, 15.0]
    assert found["one_in"].tolist() == [10, 20, 20, 4]
    assert set(found["change"]) == {"new"}


def test_a_play_keeps_its_id_and_says_how_it_moved():
    before = build_worklist(
        listed(("A", "x", "o", 9.0, 0.1), ("B", "x", "o", 5.0, 0.1), ("C", "x", "o", 1.0, 0.1)), None, DAY
    )
    later = DAY + dt.timedelta(days=7)
    after = build_worklist(
        listed(("B", "x", "o", 9.0, 0.1), ("A", "x", "o", 5.0, 0.1), ("D", "x", "o", 1.0, 0.1)),
        PublishedList(DAY, before),
        later,
    )
    ids_before = before.set_index("account_id")["play_id"]
    found = after.set_index("account_id")
    assert found["change"].to_dict() == {"B": "up", "A": "down", "D": "new"}
    assert found["days_on_list"].to_dict() == {"B": 7, "A": 7, "D": 0}
    assert found.loc["A", "play_id"] == ids_before["A"]
    assert found["play_id"].is_unique
    assert found.loc["D", "play_id"] not in set(ids_before)


def test_an_empty_list_has_its_columns():
    assert list(build_worklist(listed(), None, DAY).columns) == list(PLAY_COLUMNS)


@pytest.mark.parametrize(
    "owner", ["../../etc/passwd", "a/b", "", ".", "..", "x" * 300, "=cmd", "a\x00b", "CON aux", "nul", "COM1"]
)
def test_no_path_is_built_from_an_owner(owner):
    key = owner_key(owner)
    assert key.startswith("id-")
    assert "/" not in key


def test_an_owner_cannot_take_the_key_of_another():
    taken = owner_key("a/b")
    assert owner_key(taken) != taken


def test_what_is_absent_is_unknown_and_every_night_has_one_shape():
    sparse = build_worklist(listed(("A", "x", "o", 9.0, 0.1)), None, DAY)
    full = build_worklist(plays(3).assign(owner_key="o"), None, DAY)
    for name in PLAY_COLUMNS:
        assert sparse[name].dtype == full[name].dtype, name
    assert sparse["health"].isna().all()
    assert sparse["talk_track"].isna().all()


def test_an_open_play_shows_the_newest_outcome_that_came_back():
    before = build_worklist(listed(("A", "x", "o", 9.0, 0.1), ("B", "x", "o", 5.0, 0.1)), None, DAY)
    ids = before.set_index("account_id")["play_id"]
    outcomes = pd.DataFrame(
        {
            "play_id": [ids["A"], ids["A"], "P-other", None],
            "status": ["meeting", "contacted", "won", "lost"],
            "reason": ["", "bad timing", None, None],
            "note": ["Thursday", None, None, None],
            "noted_at": pd.to_datetime(["2026-06-20", "2026-06-18", "2026-06-21", "2026-06-22"]),
        }
    )
    after = build_worklist(
        listed(("A", "x", "o", 9.0, 0.1), ("B", "x", "o", 5.0, 0.1)),
        PublishedList(DAY, before),
        DAY + dt.timedelta(days=1),
        outcomes,
    ).set_index("account_id")
    assert after.loc["A", ["status", "outcome_reason", "outcome_note"]].tolist() == ["meeting", "", "Thursday"]
    assert after.loc["B", ["status", "outcome_reason", "outcome_note"]].tolist() == ["", "", ""]


def test_a_play_that_is_worked_keeps_its_id_until_it_comes_back():
    listed_first = build_worklist(listed(("A", "x", "o", 9.0, 0.1)), None, DAY)
    rows = in_flight(2, account_id=["A", "B"], product_id="x")
    days = [DAY + dt.timedelta(days=k) for k in (1, 3, 4)]
    outcomes = pd.DataFrame(
        {"play_id": listed_first["play_id"], "status": ["accepted"], "noted_at": [pd.Timestamp(DAY)]}
    )
    flying = build_in_flight(rows, PublishedList(DAY, listed_first), days[0], outcomes)
    assert list(flying.columns) == [*IN_FLIGHT_COLUMNS, *NAME_COLUMNS]
    empty = listed_first.iloc[:0]
    still = build_in_flight(rows, PublishedList(days[0], empty, flying), days[1], outcomes).set_index("account_id")
    assert still.loc["A", "play_id"] == listed_first["play_id"].iloc[0]
    assert still.loc["A", ["days_on_list", "status"]].tolist() == [3, "accepted"]
    assert pd.isna(still.loc["B", "play_id"])
    back = build_worklist(
        listed(("A", "x", "o", 9.0, 0.1)), PublishedList(days[1], empty, still.reset_index()), days[2]
    )
    assert back["play_id"].tolist() == listed_first["play_id"].tolist()
    assert back["days_on_list"].tolist() == [4]
    assert back["change"].tolist() == ["new"]


def test_the_watchlist_keeps_its_columns_and_says_when_a_gate_opens():
    held = watchlist(3, value_usd=[1.0, 3.0, 2.0]).rename(columns={"gate": "first_gate"})
    found = build_watchlist(held)
    assert list(found.columns) == [*WATCHLIST_COLUMNS, *NAME_COLUMNS]
    assert found["account_id"].tolist() == ["W0002", "W0003", "W0001"]
    assert [str(day.date()) if pd.notna(day) else None for day in found["unblocked_on"]] == [
        "2026-12-01",
        "2026-12-01",
        None,
    ]
