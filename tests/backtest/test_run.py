"""The whole backtest on a small company whose law of adoption is known."""

from __future__ import annotations

import datetime as dt
import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from product_affinity.backtest import plan_folds, run_backtest
from product_affinity.backtest.figures import METRICS
from product_affinity.errors import ContractError, LeakageError
from product_affinity.models.metrics import lift_at_share, roc_auc
from product_affinity.project.model_spec import EstimatorSpec, ModelSpec
from tests.backtest.worlds import COLUMNS, MONTH_ENDS, company

SPEC = ModelSpec(
    estimator=EstimatorSpec(candidates=("heads", "ridge"), n_seeds=1, offset="commercial_recent_rate"),
    min_test_positives=10,
)
UNTIL = dt.date(2025, 12, 31)
BASELINES = (
    "popularity", "activity", "affinity", "scorecard", "scorecard_affinity", "logistic", "lightgbm_default",
)  # fmt: skip
MODELS = ("blend", "heads", "ridge", *BASELINES)


def _folds(count=2):
    return plan_folds(MONTH_ENDS, horizon_days=90, maturity_days=7, observed_until=UNTIL, folds=count)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return company(accounts=220)


@pytest.fixture(scope="module")
def result(rows):
    return run_backtest(rows, COLUMNS, spec=SPEC, folds=_folds(), plays_per_owner=10, n_resamples=80)


def _figure(result, model, metric, population="first_time"):
    frame = result.overall.set_index(["population", "model", "metric"])
    return frame.loc[(population, model, metric)]


def test_every_model_stands_beside_the_baselines(result) -> None:
    assert result.models == MODELS
    assert result.baselines == MODELS[3:]
    assert set(result.overall["model"]) == set(MODELS)
    assert set(result.differences["baseline"]) == set(MODELS[3:])
    assert result.notes == ()


def test_the_planted_signal_is_found_and_ranks_accounts(result) -> None:
    assert _figure(result, "blend", "auc")["low"] > 0.55
    assert _figure(result, "popularity", "auc")["value"] == pytest.approx(0.5)
    gain = result.differences.set_index(["baseline", "metric"]).loc[("popularity", "auc")]
    assert gain["low"] > 0
    # the usage level is no signal here, so its interval holds a coin's
    activity = _figure(result, "activity", "auc")
    assert activity["low"] < 0.5 < activity["high"]
    assert 0.7 < _figure(result, "blend", "observed_over_expected")["value"] < 1.4


def test_permuted_labels_give_a_coin(rows) -> None:
    closed = rows["adopted"].notna()
    shuffled = rows["adopted"].copy()
    shuffled[closed] = np.random.default_rng(8).permutation(rows.loc[closed, "adopted"].to_numpy())
    fooled = run_backtest(rows.assign(adopted=shuffled), COLUMNS, spec=SPEC, folds=_folds(), n_resamples=80)
    auc = _figure(fooled, "blend", "auc")
    assert auc["low"] < 0.5 < auc["high"]


def test_figures_are_those_of_the_predictions(result) -> None:
    shown = result.predictions.query("status == 'white_space' and not is_winback")
    folds = [part for _, part in shown[shown["product_id"] == "mail"].groupby("fold")]
    auc = [roc_auc(part["adopted"], part["blend"]) for part in folds]
    lift = [lift_at_share(part["adopted"], part["blend"], 0.1) for part in folds]
    weight = [part["adopted"].sum() for part in folds]
    mail = result.groups.query("grouping == 'product' and group == 'mail' and model == 'blend'").set_index("metric")
    assert mail.loc["auc", "value"] == pytest.approx(np.average(auc, weights=weight))
    assert mail.loc["lift", "value"] == pytest.approx(np.average(lift, weights=weight))
    assert mail.loc["auc", "adoptions"] == sum(weight)


