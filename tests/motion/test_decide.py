from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.motion.checks import Check
from product_affinity.motion.precedence import judge
from product_affinity.rules.criteria import FAIL, NOT_ASKED
from tests.motion.nights import AS_OF, answer, days_ago, dispositions, gates_of, history, night, pair

LIMITS = {"upsell_first_from": 0.85, "upsell_waits_to": 0.6}
NEED = {"problem_id": "p", "stakeholder_id": "s"}


def limit(share, account="A"):
    return {"account_id": account, "product_id": "crm", "limit_share": share, "reached_on": days_ago(3)}


def ending(status, ago, follow_up=None, product="crm"):
    day = {"noted_on": days_ago(ago), "follow_up_on": follow_up}
    return {"account_id": "A", "product_id": product, "status": status, **day}


def play(status, ago, product="crm", owner="o"):
    keys = {"account_id": "A", "product_id": product, "play_id": "P-1", "owner_id": owner}
    return {**keys, "status": status, "since_on": days_ago(ago)}


def test_an_unremarkable_pair_is_listed():
    row = night(pair()).decided.iloc[0]
    assert row[["disposition", "play_type", "route", "slot_owner"]].tolist() == ["listed", "discover", "csm", "o"]
    assert row[["first_gate", "evidence", "unblocked_by", "unblocked_on", "all_gates", "confirm_first"]].isna().all()


def test_steps_block_in_the_order_of_precedence_and_all_are_told():
    everything = pair(
        do_not_contact=True, quadrant="net_new", safety="fail", ready="fail", tier=1, tenure_months=3.0, value=-1.0
    )
    past = history(
        deals=[{"account_id": "A", "product_id": "mail", "since_on": days_ago(9)}],
        endings=[ending("not_now", 5)],
        upsells=[{"account_id": "A", "product_id": "mail", "since_on": days_ago(9)}],
    )
    rules = LIMITS | {"not_now_days": 90, "quarter_plan": {"tiers": [1]}}
    row = night(everything, past=past, sequencing=rules).decided.iloc[0]
    assert row["all_gates"] == "G01, N01, F01, G02, C01, U01, R01, Q01"
    # take away the lowest reason each time, and the next one is first
    steps = [
        ("do_not_contact", None, "G01"),
        ("quadrant", "primary", "N01"),
        (None, None, "F01"),
        ("safety", "pass", "G02"),
    ]
    for column, value, expected in steps:
        assert gates_of(everything, past=past, sequencing=rules) == [expected]
        if column:
            everything[column] = value
        else:
            past = history(endings=[ending("not_now", 5)])
    assert gates_of(everything, past=past, sequencing=rules) == ["C01"]
    assert gates_of(everything, past=history(limits=[limit(0.9)]), sequencing=rules) == ["U01"]
    assert gates_of(everything, sequencing=rules) == ["R01"]
    assert gates_of(everything | {"ready": "pass"}, sequencing=rules) == ["Q01"]
    assert dispositions(everything | {"ready": "pass"}) == ["below_value"]


def test_a_step_out_of_order_is_put_in_its_place():
    checks = night(pair(), past=history()).checks
    assert [check.step for check in checks] == sorted(check.step for check in checks)


def test_do_not_contact_and_an_unknown_account_stop_everything():
    found = night(pair(do_not_contact=True), pair("B", name=None), pair("C", do_not_contact=False)).decided
    assert found["first_gate"].fillna("").tolist() == ["G01", "I01", ""]
    assert found["disposition"].tolist() == ["watchlist", "watchlist", "listed"]
    assert found["evidence"][0] == "account is marked do not contact"


def test_net_new_is_kept_off_the_lists_and_the_next_product_competes():
    found = night(pair("A", "crm", 900, quadrant="net_new", anchor_product_id="mail"), pair("A", "mail")).decided
    assert found["disposition"].tolist() == ["net_new", "listed"]
    assert found["evidence"][0] == "quadrant net-new beside MAIL"


@pytest.mark.parametrize(
    ("state", "expected", "confirm"),
    [("fail", "watchlist", None), ("unknown", "watchlist", None), ("confirm", "listed", "rule G02"),
     ("not asked", "listed", None), ("pass", "listed", None)],
)  # fmt: skip
def test_safety_blocks_unless_nobody_could_know(state, expected, confirm):
    row = night(pair(safety=state)).decided.iloc[0]
    assert row["disposition"] == expected
    assert (None if pd.isna(row["confirm_first"]) else row["confirm_first"]) == confirm


def test_safety_is_never_overridden_by_a_request():
    assert gates_of(pair(safety="fail", request_on="2026-06-01")) == ["G02"]


