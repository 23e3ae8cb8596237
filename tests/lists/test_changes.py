from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.lists import find_gone
from product_affinity.lists.changes import GONE_COLUMNS, NOT_PROPOSED, WHY, count_changes, why_not_listed
from tests.lists.night import KEYS, YESTERDAY, published, scored
from tests.plays import plays, watchlist

BEFORE = plays(4, owner_id="U-001", owner_name="Ada Abel")
NOBODY_WATCHED = watchlist(0)


def one(today, scores, watched=NOBODY_WATCHED, before=BEFORE.iloc[:1]):
    found = find_gone(published(before), today, scores, watched)
    assert list(found.columns) == list(GONE_COLUMNS)
    return found


@pytest.mark.parametrize(
    ("disposition", "why"),
    [
        ("in_flight", "in_flight"),
        ("below_value", "below_value"),
        ("campaign", "campaign"),
        ("net_new", "net_new"),
        ("beyond_capacity", "not_proposed"),
        ("held_back", "not_proposed"),
        (None, "not_scored"),
    ],
)
def test_a_row_that_left_says_why(disposition, why):
    row = one(plays(0), scored(BEFORE.iloc[:1], disposition)).iloc[0]
    assert row["why"] == why
    assert row["detail"] == WHY[why]
    assert row["play_id"] == BEFORE["play_id"].iloc[0]
    assert row["last_listed_on"].date() == YESTERDAY


def test_a_purchase_is_said_before_anything_else():
    assert one(plays(0), scored(BEFORE.iloc[:1], None, status="owned"))["why"].tolist() == ["adopted"]


def test_a_customer_who_left_is_not_scored():
    assert one(plays(0), scored(BEFORE.iloc[1:2], "listed"))["why"].tolist() == ["not_scored"]


def test_a_gate_gives_its_evidence():
    held = watchlist(1, account_id=BEFORE["account_id"].iloc[0], product_id=BEFORE["product_id"].iloc[0])
    found = one(plays(0), scored(held, "watchlist", "G02"), held)
    assert found["detail"].tolist() == ["G02 2 open P1 tickets, oldest 12 days"]


def test_another_product_that_goes_first_is_named():
    today = BEFORE.iloc[:1].assign(product_id="erp", product_name="ERP", play_id="P-new")
    scores = pd.concat([scored(BEFORE.iloc[:1], "other_play"), scored(today, "listed")])
    assert one(today, scores)["detail"].tolist() == ["ERP goes first"]


def test_another_product_that_is_held_back_reads_like_a_missing_slot():
    better = BEFORE.iloc[:1].assign(product_id="erp")
    told = [
        one(plays(0), pd.concat([scored(BEFORE.iloc[:1], "other_play"), scored(better, arm)]))
        for arm in ("held_back", "beyond_capacity")
    ]
    pd.testing.assert_frame_equal(*told)
    assert told[0]["detail"].iloc[0].startswith(NOT_PROPOSED)


def test_a_row_that_changed_hands_is_gone_for_its_old_owner():
    today = BEFORE.iloc[:2].assign(owner_id=["U-001", "U-002"], owner_name=["Ada Abel", "Ben Brook"])
    found = one(today, scored(today, "listed"), before=BEFORE.iloc[:2])
    assert found[["account_id", "owner_id", "why", "detail"]].to_numpy().tolist() == [
        [BEFORE["account_id"].iloc[1], "U-001", "owner_changed", "now with Ben Brook"]
    ]


def test_what_stayed_is_not_gone_and_without_a_last_list_nothing_is():
    assert one(BEFORE, scored(BEFORE, "listed"), before=BEFORE).empty
    without = BEFORE.assign(owner_id=pd.Series(None, index=BEFORE.index, dtype="str"))
    assert one(without, scored(without, "listed"), before=without).empty
    first = find_gone(None, BEFORE, scored(BEFORE, "listed"), NOBODY_WATCHED)
    assert list(first.columns) == list(GONE_COLUMNS)
    assert first.dtypes.equals(one(BEFORE, scored(BEFORE, "listed"), before=BEFORE).dtypes)


def test_an_empty_list_counts_its_reasons_and_shows_no_arm():
    def counted(first, second):
        frames = [
            scored(BEFORE.iloc[:1], first),
            scored(BEFORE.iloc[1:3], second),
            scored(BEFORE.iloc[3:4], None, status="not_eligible"),
        ]
        return why_not_listed(pd.concat(frames))

    assert counted("held_back", "beyond_capacity") == [f"3 {WHY['not_proposed']}", "1 not for sale to them"]
    assert counted("watchlist", "below_value") == [
        "2 worth less than a play costs",
        "1 blocked by a gate",
        "1 not for sale to them",
    ]
    assert why_not_listed(scored(BEFORE.iloc[:0], "listed")) == ["no account was scored"]


def test_changes_are_counted():
    rows = plays(4, change=["new", "up", "up", "same"])
    assert count_changes(rows, BEFORE[KEYS]) == {"new": 1, "up": 2, "down": 0, "same": 1, "gone": 4}
