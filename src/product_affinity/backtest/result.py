"""What a backtest found: figures with intervals, paired differences, and tables by product and segment."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group

from product_affinity.backtest.figures import METRICS
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.tables import difference_table, group_table, headline, horizon_table, model_table

#: populations reported apart; the first is the headline
POPULATIONS = ("first_time", "win_back", "in_pipeline")
GROUPINGS = {"product": "product_id", "segment": "segment", "tenure": "tenure", "fold": "fold"}
COMPARED = "blend"


@dataclass(frozen=True)
class BacktestResult:
    """Figures of every model on the test rows of all folds.

    Attributes
    ----------
    folds : as run, ascending by origin.
    models, baselines : names in the order of tables; the baselines are among the models.
    predictions : fold, keys, status, adopted, is_winback, segment, tenure, expected_arr_usd, base_rate (the
        product's training rate), workable_share, label and propensity of each further horizon, and one column of
        probabilities per model.
    counts : per population: pairs, accounts, adoptions, base_rate.
    overall : population, model, metric, value, low, high (95 %, account-clustered).
    differences : baseline, metric, and value, low, high of blend − baseline on the same resamples.
    groups : grouping (product, segment, tenure, fold), group, pairs, adoptions, base_rate, model, metric,
        value, low, high: headline rows.
    notes : folds and baselines that were left out, and why.
    group_differences : grouping, group, model (all but the blend), metric, and value, low, high of blend − model.
    weights : fold, product_id, candidate, weight of the blend (0 to 1).
    training : fold, product_id, pairs, adoptions, launch_estimate (too few adoptions to learn from).
    overlaps : fold, product_id, pairs, overlap: share (0 to 1) of the first tenth that the blend of the fold
        before also has there.
    levels : as_of, fold, model, pairs, adoptions, base_rate, expected, value, low, high: observed ÷ expected
        by month, scored by the latest model trained by then.
    min_positives : adoptions a product needs to enter the means over products.
    horizons : of `horizon_figures`: further horizons as published, coherent with the main one; empty where there
        are none.
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
    group_differences: pd.DataFrame
    weights: pd.DataFrame
    training: pd.DataFrame
    overlaps: pd.DataFrame
    levels: pd.DataFrame
    min_positives: int
    horizons: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def headline_counts(self) -> dict[str, Any]:
        """Pairs, accounts, adoptions and base_rate of first-time adoptions in white space."""
        return next(row for row in _records(self.counts) if row["population"] == POPULATIONS[0])

    @property
    def launch_estimates(self) -> tuple[str, ...]:
        """Products whose scores were a launch estimate at the last origin, sorted."""
        last = self.training[self.training["fold"].eq(self.training["fold"].max())]
        return tuple(sorted(map(str, last.loc[last["launch_estimate"], "product_id"])))

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
            "group_differences": _records(self.group_differences),
            "weights": _records(self.weights),
            "training": _records(self.training),
            "overlaps": _records(self.overlaps),
            "levels": _records(self.levels),
            "horizons": _records(self.horizons),
            "launch_estimates": list(self.launch_estimates),
            "min_positives": self.min_positives,
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
        counts = {str(row["population"]): row for row in _records(self.counts)}
        parts: list[Any] = [
            headline([str(fold.origin) for fold in self.folds], counts[POPULATIONS[0]]),
            model_table("Who is found first", first_time, self.models, METRIC_PAGES[0]),
            model_table("What it is worth, and whether to believe it", first_time, self.models, METRIC_PAGES[1]),
            difference_table(self.differences, self.baselines),
        ]
        for grouping in GROUPINGS:
            chosen = self.groups[self.groups["grouping"] == grouping]
            if not chosen.empty:
                marked = self.launch_estimates if grouping == "product" else ()
                parts.append(group_table(grouping, chosen, (COMPARED, *self.baselines), marked=marked))
        for population in POPULATIONS[1:]:
            apart = self.overall[self.overall["population"] == population]
            if not apart.empty:
                parts.append(headline([], counts[population]))
                parts.append(model_table(f"Apart: {population}", apart, self.models, METRIC_PAGES[2]))
        if len(self.horizons):
            parts.append(horizon_table(self.horizons))
        return Group(*parts, *self.notes)


METRIC_PAGES = (
    ("auc", "auc_within", "ap", "lift", "precision_at_k", "map_at_7", "hit_at_7"),
    ("captured_at_1pct", "captured_at_k", "log_loss_skill", "observed_over_expected", "calibration_error",
     "calibration_slope"),
    ("auc_within", "lift_within", "captured_at_1pct", "log_loss_skill", "observed_over_expected"),
)  # fmt: skip


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
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    return value.item() if isinstance(value, np.generic) else value
