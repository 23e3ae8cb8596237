from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.explain import Comparisons, family_shares, reasons_for
from product_affinity.models import PropensityClassifier
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
    return [None if pd.isna(cell) else cell for cell in found[["reason_1", "reason_2", "reason_3", "caution"]].iloc[0]]


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


def test_nothing_of_what_is_bad_is_no_caution():
    tickets = column("health", "tickets", "count", reason="{value:.0f} ticket(s)", said="against")
    for value, words in ((0.0, None), (2.0, "2 tickets")):
        found = told([tickets], contributions=[-0.4], values=[value])
        assert found["caution"].astype(object).where(found["caution"].notna(), None).tolist() == [words]


def told(columns, contributions, values, comparisons=None):
    names = [c.name for c in columns]
    return reasons_for(
        pd.DataFrame([contributions], columns=names),
        pd.DataFrame(columns=names),
        pd.DataFrame([values], columns=names),
        columns,
        pd.Series(["crm"]),
        {"crm": "Sales CRM"},
        comparisons,
    )


def test_each_reason_says_whether_the_customer_may_hear_it():
    columns = (
        column("usage", "users", "mean", 28, reason="{value:.0f} users", sayable=True),
        column("health", "score", "last", reason="health score {value:.0f}"),
        column("fit", "owned", "count", reason="owns {value:.0f}", sayable=True),
    )
    found = told(columns, [0.3, 0.2, -0.1], [4.0, 80.0, 2.0])
    assert found["reason_1_sayable"].tolist() == [True]
    assert found["reason_2_sayable"].tolist() == [False]
    assert found["reason_3_sayable"].isna().all()
    assert found["caution_sayable"].tolist() == [True]
    assert str(found["caution_sayable"].dtype) == "boolean"


def test_a_sentence_that_cannot_be_finished_leaves_the_word_to_the_next_column():
    columns = (
        column("usage", "users", "mean", 28, reason="{value:.0f} users, {previous.usage_users_mean_28d:.0f} before"),
        column("usage", "events", "sum", 28, reason="{value:.0f} events[, {since:%B %Y}]"),
    )
    cells = pd.DataFrame({"previous.usage_users_mean_28d": [np.nan]})
    compared = Comparisons(dt.date(2026, 6, 30), dt.date(2026, 4, 30), cells)
    assert told(columns, [0.3, 0.2], [4.0, 90.0])["reason_1"].tolist() == ["90 events"]
    assert told(columns, [0.3, 0.2], [4.0, 90.0], compared)["reason_1"].tolist() == ["90 events, April 2026"]
    compared = Comparisons(compared.as_of, compared.since, cells.fillna(3.0))
    assert told(columns, [0.3, 0.2], [4.0, 90.0], compared)["reason_1"].tolist() == ["4 users, 3 before"]


def test_family_shares_and_the_average_company_add_up_to_the_row():
    contributions = pd.DataFrame([[0.2, 0.5, -0.3, 0.7, 0.1]], columns=NAMES).assign(is_winback=0.05, baseline=-4.0)
    average = pd.DataFrame([[0.1, 0.1, 0.1, 0.1, 0.1, 0.01]], columns=[*NAMES, "is_winback"], index=["crm"])
    found = family_shares(contributions, average, COLUMNS, pd.Series(["A"]), pd.Series(["crm"]))
    assert found[["account_id", "product_id"]].drop_duplicates().to_numpy().tolist() == [["A", "crm"]]
    shares = dict(zip(found["family"], found["share"].round(12), strict=True))
    assert shares == {
        "baseline": -4.0 + 0.5 + 0.01,
        "commercial": 0.0,
        "fit": 0.6,
        "health": -0.4,
        "is_winback": 0.04,
        "usage": 0.5,
    }


