"""Metrics of the products ranked within each account: MAP, nDCG and hits among the first k."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.models.gain import checked_columns


def map_at_k(
    account: npt.ArrayLike,
    product: npt.ArrayLike,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    k: int,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Mean average precision of the products ranked within each account that adopted any, 0–1.

    AP@k = Σ_{i ≤ k} y_i × precision(i) ÷ min(k, adoptions). Equal scores rank by product in ascending order.
    An account weighs as its first row does in ascending product order.

    Raises
    ------
    ValueError : `k` is below 1.

    >>> map_at_k(["A"] * 3, ["x", "y", "z"], [0, 1, 1], [0.9, 0.5, 0.1], k=2)
    0.25
    """
    return _account_mean("average_precision", account, product, y, p, k, sample_weight)


def ndcg_at_k(
    account: npt.ArrayLike,
    product: npt.ArrayLike,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    k: int,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Mean of DCG@k ÷ best possible DCG@k with DCG@k = Σ_{i ≤ k} y_i ÷ log₂(i + 1); else as `map_at_k`.

    >>> ndcg_at_k(["A"] * 2, ["x", "y"], [1, 0], [0.9, 0.5], k=1)
    1.0
    """
    return _account_mean("ndcg", account, product, y, p, k, sample_weight)


def hit_at_k(
    account: npt.ArrayLike,
    product: npt.ArrayLike,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    k: int,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the adopting accounts with an adopted product among their first k; else as `map_at_k`.

    >>> hit_at_k(["A", "A", "B", "B"], ["x", "y", "x", "y"], [1, 0, 0, 1], [0.9, 0.5, 0.9, 0.5], k=1)
    0.5
    """
    return _account_mean("hit", account, product, y, p, k, sample_weight)


def per_account_at_k(
    account: npt.ArrayLike, product: npt.ArrayLike, y: npt.ArrayLike, p: npt.ArrayLike, k: int
) -> pd.DataFrame:
    """Rank products within each account and score the first k.

    Returns
    -------
    DataFrame
        One row per account with an adoption, sorted and indexed by it: average_precision, ndcg, hit (0–1).

    Raises
    ------
    ValueError : `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    target, score, _ = checked_columns(y, p, None)
    ranked = pd.DataFrame({"account": np.asarray(account), "product": np.asarray(product), "y": target, "p": score})
    ranked = ranked.sort_values(["account", "p", "product"], ascending=[True, False, True], ignore_index=True)
    groups = ranked.groupby("account", sort=True)["y"]
    rank = groups.cumcount().to_numpy() + 1
    first = ranked["y"].where(rank <= k, 0.0)
    parts = pd.DataFrame(
        {
            "account": ranked["account"],
            "adopted": ranked["y"],
            "average_precision": first * groups.cumsum() / rank,
            "ndcg": first / np.log2(rank + 1),
            "hit": first,
        }
    )
    sums = parts.groupby("account", sort=True).sum()
    sums = sums[sums["adopted"] > 0]
    best = np.minimum(sums["adopted"].to_numpy(), k).astype(np.int64)
    ideal = np.cumsum(1 / np.log2(np.arange(1, best.max(initial=1) + 1) + 1))
    return pd.DataFrame(
        {
            "average_precision": sums["average_precision"] / best,
            "ndcg": sums["ndcg"] / ideal[best - 1],
            "hit": np.minimum(sums["hit"], 1.0),
        }
    )


def _account_mean(
    figure: str,
    account: npt.ArrayLike,
    product: npt.ArrayLike,
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    k: int,
    sample_weight: npt.ArrayLike | None,
) -> float:
    values = per_account_at_k(account, product, y, p, k)[figure]
    if values.empty:
        return float("nan")
    if sample_weight is None:
        return float(values.mean())
    rows = pd.DataFrame(
        {"account": np.asarray(account), "product": np.asarray(product), "weight": np.asarray(sample_weight)}
    )
    weights = rows.sort_values(["account", "product"]).groupby("account")["weight"].first().loc[values.index]
    return float(np.average(values, weights=weights)) if weights.sum() > 0 else float("nan")
