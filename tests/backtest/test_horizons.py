"""Further horizons: the main one's ranking at their own level, judged only by labels that were closed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from product_affinity.backtest import plan_folds, run_backtest
from product_affinity.backtest.horizons import at_horizon, coherent, horizon_figures
from product_affinity.backtest.report import render_report
from product_affinity.models.assembly import build_classifier, model_frame
from product_affinity.models.metrics import log_losses
from product_affinity.project.model_spec import EstimatorSpec, ModelSpec
from tests.backtest import scored
from tests.backtest.worlds import COLUMNS, MONTH_ENDS, company

UNTIL = dt.date(2025, 12, 31)
ESTIMATOR = EstimatorSpec(candidates=("ridge",), n_seeds=1)
SPEC = ModelSpec(estimator=ESTIMATOR, min_test_positives=10)
HORIZONS = (30, 180)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A company with a constant hazard: each pair has one day of adoption, and every label is read off it."""
    found = company(accounts=260)
    rng = np.random.default_rng(1)
    days = rng.exponential(-90 / np.log1p(-found["true_p"]))
    for horizon in (30, 90, 180):
        is_open = found["as_of"] + pd.Timedelta(days=horizon + 7) > pd.Timestamp(UNTIL)
        found[f"adopted_{horizon}d"] = pd.Series(days < horizon).astype("Int8").mask(is_open)
        found[f"true_{horizon}d"] = 1 - (1 - found["true_p"]) ** (horizon / 90)
    return found.assign(adopted=found["adopted_90d"])


@pytest.fixture(scope="module")
def result(rows):
    folds = plan_folds(MONTH_ENDS, horizon_days=90, maturity_days=7, observed_until=UNTIL, folds=2)
    return run_backtest(rows, COLUMNS, spec=SPEC, folds=folds, more_horizons_days=HORIZONS, n_resamples=40)


def test_what_is_published_is_ordered() -> None:
    raw, main = pd.Series([0.1, 0.3, 0.2]), pd.Series([0.2, 0.2, 0.2])
    assert coherent(raw, main, shorter=True).tolist() == [0.1, 0.2, 0.2]
    assert coherent(raw, main, shorter=False).tolist() == [0.2, 0.3, 0.2]


@pytest.mark.parametrize(("days", "statuses"), [(30, ["white_space"]), (180, ["white_space", "in_pipeline"])])
def test_another_horizon_has_its_own_level_and_the_same_ranking(rows, days, statuses) -> None:
    closed = rows[rows["adopted"].notna()]
    main = build_classifier(ESTIMATOR, COLUMNS, horizon_days=90, gap_days=97, n_jobs=1).fit(
        model_frame(closed, COLUMNS), closed["adopted"].astype(int), product=closed["product_id"]
    )
    # the last three month ends whose 30 days and a week are over on 2025-12-31
    recent = rows[rows["as_of"].isin(pd.to_datetime(["2025-08-31", "2025-09-30", "2025-10-31"]))]
    recent = recent[recent["status"].isin(statuses)]
    features, product = model_frame(recent, COLUMNS), recent["product_id"]
    before = main.predict_proba(features, product=product)[:, 1]
    other = at_horizon(main, rows, COLUMNS, horizon_days=days, observed_until=pd.Timestamp(UNTIL), maturity_days=7)
    found = other.predict_proba(features, product=product)[:, 1]
    within_30_days = 1 - (1 - found) ** (30 / days)
    # ten adoptions' worth of what was expected before are mixed in, so not quite the 90 and 100 observed
    assert within_30_days.sum() == pytest.approx(recent["adopted_30d"].sum(), rel=0.1)
    assert found.sum() == pytest.approx(recent[f"true_{days}d"].sum(), rel=0.3)
    for at in recent.groupby("product_id").indices.values():
        assert (np.argsort(found[at], kind="stable") == np.argsort(before[at], kind="stable")).all()
    assert (main.predict_proba(features, product=product)[:, 1] == before).all()
    assert (main.horizon_days, other.horizon_days) == (90, days)


