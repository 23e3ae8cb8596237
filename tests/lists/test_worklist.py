from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.errors import RefusedError
from product_affinity.lists import PublishedList, build_watchlist, build_worklist, owner_key
from product_affinity.lists.files import balance
from product_affinity.schema.lists import WATCHLIST_COLUMNS, WORKLIST_COLUMNS

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
    assert list(found.columns) == list(WORKLIST_COLUMNS)
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
    assert list(build_worklist(listed(), None, DAY).columns) == list(WORKLIST_COLUMNS)


@pytest.mark.parametrize("owner", ["../../etc/passwd", "a/b", "", ".", "..", "x" * 300, "=cmd", "a\x00b", "CON aux"])
def test_no_path_is_built_from_an_owner(owner):
    key = owner_key(owner)
    assert key.startswith("id-")
    assert "/" not in key


def test_the_watchlist_keeps_its_columns():
    held = pd.DataFrame(
        {
            "account_id": ["B", "A"],
            "product_id": "x",
            "owner_id": "o",
            "propensity": 0.1,
            "value_usd": [1.0, 2.0],
            "first_gate": "G02",
            "evidence": "2 open P1/P2 tickets",
            "unblocked_by": "they are closed",
        }
    )
    found = build_watchlist(held)
    assert list(found.columns) == list(WATCHLIST_COLUMNS)
    assert found["account_id"].tolist() == ["A", "B"]


def scores(*rows):
    return pd.DataFrame(rows, columns=["status", "disposition"], dtype="str")


def test_counts_balance():
    worklist = pd.DataFrame({"owner_id": pd.Series(["o", None], dtype="str")})
    watchlist = pd.DataFrame({"gate": ["G02"]})
    rows = [
        ("owned", None),
        ("not_eligible", None),
        *[("white_space", "listed")] * 2,
        ("white_space", "watchlist"),
    ]
    counts = balance(scores(*rows), worklist, watchlist)
    assert counts["not_owned"] == 4
    assert counts["dispositions"] == {"listed": 2, "watchlist": 1}
    assert counts["watchlist_by_gate"] == {"G02": 1}
    assert counts["listed_without_owner"] == 1


@pytest.mark.parametrize("missing", [("white_space", None), ("white_space", "listed")])
def test_a_pair_that_would_disappear_stops_the_publication(missing):
    with pytest.raises(RefusedError, match="do not balance"):
        balance(scores(missing), pd.DataFrame({"owner_id": []}), pd.DataFrame({"gate": []}))
