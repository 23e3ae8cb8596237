"""A small classifier and the manifest that goes with it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.models import PropensityClassifier

PRODUCTS = ("crm", "desk")
COLUMNS = ["usage_active_users_mean_28d", "firmographic_industry", "is_winback"]


def training_rows(n: int = 1200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows whose adoption rises with usage and differs by industry, with missing values of both."""
    rng = np.random.default_rng(seed)
    users = rng.normal(size=n)
    industry = rng.choice(["retail", "software", "NA"], size=n)
    log_odds = 1.5 * users - 1 + (industry == "retail")
    frame = pd.DataFrame(
        {
            COLUMNS[0]: np.where(rng.random(n) < 0.1, np.nan, users),
            COLUMNS[1]: pd.Series(industry).mask(rng.random(n) < 0.1),
            COLUMNS[2]: (rng.random(n) < 0.2).astype(float),
        }
    )
    adopted = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return frame, adopted, rng.choice(PRODUCTS, size=n)


def fitted(horizon_days: int, seed: int = 0) -> PropensityClassifier:
    frame, adopted, product = training_rows(seed=seed)
    classifier = PropensityClassifier(
        horizon_days=horizon_days, gap_days=horizon_days + 7, n_seeds=1, random_state=seed
    )
    return classifier.fit(frame, adopted, product=product)


def manifest(*horizons_days: int) -> dict[str, object]:
    return {
        "product_ids": list(PRODUCTS),
        "columns": [
            {"name": COLUMNS[0], "kind": "number", "family": "usage"},
            {"name": COLUMNS[1], "kind": "category", "family": "firmographic"},
            {"name": COLUMNS[2], "kind": "number"},
        ],
        "families": {"usage": "ab" * 32, "firmographic": "cd" * 32},
        "trained_as_of": "2026-06-30",
        "horizons_days": list(horizons_days),
        "thresholds": {"launch_estimate_below_adoptions": 30},
    }
