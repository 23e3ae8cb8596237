"""Strength on single tables: no product, account or date; everybody with defaults.

Run ``python -m benchmarks.single_tables``. *Captured* is the share of buyers among the best fifth
of the held-out rows. The classifier's defaults were chosen on tables of other seeds (100 to 520).
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks.rivals import RIVALS, coded
from benchmarks.tables import KINDS, Table
from product_affinity.models import PropensityClassifier

Vector = npt.NDArray[np.float64]
OURS = "PropensityClassifier"
SHOWN = ("LightGBM, defaults", "logistic regression")


def captured_share(y: npt.NDArray[np.int64], probability: Vector, share: float = 0.2) -> float:
    """Share of the positives among the rows with the highest probability; ties in proportion."""
    size = int(share * len(y))
    bound = np.sort(probability)[-size]
    above, tied = probability > bound, probability == bound
    found = y[above].sum() + y[tied].mean() * (size - above.sum())
    return float(found / y.sum())


def scored(name: str, table: Table, train: npt.NDArray[np.int64], test: npt.NDArray[np.int64]) -> dict[str, float]:
    """Figures of one model on one split."""
    start = time.perf_counter()
    X, new = table.X.iloc[train], table.X.iloc[test]
    if name == OURS:
        probability = PropensityClassifier().fit(X, table.y[train]).predict_proba(new)[:, 1]
    elif name == "truth":
        probability = table.truth[test]
    else:
        whole = coded(table.X, name)
        model = RIVALS[name]().fit(whole.iloc[train], table.y[train])
        probability = model.predict_proba(whole.iloc[test])[:, 1]
    return {
        "captured": captured_share(table.y[test], probability),
        "AUC": float(roc_auc_score(table.y[test], probability)),
        "log-loss": float(log_loss(table.y[test], probability)),
        "seconds": time.perf_counter() - start,
    }


def compare(kind: str, seeds: range) -> pd.DataFrame:
    """Figures of every model on one 60/40 split per table, one row each."""
    rows = []
    for seed in seeds:
        table = KINDS[kind](seed)
        splitter = StratifiedShuffleSplit(1, test_size=0.4, random_state=seed)
        train, test = next(splitter.split(table.X, table.y))
        for name in (OURS, *SHOWN, "truth"):
            rows.append({"model": name, "seed": seed, **scored(name, table, train, test)})
    return pd.DataFrame(rows)


def wins(figures: pd.DataFrame, rival: str) -> str:
    """On how many tables ours captures more, ties as half."""
    wide = figures.pivot_table(index="seed", columns="model", values="captured")
    gain = wide[OURS] - wide[rival]
    return f"{(gain > 0).sum() + (gain == 0).sum() / 2:g}/{len(gain)}"


def main(tables: int = 8) -> None:
    """Print one table a kind."""
    warnings.simplefilter("ignore")
    for kind in KINDS:
        count = tables if kind != "vehicle insurance" else max(3, tables // 3)
        figures = compare(kind, range(1000, 1000 + count))
        mean = figures.drop(columns="seed").groupby("model", sort=False).mean()
        printed = Printed("model", *mean.columns, "ours captures more", title=f"{kind}: {count} tables")
        for name, line in mean.iterrows():
            against = wins(figures, str(name)) if name not in (OURS, "truth") else ""
            printed.add_row(str(name), *(f"{value:.3f}" for value in line), against)
        Console().print(printed)


if __name__ == "__main__":
    main()
