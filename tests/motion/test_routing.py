from __future__ import annotations

import pytest

from tests.motion.nights import history, night, pair

RULES = {
    "specialist_quadrants": ["specialist"],
    "hand_off_above_usd": {"bound": 25_000, "overrides": [{"segment": "smb", "bound": 10_000}]},
    "new_economic_buyer_quadrants": ["problem_first"],
    "procurement_signals": ["rfp"],
}


NEED = {"problem_id": "N1", "stakeholder_id": "c1"}


def pitch(account="A", product="crm", value=100.0, **changes):
    """A pair with a documented problem and a named stakeholder."""
    return pair(account, product, value, **NEED, **changes)


def routed(row, **past):
    found = night(row, routing=RULES, past=history(**past)).decided.iloc[0]
    return found["route"], found["slot_owner"], found["route_reason"]


@pytest.mark.parametrize(
    ("arr", "segment", "route"),
    [(10_000, "smb", "csm"), (10_000.01, "smb", "ae"), (25_000, "enterprise", "csm"), (25_001, "enterprise", "ae"),
     (25_000, None, "csm"), (float("nan"), "smb", "csm")],
)  # fmt: skip
def test_a_deal_above_the_threshold_is_handed_off(arr, segment, route):
    found = routed(pitch(expected_arr_usd=arr, segment=segment, quadrant="primary"))
    assert found[:2] == (route, "o" if route == "csm" else "_ae")
    if route == "ae":
        assert "above $" in found[2]
    else:
        assert found[2] == "primary quadrant: the CSM opens and closes"


def test_the_specialist_quadrant_goes_to_the_specialist_whatever_the_price():
    route, slot_owner, reason = routed(pitch(quadrant="specialist", expected_arr_usd=90_000))
    assert (route, slot_owner) == ("specialist", "_specialist")
    assert "demonstrates and scopes" in reason


@pytest.mark.parametrize(
    ("quadrant", "area", "sponsors", "route"),
    [("problem_first", "data", "sales\nservice", "ae"), ("problem_first", "sales", "sales\nservice", "csm"),
     ("problem_first", "data", None, "csm"), ("problem_first", None, "sales", "csm"),
     ("primary", "data", "sales", "csm")],
)  # fmt: skip
def test_a_new_economic_buyer_is_the_account_executives(quadrant, area, sponsors, route):
    buyer = {"account_id": "A", "sponsor_areas": sponsors, "procurement_on": None}
    found = routed(pair(quadrant=quadrant, stakeholder_area=area), buyers=[buyer])
    assert found[0] == route
    assert ("new economic buyer" in found[2]) == (route == "ae")


def test_formal_procurement_is_the_account_executives():
    buyer = {"account_id": "A", "sponsor_areas": None, "procurement_on": "2026-05-01"}
    route, _, reason = routed(pair(), buyers=[buyer])
    assert route == "ae"
    assert "signal of 2026-05-01" in reason


def test_the_route_decides_whose_slots():
    big = {"expected_arr_usd": 50_000.0}
    rows = [pitch("A", value=9, **big), pitch("B", value=8, **big), pitch("C", value=7), pitch("D", value=6)]
    found = night(*rows, routing=RULES | {"ae_plays": 1}, plays=1).decided
    assert found["disposition"].tolist() == ["listed", "beyond_capacity", "listed", "beyond_capacity"]
    unlimited = night(*rows, routing=RULES, plays=1).decided
    assert unlimited["disposition"].tolist() == ["listed", "listed", "listed", "beyond_capacity"]


def test_a_discovery_talk_is_the_managers_whoever_closes_the_deal():
    route, slot_owner, reason = routed(pair(expected_arr_usd=50_000.0))
    assert (route, slot_owner) == ("ae", "o")
    assert reason.startswith("the CSM confirms problem and owner, then: ")


def test_an_account_whose_best_product_finds_no_slot_gets_its_next():
    rows = [pitch("A", "crm", 90, expected_arr_usd=50_000.0), pitch("A", "mail", 10)]
    found = night(*rows, routing=RULES | {"ae_plays": 0}).decided
    assert found["disposition"].tolist() == ["other_play", "listed"]


def test_only_rows_that_are_shown_say_why():
    found = night(pair("A"), pair("B", safety="fail"), pair("C", value=-1)).decided
    assert found["route_reason"].notna().tolist() == [True, False, False]