def test_a_request_waives_what_can_be_waived():
    asked = pair(ready="fail", request_on="2026-06-01")
    assert dispositions(asked) == ["listed"]
    assert night(asked).checks[-2].answer.state.tolist() == [NOT_ASKED]
    assert gates_of(asked, waivable=False) == ["R01"]
    assert gates_of(pair(ready="fail")) == ["R01"]
    assert night(pair(ready="fail")).checks[-2].answer.state.tolist() == [FAIL]


def test_an_open_deal_is_in_flight_and_blocks_the_account():
    past = history(deals=[{"account_id": "A", "product_id": "crm", "since_on": days_ago(9)}])
    found = night(pair("A", "crm", status="in_pipeline"), pair("A", "mail"), pair("B"), past=past).decided
    assert found["disposition"].tolist() == ["in_flight", "watchlist", "listed"]
    assert found["evidence"][:2].tolist() == ["open opportunity on CRM since 2026-06-21"] * 2
    assert found["unblocked_by"][1] == "the opportunity closes, won or lost"


def test_a_deal_that_names_no_product_blocks_the_account_and_uses_the_slot():
    past = history(deals=[{"account_id": "A", "product_id": None, "since_on": days_ago(9)}])
    found = night(pair("A"), pair("B"), past=past, plays=1).decided
    assert found["disposition"].tolist() == ["watchlist", "beyond_capacity"]
    assert "an unnamed product" in found["evidence"][0]


@pytest.mark.parametrize(
    ("status", "ago", "code"),
    [("accepted", 89, "F02"), ("accepted", 90, None), ("meeting", 89, "F02"), ("meeting", 90, None),
     ("contacted", 29, "F03"), ("contacted", 30, None)],
)  # fmt: skip
def test_a_play_is_in_flight_until_it_was_silent_for_long(status, ago, code):
    rules = {"accepted_days": 90, "meeting_days": 90, "contacted_days": 30}
    found = night(pair(), pair("A", "mail"), past=history(plays=[play(status, ago)]), sequencing=rules).decided
    expected = ["in_flight", "watchlist"] if code else ["listed", "other_play"]
    assert found["disposition"].tolist() == expected
    assert found["first_gate"].fillna("").tolist() == [code or ""] * 2
    if code:
        assert found["unblocked_on"][1] == pd.Timestamp(days_ago(ago)) + pd.Timedelta(days=90 if code == "F02" else 30)


def test_without_a_number_an_accepted_play_stays_and_a_contact_does_not_hold():
    assert dispositions(pair(), past=history(plays=[play("accepted", 900)])) == ["in_flight"]
    assert dispositions(pair(), past=history(plays=[play("contacted", 1)])) == ["listed"]


def test_a_play_keeps_the_slot_of_who_took_it_up():
    past = history(plays=[play("accepted", 5, owner="p")])
    rows = [pair("A", owner_id="o"), pair("B", value=50, owner_id="p"), pair("C", owner_id="o")]
    found = night(*rows, past=past, plays=1).decided
    assert found["disposition"].tolist() == ["in_flight", "beyond_capacity", "listed"]
    assert found["slot_owner"][0] == "p"


@pytest.mark.parametrize(
    ("status", "days", "code"), [("not_now", 90, "C01"), ("not_a_fit", 365, "C02"), ("lost", 180, "C03")]
)
def test_a_pair_rests_until_the_day(status, days, code):
    rules = {f"{status}_days": days}
    resting = night(pair(), pair("A", "mail", 5), past=history(endings=[ending(status, days - 1)]), sequencing=rules)
    assert resting.decided["first_gate"].fillna("").tolist() == [code, ""]
    assert resting.decided["disposition"].tolist() == ["watchlist", "listed"]
    assert resting.decided["unblocked_on"][0] == pd.Timestamp(AS_OF) + pd.Timedelta(days=1)
    assert gates_of(pair(), past=history(endings=[ending(status, days)]), sequencing=rules) == [None]


def test_a_follow_up_date_counts_instead_of_the_days_of_a_not_now():
    rules = {"not_now_days": 90}
    later = history(endings=[ending("not_now", 200, follow_up="2026-07-01")])
    today = history(endings=[ending("not_now", 3, follow_up="2026-06-30")])
    assert gates_of(pair(), past=later, sequencing=rules) == ["C01"]
    assert gates_of(pair(), past=today, sequencing=rules) == [None]


def test_a_follow_up_date_shortens_no_loss():
    agreed = history(endings=[ending("lost", 3, follow_up="2026-06-30")])
    assert gates_of(pair(), past=agreed, sequencing={"lost_days": 180}) == ["C03"]


def fired(kind, ago, product="crm"):
    return pd.DataFrame(
        {"account_id": ["A"], "product_id": [product], "kind": [kind], "fired_on": [pd.Timestamp(days_ago(ago))]}
    )