def test_headline_is_first_time_white_space_and_the_rest_stands_apart(result) -> None:
    counts = result.counts.set_index("population")
    predictions = result.predictions
    winback, pipeline = predictions["is_winback"].astype(bool), predictions["status"] == "in_pipeline"
    assert counts.loc["first_time", "pairs"] == (~winback & ~pipeline).sum()
    assert counts.loc["win_back", "pairs"] == (winback & ~pipeline).sum()
    assert counts.loc["in_pipeline", "pairs"] == pipeline.sum()
    assert counts["pairs"].sum() == len(predictions)
    adopted = predictions.loc[~winback & ~pipeline, "adopted"]
    assert counts.loc["first_time", "base_rate"] == pytest.approx(adopted.sum() / len(adopted))


def test_groups_cover_products_segments_tenures_and_folds(result) -> None:
    found = {name: set(part["group"]) for name, part in result.groups.groupby("grouping")}
    assert found["product"] == {"crm", "desk", "mail"}
    assert found["segment"] == {"smb", "enterprise"}
    assert found["tenure"] == {"year_1", "year_2", "year_3_plus"}
    assert found["fold"] == {str(fold.origin) for fold in result.folds}


def test_capacity_is_what_the_owners_can_work(result) -> None:
    share = result.predictions.groupby("fold")["workable_share"].first()
    shown = result.predictions.query("status == 'white_space' and not is_winback").groupby("fold").size()
    # ten plays for each of two owners
    assert (share * shown).tolist() == pytest.approx([20, 20])


def test_same_rows_same_bytes_whatever_the_jobs(rows, result, tmp_path) -> None:
    other = run_backtest(rows, COLUMNS, spec=SPEC, folds=_folds(), plays_per_owner=10, n_resamples=80, n_jobs=2)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, written in ((first, result), (second, other)):
        folder.mkdir()
        written.write(folder)
    assert (first / "metrics.json").read_bytes() == (second / "metrics.json").read_bytes()
    assert (first / "predictions.parquet").read_bytes() == (second / "predictions.parquet").read_bytes()


def test_json_is_plain_and_complete(result) -> None:
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    blend = content["models"][0]
    assert blend["model"] == "blend"
    assert blend["intervals"]["auc"][0] <= blend["auc"] <= blend["intervals"]["auc"][1]
    assert blend["intervals"]["calibration_error"] == [None, None]
    assert [fold["origin"] for fold in content["folds"]] == ["2025-05-31", "2025-08-31"]
    assert len(content["overall"]) == 3 * len(MODELS) * len(METRICS)


def test_tables_show_baselines_and_the_base_rate(result) -> None:
    console = Console(width=170, file=io.StringIO())
    console.print(result.render())
    text = console.file.getvalue()
    assert "base rate" in text
    for name in MODELS:
        assert name in text
    assert "Blend minus baseline" in text


def test_a_leaking_fold_never_trains(rows) -> None:
    (fold,) = _folds(1)
    object.__setattr__(fold, "train_as_ofs", (*fold.train_as_ofs, MONTH_ENDS[MONTH_ENDS.index(fold.origin) - 1]))
    with pytest.raises(LeakageError, match="training labels reach past the first test as-of"):
        run_backtest(rows, COLUMNS, spec=SPEC, folds=[fold])


def test_nothing_to_learn_is_said(rows) -> None:
    never = rows.assign(adopted=rows["adopted"].mask(rows["adopted"].notna(), 0))
    with pytest.raises(ContractError, match="none of 2 folds holds both adopters and others"):
        run_backtest(never, COLUMNS, spec=SPEC, folds=_folds())


def test_a_fold_without_adopters_is_left_out_and_noted(rows) -> None:
    folds = _folds()
    early = rows["as_of"] <= pd.Timestamp(folds[0].train_as_ofs[-1])
    quiet = rows.assign(adopted=rows["adopted"].mask(early & rows["adopted"].notna(), 0))
    found = run_backtest(quiet, COLUMNS[:1], spec=SPEC, folds=folds, n_resamples=5)
    assert [fold.origin for fold in found.folds] == [folds[1].origin]
    assert found.notes[0].startswith("fold 2025-05-31 left out: 0 adoptions in ")
    assert "baseline affinity left out" in found.notes[1]
    assert "affinity" not in found.models
