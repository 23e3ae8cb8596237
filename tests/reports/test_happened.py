from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.reports.happened import build_happened
from tests.company import account, company, opportunity, subscription
from tests.reports.builders import pair_rows

UNTIL = dt.date(2026, 6, 30)


def became(*rows, as_of="2025-01-01", until=UNTIL, is_winback=False) -> dict[str, object]:
    facts = company(account("A"), subscription("A", "base", "2020-01-01"), *rows)
    pairs = pair_rows(("A", "crm", as_of), is_winback=is_winback)
    found = build_happened(facts, pairs, horizon_days=90, maturity_days=7, observed_until=until)
    return {name: None if pd.isna(value) else int(value) for name, value in found.iloc[0].items()}


def test_nothing_happened():
    assert became() == {"adopted": 0, "opened": 0, "won": None, "churned": None}


@pytest.mark.parametrize(
    ("start", "adopted"), [("2025-01-01", 1), ("2025-03-31", 1), ("2025-04-01", 0), ("2024-12-31", 0)]
)
def test_adoption_counts_from_the_date_to_the_day_before_the_horizon_ends(start, adopted):
    assert became(subscription("A", "crm", start))["adopted"] == adopted


@pytest.mark.parametrize(
    ("end", "churned"), [(None, 0), ("2026-01-10", 0), ("2026-01-09", 1), ("2025-03-01", 1), ("2027-01-01", 0)]
)
def test_churn_is_not_running_on_the_last_of_365_days(end, churned):
    assert became(subscription("A", "crm", "2025-01-10", end))["churned"] == churned


def test_a_renewal_is_no_churn_and_a_gap_at_the_end_is():
    first = subscription("A", "crm", "2025-01-10", "2025-07-01")
    assert became(first, subscription("A", "crm", "2025-07-01"))["churned"] == 0
    assert became(first, subscription("A", "crm", "2026-02-01"))["churned"] == 1


@pytest.mark.parametrize(("until", "churned"), [("2026-01-16", None), ("2026-01-17", 1)])
def test_churn_is_missing_until_the_year_and_the_lag_are_over(until, churned):
    # 2025-01-10 + 365 days + 7 = 2026-01-17
    row = subscription("A", "crm", "2025-01-10", "2025-02-01")
    assert became(row, until=dt.date.fromisoformat(until))["churned"] == churned


def test_an_open_horizon_is_missing_for_everything_adopters_and_winners_included():
    found = became(
        subscription("A", "crm", "2026-05-01"),
        opportunity("O", "A", "crm", "2026-04-15", closed_on="2026-05-01", result="won"),
        as_of="2026-04-10",
    )
    assert found == {"adopted": None, "opened": None, "won": None, "churned": None}


@pytest.mark.parametrize(("result", "won"), [("won", 1), ("lost", 0)])
def test_the_first_opportunity_of_the_window_counts(result, won):
    other = "lost" if result == "won" else "won"
    found = became(
        opportunity("O-early", "A", "crm", "2024-12-31", closed_on="2025-02-01", result=other),
        opportunity("O-1", "A", "crm", "2025-01-20", closed_on="2025-03-01", result=result),
        opportunity("O-2", "A", "crm", "2025-02-20", closed_on="2025-02-25", result=other),
    )
    assert (found["opened"], found["won"]) == (1, won)


@pytest.mark.parametrize(
    "changes",
    [
        {"closed_on": None, "result": None},
        {"closed_on": "2026-07-15", "result": "won"},  # closes on a day that lies ahead
    ],
)
def test_an_opportunity_still_open_is_opened_and_neither_won_nor_lost(changes):
    found = became(opportunity("O", "A", "crm", "2025-01-20", **changes))
    assert (found["opened"], found["won"]) == (1, None)


@pytest.mark.parametrize(
    ("created", "kind"), [("2025-01-20", "upsell"), ("2025-04-01", "cross_sell"), ("2024-12-31", "cross_sell")]
)
def test_upsells_and_other_windows_do_not_count(created, kind):
    row = opportunity("O", "A", "crm", created, kind=kind, closed_on="2025-04-20", result="won")
    assert became(row)["opened"] == 0


def test_a_product_taken_up_again_is_measured_from_the_new_start():
    rows = (subscription("A", "crm", "2022-01-01", "2023-01-01"), subscription("A", "crm", "2025-02-01", "2025-03-01"))
    assert became(*rows, is_winback=True) == {"adopted": 1, "opened": 0, "won": None, "churned": 1}


def test_rows_keep_their_order_and_index():
    facts = company(
        account("A"), account("B"), subscription("A", "crm", "2025-01-05"), subscription("B", "crm", "2026-01-01")
    )
    pairs = pair_rows(("B", "crm", "2025-01-01"), ("A", "crm", "2025-01-01")).set_axis([7, 3])
    found = build_happened(facts, pairs, horizon_days=90, maturity_days=7, observed_until=UNTIL)
    assert found["adopted"].to_dict() == {7: 0, 3: 1}
