"""What a backtest found: figures with intervals, paired differences, and tables by product and segment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group

from product_affinity.backtest.figures import (
    METRICS,
    Sample,
    all_figures,
    build_sample,
    pair_figures,
    product_figures,
)
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.tables import difference_table, group_table, headline, model_table
from product_affinity.models.bootstrap import recentred_interval
from product_affinity.models.gain import Vector

#: populations reported apart; the first is the headline
POPULATIONS = ("first_time", "win_back", "in_pipeline")
GROUPINGS = {"product": "product_id", "segment": "segment", "tenure": "tenure", "fold": "fold"}
COMPARED = "blend"
#: a mean of absolute gaps is mostly noise of the sample, which resampling doubles
WITHOUT_INTERVAL = ("calibration_error",)


@dataclass(frozen=True)
class BacktestResult:
    """Figures of every model on the test rows of all folds.

    Attributes
    ----------
    folds : as run, ascending by origin.
    models, baselines : names in the order of tables; the baselines are among the models.
    predictions : fold, keys, status, adopted, is_winback, segment, tenure, expected_arr_usd, base_rate (the
        product's training rate), workable_share, and one column of probabilities per model.
    counts : per population: pairs, accounts, adoptions, base_rate.
    overall : population, model, metric, value, low, high (95 %, account-clustered).
    differences : baseline, metric, and value, low, high of blend − baseline on the same resamples.
    groups : grouping (product, segment, tenure, fold), group, pairs, adoptions, base_rate, model, metric,
        value: headline rows without intervals.
    notes : folds and baselines that were left out, and why.
    """

    folds: tuple[Fold, ...]
    models: tuple[str, ...]
    baselines: tuple[str, ...]
    predictions: pd.DataFrame
    counts: pd.DataFrame
    overall: pd.DataFrame
    differences: pd.DataFrame
    groups: pd.DataFrame
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the predictions as plain values; figures that do not exist are None."""
        first_time = self.overall[self.overall["population"] == POPULATIONS[0]]
        return {
            "folds": [
                {
                    "origin": str(fold.origin),
                    "train_as_ofs": [str(day) for day in fold.train_as_ofs],
                    "test_as_ofs": [str(day) for day in fold.test_as_ofs],
                    "horizon_days": fold.horizon_days,
                    "maturity_days": fold.maturity_days,
                }
                for fold in self.folds
            ],
            "models": [_model_json(first_time, model) for model in self.models],
            "counts": _records(self.counts),
            "overall": _records(self.overall),
            "differences": _records(self.differences),
            "groups": _records(self.groups),
            "notes": list(self.notes),
        }

    def write(self, folder: Path) -> None:
        """Write `metrics.json` and `predictions.parquet` into an existing folder."""
        text = json.dumps(self.to_json(), indent=1, sort_keys=True, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        self.predictions.to_parquet(folder / "predictions.parquet", index=False)

    def render(self) -> Group:
        """Return tables for the terminal: models beside baselines, differences, products, segments, folds."""
        first_time = self.overall[self.overall["population"] == POPULATIONS[0]]
        counts = {row["population"]: row for row in _records(self.counts)}
        parts: list[Any] = [
            headline([str(fold.origin) for fold in self.folds], counts[POPULATIONS[0]]),
            model_table("Who is found first", first_time, self.models, METRIC_PAGES[0]),
            model_table("What it is worth, and whether to believe it", first_time, self.models, METRIC_PAGES[1]),
            difference_table(self.differences, self.baselines),
        ]
        for grouping in GROUPINGS:
            chosen = self.groups[self.groups["grouping"] == grouping]
            if not chosen.empty:
                parts.append(group_table(grouping, chosen, (COMPARED, *self.baselines)))
        for population in POPULATIONS[1:]:
            apart = self.overall[self.overall["population"] == population]
            if not apart.empty:
                parts.append(headline([], counts[population]))
                parts.append(model_table(f"Apart: {population}", apart, self.models, METRIC_PAGES[2]))
        return Group(*parts, *self.notes)


METRIC_PAGES = (
    ("auc", "ap", "lift", "precision_at_k", "map_at_7", "hit_at_7"),
    ("captured_at_1pct", "captured_at_k", "log_loss_skill", "observed_over_expected", "calibration_error",
     "calibration_slope"),
    ("auc", "ap", "lift", "captured_at_1pct", "log_loss_skill", "observed_over_expected"),
)  # fmt: skip


def compare(
    predictions: pd.DataFrame,
    folds: tuple[Fold, ...],
    *,
    models: tuple[str, ...],
    baselines: tuple[str, ...],
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
    min_positives : adoptions a product needs to enter the means over products.
    n_resamples, random_state : of the account-clustered bootstrap, shared by all figures.
    notes : carried along.
    """
    valued = predictions.assign(value=predictions["expected_arr_usd"].astype(float).fillna(0.0))
    parts = {name: valued[mask] for name, mask in _populations(predictions).items()}
    overall, differences = [], pd.DataFrame()
    for name, rows in parts.items():
        if rows.empty:
            continue
        sample = build_sample(rows, models, n_resamples=n_resamples, random_state=random_state)
        figures = all_figures(sample, min_positives=min_positives)
        overall.append(_intervals(figures).assign(population=name))
        if name == POPULATIONS[0]:
            deltas = {
                baseline: {metric: figures[COMPARED][metric] - figures[baseline][metric] for metric in METRICS}
                for baseline in baselines
            }
            differences = _intervals(deltas).rename(columns={"model": "baseline"})
    return BacktestResult(
        folds=folds,
        models=models,
        baselines=baselines,
        predictions=predictions,
        counts=pd.DataFrame([_counts(name, rows) for name, rows in parts.items()]),
        overall=pd.concat(overall, ignore_index=True)[["population", "model", "metric", "value", "low", "high"]],
        differences=differences,
        groups=_groups(parts[POPULATIONS[0]], models, min_positives),
        notes=notes,
    )


def _populations(predictions: pd.DataFrame) -> dict[str, pd.Series]:
    shown, again = predictions["status"] == "white_space", predictions["is_winback"].astype(bool)
    return dict(zip(POPULATIONS, (shown & ~again, shown & again, ~shown), strict=True))


def _counts(population: str, rows: pd.DataFrame) -> dict[str, Any]:
    adoptions = int(rows["adopted"].sum())
    return {
        "population": population,
        "pairs": len(rows),
        "accounts": int(rows["account_id"].nunique()),
        "adoptions": adoptions,
        "base_rate": adoptions / len(rows) if len(rows) else float("nan"),
    }


def _intervals(figures: dict[str, dict[str, Vector]]) -> pd.DataFrame:
    rows = []
    for model, values in figures.items():
        for metric in METRICS:
            draws = values[metric][1:] if metric not in WITHOUT_INTERVAL else np.array([])
            interval = recentred_interval(float(values[metric][0]), draws)
            rows.append((model, metric, interval.estimate, interval.low, interval.high))
    return pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])


def _differences(figures: dict[str, dict[str, Vector]], baselines: tuple[str, ...]) -> pd.DataFrame:
    deltas = {
        baseline: {metric: figures[COMPARED][metric] - figures[baseline][metric] for metric in METRICS}
        for baseline in baselines
    }
    return _intervals(deltas).rename(columns={"model": "baseline"})


def _groups(rows: pd.DataFrame, models: tuple[str, ...], min_positives: int) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    for grouping, column in GROUPINGS.items():
        for group, chosen in rows.groupby(column, sort=True):
            sample = build_sample(chosen, models, n_resamples=0, random_state=0)
            adoptions = int(chosen["adopted"].sum())
            about = {
                "grouping": grouping,
                "group": str(group),
                "pairs": len(chosen),
                "adoptions": adoptions,
                "base_rate": adoptions / len(chosen),
            }
            for model, values in _group_figures(sample, grouping, min_positives).items():
                records += [
                    about | {"model": model, "metric": metric, "value": float(value[0])}
                    for metric, value in values.items()
                ]
    return pd.DataFrame(records)


def _group_figures(sample: Sample, grouping: str, min_positives: int) -> dict[str, dict[str, Vector]]:
    if grouping != "product":
        return all_figures(sample, min_positives=min_positives)
    # one product alone: its own rankings whatever its adoptions, and no ranking of products
    own, pairs = next(iter(product_figures(sample).values())), pair_figures(sample)
    return {model: own[model] | pairs[model] for model in own}


def _model_json(first_time: pd.DataFrame, model: str) -> dict[str, Any]:
    rows = first_time[first_time["model"] == model].set_index("metric")
    values = {metric: _plain(rows.loc[metric, "value"]) for metric in METRICS}
    intervals = {metric: [_plain(rows.loc[metric, "low"]), _plain(rows.loc[metric, "high"])] for metric in METRICS}
    return {"model": model, **values, "intervals": intervals}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict(orient="records")]


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
