"""From scored test rows to figures: overall, by group, by month, with intervals on shared resamples of accounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from product_affinity.backtest.figures import (
    METRICS,
    WITHIN,
    Sample,
    all_figures,
    build_sample,
    pair_figures,
    product_figures,
)
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.result import COMPARED, GROUPINGS, POPULATIONS, BacktestResult
from product_affinity.backtest.scored import BLEND, BLEND_BEFORE, LEVEL_BASELINE
from product_affinity.models.bootstrap import ClusterResamples, recentred_interval
from product_affinity.models.gain import Vector, ratio

#: a mean of absolute gaps is mostly noise of the sample, which resampling doubles
WITHOUT_INTERVAL = ("calibration_error",)
#: what is compared within a group: ranking, and ranking and level at once
GROUP_COMPARED = ("auc_within", "ap", "log_loss_skill")
#: share of a product's pairs that is its top list
TOP_SHARE = 0.10
Figures = dict[str, dict[str, Vector]]


def compare(
    predictions: pd.DataFrame,
    folds: tuple[Fold, ...],
    *,
    models: tuple[str, ...],
    baselines: tuple[str, ...],
    later: pd.DataFrame,
    weights: pd.DataFrame,
    training: pd.DataFrame,
    min_positives: int,
    n_resamples: int,
    random_state: int,
    notes: tuple[str, ...],
) -> BacktestResult:
    """Compute all figures of scored test rows.

    Parameters
    ----------
    predictions : see `BacktestResult`.
    folds : as run.
    models, baselines : column names of the probabilities.
    later, weights, training : of `FoldScores`, all folds below each other.
    min_positives : adoptions a product needs to enter the means over products.
    n_resamples, random_state : of the account-clustered bootstrap, shared by all figures.
    notes : carried along.
    """
    valued = predictions.assign(value=predictions["expected_arr_usd"].astype(float).fillna(0.0))
    parts = {name: valued[mask] for name, mask in populations(predictions).items()}
    overall, differences = [], pd.DataFrame()
    for name, rows in parts.items():
        if rows.empty:
            continue
        # a handful of win-backs has no interval worth the name
        drawn = n_resamples if name == POPULATIONS[0] or rows["adopted"].sum() >= min_positives else 0
        sample = build_sample(rows, models, n_resamples=drawn, random_state=random_state)
        figures = all_figures(sample, min_positives=min_positives)
        overall.append(_intervals(figures).assign(population=name))
        if name == POPULATIONS[0]:
            differences = _intervals(_gained(figures, baselines)).rename(columns={"model": "baseline"})
    shown = parts[POPULATIONS[0]]
    groups, group_differences = _groups(shown, models, min_positives, n_resamples, random_state)
    return BacktestResult(
        folds=folds,
        models=models,
        baselines=baselines,
        predictions=predictions,
        counts=pd.DataFrame([_counts(name, rows) for name, rows in parts.items()]),
        overall=pd.concat(overall, ignore_index=True)[["population", "model", "metric", "value", "low", "high"]],
        differences=differences,
        groups=groups,
        notes=notes,
        group_differences=group_differences,
        weights=weights,
        training=training,
        overlaps=top_overlaps(shown),
        levels=levels_by_month(later, n_resamples=n_resamples, random_state=random_state),
        min_positives=min_positives,
    )


def populations(predictions: pd.DataFrame) -> dict[str, pd.Series[bool]]:
    """Return which rows belong to each population of `POPULATIONS`; the first is the headline."""
    shown, again = predictions["status"] == "white_space", predictions["is_winback"].astype(bool)
    return dict(zip(POPULATIONS, (shown & ~again, shown & again, ~shown), strict=True))


def top_overlaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Tell how many of a product's first tenth stay there when the model is retrained one fold later.

    Both models rank the same rows, so nothing but the training differs; ties go by account_id.

    Parameters
    ----------
    rows : fold, product_id, account_id, `blend` and `blend_trained_before` (missing in the first fold).

    Returns
    -------
    DataFrame
        fold, product_id, pairs, overlap: |A ∩ B| ÷ |A|, 0 to 1; chance alone gives 0.1.
    """
    retrained = rows[rows[BLEND_BEFORE].notna()]
    found = []
    for (fold, product), part in retrained.groupby(["fold", "product_id"], sort=True):
        size = max(1, int(TOP_SHARE * len(part)))
        tops = [
            set(part.sort_values([model, "account_id"], ascending=[False, True])["account_id"].head(size))
            for model in (BLEND, BLEND_BEFORE)
        ]
        found.append((fold, product, len(part), len(tops[0] & tops[1]) / size))
    return pd.DataFrame(found, columns=["fold", "product_id", "pairs", "overlap"])