@pytest.mark.parametrize(
    ("trigger", "code"),
    [(fired("event", 10), None), (fired("problem", 99), None), (fired("event", 100), "C02"),
     (fired("usage", 10), "C02"), (fired("event", 10, "mail"), "C02"), (None, "C02")],
)  # fmt: skip
def test_a_new_trigger_ends_the_rest_of_a_not_a_fit(trigger, code):
    rules = {"not_a_fit_days": 365, "new_triggers": ["problem", "event"]}
    past = history(endings=[ending("not_a_fit", 100)])
    assert gates_of(pair(), past=past, sequencing=rules, fired=trigger) == [code]


def test_a_not_now_is_not_ended_by_a_trigger_or_a_request():
    past = history(endings=[ending("not_now", 10)])
    rules = {"not_now_days": 90, "new_triggers": ["event"]}
    asked = pair(request_on="2026-06-25")
    assert gates_of(asked, past=past, sequencing=rules, fired=fired("event", 1)) == ["C01"]


def test_the_gap_stops_the_whole_account_until_it_is_over():
    rules = {"gap_days": {"bound": 45, "overrides": [{"product": "mail", "bound": 30}]}}

    def closed(ago):
        return history(closes=[{"account_id": "A", "product_id": "desk", "status": "lost", "closed_on": days_ago(ago)}])

    rows = (pair(), pair("A", "mail", 5))
    assert gates_of(*rows, past=closed(29), sequencing=rules) == ["C04", "C04"]
    assert gates_of(*rows, past=closed(30), sequencing=rules) == ["C04", None]
    assert gates_of(*rows, past=closed(44), sequencing=rules) == ["C04", None]
    assert gates_of(*rows, past=closed(45), sequencing=rules) == [None, None]
    row = night(*rows, past=closed(29), sequencing=rules).decided.iloc[0]
    assert row["evidence"] == "the motion on DESK closed 29 days ago (lost), 45 days between motions"
    assert row["unblocked_on"] == pd.Timestamp("2026-07-16")


@pytest.mark.parametrize(
    ("share", "need", "code"),
    [(0.85, True, "U01"), (0.849, True, None), (0.849, False, "U02"), (0.601, False, "U02"), (0.6, False, None)],
)
def test_upsell_first_near_a_limit(share, need, code):
    row = pair(**(NEED if need else {}))
    assert gates_of(row, past=history(limits=[limit(share)]), sequencing=LIMITS) == [code]


def test_an_open_upsell_comes_first_whatever_the_limit():
    past = history(limits=[limit(0.2)], upsells=[{"account_id": "A", "product_id": "crm", "since_on": days_ago(9)}])
    assert gates_of(pair(**NEED), pair("B"), past=past, sequencing=LIMITS) == ["U01", None]


def test_an_unknown_limit_is_confirmed_first():
    found = night(pair(), past=history(), sequencing=LIMITS).decided
    assert (found["disposition"][0], found["confirm_first"][0]) == ("listed", "upsell first")
    assert night(pair()).decided["confirm_first"].isna().all()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({}, "discover"), ({"problem_id": "p"}, "discover"), ({"stakeholder_id": "s"}, "discover"), (NEED, "pitch"),
     (NEED | {"tier": 3}, "campaign"), (NEED | {"tier": None}, "pitch")],
)  # fmt: skip
def test_need_makes_the_play(changes, expected):
    row = night(pair(**changes), sequencing={"campaign_tiers": [3]}).decided.iloc[0]
    assert row["play_type"] == expected
    assert row["disposition"] == ("campaign" if expected == "campaign" else "listed")


def test_a_campaign_uses_no_slot_and_takes_one_product_an_account():
    rows = [pair("A", tier=3), pair("A", "mail", 200, tier=3), pair("B")]
    found = night(*rows, sequencing={"campaign_tiers": [3]}, plays=1).decided
    assert found["disposition"].tolist() == ["other_play", "campaign", "listed"]
    assert found["slot_owner"].isna().tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("tier", "months", "expected"),
    [(1, 5.9, ("watchlist", None)), (1, 6.0, ("listed", "discover")), (1, 11.9, ("listed", "discover")),
     (1, 12.0, ("listed", "pitch")), (2, 1.0, ("listed", "pitch")), (1, None, ("listed", "pitch"))],
)  # fmt: skip
def test_the_quarter_plan_of_its_tiers(tier, months, expected):
    row = night(
        pair(tier=tier, tenure_months=months, **NEED), sequencing={"quarter_plan": {"tiers": [1]}}
    ).decided.iloc[0]
    assert row["disposition"] == expected[0]
    assert (None if pd.isna(row["play_type"]) else row["play_type"]) == expected[1]
    if expected[0] == "watchlist":
        assert row["unblocked_on"] == pd.Timestamp("2024-07-15")
    assert pd.notna(row["confirm_first"]) == (months is None)


