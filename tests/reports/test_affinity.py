from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from product_affinity.project.catalog import Adjacency
from product_affinity.reports.affinity import learn_affinity, shrinkage_strength
from product_affinity.reports.attempts import owned_at_opening, read_attempts
from product_affinity.reports.intervals import wilson
from product_affinity.reports.reference import AffinityReference
from tests.company import account, catalog, company, opportunity, subscription
from tests.reports.builders import outcome, play

AS_OF = dt.date(2026, 1, 1)
PRODUCTS = catalog("base", "crm", "desk")


def deal(number: int, result: str | None, days: int = 30, product: str = "crm", account_id: str | None = None, **more):
    created = pd.Timestamp("2025-03-01")
    closing = {"closed_on": str((created + pd.Timedelta(days=days)).date()), "result": result} if result else {}
    return opportunity(f"O-{number}", account_id or f"A{number}", product, "2025-03-01", **(closing | more))


def owners(count: int, product: str = "base"):
    return [row for n in range(count) for row in (account(f"A{n}"), subscription(f"A{n}", product, "2024-01-01"))]


def learn(*rows, reference=None, products=PRODUCTS, as_of=AS_OF) -> pd.DataFrame:
    found = learn_affinity(company(*rows), products, reference or AffinityReference(), as_of)
    return found.set_index(["owned_product", "target_product"])


def test_conversion_is_won_of_closed_with_its_interval():
    deals = [deal(n, "won") for n in range(3)] + [deal(n, "lost") for n in range(3, 8)] + [deal(8, None)]
    found = learn(*owners(9), *deals).loc[("base", "crm")]
    low, high = wilson(3, 8)
    assert found[["won", "lost", "open"]].tolist() == [3, 5, 1]
    assert found["conversion_rate"] == 3 / 8
    assert (found["conversion_low"], found["conversion_high"]) == (low, high)


def test_every_ordered_pair_of_the_catalogue_has_a_row():
    found = learn(*owners(1))
    assert list(found.index) == [(a, b) for a in PRODUCTS.product_ids for b in PRODUCTS.product_ids if a != b]
    assert found[["won", "lost", "open", "adopted"]].sum().sum() == 0
    assert found["conversion_rate"].isna().all()
    # nothing was tried at all: the rate of a target is that of all targets, 1/2 of one imagined attempt
    assert found["shrunk_rate"].tolist() == [pytest.approx(0.5)] * 6


def test_a_closed_won_moves_the_pair_up_and_a_closed_lost_moves_it_down():
    rows = [*owners(9), *(deal(n, "won" if n < 3 else "lost") for n in range(8))]
    before = learn(*rows).loc[("base", "crm")]
    won = learn(*rows, deal(8, "won")).loc[("base", "crm")]
    lost = learn(*rows, deal(8, "lost")).loc[("base", "crm")]
    assert lost["shrunk_rate"] < before["shrunk_rate"] < won["shrunk_rate"]
    assert (before["won"], won["won"], lost["lost"]) == (3, 4, 6)


def test_an_outcome_without_an_opportunity_counts_and_moves_it_too():
    rows = [*owners(9), *(deal(n, "won" if n < 3 else "lost") for n in range(8))]
    rows.append(play("P1", "A8", "crm", "2025-05-01"))
    before = learn(*rows).loc[("base", "crm")]
    won = learn(*rows, outcome("P1", "meeting", "2025-05-10"), outcome("P1", "won", "2025-06-01")).loc[("base", "crm")]
    assert (before["won"], won["won"]) == (3, 4)
    assert won["shrunk_rate"] > before["shrunk_rate"]
    assert won["days_to_close"] == before["days_to_close"] == 30


@pytest.mark.parametrize(("noted", "attempts"), [("2025-04-20", 1), ("2025-04-30", 1), ("2025-05-15", 2)])
def test_an_outcome_of_an_opportunity_is_not_counted_twice(noted, attempts):
    # the opportunity ran from 2025-03-01 to 2025-03-31; a play of 2025-05-10 is another attempt
    decided = "2025-03-10" if noted < "2025-05" else "2025-05-10"
    facts = company(
        *owners(1), deal(0, "won"), play("P1", "A0", "crm", decided), outcome("P1", "won", noted, as_of=decided)
    )
    assert len(read_attempts(facts, AS_OF)) == attempts