def levels_by_month(later: pd.DataFrame, *, n_resamples: int, random_state: int) -> pd.DataFrame:
    """Observed ÷ expected first-time adoptions by as-of date, by the model that was the newest then.

    Parameters
    ----------
    later : `FoldScores.later` of all folds.
    n_resamples, random_state : of the account-clustered bootstrap.

    Returns
    -------
    DataFrame
        as_of, fold (origin of the model), model, pairs, adoptions, base_rate, expected, value = adoptions ÷ expected,
        low, high, ascending by as_of.
    """
    shown = later[populations(later)[POPULATIONS[0]]]
    # at its own origin the newer model counts
    newest = shown[shown["fold"].eq(shown.groupby("as_of")["fold"].transform("max"))]
    found: list[dict[str, Any]] = []
    for day, rows in newest.groupby("as_of", sort=True):
        clusters = ClusterResamples(
            rows["account_id"].to_numpy(), n_resamples=max(n_resamples, 1), random_state=random_state
        )
        observed = _by_account(clusters, rows["adopted"])
        for model in (BLEND, LEVEL_BASELINE):
            expected = _by_account(clusters, rows[model])
            values = ratio(observed, expected)
            interval = recentred_interval(float(values[0]), values[1:] if n_resamples else np.array([]))
            found.append(
                {
                    "as_of": pd.Timestamp(str(day)),
                    "fold": str(rows["fold"].iloc[0]),
                    "model": model,
                    "pairs": len(rows),
                    "adoptions": int(observed[0]),
                    "base_rate": float(observed[0]) / len(rows),
                    "expected": float(expected[0]),
                    "value": interval.estimate,
                    "low": interval.low,
                    "high": interval.high,
                }
            )
    return pd.DataFrame(found)


def _by_account(clusters: ClusterResamples, values: pd.Series[Any]) -> Vector:
    size = clusters.counts.shape[1]
    sums = np.bincount(clusters.codes, weights=values.to_numpy(np.float64), minlength=size)
    return np.asarray(sums @ clusters.weightings)


def _counts(population: str, rows: pd.DataFrame) -> dict[str, Any]:
    adoptions = int(rows["adopted"].sum())
    return {
        "population": population,
        "pairs": len(rows),
        "accounts": int(rows["account_id"].nunique()),
        "adoptions": adoptions,
        "base_rate": adoptions / len(rows) if len(rows) else float("nan"),
    }


def _gained(figures: Figures, others: tuple[str, ...]) -> Figures:
    """Blend − each other model, figure by figure, under the same weightings."""
    ours = figures[COMPARED]
    return {name: {metric: ours[metric] - figures[name][metric] for metric in ours} for name in others}


def _intervals(figures: Figures) -> pd.DataFrame:
    rows = []
    for model, values in figures.items():
        for metric in METRICS:
            if metric in values:
                draws = values[metric][1:] if metric not in WITHOUT_INTERVAL else np.array([])
                interval = recentred_interval(float(values[metric][0]), draws)
                rows.append((model, metric, interval.estimate, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def _groups(
    rows: pd.DataFrame, models: tuple[str, ...], min_positives: int, n_resamples: int, random_state: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Figures of each group, and blend − model, with intervals where a group has adoptions enough to be judged."""
    found, gained = [], []
    for grouping, column in GROUPINGS.items():
        for group, chosen in rows.groupby(column, sort=True):
            adoptions = int(chosen["adopted"].sum())
            drawn = n_resamples if adoptions >= min_positives else 0
            sample = build_sample(chosen, models, n_resamples=drawn, random_state=random_state)
            figures = _group_figures(sample, grouping, min_positives)
            key = {"grouping": grouping, "group": str(group)}
            about = {"pairs": len(chosen), "adoptions": adoptions, "base_rate": adoptions / len(chosen)}
            found.append(_intervals(figures).assign(**key, **about))
            deltas = _intervals(_gained(figures, tuple(name for name in models if name != COMPARED)))
            gained.append(deltas[deltas["metric"].isin(GROUP_COMPARED)].assign(**key))
    order = ["grouping", "group", "pairs", "adoptions", "base_rate", "model", "metric", "value", "low", "high"]
    differences = ["grouping", "group", "model", "metric", "value", "low", "high"]
    return pd.concat(found, ignore_index=True)[order], pd.concat(gained, ignore_index=True)[differences]


def _group_figures(sample: Sample, grouping: str, min_positives: int) -> Figures:
    if grouping != "product":
        return all_figures(sample, min_positives=min_positives)
    # one product alone: its own rankings whatever its adoptions, and no ranking of products
    own, pairs = next(iter(product_figures(sample).values())), pair_figures(sample)
    alone = {model: {name: own[model][metric] for name, metric in WITHIN.items()} for model in own}
    return {model: own[model] | alone[model] | pairs[model] for model in own}
