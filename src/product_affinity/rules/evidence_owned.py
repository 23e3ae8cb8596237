"""Evidence about owned products, and which of them is the anchor of each pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.project.catalog import Catalog, Quadrant
from product_affinity.project.playbook.readiness import Definitions
from product_affinity.spine.accounts import PAID, RUNNING

# Attach bands run high for primary, medium for problem-first, low for specialist: the nearest first.
NEAREST_FIRST: tuple[Quadrant, ...] = ("primary", "problem_first", "specialist", "net_new")
_NO_ADJACENCY = len(NEAREST_FIRST)
_WEEK_DAYS = 7
_MOST_WEEKS = 62  # bits of a bigint without its sign

POINTS_PER_URGENT_TICKET = 15


@dataclass(frozen=True)
class Owned:
    """Owned products.

    Attributes
    ----------
    products : one row per spine row and owned product, ordered by spine row, then highest ARR, oldest start,
        product_id: spine_row, product (position in the catalogue), anchor_health, licence_use,
        weekly_active_weeks, core_features_used, core_features_listed, core_adoption.
    active_users : mean active users per spine row over the look-back of tickets, summed over products.
    core_health : health of the product with the highest ARR, per spine row.
    """

    products: pd.DataFrame
    active_users: np.ndarray
    core_health: np.ndarray

    def with_composed_health(self, open_urgent: pd.Series) -> Owned:
        """Return the same with a composite in place of health scores, for a company that has none.

        ``clip(100 · licence_use − 15 · open P1 and P2 tickets, 0, 100)``, as `health_index` of the features; unknown
        where one of the two is.

        Parameters
        ----------
        open_urgent : open P1 and P2 tickets per spine row.
        """
        urgent = open_urgent.to_numpy(dtype=float, na_value=np.nan)[self.products["spine_row"].to_numpy(dtype=int)]
        health = (100 * self.products["licence_use"] - POINTS_PER_URGENT_TICKET * urgent).clip(0, 100)
        products = self.products.assign(anchor_health=health)
        return Owned(products, self.active_users, _core_health(products, len(self.core_health)))


def owned_evidence(facts: Facts, catalog: Catalog, definitions: Definitions, rows: int) -> Owned:
    """Build the evidence of every owned product of every spine row.

    Needs the temp tables `as_of_dates` and `evidence_spine`.

    Parameters
    ----------
    facts : checked source tables.
    catalog : products with their core features.
    definitions : look-backs.
    rows : number of spine rows.
    """
    features = [(p.product_id, feature) for p in catalog for feature in p.core_features]
    facts.connection.register(
        "core_feature_frame", pd.DataFrame(features, columns=["product_id", "feature"], dtype="str")
    )
    frame = facts.connection.execute(_owned_query(definitions)).df()
    facts.connection.unregister("core_feature_frame")
    position = pd.Index(catalog.product_ids).get_indexer(pd.Index(frame["product_id"]))
    listed = np.array([len(product.core_features) for product in catalog], dtype=float)[position]
    listed[listed == 0] = np.nan
    used = frame["core_features_used"].astype("float64").where(~np.isnan(listed))
    products = pd.DataFrame(
        {
            "spine_row": frame["spine_row"],
            "product": position,
            "anchor_health": frame["health"].astype("float64"),
            "licence_use": frame["licence_use"].astype("float64"),
            "weekly_active_weeks": frame["weekly_active_weeks"].astype("float64"),
            "core_features_used": used,
            "core_features_listed": listed,
            "core_adoption": used / listed,
        }
    )
    users = frame.groupby("spine_row")["active_users"].sum(min_count=1)
    return Owned(products, _laid_out(users, rows), _core_health(products, rows))


def _core_health(products: pd.DataFrame, rows: int) -> np.ndarray:
    return _laid_out(products.drop_duplicates("spine_row").set_index("spine_row")["anchor_health"], rows)


def _laid_out(values: pd.Series, rows: int) -> np.ndarray:
    return values.reindex(range(rows)).to_numpy(dtype=float, na_value=np.nan)


def _owned_query(definitions: Definitions) -> str:
    """SQL of owned products with their health, use and core features.

    A product that sends no rows for any customer is not tracked, and a week without any row of it was not
    delivered: both leave its use unknown. Where it is tracked, a customer without rows did not use it.
    """
    return f"""
    -- grain: spine row × owned product
    with owned as (
        select spine_row, account_id, as_of, product_id, sum(sub.arr_usd) as arr_usd, sum(sub.seats) as seats,
            min(sub.start_on) as start_on
        from (
            select sub.account_id, sub.product_id, dates.as_of, sub.arr_usd, sub.seats, sub.start_on
            from facts.subscriptions as sub
            join as_of_dates as dates on {usable("sub", "dates.as_of")}
            where {PAID} and {RUNNING}
        ) as sub
        join evidence_spine using (account_id, as_of)
        group by all
    ),
    {_used(definitions)},
    tracked as (
        select product_id, as_of, bit_count(bit_or(weeks_delivered)) as weeks_delivered, bool_or(is_recent) as is_recent
        from used group by all
    ),
    {_core_and_scored(definitions)},
    core_tracked as (select distinct product_id, as_of from core)
    select
        owned.spine_row, owned.product_id, scored.score as health,
        case when owned.seats > 0 and tracked.is_recent then coalesce(used.users, 0) / owned.seats end as licence_use,
        case when tracked.weeks_delivered = {definitions.active_weeks} then coalesce(used.weeks_used, 0) end
            as weekly_active_weeks,
        case when core_tracked.product_id is not null then coalesce(core.features, 0) end as core_features_used,
        used.long_users as active_users
    from owned
    left join used using (account_id, product_id, as_of)
    left join tracked using (product_id, as_of)
    left join core using (account_id, product_id, as_of)
    left join core_tracked using (product_id, as_of)
    left join scored using (account_id, product_id, as_of)
    order by owned.spine_row, coalesce(owned.arr_usd, 0) desc, owned.start_on, owned.product_id
    """


def _used(definitions: Definitions) -> str:
    """SQL of active users per account, product and date; weeks are counted back from the date, as bits."""
    weeks = definitions.active_weeks
    looked_back = max(definitions.usage_days, weeks * _WEEK_DAYS, definitions.ticket_days)
    week = f"(dates.as_of - 1 - fact.date) // {_WEEK_DAYS}"
    recent = f"fact.date >= dates.as_of - {definitions.usage_days}"
    return f"""used as (
        select
            fact.account_id, fact.product_id, dates.as_of,
            avg(fact.active_users) filter (where {recent}) as users,
            avg(fact.active_users) filter (where fact.date >= dates.as_of - {definitions.ticket_days}) as long_users,
            count(distinct {week}) filter (where {week} < {weeks} and fact.active_users > 0) as weeks_used,
            bit_or(1::bigint << least({week}, {_MOST_WEEKS})) filter (where {week} < {weeks}) as weeks_delivered,
            bool_or({recent}) as is_recent
        from facts.usage as fact
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.date >= dates.as_of - {looked_back}
        where fact.active_users is not null
        group by all
    )"""


def _core_and_scored(definitions: Definitions) -> str:
    """SQL of core features used, and of the last score of each product."""
    return f"""core as (
        select fact.account_id, fact.product_id, dates.as_of, count(distinct fact.feature) as features
        from facts.feature_usage as fact
        join core_feature_frame as core using (product_id, feature)
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.date >= dates.as_of - {definitions.feature_days}
        where fact.uses > 0
        group by all
    ),
    scored as (
        select fact.account_id, fact.product_id, dates.as_of, arg_max(fact.score, fact.date) as score
        from facts.health as fact
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.date >= dates.as_of - {definitions.health_days}
        where fact.product_id is not null
        group by all
    )"""


def anchors_of(catalog: Catalog, owned: Owned, at: np.ndarray, product: np.ndarray) -> pd.DataFrame:
    """Return the anchor of each pair: the owned product most adjacent to the target, with its evidence.

    Nearest quadrant first (`NEAREST_FIRST`, then products the catalogue says nothing of), ties by highest ARR,
    oldest start, product_id.

    Parameters
    ----------
    catalog : products with their adjacency.
    owned : owned products.
    at, product : spine row and catalogue position of each pair's target.

    Returns
    -------
    DataFrame
        anchor_product_id, anchor_name, quadrant, and the anchor's columns of `Owned.products`; missing where
        nothing is owned.
    """
    ranks = _adjacency_ranks(catalog)
    spine_rows = owned.products["spine_row"].to_numpy(dtype=int)
    products = owned.products["product"].to_numpy(dtype=int)
    first = np.flatnonzero(np.r_[True, spine_rows[1:] != spine_rows[:-1]]) if len(spine_rows) else np.array([], int)
    anchor = np.full(len(at), -1)
    for target in np.unique(product):
        if not len(first):
            break
        # the row's place breaks ties: rows are ordered by ARR, age and product_id already
        keys = ranks[target, products] * np.int64(len(products)) + np.arange(len(products))
        nearest = np.minimum.reduceat(keys, first) % len(products)
        of_row = np.full(max(at.max(), spine_rows.max()) + 1, -1)
        of_row[spine_rows[first]] = nearest
        rows = product == target
        anchor[rows] = of_row[at[rows]]
    return _described(catalog, owned.products, anchor, ranks, product)


def _adjacency_ranks(catalog: Catalog) -> np.ndarray:
    """Place in `NEAREST_FIRST` of each target (row) beside each other product (column)."""
    ids = catalog.product_ids
    ranks = np.full((len(ids), len(ids)), _NO_ADJACENCY)
    for row, product in enumerate(catalog):
        for other, adjacency in product.adjacency.items():
            ranks[row, ids.index(other)] = NEAREST_FIRST.index(adjacency.quadrant)
    return ranks


def _described(
    catalog: Catalog, products: pd.DataFrame, anchor: np.ndarray, ranks: np.ndarray, target: np.ndarray
) -> pd.DataFrame:
    found = products.reindex(anchor).drop(columns="spine_row").reset_index(drop=True)
    position = found.pop("product").fillna(-1).to_numpy(dtype=int)
    ids = np.array([*catalog.product_ids, None], dtype=object)
    names = np.array([*(product.name for product in catalog), None], dtype=object)
    quadrants = np.array([*NEAREST_FIRST, None], dtype=object)
    quadrant = np.where(position < 0, _NO_ADJACENCY, ranks[target, position])
    return found.assign(
        anchor_product_id=pd.Series(ids[position], dtype="str"),
        anchor_name=pd.Series(names[position], dtype="str"),
        quadrant=pd.Series(quadrants[quadrant], dtype="str"),
    )
