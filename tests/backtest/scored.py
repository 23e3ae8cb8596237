"""Scored test rows without any model: probabilities are given, so every figure can be worked out by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from product_affinity.backtest import BacktestResult, Fold
from product_affinity.backtest.compare import compare

ORIGINS = (dt.date(2025, 6, 30), dt.date(2025, 9, 30))
BASELINES = ("popularity", "logistic")
MODELS = ("blend", "pooled", "ridge", *BASELINES)


def folds() -> tuple[Fold, ...]:
    """Two folds a quarter apart."""
    dates = [day.date() for day in pd.date_range("2024-06-30", "2025-09-30", freq="ME")]
    gap = dt.timedelta(days=97)
    return tuple(Fold(day, tuple(d for d in dates if d + gap <= day), (day,), 90, 7) for day in ORIGINS)


def predictions(accounts: int = 150, seed: int = 0) -> pd.DataFrame:
    """Rows whose blend knows the truth, whose candidates blur it, and whose popularity knows products alone."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [map(str, ORIGINS), [f"A{i:03d}" for i in range(accounts)], ["crm", "desk"]],
        names=["fold", "account_id", "product_id"],
    ).to_frame(index=False)
    size = len(rows)
    truth = rng.beta(1, 6, size)
    rate = rows["product_id"].map({"crm": 0.1, "desk": 0.2}).to_numpy(float)
    return rows.assign(
        as_of=pd.to_datetime(rows["fold"]),
        status=np.where(rng.random(size) < 0.1, "in_pipeline", "white_space"),
        adopted=(rng.random(size) < truth).astype("int8"),
        is_winback=rng.random(size) < 0.05,
        segment=rng.choice(["smb", "<b>big</b>"], size),
        tenure=rng.choice(["year_1", "year_2"], size),
        expected_arr_usd=rng.lognormal(8, 1, size),
        base_rate=rate,
        workable_share=0.05,
        blend_trained_before=np.where(rows["fold"] == str(ORIGINS[0]), np.nan, rng.random(size)),
        blend=truth,
        pooled=np.clip(truth + rng.normal(0, 0.1, size), 0.01, 0.99),
        ridge=np.clip(truth + rng.normal(0, 0.2, size), 0.01, 0.99),
        popularity=rate,
        logistic=rng.random(size),
    )


def result(n_resamples: int = 30, **changes: object) -> BacktestResult:
    """The whole result of `predictions`, with columns replaced by `changes`."""
    rows = predictions().assign(**changes)
    weights = pd.DataFrame(
        [
            (f, p, c, w)
            for f in map(str, ORIGINS)
            for p in ("crm", "desk")
            for c, w in (("pooled", 0.75), ("ridge", 0.25))
        ],
        columns=["fold", "product_id", "candidate", "weight"],
    )
    training = pd.DataFrame(
        [(f, p, 900, n, n < 20) for f in map(str, ORIGINS) for p, n in (("crm", 90), ("desk", 4))],
        columns=["fold", "product_id", "pairs", "adoptions", "launch_estimate"],
    )
    return compare(
        rows,
        folds(),
        models=MODELS,
        baselines=BASELINES,
        later=rows,
        weights=weights,
        training=training,
        min_positives=20,
        n_resamples=n_resamples,
        random_state=0,
        notes=("baseline affinity left out: <none>",),
    )
