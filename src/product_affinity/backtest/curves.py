"""What the report draws of scored test rows: gain by depth, reliability, calibration by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from product_affinity.models.bootstrap import ClusterResamples, recentred_interval
from product_affinity.models.gain import gain_curve, ratio
from product_affinity.models.metrics import quantile_bins

#: depths of the gain curve, as shares of a product's pairs at one date
DEPTHS = (0.0, *np.round(np.concatenate([np.arange(0.005, 0.1, 0.005), np.arange(0.1, 1.001, 0.02)]), 6).tolist())
BINS = 10


def gain_by_depth(rows: pd.DataFrame, models: Sequence[str], depths: Sequence[float] = DEPTHS) -> pd.DataFrame:
    """Share of the adoptions among the first rows, ranked within product and fold as lists are.

    gain(s) = Σ adoptions within the first s of each product and fold ÷ Σ adoptions; ties count in proportion.

    Parameters
    ----------
    rows : fold, product_id, adopted, and a column of probabilities a model.
    models : columns to rank by.
    depths : shares of the pairs, 0 to 1.

    Returns
    -------
    DataFrame
        model, depth, gain (0 to 1), lift = gain ÷ depth (missing at depth 0).
    """
    target = rows["adopted"].to_numpy(np.float64)
    cells = [np.asarray(at) for at in rows.reset_index(drop=True).groupby(["fold", "product_id"]).indices.values()]
    found = []
    for model in models:
        score = rows[model].to_numpy(np.float64)
        caught = np.zeros(len(depths))
        for at in cells:
            # one weighting per depth: a curve reads each of its columns at its own depth
            curve = gain_curve(target[at], score[at], np.ones((len(at), len(depths))))
            caught += curve.gain_at(np.asarray(depths) * len(at))
        gain = ratio(caught, np.full(len(depths), target.sum()))
        found.append(
            pd.DataFrame({"model": model, "depth": depths, "gain": gain, "lift": ratio(gain, np.array(depths))})
        )
    return pd.concat(found, ignore_index=True)


def reliability(rows: pd.DataFrame, model: str, *, n_resamples: int, random_state: int) -> pd.DataFrame:
    """Expected and observed share of adopters in tenths of the pairs by propensity.

    Parameters
    ----------
    rows : account_id, adopted, and the model's column.
    model : its column.
    n_resamples, random_state : of the account-clustered bootstrap.

    Returns
    -------
    DataFrame
        pairs, adoptions, expected, observed, low, high, from the least to the most likely tenth.
    """
    p, target = rows[model].to_numpy(np.float64), rows["adopted"].to_numpy(np.float64)
    bins = quantile_bins(p, BINS)
    clusters = ClusterResamples(rows["account_id"].to_numpy(), n_resamples=n_resamples, random_state=random_state)
    accounts, found = clusters.counts.shape[1], []
    for number in np.unique(bins):
        at = bins == number
        codes = clusters.codes[at]
        adopted = np.bincount(codes, weights=target[at], minlength=accounts) @ clusters.weightings
        shares = ratio(adopted, np.bincount(codes, minlength=accounts) @ clusters.weightings)
        interval = recentred_interval(float(shares[0]), shares[1:])
        found.append((int(at.sum()), int(target[at].sum()), p[at].mean(), shares[0], interval.low, interval.high))
    return pd.DataFrame(found, columns=["pairs", "adoptions", "expected", "observed", "low", "high"])
