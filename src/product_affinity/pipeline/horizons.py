"""Further horizons in the backtest: fitted at one past origin, made coherent, held against what happened."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from product_affinity.backtest import BacktestResult
from product_affinity.backtest.compare import populations
from product_affinity.backtest.figures import all_figures, build_sample
from product_affinity.backtest.scored import BLEND
from product_affinity.models.bootstrap import recentred_interval
from product_affinity.pipeline.prepare import Progress
from product_affinity.pipeline.recipe import Recipe
from product_affinity.pipeline.table import PairTable, label_column
from product_affinity.project import Project

METRICS = ("auc_within", "log_loss_skill", "observed_over_expected")
N_RESAMPLES = 200
KEYS = ["account_id", "product_id", "as_of"]
COLUMNS = (
    "horizon_days", "fold", "pairs", "adoptions", "base_rate", "corrected_share", "metric", "value", "low", "high",
)  # fmt: skip


def backtest_horizons(
    project: Project, table: PairTable, result: BacktestResult, *, jobs: int, progress: Progress
) -> pd.DataFrame:
    """Test the further horizons of `[time] more_horizons_days`, each at the latest origin that allows it.

    A shorter horizon's propensity is cut at the main one's, a longer one's raised to it, as published; the figures
    are of what is published. The main horizon needs no second fit: its scores are those of the backtest.

    Parameters
    ----------
    project, table : as backtested.
    result : of the main horizon.
    jobs : boosters trained at once; changes no result.
    progress : called with one line a horizon.

    Returns
    -------
    DataFrame
        One row a horizon and figure: horizon_days, fold (origin), pairs, adoptions, base_rate, corrected_share
        (0 to 1: rows whose order of horizons had to be mended), metric, value, low, high. A horizon without an
        origin that had a label to learn from and has a closed one to be judged by is missing.
    """
    time = project.settings.time
    found = []
    for days in sorted({*time.more_horizons_days} - {time.horizon_days}):
        origin = _latest_origin(table.rows, result, days, time.maturity_days)
        if origin is not None:
            progress(f"testing {days} days at {origin}")
            found.append(_test_horizon(project, table, result, days, origin, jobs))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))


def coherent(propensity: pd.Series[float], main: pd.Series[float], *, shorter: bool) -> pd.Series[float]:
    """Return what is published of a horizon beside the main one: at most it where shorter, else at least it.

    >>> coherent(pd.Series([0.1, 0.3]), pd.Series([0.2, 0.2]), shorter=True).tolist()
    [0.1, 0.2]
    """
    return propensity.clip(upper=main) if shorter else propensity.clip(lower=main)


def _latest_origin(rows: pd.DataFrame, result: BacktestResult, days: int, maturity_days: int) -> dt.date | None:
    label, gap = rows[label_column(days)], pd.Timedelta(days=days + maturity_days)
    for fold in reversed(result.folds):
        origin = pd.Timestamp(fold.origin)
        tested = label[rows["as_of"] == origin]
        learnt = label[rows["as_of"] + gap <= origin].dropna()
        if len(tested) and tested.notna().all() and 0 < learnt.sum() < len(learnt):
            return fold.origin
    return None


def _test_horizon(
    project: Project, table: PairTable, result: BacktestResult, days: int, origin: dt.date, jobs: int
) -> pd.DataFrame:
    time = project.settings.time
    recipe = Recipe(project.model_spec.estimator, table.columns, horizon_days=days, maturity_days=time.maturity_days)
    shown = result.predictions[populations(result.predictions)["first_time"]]
    shown = shown[shown["fold"] == str(origin)].reset_index(drop=True)
    numbered = table.rows[KEYS].assign(row=np.arange(len(table.rows)))
    rows = table.rows.iloc[shown.merge(numbered, on=KEYS, how="left", validate="1:1")["row"]].reset_index(drop=True)
    raw = recipe.score(recipe.fit(table.rows, origin, jobs=jobs), rows)
    published = coherent(raw, shown[BLEND], shorter=days < time.horizon_days)
    tested = shown.assign(
        adopted=rows[label_column(days)].astype("int64"),
        base_rate=_base_rate(table.rows, days, origin, time.maturity_days, rows["product_id"]),
        value=shown["expected_arr_usd"].astype(float).fillna(0.0),
        published=published,
    )
    sample = build_sample(
        tested, ("published",), n_resamples=N_RESAMPLES, random_state=project.model_spec.estimator.random_state
    )
    figures = all_figures(sample, min_positives=result.min_positives)["published"]
    intervals = [recentred_interval(float(figures[name][0]), figures[name][1:]) for name in METRICS]
    return pd.DataFrame(
        {
            "horizon_days": days,
            "fold": str(origin),
            "pairs": len(tested),
            "adoptions": int(tested["adopted"].sum()),
            "base_rate": float(tested["adopted"].mean()),
            "corrected_share": float((raw != published).mean()),
            "metric": METRICS,
            "value": [interval.estimate for interval in intervals],
            "low": [interval.low for interval in intervals],
            "high": [interval.high for interval in intervals],
        },
        columns=list(COLUMNS),
    )


def _base_rate(
    rows: pd.DataFrame, days: int, origin: dt.date, maturity_days: int, product: pd.Series[str]
) -> pd.Series[float]:
    """The product's rate among labels known at the origin, shrunk to the overall rate by one row."""
    known = rows["as_of"] + pd.Timedelta(days=days + maturity_days) <= pd.Timestamp(origin)
    learnt = rows.loc[known, label_column(days)].dropna().astype(float)
    sums = learnt.groupby(rows.loc[learnt.index, "product_id"]).agg(["sum", "size"])
    rate = (sums["sum"] + learnt.mean()) / (sums["size"] + 1)
    return product.map(rate).fillna(float(learnt.mean())).astype(float)
