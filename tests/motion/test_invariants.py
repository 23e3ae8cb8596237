"""What must hold of every night, whatever the company looks like."""

from __future__ import annotations

import datetime as dt

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_affinity.motion import build_history
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.schema.lists import DISPOSITIONS
from product_affinity.spine.pairs import SCORED
from tests.company import account, company, opportunity, subscription
from tests.motion.nights import AS_OF, PRODUCTS, STATES, days_ago, history, night, pair

ACCOUNTS = "ABCDEFG"
RULES = {
    "gap_days": 45, "not_now_days": 90, "not_a_fit_days": 365, "lost_days": 180, "accepted_days": 90,
    "contacted_days": 30, "upsell_first_from": 0.85, "upsell_waits_to": 0.6, "campaign_tiers": [3],
    "quarter_plan": {"tiers": [1]},
}  # fmt: skip
ROUTES = {"specialist_quadrants": ["specialist"], "hand_off_above_usd": 6000, "ae_plays": 2, "specialist_plays": 1}
few_days = st.integers(1, 400)
keys = {"account_id": st.sampled_from(ACCOUNTS), "product_id": st.sampled_from(PRODUCTS)}


def lines(unique=("account_id", "product_id"), most=5, **columns):
    return st.lists(
        st.fixed_dictionaries(columns), max_size=most, unique_by=lambda row: tuple(row[name] for name in unique)
    )


nights = st.fixed_dictionaries(
    {
        "rows": lines(
            most=18,
            **keys,
            value_usd=st.one_of(st.floats(-100, 1000), st.just(float("nan"))),
            expected_arr_usd=st.sampled_from([5000.0, 7000.0]),
            quadrant=st.sampled_from([None, "primary", "specialist", "problem_first", "net_new"]),
            ready=st.sampled_from(["pass", "pass", "fail", "unknown"]),
            problem_id=st.sampled_from([None, "p"]),
            stakeholder_id=st.sampled_from([None, "s"]),
            request_on=st.sampled_from([None, None, None, "2026-06-01"]),
        ),
        "accounts": st.fixed_dictionaries(
            {
                name: st.fixed_dictionaries(
                    {
                        "tier": st.sampled_from([1, 2, 2, 3]),
                        "owner_id": st.sampled_from("op"),
                        "do_not_contact": st.sampled_from([None, False, False, True]),
                        "safety": st.sampled_from(["pass", "pass", "pass", "fail", "unknown", "confirm"]),
                        "tenure_months": st.sampled_from([3.0, 9.0, 30.0]),
                    }
                )
                for name in ACCOUNTS
            }
        ),
        "deals": lines(most=2, **keys, since_on=few_days),
        "plays": lines(
            most=3,
            **keys,
            status=st.sampled_from(["accepted", "meeting", "contacted"]),
            owner_id=st.sampled_from(["o", "p", None]),
            since_on=few_days,
        ),
        "endings": lines(
            ("account_id", "product_id", "status"),
            **keys,
            status=st.sampled_from(["not_now", "not_a_fit", "lost"]),
            noted_on=few_days,
            follow_up_on=st.one_of(st.none(), st.integers(-200, 200)),
        ),
        "closes": lines(("account_id",), most=3, **keys, status=st.just("won"), closed_on=few_days),
        "limits": lines(("account_id",), most=4, **keys, limit_share=st.floats(0, 1.2), reached_on=few_days),
        "previous": lines(most=4, **keys),
        "plays_per_owner": st.integers(1, 3),
        "mode": st.sampled_from(["off", "on", "measure_only"]),
        "slots": st.integers(0, 3),
    }
)


def dated(rows):
    return [
        {name: days_ago(value) if name.endswith("_on") and value is not None else value for name, value in row.items()}
        for row in rows
    ]


def decided(drawn, rows):
    return night(
        *rows,
        past=history(**{name: dated(drawn[name]) for name in ("deals", "plays", "endings", "closes", "limits")}),
        sequencing=RULES,
        routing=ROUTES,
        plays=drawn["plays_per_owner"],
        mode=drawn["mode"],
        previous=pd.DataFrame(drawn["previous"], columns=["account_id", "product_id"]).astype("str"),
        products={"crm": {"implementation_slots_per_month": drawn["slots"]}},
    )


def rows_of(drawn):
    deals = {(deal["account_id"], deal["product_id"]) for deal in drawn["deals"]}
    found = []
    for row in drawn["rows"]:
        key = (row["account_id"], row["product_id"])
        status = "in_pipeline" if key in deals else "white_space"
        changes = {name: value for name, value in row.items() if name not in ("account_id", "product_id", "value_usd")}
        found.append(pair(*key, row["value_usd"], status=status, **changes, **drawn["accounts"][key[0]]))
    return found


def waits(drawn, line):
    """The waiting rules once more, as plain arithmetic on one pair."""
    for ending in drawn["endings"]:
        if (ending["account_id"], ending["product_id"]) != (line.account_id, line.product_id):
            continue
        left = RULES[f"{ending['status']}_days"] - ending["noted_on"]
        if ending["status"] != "not_a_fit" and ending["follow_up_on"] is not None:
            left = -ending["follow_up_on"]
        if left > 0:
            return True
    return any(close["account_id"] == line.account_id and close["closed_on"] < 45 for close in drawn["closes"])


