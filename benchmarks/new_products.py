"""Products that the fit has not seen, each of the demo company in turn.

Run ``python -m benchmarks.new_products [FOLDER [ACCOUNTS]]``. The launched product of :mod:`benchmarks.demo_pairs` is
one draw a company. Here every product is left out of the training rows once and scored on the last day as if it were
new. Its offset knows its sales, so the level is that of a product that sells already. *Yield* is the share of the
oracle's adoptions in the best 5 %.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks.demo_pairs import UNTIL, WORLDS, DemoPairs, World, chance_yield, demo_pairs, yield_at_5
from product_affinity.models.assembly import model_frame

ACCOUNTS = 2000
SEEDS = (301, 302)


def left_out(data: DemoPairs) -> Iterator[dict[str, float | str]]:
    """Figures of each product, by a classifier that has not seen it."""
    today = data.test_on(UNTIL)
    for product, new in today.groupby("product_id"):
        model = data.recipe.fit(data.rows[data.rows["product_id"].ne(product)].reset_index(drop=True), UNTIL, jobs=1)
        X, name, truth = model_frame(new, data.columns), new["product_id"], new["p_90d"].to_numpy(np.float64)
        alone = model.candidate_proba(X, product=name)
        score = model.predict_proba(X, product=name)[:, 1]
        yield {
            "product": str(product),
            "yield@5 %": yield_at_5(score, truth),
            "pooled trees": yield_at_5(alone["pooled"].to_numpy(), truth),
            "ridge": yield_at_5(alone["ridge"].to_numpy(), truth),
            "by chance": chance_yield(truth),
            "Σp/Σtrue": float(score.sum() / truth.sum()),
        }


def compare(world: World, folder: Path, accounts: int = ACCOUNTS) -> pd.DataFrame:
    """One line a product and company."""
    lines = [{"seed": seed, **line} for seed in SEEDS for line in left_out(demo_pairs(world, seed, folder, accounts))]
    return pd.DataFrame(lines).set_index(["seed", "product"])


def main(kept: Path | None = None, accounts: int = ACCOUNTS) -> None:
    """Print every product and the means; a given folder keeps the companies."""
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as made:
        for world in WORLDS:
            figures = compare(world, kept or Path(made), accounts)
            console.print(f"World {world}, {accounts:,} accounts", figures.round(2).to_string())
            console.print("mean", figures.mean().round(3).to_dict(), "standard error", figures.sem().round(3).to_dict())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]), *map(int, sys.argv[2:3]))