def test_no_value_no_play():
    values = (0.0, -5.0, float("nan"), 0.01)
    rows = [pair(account, value=value) for account, value in zip("ABCD", values, strict=True)]
    assert dispositions(*rows) == ["below_value"] * 3 + ["listed"]
    assert dispositions(*rows, sequencing={"value_floor_usd": None})[1] == "listed"
    assert dispositions(*rows, sequencing={"value_floor_usd": 0.01})[3] == "below_value"


def test_one_product_an_account_a_request_first_then_value():
    rows = [pair("A", "crm", 10), pair("A", "mail", 20), pair("A", "desk", 5)]
    assert dispositions(*rows) == ["other_play", "listed", "other_play"]
    rows[2]["request_on"] = "2026-06-01"
    assert dispositions(*rows) == ["other_play", "other_play", "listed"]
    assert dispositions(pair("A", "mail", 10), pair("A", "crm", 10)) == ["other_play", "listed"]


def test_what_an_account_would_get_is_beyond_capacity_and_the_rest_is_not():
    rows = [pair("A", "crm", 10), pair("A", "mail", 20), pair("B", "crm", 30)]
    assert dispositions(*rows, plays=1) == ["other_play", "beyond_capacity", "listed"]


def test_what_is_in_flight_uses_its_slot_first_then_requests():
    rows = [
        pair("A", status="in_pipeline"), pair("B", value=50), pair("C", value=40), pair("D", value=1, request_on="x")
    ]  # fmt: skip
    expected = ["in_flight", "listed", "beyond_capacity", "listed"]
    assert dispositions(*rows, plays=3) == expected
    assert dispositions(*rows, plays=2) == ["in_flight", "beyond_capacity", "beyond_capacity", "listed"]
    assert dispositions(*rows, plays=1) == ["in_flight", *["beyond_capacity"] * 3]


def test_a_product_takes_as_many_plays_as_its_implementations_allow():
    rows = [pair(account, "crm", value) for account, value in (("A", 30), ("B", 20), ("C", 10))]
    caps = {"products": {"crm": {"implementation_slots_per_month": 3}}}
    past = history(starts=[{"product_id": "crm", "starts": 2}])
    assert dispositions(*rows, **caps) == ["listed"] * 3
    assert dispositions(*rows, **caps, past=past) == ["listed", "beyond_capacity", "beyond_capacity"]
    twice = {"plays_per_implementation_slot": 2.5}
    assert dispositions(*rows, **caps, past=past, routing=twice) == ["listed", "listed", "beyond_capacity"]
    over = history(starts=[{"product_id": "crm", "starts": 9}])
    assert dispositions(*rows, pair("A", "mail", 1), **caps, past=over)[-1] == "listed"


def test_a_row_of_the_last_list_is_ahead_by_its_bonus():
    rows = [pair("A", value=100), pair("B", value=124)]
    last = pd.DataFrame({"account_id": ["A", "gone"], "product_id": ["crm", "crm"]})
    found = night(*rows, plays=1, previous=last).decided
    assert found["disposition"].tolist() == ["listed", "beyond_capacity"]
    assert found["incumbent"].tolist() == [True, False]
    # 1.25 × 100 does not reach 126, and values stay as they were
    rows[1]["value_usd"] = 126
    found = night(*rows, plays=1, previous=last).decided
    assert found["disposition"].tolist() == ["beyond_capacity", "listed"]
    assert found["value_usd"].tolist() == [100, 126]


def test_index_and_order_of_the_rows_are_kept():
    found = night(pair("B"), pair("A"), index=[7, 3]).decided
    assert found.index.tolist() == [7, 3]
    assert found["account_id"].tolist() == ["B", "A"]


def test_what_cannot_be_decided_is_refused():
    with pytest.raises(ValueError, match="pair A, crm appears twice"):
        night(pair(), pair())


def test_a_night_without_any_pair():
    decision = night(mode="on", sequencing=LIMITS)
    assert decision.decided.empty
    assert decision.draws.empty
    assert set(night(pair()).decided.columns) == set(decision.decided.columns)


def test_more_than_sixty_reasons_are_told_in_order():
    codes = [f"G{number:02}" for number in range(70)]
    checks = [Check(5, answer(code, ["fail", "fail" if code == "G33" else "pass", "pass"])) for code in codes]
    found = judge(checks, 3)
    assert found.all_gates.tolist() == [", ".join(codes), "G33", None]
    assert found.first.tolist() == [0, 33, -1]
