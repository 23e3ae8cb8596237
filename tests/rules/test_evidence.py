"""Evidence of a hand-made company: what the boundaries do not show."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.project.playbook.evidence_columns import CLOCKS, EVIDENCE_COLUMNS
from product_affinity.project.playbook.readiness import Definitions, ReadinessSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.rules import build_evidence
from product_affinity.schema import TABLES
from product_affinity.spine import build_spine
from tests.company import account, catalog, company, subscription
from tests.features.small_company import small_catalog as random_catalog
from tests.features.small_company import small_facts, small_frames
from tests.rules.evidence_rows import (
    BESIDE,
    PROBLEM_FIRST,
    contact,
    core,
    customer,
    evidence_of,
    facts_of,
    feeds,
    flat,
    implementation,
    used,
)
from tests.rules.trigger_rows import AS_OF, ago, health, problem, signal, survey, ticket, uses

SPEC = ReadinessSpec()
LOW = {"icp_overlap": "low", "workflow_integration": "low"}
SPECIALIST = {"icp_overlap": "low", "workflow_integration": "high"}


def seen(*rows, product="mail", spec=SPEC):
    """Evidence of one account beside one whose rows make every feed reach far back."""
    facts = facts_of({"feeds": feeds(), "A": flat(*rows)})
    evidence = evidence_of(facts, spec, (product,))
    return evidence[evidence["account_id"] == "A"].iloc[0]


def test_every_column_is_there_typed_and_rests_on_tables_that_exist():
    evidence = evidence_of(facts_of({"A": customer()}), SPEC)
    assert set(evidence) == {"account_id", "as_of", *EVIDENCE_COLUMNS}
    for column in EVIDENCE_COLUMNS.values():
        assert set(column.tables) <= set(TABLES)
        assert column.since is None or EVIDENCE_COLUMNS[column.since].shown == "date"
        kind = "f" if column.is_number else "M" if column.shown == "date" else "O"
        assert evidence[column.name].dtype.kind == kind, column.name
    assert all(EVIDENCE_COLUMNS[column].unit == "months" for column, _ in CLOCKS.values())


def test_without_optional_tables_all_that_rests_on_them_is_unknown():
    evidence = evidence_of(facts_of({"A": customer()}), SPEC).iloc[0]
    for column in EVIDENCE_COLUMNS.values():
        if column.tables and not set(column.tables) & {"accounts", "subscriptions"}:
            assert pd.isna(evidence[column.name]), column.name


def test_known_none_is_not_unknown():
    row = seen(customer())
    counts = ["open_urgent", "implementation_running", "milestones", "onboardings", "growth_signals", "problems"]
    assert row[[*counts, "champion_count", "stakeholders", "adjacent_uses", "nps_answers"]].eq(0).all()
    assert row["escalated_days_ago"] == np.inf


def test_a_feed_that_began_within_the_look_back_cannot_say_that_there_was_none():
    young = {"B": flat(customer(), signal("launch", 100), ticket(80))}
    evidence = evidence_of(facts_of({"A": customer(), **young}), SPEC).set_index("account_id")
    assert np.isnan(evidence.loc["A", "growth_signals"])
    assert np.isnan(evidence.loc["A", "escalated_days_ago"])
    assert np.isnan(evidence.loc["A", "tickets_per_100_users"])
    assert evidence.loc["A", "open_urgent"] == 0
    found = evidence_of(facts_of({"A": flat(customer(), signal("hiring", 5), ticket(3, escalated=True))}), SPEC).iloc[0]
    assert (found["growth_signals"], found["escalated_days_ago"]) == (1, 3)


def test_escalations_nobody_records_are_unknown():
    plain = {"ticket_id": "K", "account_id": "A", "opened_at": f"{ago(300)} 10:00", "priority": "P3"}
    evidence = evidence_of(facts_of({"A": [*customer(), ("tickets", plain)]}), SPEC).iloc[0]
    assert np.isnan(evidence["escalated_days_ago"])
    assert evidence["open_urgent"] == 0


def test_open_urgent_tickets_with_age_and_priorities():
    row = seen(customer(), ticket(12, priority="P1"), ticket(3, priority="P2"), ticket(40, priority="P3"))
    assert row[["open_urgent", "open_urgent_oldest_days", "open_urgent_priorities"]].tolist() == [2, 12, "P1/P2"]


def test_account_nps_in_points():
    answers = [survey(1, 10), survey(2, 9), survey(3, 8), survey(365, 6)]
    assert seen(customer(), answers)[["nps", "nps_answers"]].tolist() == [25.0, 4.0]


def test_ticket_rates_rank_within_the_base_and_ties_are_not_above():
    """Six customers with ten users: 0, 0, 0, 1, 2, 3 tickets; the top third are the two with most."""
    base = {"F": flat(feeds(), used(10, 40))}
    for place, tickets in enumerate([0, 0, 1, 2, 3]):
        opened = [ticket(day, product_id="crm") for day in (1, 2, 3)[:tickets]]
        base[f"B{place}"] = flat(customer(), used(10, 1), opened)
    base["no users"] = flat(customer(), ticket(1))
    evidence = evidence_of(facts_of(base), SPEC).set_index("account_id")
    rates = evidence["tickets_per_100_users"]
    assert rates[["B0", "B2", "B4"]].tolist() == [0.0, 10.0, 30.0]
    assert np.isnan(rates["no users"])
    percent = evidence["tickets_percentile"]
    assert percent[["F", "B0", "B1", "B2", "B3", "B4"]].tolist() == pytest.approx([0, 0, 0, 50, 200 / 3, 500 / 6])
    top_third = percent[~(percent < 66.66)].dropna()
    assert list(top_third.index) == ["B3", "B4"]


def test_a_ticket_counts_in_the_rate_for_ninety_days():
    row = seen(customer(), used(10, 1), ticket(90), ticket(91))
    assert row["tickets_per_100_users"] == 10.0


def test_a_week_nobody_delivered_is_unknown_not_idle():
    gap = {"feeds": flat(customer(), used(5, 1, 8, 22)), "A": flat(customer(), used(5, 1, 8, 22))}
    evidence = evidence_of(facts_of(gap), SPEC)
    assert evidence["weekly_active_weeks"].isna().all()
    assert evidence["licence_use"].tolist() == [0.5, 0.5]


def test_look_backs_of_years_do_not_overflow_the_weeks():
    years = ReadinessSpec(definitions=Definitions(ticket_days=900, usage_days=900))
    row = seen(customer(), used(4, 1, 8, 15, 22, 800), spec=years)
    assert (row["licence_use"], row["weekly_active_weeks"]) == (0.4, 4)


def test_implementations():
    running = implementation(20, None, "sms")
    row = seen(customer(), running, implementation(60, 40), implementation(10, None))
    assert row["implementation_running"] == 2
    assert row["implementation_product_id"] == "sms"
    assert str(row["implementation_since_on"].date()) == ago(20)
    assert str(row["last_implementation_ended_on"].date()) == ago(40)
    assert row["onboardings"] == 1


def test_value_is_proven_by_the_first_milestone():
    row = seen(customer(), signal("milestone", 61), signal("milestone", 1))
    assert (str(row["milestone_on"].date()), row["milestones"]) == ("2026-04-30", 2)
    assert row["proven_months"] == 2.0


def test_the_next_renewal_of_what_runs():
    more = [
        subscription("A", "sms", "2024-01-01", renewal_on=ago(-50)),
        subscription("A", "chat", "2024-01-01", ago(10), renewal_on=ago(-5)),
        subscription("A", "chat", "2026-06-01", renewal_on=ago(-7), is_trial=True),
        subscription("A", "sms", "2023-01-01", renewal_on=ago(30)),
    ]
    assert seen(customer(), more)["renewal_in_days"] == 50


def test_health_without_a_score_of_the_account_is_that_of_its_dearest_product():
    cheap = subscription("A", "sms", "2024-01-01", arr_usd=1.0)
    row = seen(customer(), cheap, health(1, 33, "crm"), health(1, 90, "sms"), health(0, 5))
    assert row["account_health"] == 33


def test_a_company_without_health_scores_is_judged_by_licence_use_less_what_burns():
    # 28 days of 6 users on 10 seats, one open P2 ticket: 100 × 6/10 − 15
    rows = flat(customer(), used(6, *range(1, 29)), ticket(5, priority="P2"))
    others = [row for row in feeds() if row[0] != "health"]
    evidence = evidence_of(facts_of({"feeds": others, "A": rows}), SPEC, ("mail",))
    found = evidence[evidence["account_id"] == "A"].iloc[0]
    assert found["account_health"] == found["anchor_health"] == pytest.approx(100 * 6 / 10 - 15)
    assert np.isnan(seen(rows)["anchor_health"])  # somebody has scores: this account's is unknown


ORDER = [
    ({"other": LOW, "crm": SPECIALIST}, "crm", "specialist"),
    ({"other": SPECIALIST, "crm": PROBLEM_FIRST}, "crm", "problem_first"),
    ({"other": PROBLEM_FIRST, "crm": BESIDE}, "crm", "primary"),
    ({"crm": LOW}, "crm", "net_new"),
    ({}, "other", None),
]


@pytest.mark.parametrize(("adjacency", "anchor", "quadrant"), ORDER)
def test_the_anchor_is_the_most_adjacent_product_owned(adjacency, anchor, quadrant):
    found = _anchors([("crm", 10.0, "2024-01-01"), ("other", 99.0, "2024-01-01")], adjacency)
    assert found == (anchor, anchor.upper(), quadrant)


@pytest.mark.parametrize(
    ("owned", "anchor"),
    [
        ([("crm", 10.0, "2024-01-01"), ("other", 20.0, "2025-01-01")], "other"),
        ([("crm", 20.0, "2024-02-01"), ("other", 20.0, "2024-01-01")], "other"),
        ([("crm", 20.0, "2024-01-01"), ("other", 20.0, "2024-01-01")], "crm"),
        ([("crm", None, "2024-02-01"), ("other", 1.0, "2025-01-01")], "other"),
    ],
)
def test_ties_go_to_the_dearer_then_the_older_then_the_first_product(owned, anchor):
    assert _anchors(owned, {"crm": BESIDE, "other": BESIDE})[0] == anchor


def _anchors(owned, adjacency):
    facts = company(
        account("A"), *(subscription("A", name, start, arr_usd=arr) for name, arr, start in owned), account("B")
    )
    products = catalog("crm", "other", "mail", mail={"adjacency": adjacency})
    spine = build_spine(facts, SegmentSettings(), [AS_OF])
    pairs = spine[["account_id", "as_of"]].assign(product_id="mail")
    row = build_evidence(facts, products, SPEC, spine, pairs).iloc[0]
    quadrant = row["quadrant"] if isinstance(row["quadrant"], str) else None
    return row["anchor_product_id"], row["anchor_name"], quadrant


def test_the_anchors_use_and_core_features():
    row = seen(customer(), used(4, 1), used(6, 2), core("ab"), core("a", 5), uses("c", 1, n=0, product="crm"))
    columns = ["licence_use", "core_features_used", "core_features_listed", "core_adoption"]
    assert row[columns].tolist() == [0.5, 2, 5, 2 / 5]


def test_the_last_noted_problem_travels_with_the_row():
    row = seen(customer(), problem("slow", 30, "N1"), problem("slow", 3, "N2"), problem("loud", 1, "N3"))
    said = row[["problems", "problem_id", "problem_tag", "problem_statement", "problem_source"]]
    assert said.tolist() == [2, "N2-A", "slow", "about slow", "qbr"]
    assert str(row["problem_noted_on"].date()) == ago(3)


def test_champions_come_first_among_stakeholders_then_sponsors_then_who_was_spoken_to_last():
    plain, late = contact("Ann"), contact("Bo", last_touch_at=f"{ago(3)} 10:00")
    sponsor, champion = contact("Cy", is_sponsor=True), contact("Di", is_champion=True)
    for people, name in (
        ([plain], "Ann"),
        ([plain, late], "Bo"),
        ([plain, late, sponsor], "Cy"),
        ([plain, late, sponsor, champion], "Di"),
    ):
        row = seen(customer(), people)
        assert (row["stakeholder_name"], row["stakeholders"]) == (name, len(people))
        assert (row["stakeholder_area"], row["stakeholder_role"]) == ("marketing", "head")


def test_a_problem_may_belong_to_another_area_than_the_product():
    spec = ReadinessSpec(definitions=Definitions(problem_areas={"slow": "IT"}))
    people = [contact("Ann", "it"), contact("Bo", "marketing")]
    with_problem = seen(customer(), people, problem("slow", 1), spec=spec)
    without = seen(customer(), people, spec=spec)
    assert (with_problem["stakeholder_area"], with_problem["stakeholder_name"]) == ("it", "Ann")
    assert (without["stakeholder_area"], without["stakeholder_name"]) == ("marketing", "Bo")


def test_an_explicit_request_is_for_one_product_and_is_forgotten():
    asked = signal("request", 180, "mail")
    assert str(seen(customer(), asked)["request_on"].date()) == ago(180)
    assert pd.isna(seen(customer(), asked, product="sms")["request_on"])
    assert pd.isna(seen(customer(), signal("request", 181, "mail"))["request_on"])
    assert pd.isna(seen(customer(), signal("request", 0, "mail"))["request_on"])


def test_rows_keep_the_order_of_the_pairs_and_many_dates_are_as_good_as_one():
    facts = small_facts(small_frames())
    dates = [dt.date(2026, 2, 28), dt.date(2026, 4, 30)]
    spine = build_spine(facts, SegmentSettings(), dates)
    products = pd.DataFrame({"product_id": random_catalog().product_ids}, dtype="str")
    pairs = spine[["account_id", "as_of"]].merge(products, how="cross").sample(frac=1, random_state=1)
    both = build_evidence(facts, random_catalog(), SPEC, spine, pairs)
    keys = ["account_id", "product_id", "as_of"]
    pd.testing.assert_frame_equal(both[keys], pairs[keys].reset_index(drop=True))
    for date in dates:
        day = pd.Timestamp(date)
        alone = build_evidence(
            facts, random_catalog(), SPEC, spine[spine["as_of"] == day], pairs[pairs["as_of"] == day]
        )
        pd.testing.assert_frame_equal(alone, both[both["as_of"] == day].reset_index(drop=True))


def test_no_pairs_no_evidence():
    facts = facts_of({"A": customer()})
    spine = build_spine(facts, SegmentSettings(), [AS_OF])
    pairs = spine[["account_id", "as_of"]].assign(product_id="mail").iloc[:0]
    assert build_evidence(facts, catalog("crm", "mail"), SPEC, spine, pairs).empty
