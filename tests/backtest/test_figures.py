"""Figures of scored rows against the plain metrics, computed slowly one resample at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from product_affinity.backtest import figures as module
from product_affinity.backtest.figures import all_figures, build_sample, product_figures
from product_affinity.models import metrics


@pytest.fixture(scope="module")
def scored() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.MultiIndex.from_product(
        [["2025-01-31", "2025-04-30"], [f"A{i:02d}" for i in range(60)], ["crm", "desk", "mail"]],
        names=["fold", "account_id", "product_id"],
    ).to_frame(index=False)
    size = len(rows)
    model = rng.integers(1, 30, size) / 40
    return rows.assign(
        adopted=(rng.random(size) < model).astype(int),
        value=rng.lognormal(8, 1, size),
        base_rate=0.3,
        workable_share=np.where(rows["fold"] == "2025-01-31", 0.05, 0.2),
        model=model,
        noise=rng.integers(1, 30, size) / 40,
    )


def _slow_product(rows: pd.DataFrame, model: str, weight: np.ndarray) -> dict[str, float]:
    """AUC, AP and lift per fold weighted by adoptions, precision over all first rows of the folds."""
    sums, found, shown = {name: 0.0 for name in ("auc", "ap", "lift")}, 0.0, 0.0
    adopters = 0.0
    for fold in sorted(rows["fold"].unique()):
        at = (rows["fold"] == fold).to_numpy()
        part, w = rows[at], weight[at]
        y, p = part["adopted"].to_numpy(), part[model].to_numpy()
        k = part["workable_share"].iloc[0] * w.sum()
        adopters += w @ y
        sums["auc"] += (w @ y) * metrics.roc_auc(y, p, w)
        sums["ap"] += (w @ y) * metrics.average_precision(y, p, w)
        sums["lift"] += (w @ y) * metrics.lift_at_share(y, p, 0.1, w)
        found += k * metrics.precision_at_k(y, p, k, w)
        shown += k
    return {name: total / adopters for name, total in sums.items()} | {"precision_at_k": found / shown}


def test_every_resample_equals_the_slow_figure(scored, monkeypatch) -> None:
    # blocks of a few weightings at a time must come out as one
    monkeypatch.setattr(module, "BLOCK_CELLS", 500)
    sample = build_sample(scored, ("model", "noise"), n_resamples=5, random_state=1)
    fast = product_figures(sample)
    for column in range(6):
        weight = sample.weightings[sample.codes, column]
        for product in ("crm", "desk", "mail"):
            at = (scored["product_id"] == product).to_numpy()
            slow = _slow_product(scored[at], "noise", weight[at])
            for metric, value in slow.items():
                assert fast[product]["noise"][metric][column] == pytest.approx(value), (
                    product,
                    metric,
                    column,
                )


def test_pooled_figures_equal_the_plain_metrics(scored) -> None:
    sample = build_sample(scored, ("model",), n_resamples=4, random_state=1)
    found = all_figures(sample, min_positives=1)["model"]
    y, p = scored["adopted"].to_numpy(), scored["model"].to_numpy()
    for column in range(5):
        w = sample.weightings[sample.codes, column]
        expected = {
            "log_loss_skill": metrics.log_loss_skill(y, p, scored["base_rate"], w),
            "observed_over_expected": metrics.calibration_in_the_large(y, p, w),
            "calibration_error": metrics.expected_calibration_error(y, p, w),
        }
        for metric, value in expected.items():
            assert found[metric][column] == pytest.approx(value), metric
        # one Newton step from the full fit lands next to the resample's own fit
        assert found["calibration_slope"][column] == pytest.approx(metrics.calibration_slope(y, p, w), abs=0.05)
        query = scored["fold"] + scored["account_id"]
        for metric, function in (("map_at_7", metrics.map_at_k), ("hit_at_7", metrics.hit_at_k)):
            value = function(query, scored["product_id"], y, p, 7, w)
            assert found[metric][column] == pytest.approx(value), metric
    assert found["calibration_slope"][0] == pytest.approx(metrics.calibration_slope(y, p))


def test_captured_arr_adds_up_over_folds_by_hand() -> None:
    rows = pd.DataFrame(
        {
            "fold": ["a"] * 4 + ["b"] * 4,
            "account_id": list("ABCDABCD"),
            "product_id": "crm",
            "adopted": [1, 0, 0, 1, 0, 1, 0, 0],
            "value": [10.0, 10.0, 10.0, 90.0, 50.0, 50.0, 50.0, 50.0],
            "base_rate": 0.5,
            "workable_share": 0.25,
            "model": [0.5, 0.4, 0.3, 0.1, 0.1, 0.9, 0.1, 0.1],
        }
    )
    found = all_figures(build_sample(rows, ("model",), n_resamples=0, random_state=0), min_positives=1)["model"]
    # by expected value the first of four is D in fold a (9 against 5, 4 and 3) and B in fold b
    assert found["captured_at_k"][0] == pytest.approx((90 + 50) / (10 + 90 + 50))
    # 1 % of four rows is a part of that first row
    assert found["captured_at_1pct"][0] == pytest.approx(0.04 * (90 + 50) / 150)


def test_only_products_with_enough_adoptions_enter_the_mean(scored) -> None:
    rare = scored["product_id"] == "mail"
    rows = scored.assign(adopted=scored["adopted"].mask(rare, 0))
    rows.loc[rows.index[rare][:1], "adopted"] = 1
    sample = build_sample(rows, ("model",), n_resamples=0, random_state=0)
    products = product_figures(sample)
    kept = all_figures(sample, min_positives=2)["model"]["auc"][0]
    assert kept == pytest.approx((products["crm"]["model"]["auc"][0] + products["desk"]["model"]["auc"][0]) / 2)
    everything = all_figures(sample, min_positives=1)["model"]["auc"][0]
    assert everything == pytest.approx(np.mean([products[name]["model"]["auc"][0] for name in products]))
    assert np.isnan(all_figures(sample, min_positives=10_000)["model"]["auc"][0])


def test_within_weights_products_by_their_adoptions() -> None:
    """Ten accounts and one slot of the first tenth each: crm has it right once of twice, desk never, mail has none."""
    rows = pd.DataFrame(
        [("a", f"A{i}", product, 0, 1.0 - i / 10) for product in ("crm", "desk", "mail") for i in range(10)],
        columns=["fold", "account_id", "product_id", "adopted", "model"],
    ).assign(value=1.0, base_rate=0.1, workable_share=0.1)
    adopters = {("crm", "A0"), ("crm", "A9"), ("desk", "A9")}
    rows["adopted"] = [int(key in adopters) for key in zip(rows["product_id"], rows["account_id"], strict=True)]
    found = all_figures(build_sample(rows, ("model",), n_resamples=0, random_state=0), min_positives=2)["model"]
    # crm: precision 1 ÷ rate 2/10, desk: 0; two of three adoptions are crm's
    assert found["lift_within"][0] == pytest.approx(2 / 3 * 1 / (2 / 10))
    # A0 before and A9 behind the eight others; desk's adopter is last
    assert found["auc_within"][0] == pytest.approx(2 / 3 * 1 / 2)
    assert found["lift"][0] == pytest.approx(1 / (2 / 10)), "the plain mean leaves out what is below min_positives"
