"""Whatever comes in: rows balance, an obvious oracle agrees on the good ones, row order is nothing."""

from __future__ import annotations

import datetime as dt
import random

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.rows import check

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account_id": st.sampled_from(["A-1", "A-2", "A-3", ""]),
            "product_id": st.sampled_from(["crm", "ads", "crm", "NA"]),
            "start_on": st.sampled_from(["2025-01-01", "2025-01-02", "03.01.2025", "1950-01-01", ""]),
            "end_on": st.sampled_from(["", "2025-01-01", "2026-01-01", "2024-01-01"]),
            "arr_usd": st.sampled_from(["", "1", "2", "-1", "x"]),
        }
    ),
    min_size=1,
    max_size=12,
)
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def is_good(row: dict[str, str]) -> bool:
    """The contract of a subscription, once more and without SQL."""
    if row["account_id"] not in ("A-1", "A-2") or row["product_id"] not in ("crm", "ads"):
        return False
    if row["start_on"] not in ("2025-01-01", "2025-01-02") or row["arr_usd"] not in ("", "1", "2"):
        return False
    end = row["end_on"]
    return not end or dt.date.fromisoformat(end) >= dt.date.fromisoformat(row["start_on"])


@SLOW
@given(ROWS)
def test_rows_balance_and_the_good_ones_are_used(rows):
    outcome = check("subscriptions", rows)
    report = outcome.checked.report
    assert report.rows_in == len(rows) == report.used + report.quarantined
    assert report.used == len(outcome.facts)
    assert report.quarantined == len(outcome.quarantine) == outcome.quarantine["_row"].nunique()
    good = [row for row in rows if is_good(row)]
    keys = {(row["account_id"], row["product_id"], row["start_on"]) for row in good}
    found = outcome.facts[["account_id", "product_id"]].assign(day=outcome.facts["start_on"].astype(str).str[:10])
    assert sorted(found.itertuples(index=False, name=None)) == sorted(keys)
    repeated = sum("another row" in text or "same key" in text for text in outcome.quarantine["_reason"])
    assert repeated == len(good) - len(keys)


@SLOW
@given(ROWS, st.integers(0, 10))
def test_the_order_of_the_file_changes_nothing(rows, seed):
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    assert check("subscriptions", rows).facts_bytes == check("subscriptions", shuffled).facts_bytes


@SLOW
@given(ROWS)
def test_what_was_used_passes_again_unchanged(rows):
    first = check("subscriptions", rows)
    columns = ["account_id", "product_id", "start_on", "end_on", "arr_usd"]
    again = check("subscriptions", first.facts[columns])
    assert again.checked.report.quarantined == 0
    pd.testing.assert_frame_equal(again.facts, first.facts)
