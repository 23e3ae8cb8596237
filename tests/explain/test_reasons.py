from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.explain import reasons_for
from product_affinity.project.feature_columns import column

COLUMNS = (
    column("usage", "users", "mean", 28, reason="{value:.0f} users a day over {window} days"),
    column("usage", "events", "sum", 28, reason="{value:.0f} events"),
    column("health", "tickets", "count", reason="{value:.0f} open ticket(s)"),
    column("fit", "price", "last", reason=None),
    column("commercial", "lost", "days_since", reason="declined {value:.0f} days ago", said="against"),
)
NAMES = [c.name for c in COLUMNS]
VALUES = [40.0, 900.0, 1.0, 12_000.0, 30.0]


def reasons(contributions, values=VALUES, average=(0.0,) * 5):
    rows = pd.DataFrame([contributions], columns=NAMES)
    found = reasons_for(
        rows.assign(baseline=-4.0),
        pd.DataFrame([average], columns=NAMES, index=["crm"]),
        pd.DataFrame([values], columns=NAMES),
        COLUMNS,
        pd.Series(["crm"]),
        {"crm": "Sales CRM"},
    )
    assert list(found.columns) == ["reason_1", "reason_2", "reason_3", "caution"]
    return [None if pd.isna(cell) else cell for cell in found.iloc[0]]


def test_a_family_speaks_once_with_its_strongest_column():
    assert reasons([0.2, 0.5, -0.3, 0.0, 0.0]) == ["900 events", None, None, "1 open ticket"]


def test_families_are_ordered_by_their_sum():
    assert reasons([0.2, 0.2, 0.3, 0.0, 0.0])[:2] == ["900 events", "1 open ticket"]


def test_what_everybody_has_is_no_reason():
    assert reasons([0.2, 0.0, 0.3, 0.0, 0.0], average=(0.2, 0.0, 0.5, 0.0, 0.0)) == [
        None,
        None,
        None,
        "1 open ticket",
    ]


def test_the_column_must_point_the_way_of_its_family():
    # users pull down, events push up more: the family speaks for the row, with the events
    assert reasons([-0.4, 0.5, 0.0, 0.0, 0.0])[0] == "900 events"


def test_price_is_never_said():
    assert reasons([0.0, 0.0, 0.0, 0.9, 0.0]) == [None, None, None, None]


def test_a_refusal_speaks_against_a_row_only():
    assert reasons([0.0, 0.0, 0.0, 0.0, 0.4]) == [None, None, None, None]
    assert reasons([0.0, 0.0, 0.0, 0.0, -0.4]) == [None, None, None, "declined 30 days ago"]


def test_nothing_counted_speaks_for_no_row_and_a_missing_value_for_none():
    assert reasons([0.0, 0.0, 0.4, 0.0, 0.0], values=[40.0, 900.0, 0.0, 1.0, 30.0]) == [None] * 4
    assert reasons([0.0, 0.0, -0.4, 0.0, 0.0], values=[40.0, 900.0, 0.0, 1.0, 30.0])[3] == "0 open tickets"
    assert reasons([0.4, 0.0, 0.0, 0.0, 0.0], values=[np.nan, 900.0, 0.0, 1.0, 30.0]) == [None] * 4


def test_a_product_without_an_average_is_compared_with_nothing():
    found = reasons_for(
        pd.DataFrame([[0.5, 0.0, 0.0, 0.0, 0.0]], columns=NAMES),
        pd.DataFrame(columns=NAMES),
        pd.DataFrame([VALUES], columns=NAMES),
        COLUMNS,
        pd.Series(["new"]),
        {"new": "New"},
    )
    assert found["reason_1"].tolist() == ["40 users a day over 28 days"]
