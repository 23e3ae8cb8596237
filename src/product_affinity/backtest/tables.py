"""Tables for the terminal: a model's figure never stands without baselines and a base rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    metrics = ("auc", "ap", "lift", "captured_at_1pct", "log_loss_skill", "map_at_7")
    table = _table("Blend minus baseline (paired)", "baseline", [f"Δ {METRICS[metric]}" for metric in metrics])
    cells = _cells(differences, "baseline", sign="+")
    for baseline in baselines:
        table.add_row(baseline, *(cells[baseline, metric] for metric in metrics))
    return table


def group_table(grouping: str, groups: pd.DataFrame, models: Sequence[str]) -> Table:
    """AUC of the blend and the baselines per group, with the group's size and base rate.

    Parameters
    ----------
    grouping : what the groups are.
    groups : group, pairs, adoptions, base_rate, model, metric, value.
    models : in the order of columns.
    """
    heads = ["pairs", "adoptions", "base rate", *(f"AUC {model}" for model in models)]
    table = _table(f"By {grouping}", grouping, heads)
    auc = groups[groups["metric"] == "auc"]
    for group, rows in auc.groupby("group", sort=True):
        values = rows.set_index("model")["value"]
        about = rows.iloc[0]
        table.add_row(
            str(group),
            f"{int(about['pairs']):,}",
            f"{int(about['adoptions']):,}",
            f"{100 * about['base_rate']:.2f} %",
            *(_number(float(values[model])) for model in models),
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
