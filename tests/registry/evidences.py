"""Evidence on a made-up challenger whose truth is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.registry.evidence import Evidence, Sides

TRAINED = dt.date(2026, 6, 30)
FOLDS = ("2025-11-30", "2026-02-28")
LEVELS = {"crm": -2.6, "desk": -2.2, "mail": -3.0}


def log_odds(p: pd.Series) -> pd.Series:
    return np.log(p / (1 - p))


def probability(logit: pd.Series) -> pd.Series:
    return 1 / (1 + np.exp(-logit))


def rows_of_two_folds(accounts: int = 800, seed: int = 0) -> pd.DataFrame:
    """Test rows of two folds; `truth` is the probability of each adoption."""
    rng = np.random.default_rng(seed)
    rows = pd.MultiIndex.from_product(
        [FOLDS, [f"A{i:04d}" for i in range(accounts)], LEVELS], names=["fold", "account_id", "product_id"]
    ).to_frame(index=False)
    logit = rows["product_id"].map(LEVELS) + rng.normal(0, 1.2, len(rows))
    truth = probability(logit)
    account = rows["account_id"].str[1:].astype(int)
    return rows.assign(
        as_of=pd.to_datetime(rows["fold"]),
        status="white_space",
        adopted=(rng.random(len(rows)) < truth).astype("int8"),
        is_winback=False,
        segment=np.where(account % 2, "smb", "enterprise"),
        expected_arr_usd=10_000.0,
        base_rate=truth.groupby(rows["product_id"]).transform("mean"),
        workable_share=0.05,
        truth=truth,
    )


def evidence(
    *,
    rows: pd.DataFrame | None = None,
    ranking: pd.DataFrame | None = None,
    columns: dict[str, Any] | None = None,
    **sides: Any,
) -> Evidence:
    """A challenger that knows the truth beside a popular guess and a champion that knows it nearly.

    `columns` replaces columns of the predictions, `sides` fields of `Sides`.
    """
    rows = rows_of_two_folds() if rows is None else rows
    rng = np.random.default_rng(1)
    near = probability(log_odds(rows["truth"]) + rng.normal(0, 0.05, len(rows)))
    predictions = rows.assign(blend=rows["truth"], popularity=rows["base_rate"], bundle=near, champion=near)
    last = rows[rows["fold"].eq(FOLDS[-1])]
    if ranking is None:
        ranking = last[["account_id", "product_id"]].assign(challenger=last["truth"], champion=near[last.index])
    told = {
        "challenger": "c" * 12,
        "trained_as_of": TRAINED,
        "champion": "a" * 12,
        "champion_trained_as_of": dt.date(2026, 5, 31),
        "horizon_days": 90,
        "comparison": "refitted",
        "baselines": ("popularity",),
        "gain_shares": (("usage_a", 0.2), ("usage_b", 0.15)),
    }
    return Evidence(Sides(**(told | sides)), predictions.assign(**(columns or {})), ranking)
