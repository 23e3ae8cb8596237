from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.motion import DISPOSITIONS, decide
from product_affinity.project.playbook import Gate

TICKETS = Gate(
    code="G02",
    title="open P1/P2 tickets",
    table="tickets",
    blocks_when=({"column": "urgent", "above": 0},),
    evidence="{value:.0f} open P1/P2 tickets",
    unblocked_by="they are closed",
)


def pair(
    account, product, value=100.0, *, status="white_space", owner="o", urgent=0.0, do_not_contact=None, deals=None
):
    return {
        "open_deals": product if status == "in_pipeline" else deals,
        "account_id": account,
        "product_id": product,
        "status": status,
        "value_usd": value,
        "owner_key": owner,
        "do_not_contact": do_not_contact,
        "urgent": urgent,
    }


def decided(*pairs, plays=10, tables=("tickets",)):
    return decide(pd.DataFrame(list(pairs)), [TICKETS], tables=tables, plays_per_owner=plays)


def dispositions(*pairs, **options):
    return decided(*pairs, **options)["disposition"].tolist()


def test_the_best_product_of_an_account_is_listed():
    assert dispositions(pair("A", "crm", 10), pair("A", "mail", 20)) == ["other_play", "listed"]


def test_a_tie_in_value_goes_to_the_first_product():
    assert dispositions(pair("A", "mail", 10), pair("A", "crm", 10)) == ["other_play", "listed"]


def test_a_gate_holds_the_whole_account_back_with_evidence():
    found = decided(pair("A", "crm", urgent=2.0))
    row = found.iloc[0]
    assert row["disposition"] == "watchlist"
    assert (row["first_gate"], row["evidence"], row["unblocked_by"]) == (
        "G02",
        "2 open P1/P2 tickets",
        "they are closed",
    )


def test_unknown_safety_is_held_back_unless_the_whole_table_is_absent():
    held = decided(pair("A", "crm", urgent=np.nan), pair("B", "crm")).iloc[0]
    assert (held["disposition"], held["evidence"]) == ("watchlist", "open P1/P2 tickets: unknown")
    listed = decided(pair("A", "crm", urgent=np.nan), tables=()).iloc[0]
    assert (listed["disposition"], listed["confirm_first"]) == ("listed", "open P1/P2 tickets")
    nowhere = decided(pair("A", "crm", urgent=np.nan), pair("B", "crm", urgent=np.nan))
    assert nowhere["disposition"].tolist() == ["listed", "listed"]
    assert nowhere["confirm_first"].notna().all()


def test_an_open_opportunity_is_in_flight_and_blocks_the_account():
    found = decided(pair("A", "crm", status="in_pipeline"), pair("A", "mail", deals="crm"), pair("B", "mail"))
    assert found["disposition"].tolist() == ["in_flight", "watchlist", "listed"]
    assert found["first_gate"].tolist()[1] == "G10"
    assert found["evidence"].tolist()[1] == "open opportunity: crm"


def test_an_upsell_or_a_deal_without_product_blocks_too_and_uses_a_slot():
    found = decided(pair("A", "mail", deals="upsell"), pair("B", "mail"), plays=1)
    assert found["disposition"].tolist() == ["watchlist", "beyond_capacity"]


def test_a_known_danger_blocks_even_where_the_table_is_absent():
    assert dispositions(pair("A", "crm", urgent=2.0), tables=()) == ["watchlist"]


def test_do_not_contact_comes_before_everything():
    found = decided(pair("A", "crm", do_not_contact=True, urgent=3.0, status="in_pipeline"))
    assert found["first_gate"].tolist() == ["G01"]


def test_no_value_no_play():
    assert dispositions(pair("A", "crm", 0.0), pair("B", "crm", -5.0), pair("C", "crm", np.nan)) == ["below_value"] * 3


def test_open_opportunities_use_slots_first():
    rows = [pair("A", "crm", status="in_pipeline"), pair("B", "crm", 50), pair("C", "crm", 40)]
    assert dispositions(*rows, plays=2) == ["in_flight", "listed", "beyond_capacity"]
    assert dispositions(*rows, plays=1) == ["in_flight", "beyond_capacity", "beyond_capacity"]


row = st.builds(
    pair,
    st.sampled_from("ABCDEF"),
    st.sampled_from(["crm", "mail", "desk"]),
    st.one_of(st.floats(-100, 1000), st.just(np.nan)),
    status=st.sampled_from(["white_space", "white_space", "in_pipeline"]),
    owner=st.just("o"),
    urgent=st.sampled_from([0.0, 0.0, 1.0, np.nan]),
    do_not_contact=st.sampled_from([None, False, True]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(row, min_size=1, max_size=18, unique_by=lambda r: (r["account_id"], r["product_id"])),
    st.integers(1, 4),
)
def test_nothing_disappears_and_the_promises_hold(rows, plays):
    busy = {r["account_id"]: r["product_id"] for r in rows if r["status"] == "in_pipeline"}
    rows = [r | {"open_deals": busy.get(r["account_id"])} for r in rows]
    found = decided(*rows, plays=plays)
    assert found["disposition"].isin(DISPOSITIONS).all()
    listed = found[found["disposition"] == "listed"]
    assert listed["account_id"].is_unique
    assert len(listed) <= plays
    assert (listed["value_usd"] > 0).all()
    assert (listed["urgent"] == 0).all() or found["urgent"].isna().all()
    assert not listed["account_id"].isin(found.loc[found["status"] == "in_pipeline", "account_id"]).any()
    held = found[found["disposition"] == "watchlist"]
    assert held[["first_gate", "evidence", "unblocked_by"]].notna().all(axis=None)
    again = decide(
        found[list(rows[0])].sample(frac=1, random_state=0),
        [TICKETS],
        tables=("tickets",),
        plays_per_owner=plays,
    )
    assert again["disposition"].sort_index().tolist() == found["disposition"].tolist()
