"""Fitted baselines as data: the same scores after a trip through JSON, and contributions that add up."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from product_affinity.backtest.baselines import DefaultLightGBM, Logistic, Popularity, available_baselines
from product_affinity.backtest.fitted import FittedRates, FittedScore, fitted_from
from tests.backtest.worlds import COLUMNS, company

LINEUP = available_baselines(COLUMNS, ("scorecard_points",))[0]
WITHOUT_RATE = tuple(column for column in COLUMNS if column.role != "offset")


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    rows = company(accounts=80)
    return rows[rows["adopted"].notna()].reset_index(drop=True)


def through_json(fitted):
    return fitted_from(json.loads(json.dumps(fitted.model_dump(mode="json"), sort_keys=True)))


@pytest.mark.parametrize("columns", [COLUMNS, WITHOUT_RATE])
@pytest.mark.parametrize("name", list(LINEUP))
def test_json_keeps_every_bit_and_contributions_add_up_to_the_log_odds(closed, name, columns):
    fitted = LINEUP[name]().fit(closed, columns)
    assert set(LINEUP[name]().reads(columns)) >= set(fitted.inputs)
    rows = pd.concat([closed.tail(50), closed.tail(1).assign(product_id="never seen")])
    p = fitted.predict(rows)
    read = through_json(fitted)
    assert (read.predict(rows) == p).all()
    shares = read.contributions(rows)
    assert shares.sum(axis=1).to_numpy() == pytest.approx(np.log(p / (1 - p)), abs=1e-9)
    assert set(shares.columns) == {*fitted.inputs, "baseline"}
    assert list(shares.index) == list(rows.index)


def test_a_contribution_is_measured_against_the_median_and_an_unknown_value_weighs_nothing():
    fitted = FittedScore(score="value", columns=("x",), references=(2.0,), median=2.0, intercept=-1.0, slope=0.5)
    shares = fitted.contributions(pd.DataFrame({"x": [2.0, 4.0, np.nan, 0.0]}))
    assert shares["x"].tolist() == [0.0, 1.0, 0.0, -1.0]
    assert shares["baseline"].tolist() == [0.0] * 4


def test_points_times_affinity_are_shared_out_by_shapley():
    # f(points, share) = log(points/100 · share + .001), against f(50, .2): averaged over both orders, by hand
    fitted = FittedScore(
        score="points_times_share",
        columns=("p", "a"),
        references=(50.0, 0.2),
        median=float(np.log(0.101)),
        intercept=0.0,
        slope=1.0,
    )
    row = fitted.contributions(pd.DataFrame({"p": [100.0], "a": [0.4]})).iloc[0]
    alone, both = np.log(0.201 / 0.101), np.log(0.401 / 0.101)
    assert row["p"] == pytest.approx((alone + (both - alone)) / 2)
    assert row["a"] == pytest.approx(both / 2)
    # a pair without points loses by them alone what the affinity could not bring
    none = fitted.contributions(pd.DataFrame({"p": [0.0], "a": [0.4]})).iloc[0]
    assert none["p"] == pytest.approx(((np.log(0.001) - np.log(0.101)) + (np.log(0.001) - np.log(0.201))) / 2)


def test_logistic_contributions_move_with_one_column_as_its_coefficient_says(closed):
    fitted = Logistic().fit(closed, WITHOUT_RATE)
    name = "commercial_affinity_max"
    row = closed[closed[name].notna()].head(1)
    at = fitted.numbers.index(name)
    step = fitted.coefficients[sum(fitted.varies[:at])] / fitted.scales[at] * 0.01
    moved = fitted.contributions(row.assign(**{name: row[name] + 0.01})) - fitted.contributions(row)
    assert moved[name].iloc[0] == pytest.approx(step)
    assert (moved.drop(columns=name).to_numpy() == 0).all()


def test_rates_weigh_no_account(closed):
    fitted = Popularity().fit(closed, WITHOUT_RATE)
    assert isinstance(fitted, FittedRates)
    assert fitted.inputs == ()
    assert list(fitted.contributions(closed)) == ["baseline"]


def test_what_cannot_be_a_baseline_is_refused(closed):
    boosters = DefaultLightGBM().fit(closed, COLUMNS).model_dump(mode="json")
    product = next(name for name, model in boosters["models"].items() if isinstance(model, str))
    broken = {**boosters["models"], product: boosters["models"][product].replace("left_child=", "left_child=9999 ", 1)}
    logistic = Logistic().fit(closed, COLUMNS).model_dump(mode="json")
    rule = LINEUP["affinity"]().fit(closed, COLUMNS).model_dump(mode="json")
    for content in (
        {**boosters, "models": broken},
        {**boosters, "columns": boosters["columns"][:-1]},
        {**logistic, "coefficients": logistic["coefficients"][:-1]},
        {**logistic, "scales": [0.0, *logistic["scales"][1:]]},
        {**rule, "slope": -1.0},
        {**rule, "median": float("nan")},
        {**rule, "score": "points_times_share"},
        {**rule, "score": "eval"},
        {**rule, "more": 1},
        {"kind": "pickle"},
        {},
    ):
        with pytest.raises(ValueError, match=r"."):
            fitted_from(content)


def test_a_fitted_baseline_does_not_change():
    with pytest.raises(ValidationError, match="frozen"):
        FittedRates(rates={}, overall=0.1).overall = 0.2
