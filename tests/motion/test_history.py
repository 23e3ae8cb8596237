from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.motion import build_history
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from tests.company import account, company, opportunity, subscription

AS_OF = dt.date(2026, 6, 30)
DAY = pd.Timedelta(days=1)


def outreach(play_id, account_id="A", product="crm", owner="o", decided="2026-01-01"):
    row = {"play_id": play_id, "account_id": account_id, "product_id": product, "decided_at": decided}
    return "outreach", row | {"arm": "treated", "arm_probability": 1.0, "owner_id": owner}


def outcome(status, noted, play_id="P-1", account_id="A", product="crm", **changes):
    row = {"play_id": play_id, "account_id": account_id, "product_id": product, "status": status, "noted_at": noted}
    return "outcomes", row | changes


def usage(date, share, account_id="A", product="crm"):
    row = {"account_id": account_id, "product_id": product, "date": date, "limit_share": share, "active_users": 1.0}
    return "usage", row


def contact(contact_id, area, **changes):
    row = {"contact_id": contact_id, "account_id": "A", "role": "Head", "area": area, "from_on": "2025-01-01"}
    return "contacts", row | {"is_sponsor": True} | changes


def built(*rows, as_of=AS_OF, routing=None):
    facts = company(account("A"), account("B"), subscription("A", "mail", "2024-01-01"), *rows)
    return build_history(facts, Sequencing(), Routing.model_validate(routing or {}), as_of)


def values(frame, *columns):
    return [tuple(line) for line in frame[list(columns)].astype(object).itertuples(index=False)]


def test_open_deals_are_open_until_the_day_after_they_closed():
    rows = [
        opportunity("1", "A", "crm", "2026-06-29"),
        opportunity("2", "A", "desk", "2026-05-01", closed_on="2026-06-29", result="lost"),
        opportunity("3", "B", "crm", "2026-05-01", closed_on="2026-06-30", result="won"),
        opportunity("4", "B", None, "2026-05-02"),
        opportunity("5", "B", "crm", "2026-06-30"),
        opportunity("6", "A", "crm", "2026-06-01", kind="upsell"),
    ]
    found = built(*rows)
    assert [(a, None if pd.isna(p) else p) for a, p in values(found.deals, "account_id", "product_id")] == [
        ("A", "crm"),
        ("B", None),
        ("B", "crm"),
    ]
    assert values(found.upsells, "account_id", "product_id") == [("A", "crm")]
    assert found.upsells["since_on"].tolist() == [pd.Timestamp("2026-06-01")]
    assert values(found.closes, "account_id", "status") == [("A", "lost")]


def test_the_last_word_of_a_play_counts():
    rows = [outreach("P-1", owner="kim"), outcome("accepted", "2026-06-01"), outcome("meeting", "2026-06-20")]
    plays = built(*rows).plays
    assert values(plays, "product_id", "status", "owner_id", "play_id") == [("crm", "meeting", "kim", "P-1")]
    assert plays["since_on"].tolist() == [pd.Timestamp("2026-06-20")]
    # a word of the as-of day itself is not known yet
    assert built(*rows, as_of=dt.date(2026, 6, 20)).plays["status"].tolist() == ["accepted"]
    assert built(*rows, as_of=dt.date(2026, 6, 1)).plays.empty


@pytest.mark.parametrize(
    "closing",
    [
        outcome("not_now", "2026-06-20"),
        outcome("lost", "2026-06-20", play_id="P-2"),
        opportunity("1", "A", "crm", "2026-06-01", closed_on="2026-06-20", result="won"),
        subscription("A", "crm", "2026-06-20"),
    ],
    ids=["its own outcome", "a later play's", "a closed deal", "a paid start"],
)
def test_what_closes_a_play(closing):
    rows = [outreach("P-1"), outcome("accepted", "2026-06-01")]
    assert len(built(*rows).plays) == 1
    assert built(*rows, closing).plays.empty
    # not before it is known
    assert len(built(*rows, closing, as_of=dt.date(2026, 6, 20)).plays) == 1


def test_what_does_not_close_a_play():
    other = [
        outcome("lost", "2026-06-20", play_id="P-2", product="desk"),
        opportunity("1", "A", "crm", "2026-05-01", closed_on="2026-05-31", result="lost"),
        opportunity("2", "A", "crm", "2026-06-01", kind="upsell", closed_on="2026-06-20", result="won"),
        subscription("A", "crm", "2026-06-20", is_trial=True),
    ]
    assert len(built(outreach("P-1"), outcome("accepted", "2026-06-01"), *other).plays) == 1


