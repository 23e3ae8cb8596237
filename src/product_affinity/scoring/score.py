"""Score pairs with a bundle's classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

PUBLISHED_HORIZONS = (30, 90, 180)


class Scorer(Protocol):
    """What scoring asks of a classifier, or of a baseline that stands in for one."""

    def predict_proba(self, features: pd.DataFrame, /, *, product: Any) -> npt.NDArray[np.float64]:
        """Return the probability of not adopting and of adopting, one row a pair."""


def score_pairs(
    classifiers: Mapping[int, Scorer],
    features: pd.DataFrame,
    product: pd.Series,
    *,
    horizon_days: int,
) -> pd.DataFrame:
    """Score rows with every horizon's classifier and make the horizons coherent.

    Published ``p30 = min(p30, p90)`` and ``p180 = max(p180, p90)``: an adoption within 30 days is one within 90.

    Parameters
    ----------
    classifiers : fitted classifier by horizon in days; must hold `horizon_days`.
    features : the classifier's input columns, one row a pair.
    product : product_id of each row.
    horizon_days : the project's main horizon, published as `propensity`.

    Returns
    -------
    DataFrame
        propensity, propensity_30d, propensity_90d, propensity_180d in 0–1 (missing where that horizon has no
        classifier), index of `features`.
    """
    columns = {
        days: classifier.predict_proba(features, product=product)[:, 1] if len(features) else np.empty(0)
        for days, classifier in classifiers.items()
    }
    scores = pd.DataFrame(index=features.index)
    for days in dict.fromkeys((*PUBLISHED_HORIZONS, horizon_days)):
        scores[f"propensity_{days}d"] = columns.get(days, np.full(len(features), np.nan))
    if 90 in columns:
        scores["propensity_30d"] = scores[["propensity_30d", "propensity_90d"]].min(axis=1, skipna=False)
        scores["propensity_180d"] = scores[["propensity_180d", "propensity_90d"]].max(axis=1, skipna=False)
    scores.insert(0, "propensity", scores[f"propensity_{horizon_days}d"])
    return scores[["propensity", *(f"propensity_{days}d" for days in PUBLISHED_HORIZONS)]]