def test_outcomes_by_account_and_product_need_no_play():
    by_key = outcome(None, "lost", "2025-05-10", account_id="A0", product_id="crm", as_of="2025-05-01")
    found = read_attempts(company(*owners(1), by_key), AS_OF)
    assert found[["account_id", "product_id", "result", "source"]].values.tolist() == [["A0", "crm", "lost", "outcome"]]
    assert found["opened_on"].tolist() == [pd.Timestamp("2025-05-01")]


def test_the_last_word_on_a_play_counts():
    rows = [
        play("P1", "A0", "crm", "2025-05-01"),
        outcome("P1", "lost", "2025-05-10"),
        outcome("P1", "won", "2025-07-01"),
    ]
    found = read_attempts(company(*owners(1), *rows), AS_OF)
    assert found["result"].tolist() == ["won"]


def test_only_what_was_owned_when_the_attempt_began_counts():
    facts = company(
        account("A"),
        subscription("A", "base", "2024-01-01"),
        subscription("A", "desk", "2025-03-01"),  # on the day itself: not before
        subscription("A", "old", "2024-01-01", "2025-02-01"),
        subscription("A", "tried", "2024-01-01", is_trial=True),
        subscription("A", "crm", "2025-04-01"),
        opportunity("O", "A", "crm", "2025-03-01", closed_on="2025-04-01", result="won"),
    )
    paired = owned_at_opening(facts, read_attempts(facts, AS_OF), AS_OF)
    assert paired[["owned_product", "target_product", "result"]].values.tolist() == [["base", "crm", "won"]]


def test_what_happens_on_the_day_or_later_is_not_known():
    rows = [*owners(4), deal(0, "won"), deal(1, "lost", days=306), deal(2, None)]  # A1 closes on 2026-01-01
    found = learn(*rows).loc[("base", "crm")]
    later = [opportunity("O-9", "A3", "crm", "2026-01-01"), subscription("A3", "crm", "2026-01-01")]
    assert found[["won", "lost", "open"]].tolist() == [1, 0, 2]
    pd.testing.assert_series_equal(learn(*rows, *later).loc[("base", "crm")], found)


def test_upsells_and_first_sales_are_no_attempts_to_cross_sell():
    rows = [deal(0, "won", kind="upsell"), deal(1, "won", kind="new")]
    assert read_attempts(company(*owners(2), *rows), AS_OF).empty


def test_days_to_close_count_open_ones_as_open():
    deals = [deal(n, "won", days=(n + 1) * 10) for n in range(3)] + [deal(n, None) for n in range(3, 6)]
    found = learn(*owners(6), *deals).loc[("base", "crm")]
    # three of six are open after 306 days: half have closed by day 30, the last of the closed ones
    assert found["days_to_close"] == 30


def test_shrinkage_by_hand():
    deals = [deal(n, "won" if n < 6 else "lost") for n in range(8)]
    deals += [deal(n, "won" if n == 8 else "lost", product="desk") for n in range(8, 16)]
    found = learn(*owners(16), *deals)
    overall = (7 + 0.5) / (16 + 1)
    targets = np.array([6.0, 1.0]), np.array([8.0, 8.0]), np.full(2, overall)
    spread = sum(8 * (won / 8 - overall) ** 2 / (overall * (1 - overall)) for won in (6, 1)) / 2
    strength = 1 / ((spread - 1) / 7) - 1
    assert shrinkage_strength(*targets) == pytest.approx(strength)
    rate = (6 + strength * overall) / (8 + strength)
    # each target has one pair, so pairs differ from their targets by less than chance: the cap is what was seen
    k = 8 + strength
    row = found.loc[("base", "crm")]
    assert row["shrunk_rate"] == pytest.approx((6 + k * rate) / (8 + k))
    assert row["shrunk_low"] == pytest.approx(beta.ppf(0.025, 6 + k * rate, 2 + k * (1 - rate)))


