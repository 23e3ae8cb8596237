"""Rule sets chosen and joined, points as a range, and what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS
from product_affinity.project.playbook.gates import Gates, load_gate_rules
from product_affinity.project.playbook.readiness import ReadinessSpec, load_readiness
from product_affinity.rules import (
    FAIL,
    NOT_ASKED,
    PASS,
    UNKNOWN,
    answer_gates,
    answer_readiness,
    scorecard_points,
)
from product_affinity.schema import TABLES

PLAYBOOK = Path(__file__).parents[2] / "playbook"
GATES, SHIPPED = load_gate_rules(PLAYBOOK, ()), load_readiness(PLAYBOOK, ())
NAN = np.nan
READY = {
    "account_id": "A",
    "product_id": "mail",
    "as_of": pd.Timestamp("2026-06-30"),
    "segment": "smb",
    "tier": 1.0,
    "rule_set": "motion",
    "customer_since_on": pd.Timestamp("2024-06-30"),
    "tenure_days": 730.0,
    "tenure_months": 24.0,
    "implemented_months": 12.0,
    "last_implementation_ended_on": pd.Timestamp("2025-06-30"),
    "implementation_running": 0.0,
    "onboardings": 1.0,
    "milestones": 1.0,
    "open_urgent": 0.0,
    "escalated_days_ago": np.inf,
    "renewal_in_days": 300.0,
    "renewal_in_months": 10.0,
    "account_health": 80.0,
    "account_health_change": 0.0,
    "nps": 50.0,
    "nps_answers": 5.0,
    "tickets_per_100_users": 1.0,
    "tickets_percentile": 10.0,
    "growth_signals": 1.0,
    "seats_growth": 0.2,
    "employees_growth": 0.0,
    "champion_count": 1.0,
    "anchor_name": "Crm",
    "quadrant": "primary",
    "anchor_health": 80.0,
    "licence_use": 0.9,
    "weekly_active_weeks": 4.0,
    "core_features_used": 4.0,
    "core_features_listed": 5.0,
    "core_adoption": 0.8,
    "adjacent_uses": 3.0,
    "problems": 1.0,
    "stakeholders": 1.0,
    "stakeholder_area": "marketing",
}


def evidence(*changes):
    frame = pd.DataFrame([READY | change for change in changes]).reindex(
        columns=["account_id", "as_of", *EVIDENCE_COLUMNS]
    )
    kinds = {c.name: "float64" if c.is_number else "str" for c in EVIDENCE_COLUMNS.values() if c.shown != "date"}
    days = {c.name: "datetime64[us]" for c in EVIDENCE_COLUMNS.values() if c.shown == "date"}
    return frame.astype(kinds | days)


def ready(*changes, spec=SHIPPED):
    return answer_readiness(spec, evidence(*changes), tables=TABLES)


def choosing(*choices):
    return ReadinessSpec.model_validate(SHIPPED.model_dump() | {"choose": choices})


def only(rule_set, **more):
    return choosing({"rule_set": rule_set, **more})


def test_tiers_one_and_two_ask_the_motion_and_the_rest_the_playbook():
    told = ready({"tier": 1.0}, {"tier": 2.0}, {"tier": 3.0}, {"tier": NAN})
    assert told.rule_set.tolist() == ["motion", "motion", "playbook", "playbook"]
    assert (told.state == PASS).all()


def test_the_first_choice_that_matches_counts():
    choose = [
        {"rule_set": "scorecard", "segment": ["enterprise"], "tier": [1]},
        {"rule_set": "playbook", "segment": ["enterprise", "mid_market"]},
        {"rule_set": "motion"},
    ]
    rows = [("enterprise", 1.0), ("enterprise", 2.0), ("mid_market", 1.0), ("smb", 1.0), (None, NAN)]
    told = ready(*({"segment": segment, "tier": tier} for segment, tier in rows), spec=choosing(*choose))
    assert told.rule_set.tolist() == ["scorecard", "playbook", "playbook", "motion", "motion"]


def test_only_the_rows_rule_set_is_asked():
    told = ready({"tier": 1.0}, {"tier": 3.0})
    asked = {a.code: [bool(s != NOT_ASKED) for s in a.state] for a in told.answers}
    assert {code for code, (motion, _) in asked.items() if motion} == {"R11", "R12", "R13", "R14", "R15", "R21"}
    assert {code for code, (_, playbook) in asked.items() if playbook} == {"R01", "R02", "R03", "R04", "R21"}
    assert {a.code for a in told.measured} == {c.code for c in SHIPPED.criteria}
    assert all((a.state != NOT_ASKED).all() for a in told.measured)


def test_growth_is_advisory_for_tier_three_and_asked_where_the_playbook_is_chosen_alone():
    shrinking = {"tier": 3.0, "growth_signals": 0.0, "seats_growth": 0.0}
    assert ready(shrinking).state.tolist() == [PASS]
    assert ready(shrinking, spec=only("playbook")).state.tolist() == [FAIL]
    assert ready(shrinking, spec=only("playbook", advisory=["R05"])).state.tolist() == [PASS]


@pytest.mark.parametrize(
    "code", ["anchor_health", "tenure_months", "core_adoption", "core_features_used", "milestones"]
)
def test_one_fail_fails_the_motion_and_one_unknown_leaves_it_unknown(code):
    told = ready({code: 0.0}, {code: NAN}, {})
    assert told.state.tolist() == [FAIL, UNKNOWN, PASS]
    assert all(not answer.confirm.any() for answer in told.answers)


def test_problem_and_stakeholder_are_needs_and_no_readiness():
    told = ready({}, {"problems": 0.0}, {"stakeholders": 0.0}, {"problems": NAN, "stakeholders": NAN})
    assert told.state.tolist() == [PASS] * 4
    assert told.has_problem.tolist() == [True, False, True, False]
    assert told.has_stakeholder.tolist() == [True, True, False, False]


def test_a_request_waives_tenure_and_points_and_never_adoption():
    told = ready({})
    waived = {answer.code for answer, can in zip(told.answers, told.waivable, strict=True) if can}
    assert waived == {"S00", "R03", "R12"}


SCORED = {
    "licence_use": 20,
    "nps": 15,
    "tickets_percentile": 10,
    "growth_signals": 10,
    "adjacent_uses": 15,
    "renewal_in_months": 10,
    "champion_count": 10,
}


@pytest.mark.parametrize("column", SCORED)
def test_a_fail_takes_its_points_and_an_unknown_makes_a_range(column):
    worst = 100.0 if column == "tickets_percentile" else 0.0
    told = ready({}, {column: worst}, {column: NAN})
    left = 100.0 - SCORED[column]
    assert told.points_known.tolist() == [100, left, left]
    assert told.points_possible.tolist() == [100, left, 100]
    frame = evidence({}, {column: worst}, {column: NAN})
    assert scorecard_points(SHIPPED, frame).tolist() == told.points_known.tolist()


@pytest.mark.parametrize(
    ("zero", "unknown", "points", "state"),
    [
        # 60 points are not qualified, 65 are
        (("licence_use", "champion_count", "renewal_in_months"), (), (60, 60), FAIL),
        (("licence_use", "nps"), (), (65, 65), PASS),
        (("licence_use", "champion_count"), ("renewal_in_months",), (60, 70), UNKNOWN),
        (("licence_use",), ("nps",), (65, 80), PASS),
        (("licence_use", "champion_count", "nps"), ("renewal_in_months",), (45, 55), FAIL),
        (("licence_use", "champion_count"), ("growth_signals", "renewal_in_months"), (50, 70), UNKNOWN),
        (("licence_use", "nps"), ("growth_signals",), (55, 65), UNKNOWN),
    ],
)
def test_qualified_strictly_above_sixty_whatever_the_unknown_turn_out_to_be(zero, unknown, points, state):
    row = dict.fromkeys(zero, 0.0) | dict.fromkeys(unknown, NAN)
    told = ready(row, spec=only("scorecard"))
    assert (told.points_known[0], told.points_possible[0]) == points
    total = told.answers[0]
    assert (total.code, total.state.tolist(), told.state.tolist()) == ("S00", [state], [state])
    low, high = points
    said = f"{low}" if low == high else f"{low}–{high}"
    assert total.evidence(np.array([0])) == [f"scorecard {said} of 100, needs more than 60"]
    assert told.described(np.array([0])) == [f"scorecard {said} of 100"]


def test_the_scorecard_says_which_points_are_open():
    told = ready({"licence_use": 0.0, "champion_count": NAN, "nps": 0.0}, spec=only("scorecard"))
    assert told.answers[0].unblocked_by(np.array([0])) == [
        "more than 60 points: licence use (+20), account NPS (+15), champion (+10)"
    ]


def test_without_rules_nothing_is_asked():
    told = ready({}, {}, spec=ReadinessSpec())
    assert told.rule_set.tolist() == ["none", "none"]
    assert (list(told.answers), list(told.measured), told.state.tolist()) == ([], [], [PASS, PASS])
    assert told.points_known.tolist() == told.points_possible.tolist() == [0, 0]
    assert told.described(np.array([1])) == ["no rule set asked"]
    assert answer_gates(Gates(), evidence({}), tables=TABLES) == []


def test_described_for_a_worklist():
    told = ready({}, {"milestones": 0.0, "nps": NAN}, {"tier": 3.0})
    assert told.described(np.arange(3)) == [
        "motion 6 of 6; scorecard 100 of 100",
        "motion 5 of 6; scorecard 85–100 of 100",
        "playbook 5 of 5; scorecard 100 of 100",
    ]


def gate(code, *changes, tables=TABLES):
    rows = evidence(*changes)
    answer = next(a for a in answer_gates(GATES, rows, tables=tables) if a.code == code)
    return answer, np.arange(len(rows))


def test_safety_comes_first_and_says_its_step_and_scope():
    answers = answer_gates(GATES, evidence({}), tables=TABLES)
    assert [(a.code, a.step, a.scope) for a in answers] == [
        *((f"G0{n}", 5, "account") for n in range(2, 9)),
        ("D01", 8, "pair"),
        ("D02", 8, "pair"),
        ("D03", 8, "account"),
    ]
    assert all(not a.blocks.any() for a in answers)


def test_an_absent_table_asks_to_confirm_and_a_gap_in_one_holds_back():
    answer, _ = gate("G02", {"open_urgent": NAN}, {}, {"open_urgent": 2.0}, tables=set(TABLES) - {"tickets"})
    assert answer.state.tolist() == [UNKNOWN, PASS, FAIL]
    assert answer.confirm.tolist() == [True, False, False]
    assert answer.blocks.tolist() == [False, False, True]
    answer, rows = gate("G02", {"open_urgent": NAN}, {})
    assert answer.blocks.tolist() == [True, False]
    assert answer.evidence(rows[:1]) == ["unknown: the feed begins later"]
    nobody, rows = gate("G02", {"open_urgent": NAN}, tables=())
    assert nobody.evidence(rows) == ["unknown: no ticket feed"]
    assert nobody.unblocked_by(rows) == ["it becomes known: open P1 or P2 ticket"]


def test_a_gate_of_two_conditions_is_confirmed_only_if_all_that_is_unknown_cannot_be_known():
    both = {"renewal_in_days": NAN, "account_health": NAN}
    unmeasured = set(TABLES) - {"health", "usage"}
    answer, _ = gate("G05", both, {"renewal_in_days": 10.0}, tables=unmeasured)
    assert (answer.state.tolist(), answer.confirm.tolist()) == ([UNKNOWN, PASS], [False, False])
    answer, _ = gate("G05", {"renewal_in_days": 10.0, "account_health": NAN}, {}, tables=unmeasured)
    assert answer.confirm.tolist() == [True, False]


def test_the_issues_own_words():
    urgent = {"open_urgent": 2.0, "open_urgent_oldest_days": 12.0, "open_urgent_priorities": "P1"}
    one = {"open_urgent": 1.0, "open_urgent_oldest_days": 1.0, "open_urgent_priorities": "P2"}
    answer, rows = gate("G02", urgent, one, {})
    assert answer.evidence(rows) == [
        "2 open P1 tickets, oldest 12 days",
        "1 open P2 ticket, oldest 1 day",
        "no open P1 or P2 ticket",
    ]
    escalated = {"escalated_days_ago": 19.0, "escalated_on": pd.Timestamp("2026-06-11")}
    answer, rows = gate("G03", escalated)
    assert answer.evidence(rows) == ["escalated 19 days ago, within 30 days"]
    assert answer.unblocked_by(rows) == ["30 days after the escalation: 2026-07-12"]
    assert answer.unblocked_on(rows).astype(str).tolist() == ["2026-07-12"]
    young = {"tenure_months": 4.5, "customer_since_on": pd.Timestamp("2026-02-14")}
    tenure = next(a for a in ready(young, {}).answers if a.code == "R12")
    assert tenure.evidence(np.array([0, 1])) == [
        "tenure 4 of 9 months, ready on 2026-11-15",
        "tenure 24 months, needs more than 9",
    ]
    assert tenure.unblocked_on(np.array([0, 1])).astype(str).tolist() == ["2026-11-15", "NaT"]


def test_timing_says_since_when_it_counts():
    late = {"implemented_months": 1.5, "last_implementation_ended_on": pd.Timestamp("2026-05-16")}
    never = {"implemented_months": NAN, "tenure_months": 2.0, "customer_since_on": pd.Timestamp("2026-04-30")}
    timing = next(a for a in ready(late, never, {"segment": "enterprise"} | late).answers if a.code == "R21")
    assert timing.evidence(np.arange(3)) == [
        "1 of 3 months since the last implementation",
        "2 of 3 months since the first purchase",
        "1 of 6 months since the last implementation",
    ]
    assert timing.unblocked_by(np.array([1, 2])) == [
        "3 months since the first purchase: 2026-07-30",
        "6 months since the last implementation: 2026-11-16",
    ]


def test_a_gate_opens_with_its_first_condition_and_criteria_wait_for_their_last():
    rows = {"onboardings": 0.0, "tenure_months": 1.0, "customer_since_on": pd.Timestamp("2026-05-30")}
    answer, at = gate("G08", rows)
    assert answer.unblocked_on(at).astype(str).tolist() == ["2026-08-30"]
    waits = {
        "code": "R90",
        "title": "both",
        "needs": [{"clock": "first_purchase", "at_least": 3}, {"column": "tenure_days", "at_least": 100}],
        "evidence": "{bound}",
        "unblocked_by": "{on}",
    }
    spec = ReadinessSpec(choose=[{"rule_set": "motion"}], motion={"criteria": [waits]})
    told = ready(rows | {"tenure_days": 31.0}, rows | {"tenure_days": 150.0}, spec=spec).answers[0]
    assert told.unblocked_by(np.arange(2)) == ["2026-09-07", "2026-08-30"]
    either = waits | {"needs_any": waits["needs"]}
    del either["needs"]
    spec = ReadinessSpec(choose=[{"rule_set": "motion"}], motion={"criteria": [either]})
    told = ready(rows | {"tenure_days": 31.0}, spec=spec).answers[0]
    assert told.unblocked_by(np.arange(1)) == ["2026-08-30"]


def test_names_are_said_as_they_are_and_never_read_as_a_template():
    name = "{bound} {0.__class__} %s"
    told = ready({"core_adoption": 0.2, "core_features_used": 1.0, "anchor_name": name})
    answer = next(a for a in told.answers if a.code == "R13")
    assert answer.evidence(np.array([0])) == [f"1 of 5 core features of {name} in use, needs 60%"]
