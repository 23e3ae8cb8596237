"""Figures of the products for the page: who owns what together, and what the backtest says of the chances."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from product_affinity.lists.site import PRODUCT_TABLES
from product_affinity.models.metrics import lift_at_share, quantile_bins
from product_affinity.project.catalog import Catalog

MOST_BINS, ADOPTIONS_PER_BIN = 8, 5
LIFT_SHARES = (0.05, 0.10, 0.20, 0.50)
LEAST_ADOPTIONS = 20
_LEARNED = {
    "owned_product": "owned_product_id",
    "target_product": "product_id",
    "conversion_rate": "conversion",
    "days_to_close": "median_days",
}


def product_tables(
    catalog: Catalog,
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    affinity: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the tables of `PRODUCT_TABLES`.

    Parameters
    ----------
    catalog : the products.
    spine : active customers at one date, with segment.
    pairs : every account × product at that date with its status.
    affinity : what was learnt from attempts (owned_product, target_product, won, lost, conversion_rate,
        days_to_close), or None.
    predictions : of a backtest (product_id, adopted, status, is_winback, blend); or None.
    """
    customers = len(spine)
    owned = pairs[pairs["status"].eq("owned")][["account_id", "product_id"]]
    owners = owned["product_id"].value_counts()
    products = pd.DataFrame(
        [
            {
                "product_id": product.product_id,
                "name": product.name,
                "category": product.category,
                "list_arr_usd": product.list_arr_usd,
                "owners": int(owners.get(product.product_id, 0)),
                "customers": customers,
            }
            for product in catalog
        ],
        columns=list(PRODUCT_TABLES["products"]),
    ).astype({"list_arr_usd": float})
    tables = {
        "products": products,
        "attach": attach_by_segment(spine, owned, products["product_id"]),
        "affinity": owned_together(owned, products["product_id"], affinity),
    }
    if predictions is not None:
        first_time = _first_time(predictions)
        tables |= {"reliability": reliability(first_time), "lift": lifts(first_time)}
    return tables


def attach_by_segment(spine: pd.DataFrame, owned: pd.DataFrame, product_ids: pd.Series) -> pd.DataFrame:
    """Count customers and owners of each product by segment; accounts without a segment are a group of their own."""
    segments = spine[["account_id", "segment"]].fillna({"segment": "unknown"})
    customers = segments["segment"].value_counts().rename("customers").rename_axis("segment").reset_index()
    held = owned.merge(segments, on="account_id", how="inner", validate="m:1")
    owners = held.groupby(["product_id", "segment"]).size().rename("owners").reset_index()
    grid = product_ids.to_frame().merge(customers, how="cross")
    rows = grid.merge(owners, on=["product_id", "segment"], how="left", validate="1:1").fillna({"owners": 0})
    rows["order"] = rows["segment"].map({"smb": 0, "mid_market": 1, "enterprise": 2}).fillna(3)
    return rows.sort_values(["product_id", "order", "segment"], ignore_index=True)[list(PRODUCT_TABLES["attach"])]


def owned_together(owned: pd.DataFrame, product_ids: pd.Series, affinity: pd.DataFrame | None) -> pd.DataFrame:
    """Count, per owned → other product, the owners of the one and those who own both.

    ``pair attach rate = both ÷ owners`` (domain: attach rate A→B).
    """
    matrix = pd.crosstab(owned["account_id"], owned["product_id"]).reindex(columns=list(product_ids), fill_value=0)
    counts = (matrix > 0).to_numpy(dtype=np.int64)
    both = counts.T @ counts
    names = list(product_ids)
    rows = pd.DataFrame(
        [
            {"owned_product_id": a, "product_id": b, "owners": int(both[i, i]), "both": int(both[i, j])}
            for i, a in enumerate(names)
            for j, b in enumerate(names)
            if i != j
        ],
        columns=["owned_product_id", "product_id", "owners", "both"],
    )
    columns = list(PRODUCT_TABLES["affinity"])
    if affinity is None:
        return rows.assign(conversion=np.nan, opportunities=np.nan, median_days=np.nan)[columns]
    learned = affinity.assign(opportunities=affinity["won"] + affinity["lost"]).rename(columns=_LEARNED)
    return rows.merge(learned[columns[:2] + columns[4:]], on=columns[:2], how="left", validate="1:1")[columns]


def reliability(predictions: pd.DataFrame) -> pd.DataFrame:
    """Compare predicted chances with observed shares in equal-count bins, with 95 % Wilson intervals.

    Only products with `LEAST_ADOPTIONS` adoptions are judged; a bin holds about `ADOPTIONS_PER_BIN` or more.
    """
    rows = []
    for product_id, part in predictions.groupby("product_id", sort=True):
        adopted = part["adopted"].to_numpy(dtype=float)
        if adopted.sum() < LEAST_ADOPTIONS:
            continue
        chance = part["blend"].to_numpy(dtype=float)
        bins = quantile_bins(chance, int(np.clip(adopted.sum() // ADOPTIONS_PER_BIN, 2, MOST_BINS)))
        for number in np.unique(bins):
            inside = bins == number
            pairs, won = int(inside.sum()), int(adopted[inside].sum())
            observed = binomtest(won, pairs).proportion_ci(0.95, method="wilson")
            rows.append((product_id, chance[inside].mean(), won / pairs, observed.low, observed.high, pairs))
    return pd.DataFrame(rows, columns=list(PRODUCT_TABLES["reliability"]))


def lifts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return lift among the top shares of accounts, for products with `LEAST_ADOPTIONS` adoptions or more."""
    rows = []
    for product_id, part in predictions.groupby("product_id", sort=True):
        adopted, chance = part["adopted"].to_numpy(dtype=float), part["blend"].to_numpy(dtype=float)
        if adopted.sum() < LEAST_ADOPTIONS:
            continue
        for share in LIFT_SHARES:
            lift = lift_at_share(adopted, chance, share)
            pairs = share * len(part)
            rows.append((product_id, share, lift, round(pairs), round(lift * adopted.mean() * pairs)))
    return pd.DataFrame(rows, columns=list(PRODUCT_TABLES["lift"]))


def _first_time(predictions: pd.DataFrame) -> pd.DataFrame:
    """Keep first-time pairs with a closed horizon: the population of the headline figures."""
    kept = predictions["adopted"].notna() & predictions["status"].eq("white_space") & ~predictions["is_winback"]
    return predictions[kept]
