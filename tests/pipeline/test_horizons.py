"""Further horizons: coherent with the main one, judged only by labels that were closed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from product_affinity.backtest.report import render_report
from product_affinity.models.metrics import calibration_in_the_large
from product_affinity.pipeline.horizons import backtest_horizons, coherent
from product_affinity.pipeline.table import PairTable
from product_affinity.project.model_spec import EstimatorSpec, ModelSpec
from tests.backtest import scored
from tests.backtest.worlds import COLUMNS, MONTH_ENDS, company

SPEC = ModelSpec(estimator=EstimatorSpec(candidates=("ridge",), n_seeds=1))


def _project(*days: int) -> SimpleNamespace:
    time = SimpleNamespace(horizon_days=90, more_horizons_days=days, maturity_days=7)
    return SimpleNamespace(settings=SimpleNamespace(time=time), model_spec=SPEC)


@pytest.fixture(scope="module")
def table() -> PairTable:
    rows = company(
        accounts=150, observed_until="2026-02-28", as_ofs=tuple(d for d in MONTH_ENDS if d <= dt.date(2025, 9, 30))
    )
    # the law is the same, the shorter horizon catches a third of it; 180 days are open at the last origin
    month = rows["adopted"].where(rows.index % 3 == 0, rows["adopted"] * 0)
    longer = rows["adopted"].mask(rows["as_of"] > pd.Timestamp("2025-06-30"))
    return PairTable(
        rows, rows, rows.assign(adopted_30d=month, adopted_90d=rows["adopted"], adopted_180d=longer), COLUMNS
    )


@pytest.fixture(scope="module")
def result(table):
    rows = table.rows[table.rows["as_of"].isin(pd.to_datetime(list(scored.ORIGINS)))].reset_index(drop=True)
    predictions = rows.assign(
        fold=rows["as_of"].dt.strftime("%Y-%m-%d"), tenure="year_1", base_rate=0.1, workable_share=0.05,
        blend=rows["true_p"], pooled=rows["true_p"], ridge=rows["true_p"], popularity=0.1, logistic=0.2,
        blend_trained_before=float("nan"),
    )  # fmt: skip
    whole = scored.result(n_resamples=3)
    return dataclasses.replace(whole, predictions=predictions)


@pytest.fixture(scope="module")
def found(table, result) -> pd.DataFrame:
    return backtest_horizons(_project(30, 180), table, result, jobs=1, progress=lambda line: None)


def test_what_is_published_is_ordered() -> None:
    raw, main = pd.Series([0.1, 0.3, 0.2]), pd.Series([0.2, 0.2, 0.2])
    assert coherent(raw, main, shorter=True).tolist() == [0.1, 0.2, 0.2]
    assert coherent(raw, main, shorter=False).tolist() == [0.2, 0.3, 0.2]


def test_each_is_tested_at_the_latest_origin_with_closed_labels(found) -> None:
    origins = found.drop_duplicates("horizon_days").set_index("horizon_days")["fold"]
    assert origins.to_dict() == {30: "2025-09-30", 180: "2025-06-30"}


def test_figures_are_of_the_shown_rows(found, table, result) -> None:
    month = found[found["horizon_days"] == 30].set_index("metric")
    shown = result.predictions.query("fold == '2025-09-30' and status == 'white_space' and not is_winback")
    assert (month["pairs"] == len(shown)).all()
    assert (month["adoptions"] == shown["adopted_30d"].sum()).all()
    assert month.loc["auc_within", "value"] > 0.5
    level = month.loc["observed_over_expected"]
    # the law does not change, so the level holds; published can only lie below the classifier's own
    assert level["low"] < 1.1 < 1.5 * level["high"]
    everything = calibration_in_the_large(shown["adopted_30d"].astype(float), shown["blend"])
    assert level["value"] >= everything
    assert found["corrected_share"].between(0, 1).all()


def test_without_further_horizons_there_is_nothing(table, result) -> None:
    none = backtest_horizons(_project(), table, result, jobs=1, progress=lambda line: None)
    assert none.empty


def test_they_are_shown_beside_their_base_rate(found, result) -> None:
    whole = dataclasses.replace(scored.result(n_resamples=3), horizons=found)
    console = Console(width=170, file=io.StringIO())
    console.print(whole.render())
    assert "Further horizons" in console.file.getvalue()
    assert "180 days" in render_report(whole, project="x", as_of=dt.date(2026, 1, 31))
    assert {row["horizon_days"] for row in whole.to_json()["horizons"]} == {30, 180}
