from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.scoring import score_pairs


class Fixed:
    """A classifier that always gives the same probabilities."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = np.array(probabilities)

    def predict_proba(self, X, *, product):
        return np.column_stack([1 - self.probabilities, self.probabilities])


def scores(classifiers, rows=2, horizon_days=90):
    frame = pd.DataFrame({"x": np.zeros(rows)})
    return score_pairs(classifiers, frame, pd.Series(["crm"] * rows), horizon_days=horizon_days)


def test_horizons_are_coherent():
    found = scores({30: Fixed(0.1, 0.3), 90: Fixed(0.2, 0.2), 180: Fixed(0.1, 0.4)})
    assert found["propensity_30d"].tolist() == [0.1, 0.2]
    assert found["propensity_90d"].tolist() == found["propensity"].tolist() == [0.2, 0.2]
    assert found["propensity_180d"].tolist() == [0.2, 0.4]


def test_the_main_horizon_is_published_as_made_coherent():
    found = scores({30: Fixed(0.1, 0.3), 90: Fixed(0.2, 0.2)}, horizon_days=30)
    assert found["propensity"].tolist() == [0.1, 0.2]


def test_a_horizon_without_a_model_is_missing():
    found = scores({60: Fixed(0.1, 0.3)}, horizon_days=60)
    assert found["propensity"].tolist() == [0.1, 0.3]
    assert found[["propensity_30d", "propensity_90d", "propensity_180d"]].isna().all(axis=None)


def test_nothing_to_score_is_no_fault():
    assert scores({90: Fixed()}, rows=0).empty