def test_an_outcome_needs_no_play():
    row = outcome("accepted", "2026-06-01", play_id=None, as_of="2026-05-30")
    assert values(built(row).plays, "account_id", "product_id", "status") == [("A", "crm", "accepted")]
    by_play_alone = outcome("accepted", "2026-06-01", account_id=None, product=None)
    assert values(built(outreach("P-1", "B", "desk"), by_play_alone).plays, "account_id", "product_id") == [
        ("B", "desk")
    ]


def test_endings_keep_the_last_of_each_kind_with_its_follow_up():
    rows = [
        outcome("not_now", "2026-03-01", follow_up_on="2026-12-01"),
        outcome("not_now", "2026-05-01", play_id="P-2"),
        outcome("not_a_fit", "2026-02-01", play_id="P-3"),
        opportunity("1", "A", "crm", "2026-01-01", closed_on="2026-04-01", result="lost", follow_up_on="2026-10-01"),
        opportunity("2", "A", "crm", "2025-01-01", closed_on="2025-04-01", result="lost"),
        opportunity("3", "A", "desk", "2026-01-01", closed_on="2026-04-01", result="won"),
    ]
    found = built(*rows).endings
    assert found["status"].tolist() == ["lost", "not_a_fit", "not_now"]
    assert found["noted_on"].tolist() == [pd.Timestamp(day) for day in ("2026-04-01", "2026-02-01", "2026-05-01")]
    assert [None if pd.isna(day) else str(day.date()) for day in found["follow_up_on"]] == ["2026-10-01", None, None]


def test_only_a_play_that_was_taken_up_makes_a_gap():
    declined = [outcome("not_a_fit", "2026-06-01")]
    assert built(*declined).closes.empty
    worked = [outcome("contacted", "2026-05-20"), *declined]
    assert values(built(*worked).closes, "account_id", "product_id", "status") == [("A", "crm", "not_a_fit")]
    deal = opportunity("1", "A", "desk", "2026-01-01", closed_on="2026-06-05", result="won")
    found = built(*worked, deal).closes
    assert values(found, "account_id", "product_id", "status") == [("A", "desk", "won")]
    assert found["closed_on"].tolist() == [pd.Timestamp("2026-06-05")]


def test_the_limit_share_is_the_highest_of_the_look_back():
    rows = [usage("2026-06-01", 0.99), usage("2026-06-02", 0.7), usage("2026-06-03", 0.9, product="mail")]
    rows += [usage("2026-06-29", 0.5), usage("2026-06-30", 1.0)]
    found = built(*rows).limits
    # [as_of − 28, as_of): 2 June is in, 1 June and the as-of day are not
    assert values(found, "product_id", "limit_share") == [("mail", 0.9)]
    assert found["reached_on"].tolist() == [pd.Timestamp("2026-06-03")]


def test_current_sponsors_and_signals_of_procurement():
    signal = {"account_id": "B", "kind": "rfp", "happened_on": "2026-05-01"}
    rows = [
        contact("1", "sales"),
        contact("2", "data"),
        contact("3", "finance", to_on="2026-01-01"),
        contact("4", "service", is_sponsor=False),
        ("signals", signal),
        ("signals", {"account_id": "A", "kind": "rfp", "happened_on": "2025-06-29"}),
        ("signals", {"account_id": "A", "kind": "funding", "happened_on": "2026-06-01"}),
    ]
    found = built(*rows, routing={"procurement_signals": ["rfp"]}).buyers
    assert found["account_id"].tolist() == ["A", "B"]
    assert found["sponsor_areas"].fillna("").tolist() == ["data\nsales", ""]
    assert [None if pd.isna(day) else str(day.date()) for day in found["procurement_on"]] == [None, "2026-05-01"]
    assert built(*rows).buyers["account_id"].tolist() == ["A"]


def test_starts_of_the_month_count_plans_that_were_known():
    def implementation(product, start, known):
        row = {"account_id": "A", "product_id": product, "start_on": start, "known_at": known}
        return "implementations", row

    rows = [
        implementation("crm", "2026-06-01", "2026-05-20"),
        implementation("crm", "2026-06-30", "2026-06-10"),
        implementation("desk", "2026-06-29", "2026-06-30"),
        implementation("crm", "2026-05-31", "2026-05-20"),
        implementation("crm", "2026-07-01", "2026-06-10"),
    ]
    assert values(built(*rows).starts, "product_id", "starts") == [("crm", 2)]


def test_without_implementations_paid_starts_count():
    rows = [
        subscription("A", "crm", "2026-06-01"),
        subscription("B", "crm", "2026-06-29"),
        subscription("B", "desk", "2026-06-29", is_trial=True),
        subscription("A", "desk", "2026-06-30"),
    ]
    assert values(built(*rows).starts, "product_id", "starts") == [("crm", 2)]


def test_a_company_with_nothing_but_subscriptions_has_no_history():
    found = built()
    for name in ("deals", "plays", "endings", "closes", "upsells", "limits", "buyers", "starts"):
        assert getattr(found, name).empty
