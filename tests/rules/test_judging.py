"""Conditions of gates and criteria over evidence made by hand."""

from __future__ import annotations

import datetime as dt
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.project.playbook.conditions import COMPARISONS, EvidenceCondition
from product_affinity.rules.criteria import FAIL, PASS, UNKNOWN
from product_affinity.rules.judging import join_all, join_any, judge, scope_of
from product_affinity.rules.months import months_between

NAN = np.nan
AS_OF = pd.Timestamp("2026-06-30")


def rows(**columns):
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


def condition(**said):
    return EvidenceCondition.model_validate(said)


def judged(evidence, tables=("tickets", "usage", "health"), **said):
    return judge(condition(**said), evidence, tables)


@pytest.mark.parametrize(
    ("bound", "states"),
    [
        ({"above": 2}, [FAIL, FAIL, PASS, UNKNOWN, PASS]),
        ({"at_least": 2}, [FAIL, PASS, PASS, UNKNOWN, PASS]),
        ({"below": 2}, [PASS, FAIL, FAIL, UNKNOWN, FAIL]),
        ({"at_most": 2}, [PASS, PASS, FAIL, UNKNOWN, FAIL]),
    ],
)
def test_bounds_below_at_above_unknown_and_never(bound, states):
    evidence = rows(open_urgent=[1.0, 2.0, 3.0, NAN, np.inf])
    assert judged(evidence, column="open_urgent", **bound).holds.tolist() == states


def test_texts():
    evidence = rows(segment=pd.Series(["smb", "enterprise", None], dtype="str"))
    assert judged(evidence, ("accounts",), column="segment", one_of=["smb"]).holds.tolist() == [PASS, FAIL, UNKNOWN]
    # the catalogue is the company's own word: what it does not say is no unknown
    quadrants = rows(quadrant=pd.Series(["problem_first", None], dtype="str"))
    assert judged(quadrants, column="quadrant", one_of=["problem_first"]).holds.tolist() == [PASS, FAIL]


def test_the_last_matching_override_counts():
    evidence = rows(
        open_urgent=[5.0] * 5,
        segment=pd.Series(["smb", "enterprise", "enterprise", None, "smb"], dtype="str"),
        product_id=pd.Series(["crm", "crm", "mail", "mail", "mail"], dtype="str"),
        rule_set=pd.Series(["motion", "motion", "motion", "motion", "playbook"], dtype="str"),
    )
    overrides = [
        {"segment": "enterprise", "bound": 1},
        {"product": "mail", "bound": 2},
        {"product": "mail", "segment": "enterprise", "bound": 3},
        {"rule_set": "playbook", "bound": 4},
    ]
    assert judged(evidence, column="open_urgent", above=0, overrides=overrides).bound.tolist() == [0, 1, 3, 2, 4]


def test_a_clock_takes_the_first_column_that_is_known():
    evidence = rows(implemented_months=[4.0, NAN, NAN], tenure_months=[9.0, 7.0, NAN])
    answer = judged(evidence, clock=["implementation_end", "first_purchase"], at_least=5)
    assert answer.value.tolist()[:2] == [4.0, 7.0]
    assert answer.holds.tolist() == [FAIL, PASS, UNKNOWN]
    assert answer.source.tolist()[:2] == [0, 1]


def test_absent_means_that_nobody_could_know():
    some, none = rows(open_urgent=[1.0, NAN]), rows(open_urgent=[NAN, NAN])
    assert not judged(some, column="open_urgent", above=0).absent
    assert judged(none, column="open_urgent", above=0).absent
    assert judged(some, (), column="open_urgent", above=0).absent
    assert judged(some, (), column="open_urgent", above=0).why_unknown == "no ticket feed"
    # scores expire: missing everywhere means that the feed stopped, which waves nobody through
    stopped = rows(account_health=[NAN, NAN])
    assert not judged(stopped, column="account_health", above=0).absent
    assert judged(stopped, (), column="account_health", above=0).absent


def test_joining_agrees_with_kleenes_logic():
    order = {FAIL: 0, UNKNOWN: 1, PASS: 2}
    value = {PASS: 1.0, FAIL: 0.0, UNKNOWN: NAN}
    for states in itertools.product(order, repeat=3):
        each = [judged(rows(open_urgent=[value[state]]), column="open_urgent", above=0) for state in states]
        assert join_all(each).tolist() == [min(states, key=order.get)]
        assert join_any(each).tolist() == [max(states, key=order.get)]


def test_scope_is_the_pair_as_soon_as_one_column_is():
    account, pair = condition(column="open_urgent", above=0), condition(column="core_adoption", below=0.6)
    assert scope_of([account]) == "account"
    assert scope_of([account, pair]) == "pair"
    by_segment = condition(column="open_urgent", above=0, overrides=[{"segment": "smb", "bound": 1}])
    by_product = condition(column="open_urgent", above=0, overrides=[{"product": "crm", "bound": 1}])
    assert (scope_of([by_segment]), scope_of([by_product])) == ("account", "pair")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 400), st.integers(0, 20), st.sampled_from(COMPARISONS), st.sampled_from(["days", "months"]))
def test_the_promised_day_is_the_first_on_which_the_answer_turns(age, bound, comparison, unit):
    """Against going through the days one by one."""
    since = AS_OF - pd.Timedelta(days=age)
    column = "escalated_days_ago" if unit == "days" else "tenure_months"

    def holds(on):
        days = float((on - since).days)
        months = months_between(*(np.array([day], dtype="datetime64[D]") for day in (since, on)))[0]
        evidence = rows(escalated_days_ago=[days], tenure_months=[months])
        evidence["escalated_on"] = evidence["customer_since_on"] = since
        return judged(evidence, ("subscriptions", "tickets"), column=column, **{comparison: bound})

    now = holds(AS_OF)
    wanted = now.holds[0] != PASS
    promised = now.turns_on(np.array([0]), wanted=wanted)[0]
    turns = comparison in ("above", "at_least") if wanted else comparison in ("below", "at_most")
    assert np.isnat(promised) != turns
    if turns:
        day = pd.Timestamp(promised.item())
        assert day > AS_OF
        assert (holds(day).holds[0] == PASS) == wanted
        assert (holds(day - dt.timedelta(days=1)).holds[0] == PASS) != wanted


def test_a_value_that_never_was_promises_no_day():
    evidence = rows(escalated_days_ago=[np.inf, NAN])
    evidence["escalated_on"] = pd.NaT
    answer = judged(evidence, column="escalated_days_ago", at_most=30)
    assert np.isnat(answer.turns_on(np.array([0, 1]), wanted=True)).all()
    assert np.isnat(answer.turns_on(np.array([0, 1]), wanted=False)).all()
