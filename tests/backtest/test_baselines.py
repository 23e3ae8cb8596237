"""Baselines against the rule each stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression

from product_affinity.backtest.baselines import (
    DefaultLightGBM,
    Logistic,
    Popularity,
    activity_column,
    available_baselines,
)
from product_affinity.models.metrics import calibration_in_the_large, roc_auc
from product_affinity.project.feature_columns import column
from tests.backtest.worlds import COLUMNS, company

OTHERS = ("scorecard_points",)
WITHOUT_RATE = tuple(c for c in COLUMNS if c.role != "offset")


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    rows = company(accounts=150)
    return rows[rows["adopted"].notna()].reset_index(drop=True)


@pytest.mark.parametrize("name", list(available_baselines(COLUMNS, OTHERS)[0]))
def test_each_gives_probabilities_that_add_up_in_training(closed, name) -> None:
    model = available_baselines(COLUMNS, OTHERS)[0][name]().fit(closed, COLUMNS)
    p = model.predict(closed)
    assert p.shape == (len(closed),)
    assert ((p > 0) & (p < 1)).all()
    assert calibration_in_the_large(closed["adopted"].astype(float), p) == pytest.approx(1.0, abs=0.1)
    # row order and a second fit change nothing
    again = available_baselines(COLUMNS, OTHERS)[0][name]().fit(closed, COLUMNS)
    assert (again.predict(closed.iloc[::-1])[::-1] == p).all()


def test_popularity_is_the_recent_rate_shrunk_by_twenty_rows() -> None:
    dates = pd.to_datetime(["2025-01-30", "2025-03-31"])
    rows = pd.DataFrame(
        {
            "product_id": ["crm"] * 10 + ["crm"] * 10 + ["desk"] * 10,
            "as_of": [dates[0]] * 10 + [dates[1]] * 20,
            "adopted": pd.Series([1] * 10 + [1] * 4 + [0] * 16, dtype="Int8"),
        }
    )
    # January lies 60 days before the last date, not less: only its part of the overall rate, 14/30, is used
    model = Popularity().fit(rows, ())
    seen = pd.DataFrame({"product_id": ["crm", "desk", "new"]})
    overall = 14 / 30
    expected = [(4 + 20 * overall) / 30, (0 + 20 * overall) / 30, overall]
    assert model.predict(seen) == pytest.approx(expected)


def test_popularity_ranks_no_account(closed) -> None:
    for columns in (COLUMNS, WITHOUT_RATE):
        p = pd.Series(Popularity().fit(closed, columns).predict(closed))
        assert np.ptp(p[closed["product_id"] == "crm"]) == 0
        assert p.groupby(closed["product_id"]).first().sort_values().index.tolist() == ["crm", "desk", "mail"]


def test_activity_and_affinity_keep_their_column_s_ranking(closed) -> None:
    lineup = available_baselines(COLUMNS, OTHERS)[0]
    affinity = lineup["affinity"]().fit(closed, COLUMNS).predict(closed)
    truth = closed["true_p"] > closed["true_p"].median()
    assert roc_auc(truth, affinity) == pytest.approx(roc_auc(truth, closed["commercial_affinity_max"]))
    activity = lineup["activity"]().fit(closed, COLUMNS).predict(closed)
    level = closed["usage_active_users_mean_28d"]
    same_level = level.fillna(level.median())
    order = np.argsort(same_level, kind="stable")
    steps = np.diff(activity[order])
    assert (steps >= -1e-15).all() or (steps <= 1e-15).all()


def test_the_scorecard_ranks_by_points_and_by_points_times_affinity() -> None:
    # by hand: 80 × .1 = 8, 40 × .3 = 12, 0 × .9 = 0, 100 × .05 = 5
    rows = pd.DataFrame(
        {
            "product_id": "crm",
            "as_of": pd.Timestamp("2025-01-31"),
            "scorecard_points": [80.0, 40.0, 0.0, 100.0] * 5,
            "commercial_affinity_max": [0.1, 0.3, 0.9, 0.05] * 5,
            "adopted": pd.Series([1, 1, 0, 0] * 5, dtype="Int8"),
        }
    )
    lineup = available_baselines(COLUMNS, OTHERS)[0]
    found = {name: lineup[name]().fit(rows, COLUMNS).predict(rows.head(4)) for name in lineup if "scorecard" in name}
    assert np.argsort(-found["scorecard"]).tolist() == [3, 0, 1, 2]
    assert np.argsort(-found["scorecard_affinity"]).tolist() == [1, 0, 3, 2]


def test_log_odds_affinity_becomes_a_share_before_points_multiply_it() -> None:
    name = "commercial_affinity_log_odds_sum"
    columns = (column("commercial", "affinity_log_odds_sum", grain="pair"),)
    # shares 1/2 and 1/10: 20 × 1/2 = 10 beats 90 × 1/10 = 9, though −2.2 × 90 would be far below
    rows = pd.DataFrame({"scorecard_points": [90.0, 20.0] * 3, name: [np.log(1 / 9), 0.0] * 3, "adopted": [0, 1] * 3})
    p = available_baselines(columns, OTHERS)[0]["scorecard_affinity"]().fit(rows, columns).predict(rows)
    assert p[1] > p[0]


def test_a_rule_that_points_the_wrong_way_is_not_turned(closed) -> None:
    wrong = closed.assign(scorecard_points=100 * (1 - closed["true_p"]))
    p = available_baselines(COLUMNS, OTHERS)[0]["scorecard"]().fit(wrong, COLUMNS).predict(wrong)
    assert roc_auc(wrong["true_p"] > wrong["true_p"].median(), p) == 0.0
    # no slope left: every row gets nearly the base rate
    assert p == pytest.approx(wrong["adopted"].astype(float).mean(), rel=0.01)


def test_what_has_no_column_is_left_out_and_said() -> None:
    lineup, left_out = available_baselines((COLUMNS[1],))
    assert list(lineup) == ["popularity", "logistic", "lightgbm_default"]
    assert left_out == (
        "baseline activity left out: no usage level of account grain among the columns",
        "baseline affinity left out: no column commercial_affinity_max or commercial_affinity_log_odds_sum",
        "baseline scorecard left out: playbook/readiness.yml gives no points",
    )
    # points × affinity needs both
    assert "scorecard_affinity" not in available_baselines((COLUMNS[1],), OTHERS)[0]


def test_activity_prefers_users_then_28_days() -> None:
    events = column("usage", "events", "sum", 90)
    assert activity_column((events, column("usage", "events", "trend", 28))) == events.name
    recent = column("usage", "events", "sum", 28)
    assert activity_column((events, recent)) == recent.name
    assert activity_column((events, recent, column("usage", "active_users", "mean", 28))).startswith("usage_active")
    assert activity_column((column("usage", "uses", "sum", 28, grain="pair"),)) is None


def test_logistic_agrees_with_a_plain_fit_on_everything(closed) -> None:
    numbers = (column("commercial", "affinity_max", grain="pair"), COLUMNS[4])
    ours = Logistic().fit(closed, numbers).predict(closed)
    x = closed[[c.name for c in numbers]].to_numpy()
    design = np.column_stack(
        [(x - x.mean(0)) / x.std(0), closed["is_winback"].astype(float), pd.get_dummies(closed["product_id"])]
    )
    plain = LogisticRegression(max_iter=500).fit(design, closed["adopted"].astype(int)).predict_proba(design)[:, 1]
    # ours sees ten negatives per adoption; the prior correction brings the level back
    assert np.corrcoef(np.log(ours), np.log(plain))[0, 1] > 0.995
    assert ours.mean() == pytest.approx(plain.mean(), rel=0.05)


def test_logistic_takes_missing_and_unseen_values(closed) -> None:
    model = Logistic().fit(closed, COLUMNS)
    odd = closed.head(4).copy()
    odd["usage_active_users_mean_28d"] = np.nan
    odd["firmographic_industry"] = "never seen"
    odd["product_id"] = "new"
    assert np.isfinite(model.predict(odd)).all()


def test_default_lightgbm_is_the_library_s_default_per_product(closed) -> None:
    numbers = tuple(c for c in COLUMNS if c.kind == "number")
    model = DefaultLightGBM().fit(closed, numbers)
    crm = closed[closed["product_id"] == "crm"]
    x = crm[[c.name for c in numbers]].assign(is_winback=crm["is_winback"].astype(float))
    plain = LGBMClassifier(n_jobs=1, verbosity=-1).fit(x, crm["adopted"].astype(int)).predict_proba(x)[:, 1]
    assert model.predict(crm) == pytest.approx(plain, abs=1e-12)


def test_default_lightgbm_without_both_classes_tells_the_rate(closed) -> None:
    rows = closed.copy()
    rows.loc[rows["product_id"] == "crm", "adopted"] = 0
    model = DefaultLightGBM().fit(rows, COLUMNS)
    assert (model.predict(rows[rows["product_id"] == "crm"]) == 0).all()
    unseen = rows.head(2).assign(product_id="new")
    assert model.predict(unseen) == pytest.approx([rows["adopted"].astype(float).mean()] * 2)
