"""Two pictures of a backtest for MLflow, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.models.gain import gain_curve

BINS = 10


def backtest_plots(predictions: pd.DataFrame, models: Sequence[str]) -> dict[str, bytes]:
    """Return `reliability.svg` and `gain.svg` of first-time adoptions in white space.

    Parameters
    ----------
    predictions : of the backtest: status, is_winback, adopted and a column of probabilities (0 to 1) a model.
    models : columns to show; the first is drawn strongest.
    """
    rows = predictions[predictions["status"].eq("white_space") & ~predictions["is_winback"].astype(bool)]
    if rows.empty:
        return {}
    return {"reliability.svg": _svg(_reliability, rows, models[:1]), "gain.svg": _svg(_gain, rows, models)}


def _svg(draw: Any, rows: pd.DataFrame, models: Sequence[str]) -> bytes:
    # the object interface: pyplot would keep figures of the process
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "product-affinity", "svg.fonttype": "none"}):
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        draw(figure.add_subplot(), rows, models)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _reliability(axes: Any, rows: pd.DataFrame, models: Sequence[str]) -> None:
    for model in models:
        ordered = rows.sort_values([model, "account_id", "product_id"], kind="stable")
        parts = [part for part in np.array_split(np.arange(len(ordered)), BINS) if len(part)]
        expected = [ordered[model].iloc[part].mean() for part in parts]
        axes.plot(expected, [ordered["adopted"].iloc[part].mean() for part in parts], marker="o", label=model)
    top = max(*axes.get_xlim(), *axes.get_ylim())
    axes.plot([0, top], [0, top], color="0.6", linewidth=1, label="perfect")
    axes.set(xlabel="expected share of adoptions", ylabel="observed share", title="Reliability, tenths of the pairs")
    axes.legend()


def _gain(axes: Any, rows: pd.DataFrame, models: Sequence[str]) -> None:
    adopted = rows["adopted"].to_numpy(np.float64)
    for number, model in enumerate(models):
        curve = gain_curve(adopted, rows[model].to_numpy(np.float64), np.ones((len(rows), 1)))
        shown = np.linspace(0, len(curve.depth) - 1, 101).astype(int)
        depth, gain = curve.depth[shown, 0] / curve.rows[0], curve.gain[shown, 0] / max(curve.total[0], 1)
        axes.plot(depth, gain, label=model, linewidth=2.5 if number == 0 else 1)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="chance")
    axes.set(xlabel="share of the pairs", ylabel="share of the adoptions", title="Gain")
    axes.legend()
