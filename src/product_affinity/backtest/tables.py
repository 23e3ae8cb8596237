"""Tables for the terminal: a model's figure never stands without baselines and a base rate."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from rich.table import Table

from product_affinity.backtest.figures import METRICS


def headline(origins: Sequence[str], counts: Mapping[str, float]) -> str:
    """One line: rows, adoptions, base rate, and the test dates where given.

    >>> headline(["2026-01-31"], {"pairs": 1000, "accounts": 90, "adoptions": 25, "base_rate": 0.025})
    '1,000 pairs of 90 accounts, 25 adoptions, base rate 2.50 %; tested at 2026-01-31'
    """
    line = (
        f"{int(counts['pairs']):,} pairs of {int(counts['accounts']):,} accounts, "
        f"{int(counts['adoptions']):,} adoptions, base rate {100 * counts['base_rate']:.2f} %"
    )
    return line + (f"; tested at {', '.join(origins)}" if origins else "")


def model_table(title: str, figures: pd.DataFrame, models: Sequence[str], metrics: Sequence[str]) -> Table:
    """One row per model, each figure with its 95 % interval.

    Parameters
    ----------
    title : of the table.
    figures : model, metric, value, low, high.
    models, metrics : in the order of rows and columns.
    """
    table = _table(title, "model", [METRICS[metric] for metric in metrics])
    cells = _cells(figures, "model")
    for model in models:
        table.add_row(model, *(cells[model, metric] for metric in metrics))
    return table


def difference_table(differences: pd.DataFrame, baselines: Sequence[str]) -> Table:
    """Blend − baseline with 95 % intervals of paired resamples.

    Parameters
    ----------
    differences : baseline, metric, value, low, high.
    baselines : in the order of rows.
    """
    metrics = ("auc", "auc_within", "ap", "lift", "captured_at_1pct", "log_loss_skill", "map_at_7")
    table = _table("Blend minus baseline (paired)", "baseline", [f"Δ {METRICS[metric]}" for metric in metrics])
    cells = _cells(differences, "baseline", sign="+")
    for baseline in baselines:
        table.add_row(baseline, *(cells[baseline, metric] for metric in metrics))
    return table


def group_table(grouping: str, groups: pd.DataFrame, models: Sequence[str], *, marked: Collection[str] = ()) -> Table:
    """AUC within product and fold of the blend and of the best baseline there, with the group's size and base rate.

    Parameters
    ----------
    grouping : what the groups are.
    groups : group, pairs, adoptions, base_rate, model, metric, value, low, high.
    models : the blend, shown with its interval, then the baselines.
    marked : groups whose scores were launch estimates.
    """
    heads = ["pairs", "adoptions", "base rate", f"AUC within {models[0]}", "best baseline"]
    table = _table(f"By {grouping}", grouping, heads)
    auc = groups[groups["metric"] == "auc_within"]
    for group, rows in auc.groupby("group", sort=True):
        by_model = {row["model"]: row for row in rows.to_dict(orient="records")}
        first = about = by_model[models[0]]
        # equal ones by the order of the baselines
        rivals = [name for name in models[1:] if not np.isnan(by_model[name]["value"])]
        best = max(rivals, key=lambda name: by_model[name]["value"], default=None)
        shown = _with_interval(first["value"], first["low"], first["high"], "")
        table.add_row(
            f"{group} (launch estimate)" if group in marked else str(group),
            f"{int(about['pairs']):,}",
            f"{int(about['adoptions']):,}",
            f"{100 * about['base_rate']:.2f} %",
            shown,
            "–" if best is None else f"{_number(by_model[best]['value'])} {best}",
        )
    return table


def horizon_table(horizons: pd.DataFrame) -> Table:
    """Further horizons as published, one row each, with its base rate.

    Parameters
    ----------
    horizons : of `BacktestResult`; not empty.
    """
    metrics = list(horizons["metric"].drop_duplicates())
    heads = ["folds", "pairs", "adoptions", "base rate", "mended", *(METRICS[metric] for metric in metrics)]
    table = _table("Further horizons of the blend, as published", "days", heads)
    cells = _cells(horizons, "horizon_days")
    for about in horizons.drop_duplicates("horizon_days").to_dict(orient="records"):
        days = about["horizon_days"]
        table.add_row(
            str(days),
            f"{about['folds']}, last {about['last_fold']}",
            f"{about['pairs']:,}",
            f"{about['adoptions']:,}",
            f"{100 * about['base_rate']:.2f} %",
            f"{100 * about['corrected_share']:.1f} %",
            *(cells[days, metric] for metric in metrics),
        )
    return table


def _table(title: str, first: str, heads: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _cells(figures: pd.DataFrame, model: str, sign: str = "") -> dict[tuple[str, str], str]:
    columns = (figures[name] for name in (model, "metric", "value", "low", "high"))
    return {
        (name, metric): _with_interval(value, low, high, sign)
        for name, metric, value, low, high in zip(*columns, strict=True)
    }


def _with_interval(value: float, low: float, high: float, sign: str) -> str:
    shown = _number(value, sign)
    return shown if np.isnan(low) else f"{shown}\n[{_number(low, sign)}, {_number(high, sign)}]"


def _number(value: float, sign: str = "") -> str:
    if np.isnan(value):
        return "–"
    return f"{value:{sign}.2f}" if abs(value) >= 2 else f"{value:{sign}.3f}"