def test_a_rare_pair_stays_near_its_target_and_a_common_one_near_itself():
    deals = [deal(n, "won" if n % 10 else "lost") for n in range(100)]  # owners of base convert at 90 %
    deals += [deal(n, "won" if n % 10 == 0 else "lost") for n in range(100, 200)]  # owners of desk at 10 %
    rows = [
        *owners(100),
        *(row for n in range(100, 200) for row in (account(f"A{n}"), subscription(f"A{n}", "desk", "2024-01-01"))),
    ]
    rows += [account("R"), subscription("R", "rare", "2024-01-01"), deal(999, "won", account_id="R")]
    found = learn(*rows, *deals, products=catalog("base", "crm", "desk", "rare"))
    assert found.loc[("base", "crm"), "shrunk_rate"] == pytest.approx(0.9, abs=0.03)
    assert found.loc[("desk", "crm"), "shrunk_rate"] == pytest.approx(0.1, abs=0.03)
    assert 0.5 < found.loc[("rare", "crm"), "shrunk_rate"] < 0.75


def test_attach_rate_is_of_those_active_now():
    rows = [*owners(5), *(subscription(f"A{n}", "crm", "2025-01-01") for n in range(2))]
    rows += [subscription("A2", "crm", "2025-01-01", "2025-06-01"), subscription("A3", "crm", "2026-01-01")]
    found = learn(*rows).loc[("base", "crm")]
    low, high = wilson(2, 5)
    assert found[["owners", "owners_of_both", "attach_rate"]].tolist() == [5, 2, 2 / 5]
    assert (found["attach_low"], found["attach_high"]) == (low, high)


def said(rate: float, days: float | None = None, **bands: dict[str, float]) -> AffinityReference:
    row = {"owned": "base", "target": "crm", "conversion_rate": rate, "days_to_close": days}
    return AffinityReference.model_validate({"reference": [row], "attach_bands": bands})


@pytest.mark.parametrize(
    ("reference", "differs"),
    [
        (said(0.3), ""),
        (said(0.8), "converts less than the reference"),
        (said(0.05), "converts more than the reference"),
        (said(0.3, days=90), "closes faster than the reference"),
        (said(0.3, days=5), "closes slower than the reference"),
        (said(0.3, days=30), ""),
        (said(0.3, primary={"low": 0.3, "high": 0.5}), "attached less than its quadrant promises"),
        (said(0.3, primary={"low": 0.0, "high": 0.1}), ""),
    ],
)
def test_a_disagreement_is_named_where_the_interval_excludes_what_was_said(reference, differs):
    near = {"adjacency": {"base": Adjacency(icp_overlap="high", workflow_integration="high").model_dump()}}
    deals = [deal(n, "won" if n < 12 else "lost") for n in range(40)]
    found = learn(*owners(40), *deals, reference=reference, products=catalog("base", "crm", crm=near))
    row = found.loc[("base", "crm")]
    assert (row["quadrant"], row["reference_rate"]) == ("primary", reference.reference[0].conversion_rate)
    assert row["differs"] == differs
    assert found.loc[("crm", "base"), "differs"] == ""


def test_a_prerequisite_is_owned_by_all_and_that_surprises_nobody():
    near = {"adjacency": {"crm": {"icp_overlap": "high", "workflow_integration": "high"}}}
    rows = [*owners(40), *(subscription(f"A{n}", "crm", "2025-01-01") for n in range(40))]
    reference = AffinityReference.model_validate({"attach_bands": {"primary": {"low": 0.1, "high": 0.5}}})
    more = "attached more than its quadrant promises"
    assert (
        learn(*rows, reference=reference, products=catalog("base", "crm", base=near)).loc[("crm", "base"), "differs"]
        == more
    )
    needed = catalog("base", "crm", base=near, crm={"prerequisites": ["base"]})
    assert learn(*rows, reference=reference, products=needed).loc[("crm", "base"), "differs"] == ""
