"""Expected ARR of an adoption: what customers of the same segment pay for the product."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.project.catalog import Catalog
from product_affinity.spine.accounts import PAID

PRIOR_STRENGTH = 20.0
CAP_QUANTILE = 0.9


def expected_arr(facts: Facts, catalog: Catalog, pairs: pd.DataFrame, spine: pd.DataFrame) -> pd.Series:
    """Return the expected ARR of each pair, from prices known at its as-of date.

    Prices of earlier paid starts of the product, capped at their 90th percentile so that one outlier moves no
    list, averaged in the account's segment and shrunk: ``(Σ arr_segment + k · prior) / (n_segment + k)`` with
    k = 20 and prior = the product's capped mean, itself shrunk the same way to the list price.

    Parameters
    ----------
    facts : checked source tables.
    catalog : products with their list prices.
    pairs : account_id, product_id, as_of, segment.
    spine : account_id, as_of, segment of every active customer, those without white space included.

    Returns
    -------
    Series of float
        Dollars a year ≥ 0, missing where neither a price nor a list price is known; index of `pairs`.
    """
    priced = _prices(facts, spine)
    list_price = pd.Series({p.product_id: p.list_arr_usd for p in catalog}, dtype="float64")
    keys = pairs[["product_id", "as_of"]].assign(segment=pairs["segment"].fillna(""))
    by_product = priced[priced["segment"].isna()].set_index(["product_id", "as_of"])
    by_segment = priced[priced["segment"].notna()].set_index(["product_id", "as_of", "segment"])
    product = by_product.reindex(pd.MultiIndex.from_frame(keys[["product_id", "as_of"]]))
    segment = by_segment.reindex(pd.MultiIndex.from_frame(keys[["product_id", "as_of", "segment"]]))
    listed = keys["product_id"].map(list_price).to_numpy(dtype=float)
    prior = _shrunk(product, listed)
    return pd.Series(_shrunk(segment, prior), index=pairs.index, name="expected_arr_usd")


def _shrunk(known: pd.DataFrame, prior: np.ndarray) -> np.ndarray:
    """Average towards a prior; without a prior the plain average, without prices the prior."""
    count = known["n"].fillna(0).to_numpy(dtype=float)
    total = known["total"].fillna(0).to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = total / count
        shrunk = (total + PRIOR_STRENGTH * prior) / (count + PRIOR_STRENGTH)
    return np.where(np.isnan(prior), plain, shrunk)


def _prices(facts: Facts, spine: pd.DataFrame) -> pd.DataFrame:
    """Sum and count of capped first-year prices by product, date and segment; segment null = all together."""
    connection = facts.connection
    connection.register("price_dates", spine[["as_of"]].drop_duplicates())
    connection.register("price_segments", spine[["account_id", "as_of", "segment"]])
    frame = connection.execute(
        f"""
        with start as ( -- grain: paid start × as-of date at which it was known
            select sub.account_id, sub.product_id, cast(dates.as_of as date) as as_of, sub.arr_usd
            from facts.subscriptions as sub
            join price_dates as dates on {usable("sub", "cast(dates.as_of as date)")}
            where {PAID} and sub.arr_usd > 0
        ),
        cap as (
            select product_id, as_of, quantile_cont(arr_usd, {CAP_QUANTILE}) as cap_usd from start group by all
        ),
        capped as (
            select product_id, as_of, segment.segment, least(arr_usd, cap_usd) as arr_usd
            from start
            join cap using (product_id, as_of)
            left join price_segments as segment using (account_id, as_of)
        )
        select product_id, as_of, segment, count(*) as n, sum(cast(arr_usd as decimal(18, 2)))::double as total
        from capped where segment is not null group by product_id, as_of, segment
        union all
        select product_id, as_of, null, count(*), sum(cast(arr_usd as decimal(18, 2)))::double
        from capped group by product_id, as_of
        order by all
        """
    ).df()
    for name in ("price_dates", "price_segments"):
        connection.unregister(name)
    return frame.astype({"as_of": spine["as_of"].dtype})
