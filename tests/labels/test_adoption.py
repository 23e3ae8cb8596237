from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.labels import label_adoption
from tests.company import account, company, subscription

AS_OF = pd.Timestamp("2026-01-31")
UNTIL = dt.date(2026, 6, 30)


def label(*rows, until=UNTIL, is_winback=False, horizon_days=90, **options):
    pairs = pd.DataFrame(
        {"account_id": ["A"], "product_id": ["mail"], "as_of": [AS_OF], "is_winback": [is_winback]}, index=[7]
    )
    facts = company(account("A"), *rows, **options)
    found = label_adoption(facts, pairs, horizon_days=horizon_days, maturity_days=7, observed_until=until)
    assert found.index.tolist() == [7]
    return found.iloc[0]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("2026-01-30", 0), ("2026-01-31", 1), ("2026-04-30", 1), ("2026-05-01", 0)],
)
def test_the_window_is_half_open(start, expected):
    # 31 January + 90 days is 1 May, the first day that is outside
    assert label(subscription("A", "mail", start)) == expected


def test_trials_and_free_rows_are_no_adoption():
    assert label(subscription("A", "mail", "2026-02-10", is_trial=True)) == 0
    assert label(subscription("A", "mail", "2026-02-10", arr_usd=0.0)) == 0
    assert label(subscription("A", "mail", "2026-02-10", arr_usd=0.0, one_time=True)) == 1


@pytest.mark.parametrize(("until", "is_open"), [("2026-05-07", True), ("2026-05-08", False)])
def test_an_open_horizon_is_missing_for_adopters_too(until, is_open):
    # 31 January + 90 + 7 days is 8 May
    day = dt.date.fromisoformat(until)
    assert (label(subscription("A", "mail", "2026-02-10"), until=day) is pd.NA) is is_open
    assert (label(until=day) is pd.NA) is is_open


def test_only_the_first_start_counts_unless_it_is_a_winback():
    rows = [subscription("A", "mail", "2024-01-01", "2024-06-01"), subscription("A", "mail", "2026-02-10")]
    assert label(*rows) == 0
    assert label(*rows, is_winback=True) == 1


def test_a_start_that_was_known_after_the_run_does_not_count():
    row = subscription("A", "mail", "2026-02-10", known_at="2026-06-30 00:00")
    assert label(row) == 0
    assert label(row, until=dt.date(2026, 7, 1)) == 1


def test_an_account_that_leaves_without_adopting_is_a_zero():
    assert label(subscription("A", "crm", "2024-01-01", "2026-02-15")) == 0


day = st.integers(min_value=-40, max_value=140)


@settings(max_examples=40, deadline=None)
@given(
    starts=st.lists(st.tuples(day, st.booleans()), max_size=4),
    horizon=st.integers(1, 120),
    until=st.integers(0, 250),
)
def test_agrees_with_a_slow_obvious_oracle(starts, horizon, until):
    rows = [
        subscription("A", "mail", str((AS_OF + pd.Timedelta(days=offset)).date()), is_trial=is_trial)
        for offset, is_trial in {offset: (offset, is_trial) for offset, is_trial in starts}.values()
    ]
    until_day = (AS_OF + pd.Timedelta(days=until)).date()
    kept = {offset: is_trial for offset, is_trial in starts}
    paid = [offset for offset, is_trial in kept.items() if not is_trial and offset < until]
    expected = pd.NA if horizon + 7 > until else int(bool(paid) and 0 <= min(paid) < horizon)
    found = label(*rows, until=until_day, horizon_days=horizon)
    assert (found is pd.NA and expected is pd.NA) or found == expected


def test_keeps_the_order_of_the_rows():
    names = [f"A{k}" for k in range(50)]
    adopters = set(np.random.default_rng(3).choice(names, 20, replace=False))
    facts = company(*[account(n) for n in names], *[subscription(n, "mail", "2026-02-10") for n in adopters])
    pairs = pd.DataFrame({"account_id": names[::-1], "product_id": "mail", "as_of": AS_OF, "is_winback": False})
    found = label_adoption(facts, pairs, horizon_days=90, maturity_days=7, observed_until=UNTIL)
    assert found.tolist() == [int(n in adopters) for n in names[::-1]]