def test_shares_are_those_of_the_classifier_and_of_its_probability():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1200, 3)), columns=NAMES[:3]).assign(base=rng.normal(-3, 0.3, 1200))
    product = np.array(["crm", "desk"])[rng.integers(0, 2, 1200)]
    y = rng.random(1200) < 1 / (1 + np.exp(-(X["base"] + 2 + X[NAMES[0]])))
    model = PropensityClassifier(n_seeds=1, offset="base").fit(X, y.astype(int), product=product)
    rows, of = X.head(50), pd.Series(product[:50])
    contributions = model.contributions(rows, product=product[:50])
    average = contributions.drop(columns="baseline").groupby(product[:50]).mean()
    accounts = pd.Series([f"A-{k}" for k in range(50)])
    shares = family_shares(contributions, average, COLUMNS, accounts, of)
    added = shares.groupby("account_id", sort=False)["share"].sum().to_numpy()
    proba = model.predict_proba(rows, product=product[:50])[:, 1]
    np.testing.assert_allclose(added, np.log(proba / (1 - proba)), atol=1e-9)
    of_usage = shares[shares["family"].eq("usage")]["share"].to_numpy()
    expected = contributions[NAMES[:2]].sum(axis=1).to_numpy() - average.loc[of, NAMES[:2]].sum(axis=1).to_numpy()
    np.testing.assert_allclose(of_usage, expected, atol=1e-12)
    relative = shares[~shares["family"].eq("baseline")].groupby(["product_id", "family"])["share"].mean()
    np.testing.assert_allclose(relative, 0.0, atol=1e-12, err_msg="nobody is above average on average")


def test_no_rows_give_no_reasons_and_no_shares():
    empty = pd.DataFrame(columns=[*NAMES, "baseline"], dtype=float)
    none = pd.Series([], dtype="str")
    found = reasons_for(empty, pd.DataFrame(columns=NAMES), empty[NAMES], COLUMNS, none, {})
    assert len(found) == 0
    assert "reason_3_sayable" in found
    assert family_shares(empty, pd.DataFrame(columns=NAMES), COLUMNS, none, none).empty


@pytest.mark.parametrize(
    ("said", "value", "contribution", "speaks"),
    [
        ("more", 80.0, 0.3, True),
        ("more", 70.0, 0.3, False),
        ("more", 80.0, -0.3, False),
        ("more", 60.0, -0.3, True),
        ("less", 80.0, 0.3, False),
        ("less", 60.0, 0.3, True),
        ("less", 80.0, -0.3, True),
        ("less", 60.0, -0.3, False),
        ("less", 0.0, 0.3, False),
        ("for", 60.0, -0.3, False),
        ("against", 60.0, 0.3, False),
        ("both", 60.0, 0.3, True),
    ],
)
def test_a_value_speaks_on_the_side_of_what_is_typical(said, value, contribution, speaks):
    score = column("health", "score", "last", reason="health score {value:.0f}", said=said)
    typical = pd.DataFrame({"typical.health_score_last": [70.0]})
    compared = Comparisons(dt.date(2026, 6, 30), dt.date(2026, 4, 30), typical)
    found = told([score], [contribution], [value], compared)
    assert found[["reason_1", "caution"]].notna().any(axis=None) == speaks
    unknown = Comparisons(compared.as_of, compared.since, typical * np.nan)
    freely = said in ("more", "less") and not (value == 0 and contribution > 0)
    assert told([score], [contribution], [value], unknown).notna().any(axis=None) == (speaks or freely)


@pytest.mark.parametrize(
    ("effect", "before", "words"),
    [(1.0, 9.0, "used 12 times, up from 9"), (1.0, 43.0, "used 12 times"), (-1.0, 43.0, "used 12 times, down from 43"),
     (-1.0, 9.0, "used 12 times")],
)  # fmt: skip
def test_an_earlier_value_that_speaks_for_the_other_side_is_left_out(effect, before, words):
    uses = column(
        "usage", "uses", "sum", 28, reason="used {value:.0f} times[, {moved} {previous.usage_uses_sum_28d:.0f}]"
    )
    cells = pd.DataFrame({f"previous.{uses.name}": [before]})
    found = reasons_for(
        pd.DataFrame({uses.name: [effect], "baseline": [-4.0]}),
        pd.DataFrame({uses.name: [0.0]}, index=["crm"]),
        pd.DataFrame({uses.name: [12.0]}),
        (uses,),
        pd.Series(["crm"]),
        {"crm": "Sales CRM"},
        Comparisons(dt.date(2026, 6, 30), dt.date(2026, 4, 30), cells),
    ).iloc[0]
    assert found["reason_1" if effect > 0 else "caution"] == words
