"""Declared directions hold for the blend and for each candidate, on rows of both demo worlds."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.base import clone

from product_affinity.models import PropensityClassifier
from product_affinity.models.assembly import build_classifier, model_frame
from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.prepare import prepare
from product_affinity.pipeline.table import build_training_table
from product_affinity.project import load_project

UNTIL = dt.date(2026, 6, 30)
#: few dates, far enough apart for inner folds with a gap
AS_OFS = ("2025-08-31", "2025-09-30", "2025-12-31", "2026-01-31", "2026-03-20")
SWEPT_ROWS = 36


def silent(sentence: str) -> None:
    del sentence


@dataclass(frozen=True)
class Demo:
    """What a small demo company teaches: training rows with keys, and rows to sweep with their products."""

    constrained: PropensityClassifier
    X: pd.DataFrame
    y: np.ndarray
    keys: dict[str, pd.Series]
    rows: pd.DataFrame
    products: np.ndarray

    def fit(self, monotone: dict[str, int] | None) -> PropensityClassifier:
        return clone(self.constrained).set_params(monotone=monotone).fit(self.X, self.y, **self.keys)


@pytest.fixture(scope="module", params=["shared", "specific"])
def demo(request, tmp_path_factory) -> Demo:
    root = tmp_path_factory.mktemp("demo") / "company"
    make_demo(root, accounts=400, months=15, until=UNTIL, seed=5, world=request.param, traps=False, progress=silent)
    settings = root / "affinity.toml"
    dates = ", ".join(f'"{day}"' for day in AS_OFS)
    settings.write_text(re.sub('as_ofs = "month_end"', f"as_ofs = [{dates}]", settings.read_text("utf-8")), "utf-8")
    project = load_project(root)
    table = build_training_table(prepare(project, UNTIL, jobs=1, progress=silent), progress=silent)
    rows = table.rows[table.rows["adopted"].notna()].reset_index(drop=True)
    frame = model_frame(rows, table.columns)
    each = SWEPT_ROWS // rows["product_id"].nunique()
    taken = rows.groupby("product_id").sample(each, random_state=0).index
    products = rows.loc[taken, "product_id"].to_numpy()
    # and some as rows of a product that nobody has seen
    products[::4] = "launched yesterday"
    return Demo(
        build_classifier(project.model_spec.estimator, table.columns, horizon_days=90, gap_days=97, n_jobs=1),
        frame,
        rows["adopted"].to_numpy(int),
        {"product": rows["product_id"], "account": rows["account_id"], "as_of": rows["as_of"]},
        frame.loc[taken],
        products,
    )


def swept(rows: pd.DataFrame, products: np.ndarray, column: str, grid: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
    """Every row once per value of the grid, row by row."""
    frame = rows.loc[rows.index.repeat(len(grid))].reset_index(drop=True)
    frame[column] = np.tile(grid, len(rows))
    return frame, np.repeat(products, len(grid))


def sweep(model: PropensityClassifier, demo: Demo, column: str) -> dict[str, np.ndarray]:
    """Log-odds of each model, one line per row, along the column's values and beyond them."""
    known = demo.X[column].dropna().to_numpy(float)
    beyond = np.ptp(known) + 1
    grid = np.unique([known.min() - beyond, *np.quantile(known, np.linspace(0, 1, 12)), known.max() + beyond])
    frame, products = swept(demo.rows, demo.products, column, grid)
    scores = model.candidate_proba(frame, product=products)
    scores["blend"] = model.predict_proba(frame, product=products)[:, 1]
    return {name: logit(score.to_numpy()).reshape(-1, len(grid)) for name, score in scores.items()}


def test_every_declared_direction_holds_for_blend_and_candidates(demo: Demo):
    declared = demo.constrained.monotone
    model = demo.fit(declared)
    directions = {**declared, model.offset: 1}
    assert len(directions) > 15
    assert (model.weights_ > 0).any().sum() >= 2
    used = 0
    for column, direction in directions.items():
        lines = sweep(model, demo, column)
        for name, line in lines.items():
            against = float((-direction * np.diff(line, axis=1)).max())
            assert against <= 1e-9, f"{name} moves against {column} by {against:.3g}"
        used += np.ptp(lines["blend"], axis=1).max() > 1e-6
    # a blend that ignored the columns would hold every direction
    assert used > len(directions) / 2


@pytest.mark.parametrize("demo", ["shared"], indirect=True)
def test_the_sweep_sees_columns_that_no_direction_holds(demo: Demo):
    free = demo.fit(None)
    falling = [
        column
        for column, direction in demo.constrained.monotone.items()
        if (direction * np.diff(sweep(free, demo, column)["blend"], axis=1)).min() < -1e-3
    ]
    assert len(falling) >= 3