def test_every_test_row_has_ordered_horizons(result) -> None:
    rows = result.predictions
    assert (rows["blend_30d"] <= rows["blend"]).all()
    assert (rows["blend"] <= rows["blend_180d"]).all()
    # raised or cut to the main horizon in no row of a world without noise between products
    assert (rows["blend_30d"] < rows["blend"]).mean() > 0.99
    assert result.models[0] == "blend"
    assert not {"blend_30d", "blend_180d"} & set(result.models)


def test_each_is_judged_where_its_labels_are_closed(result) -> None:
    about = result.horizons.drop_duplicates("horizon_days").set_index("horizon_days")
    # origins 2025-05-31 and 2025-08-31: 180 and 7 days after the later one lie beyond 2025-12-31
    assert about["folds"].to_dict() == {30: 2, 180: 1}
    assert about["last_fold"].to_dict() == {30: "2025-08-31", 180: "2025-05-31"}
    shown = result.predictions.query("status == 'white_space' and not is_winback")
    early = shown[shown["fold"] == "2025-05-31"]
    assert about.loc[30, ["pairs", "adoptions"]].tolist() == [len(shown), shown["adopted_30d"].sum()]
    assert about.loc[180, ["pairs", "adoptions"]].tolist() == [len(early), early["adopted_180d"].sum()]


def test_levels_hold_where_the_hazard_is_constant(result) -> None:
    found = result.horizons.set_index(["metric", "horizon_days"])
    for days in HORIZONS:
        level = found.loc[("observed_over_expected", days)]
        assert level["low"] < 1.15
        assert level["high"] > 0.87
        assert found.loc[("auc_within", days), "low"] > 0.5
        assert found.loc[("log_loss_skill", days), "value"] > 0


def test_figures_are_fractions_of_the_rows() -> None:
    shown = pd.DataFrame(
        {
            "fold": ["2025-05-31"] * 4 + ["2025-08-31"], "account_id": list("ABCDE"), "product_id": "crm",
            "workable_share": 0.5, "expected_arr_usd": 1.0, "base_rate": 0.19, "blend": [0.4, 0.2, 0.2, 0.2, 0.2],
            "adopted_45d": pd.array([1, 0, 0, 0, pd.NA], dtype="Int8"), "blend_45d": [0.25, 0.1, 0.1, 0.2, 0.9],
        }
    )  # fmt: skip
    found = horizon_figures(
        shown, "blend", (45,), horizon_days=90, min_positives=1, n_resamples=0, random_state=0
    ).set_index("metric")
    assert found["pairs"].eq(4).all()
    assert found["base_rate"].eq(1 / 4).all()
    assert found["corrected_share"].eq(1 / 4).all()
    values = found["value"]
    assert values["auc_within"] == 1
    assert values["observed_over_expected"] == pytest.approx(1 / (0.25 + 0.1 + 0.1 + 0.2))
    # 19 % within 90 days are 10 % within 45
    target = np.array([1.0, 0, 0, 0])
    ours, base = log_losses(target, np.array([0.25, 0.1, 0.1, 0.2])), log_losses(target, np.full(4, 0.1))
    assert values["log_loss_skill"] == pytest.approx(1 - ours.sum() / base.sum())


def test_without_further_horizons_there_is_nothing() -> None:
    assert scored.result(n_resamples=3).horizons.empty
    none = horizon_figures(
        scored.predictions(), "blend", (), horizon_days=90, min_positives=1, n_resamples=0, random_state=0
    )
    assert none.empty


def test_they_are_shown_beside_their_base_rate(result) -> None:
    console = Console(width=170, file=io.StringIO())
    console.print(result.render())
    assert "Further horizons" in console.file.getvalue()
    assert "180 days" in render_report(result, project="x", as_of=dt.date(2026, 1, 31))
    assert {row["horizon_days"] for row in result.to_json()["horizons"]} == {30, 180}
    without = dataclasses.replace(result, horizons=result.horizons.head(0))
    assert "180 days" not in render_report(without, project="x", as_of=dt.date(2026, 1, 31))
