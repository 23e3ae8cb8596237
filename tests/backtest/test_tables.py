"""What the terminal shows of a backtest."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from rich.console import Console

from product_affinity.backtest.tables import group_table

NONE = (np.nan, np.nan)


def shown(rows: list[tuple[str, float, float, float]]) -> str:
    """The table of one group with these models: name, AUC within, its interval."""
    frame = pd.DataFrame(rows, columns=["model", "value", "low", "high"]).assign(
        group="smb", pairs=1200, adoptions=18, base_rate=0.015, metric="auc_within"
    )
    console = Console(width=90, file=io.StringIO())
    console.print(group_table("segment", frame, ("blend", "popularity", "logistic", "activity")))
    return console.file.getvalue()


def test_a_group_stands_beside_its_best_baseline_and_its_base_rate() -> None:
    text = shown(
        [("blend", 0.7, 0.61, 0.79), ("popularity", 0.5, *NONE), ("logistic", 0.6, *NONE), ("activity", 0.6, *NONE)]
    )
    assert "1.50 %" in text
    assert "0.600 logistic" in text
    assert "activity" not in text
    assert "[0.610, 0.790]" in text


def test_a_group_whose_baselines_have_no_figure_shows_a_dash() -> None:
    text = shown([("blend", 0.7, *NONE), *((name, np.nan, *NONE) for name in ("popularity", "logistic", "activity"))])
    assert "–" in text
    assert "0.700" in text