def is_running(drawn, account_id):
    silent = {"accepted": 90, "contacted": 30, "meeting": 10**6}
    return any(deal["account_id"] == account_id for deal in drawn["deals"]) or any(
        play["account_id"] == account_id and play["since_on"] < silent[play["status"]] for play in drawn["plays"]
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nights, st.randoms(use_true_random=False))
def test_nothing_disappears_and_the_promises_hold(drawn, random):
    rows = rows_of(drawn)
    decision = decided(drawn, rows)
    found = decision.decided
    # every pair exactly one disposition, so the counts add up to the white space
    assert found["disposition"].isin(DISPOSITIONS).all()
    assert len(found) == len(rows)

    offered = found[found["disposition"].isin(["listed", "campaign"])]
    assert offered["account_id"].is_unique
    assert not offered["status"].eq("in_pipeline").any()
    assert (offered["value_usd"] > 0).all()
    assert not offered["do_not_contact"].eq(True).any()
    assert offered["safety"].map(STATES).isin([1, -1]).all()
    assert not offered["safety"].isin(["fail", "unknown"]).any()
    assert not offered["quadrant"].eq("net_new").any()
    assert (offered["ready"].eq("pass") | offered["request_on"].notna()).all()
    assert not any(waits(drawn, line) or is_running(drawn, line.account_id) for line in offered.itertuples())

    # slots: what is in flight counts first, and no pool gives more than it has
    listed, running = found[found["disposition"].eq("listed")], found[found["disposition"].eq("in_flight")]
    for pool, most in {
        "o": drawn["plays_per_owner"],
        "p": drawn["plays_per_owner"],
        "_ae": 2,
        "_specialist": 1,
    }.items():
        used = running.loc[running["slot_owner"].eq(pool), "account_id"].nunique()
        assert listed["slot_owner"].eq(pool).sum() <= max(most - used, 0)
    assert listed["product_id"].eq("crm").sum() <= drawn["slots"]

    # what is held back is told with its reason; the first one is the first of all
    held = found[found["disposition"].isin(["watchlist", "net_new", "in_flight"])]
    assert held[["first_gate", "evidence", "unblocked_by", "all_gates"]].notna().all(axis=None)
    assert all(line.all_gates.split(", ")[0] == line.first_gate for line in held.itertuples())
    assert found.loc[~found.index.isin(held.index), ["first_gate", "all_gates"]].isna().all(axis=None)

    # the hold-back: nobody who is held back is offered anything, and only new rows that nobody asked for are drawn
    arms = decision.draws.set_index("account_id")["arm"] if len(decision.draws) else pd.Series(dtype=object)
    assert arms.index.is_unique
    behind = set(found.loc[found["disposition"].eq("held_back"), "account_id"])
    assert behind == (set(arms[arms.eq("held_back")].index) if drawn["mode"] == "on" else set())
    assert not behind & set(offered["account_id"])
    drawn_rows = found[found["account_id"].isin(arms.index) & found["disposition"].isin(["listed", "held_back"])]
    assert len(drawn_rows) == len(arms)
    assert not (drawn_rows["incumbent"] | drawn_rows["is_request"]).any()

    # another order of the rows changes nothing
    again = decided(drawn, random.sample(rows, len(rows)))
    keys = ["account_id", "product_id"]
    columns = [*keys, "disposition", "all_gates", "slot_owner"]
    pd.testing.assert_frame_equal(
        found[columns].sort_values(keys, ignore_index=True), again.decided[columns].sort_values(keys, ignore_index=True)
    )
    pd.testing.assert_frame_equal(decision.draws, again.draws)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 120), st.sampled_from([None, "2026-08-01", "2026-06-30"]))
def test_a_not_now_does_not_return_before_its_date(ago, follow_up):
    noted = AS_OF - dt.timedelta(days=ago)
    returns = dt.date.fromisoformat(follow_up) if follow_up else noted + dt.timedelta(days=90)
    row = {"account_id": "A", "product_id": "crm", "status": "not_now", "noted_on": noted, "follow_up_on": follow_up}
    found = night(pair(), past=history(endings=[row]), sequencing=RULES).decided.iloc[0]
    assert (found["disposition"] == "listed") == (returns <= AS_OF)
    if returns > AS_OF:
        assert found["unblocked_on"].date() == returns


def test_a_deal_opened_last_night_is_seen_tonight_and_its_account_left_alone():
    rows = [account("A"), subscription("A", "mail", "2024-01-01")]
    deal = opportunity("1", "A", "crm", "2026-06-29")
    for facts, expected in ((company(*rows), "listed"), (company(*rows, deal), "watchlist")):
        past = build_history(facts, Sequencing(), Routing(), AS_OF)
        assert night(pair("A", "desk"), past=past).decided["disposition"].tolist() == [expected]


def test_only_scored_pairs_are_decided():
    # owned and ineligible pairs have no score, so they cannot reach a list
    assert set(SCORED) == {"white_space", "in_pipeline"}
