r"""Adjacency suggested from data: the two questions behind a quadrant, asked of who owns what and who uses what.

*ICP overlap*, do the same companies buy both? The odds ratio of owning B among owners of A against other customers of
the same segment who own equally many *further* products, at the last date. Only accounts with at least one further
product count: whoever owns nothing else owns A or B by being a customer, which would make any two look like rivals.

*Workflow integration*, does work with A lead to B? Among owners of A without B, the odds ratio of adopting B within the
horizon for those who used features of A that the catalogue lists next to B more often, over 28 days, than the median of
them at that date; where it lists none that is ever used in A, for those with more active users of A than the median.
Accounts are compared within segment and date.

Both come from logistic regression with account-clustered intervals (`logit`). A level is suggested only where the
interval lies wholly above or below its threshold. Neither says that the one *causes* the other.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.project.catalog import Adjacency, Catalog, Level
from product_affinity.reports.logit import Matrix, fit_log_odds, indicators
from product_affinity.reports.reference import AdjacencyThresholds

KEYS = ["owned_product", "target_product"]
LOOKBACK_DAYS = 28
#: below so many accounts on a side, or adopters in all, nothing is suggested
MIN_ROWS, MIN_ONES = 20, 5
MOST_FURTHER = 3
ADJACENCY_COLUMNS = (
    *KEYS, "accounts", "both_owned", "icp_odds_ratio", "icp_low", "icp_high", "icp_overlap",
    "basis", "users", "users_adopted", "others", "others_adopted",
    "integration_odds_ratio", "integration_low", "integration_high", "workflow_integration",
    "suggested_quadrant", "quadrant", "agrees",
)  # fmt: skip


def suggest_adjacency(
    facts: Facts,
    catalog: Catalog,
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    adopted: pd.Series,
    thresholds: AdjacencyThresholds,
) -> pd.DataFrame:
    """Suggest a quadrant for every ordered pair of products, beside the configured one (methods: module).

    Parameters
    ----------
    facts : checked source tables.
    catalog : products with the configured adjacency.
    spine : account_id, as_of, segment.
    pairs : account_id, product_id, as_of, status, is_winback of every account of the spine, owned ones included.
    adopted : label of `pairs`, missing where open; same index.
    thresholds : odds ratios above which a level is high.

    Returns
    -------
    DataFrame
        One row per ordered pair of products, in the order of the catalogue: accounts compared and both_owned among
        them, icp_odds_ratio with interval and icp_overlap (high, low or missing); basis (adjacent_features,
        usage_level), users and others (account × date) with their adoptions, integration_odds_ratio with interval
        and workflow_integration; suggested_quadrant, quadrant (configured), agrees (missing where either is).
    """
    owned = _owned(spine, pairs, catalog)
    rows = pairs[pairs["status"].eq("white_space") & ~pairs["is_winback"].astype(bool)]
    rows = rows.assign(adopted=adopted.reindex(rows.index)).dropna(subset=["adopted"])
    used, levels = _feature_use(facts, catalog, spine), _usage_level(facts, spine)
    table = []
    for owned_id in catalog.product_ids:
        for product in catalog:
            if product.product_id == owned_id:
                continue
            keys = {"owned_product": owned_id, "target_product": product.product_id}
            icp = _icp_overlap(owned, owned_id, product.product_id)
            targets = rows[rows["product_id"] == product.product_id]
            flow = _integration(owned, targets, used, levels, owned_id, product.product_id)
            configured = product.adjacency.get(owned_id)
            table.append(keys | icp | flow | {"quadrant": configured.quadrant if configured else None})
    return _suggested(pd.DataFrame(table), thresholds)


def _owned(spine: pd.DataFrame, pairs: pd.DataFrame, catalog: Catalog) -> pd.DataFrame:
    """Grain: account × date; segment and one boolean column per product, whether it runs."""
    held = pairs[pairs["status"].eq("owned")].assign(held=True)
    wide = held.pivot_table(index=["account_id", "as_of"], columns="product_id", values="held", aggfunc="any")
    wide = wide.reindex(columns=list(catalog.product_ids)).notna()
    return spine[["account_id", "as_of", "segment"]].join(wide, on=["account_id", "as_of"], how="inner")


def _icp_overlap(owned: pd.DataFrame, one: str, other: str) -> dict[str, float]:
    last = owned[owned["as_of"] == owned["as_of"].max()]
    further = last.drop(columns=["account_id", "as_of", "segment", one, other]).sum(axis=1)
    last, further = last[further > 0], further[further > 0].clip(upper=MOST_FURTHER)
    has_one, has_other = last[one].to_numpy(dtype=float), last[other].to_numpy(dtype=float)
    levels = np.hstack([indicators(last["segment"]), indicators(further)])
    odds = _odds_ratio(has_one, has_other, levels, last["account_id"])
    counts = {"accounts": len(last), "both_owned": int((has_one * has_other).sum())}
    return counts | dict(zip(("icp_odds_ratio", "icp_low", "icp_high"), odds, strict=True))


def _integration(
    owned: pd.DataFrame, targets: pd.DataFrame, used: pd.DataFrame, levels: pd.DataFrame, one: str, other: str
) -> dict[str, object]:
    keys = ["account_id", "as_of"]
    rows = targets[[*keys, "adopted"]].merge(owned.loc[owned[one], [*keys, "segment"]], on=keys)
    features = used[(used["owned_product"] == one) & (used["target_product"] == other)]
    if len(features):
        # an owner without a line used none of them
        basis, rows = "adjacent_features", rows.merge(features[[*keys, "amount"]], on=keys, how="left")
        rows["amount"] = rows["amount"].fillna(0.0)
    else:
        level = levels.loc[levels["product_id"] == one, [*keys, "amount"]]
        basis, rows = "usage_level", rows.merge(level, on=keys, how="inner")
    usual = rows.groupby("as_of")["amount"].transform("median")
    is_user = (rows["amount"] > usual).to_numpy(dtype=float)
    y = rows["adopted"].to_numpy(dtype=float)
    adjusted = np.hstack([indicators(rows["segment"]), indicators(rows["as_of"].astype("str"))])
    odds = _odds_ratio(is_user, y, adjusted, rows["account_id"])
    names = ("integration_odds_ratio", "integration_low", "integration_high")
    return {
        "basis": basis,
        "users": int(is_user.sum()),
        "users_adopted": int((is_user * y).sum()),
        "others": int((1 - is_user).sum()),
        "others_adopted": int(((1 - is_user) * y).sum()),
    } | dict(zip(names, odds, strict=True))


def _odds_ratio(mark: np.ndarray, ones: np.ndarray, levels: Matrix, accounts: pd.Series) -> tuple[float, float, float]:
    if min(mark.sum(), (1 - mark).sum()) < MIN_ROWS or min(ones.sum(), (1 - ones).sum()) < MIN_ONES:
        return float("nan"), float("nan"), float("nan")
    design = np.hstack([np.ones((len(mark), 1)), mark[:, None], levels])
    found = fit_log_odds(design, ones, accounts.to_numpy())
    estimate, low, high = (float(np.exp(part[1])) for part in (found.estimate, found.low, found.high))
    return estimate, low, high


def _suggested(table: pd.DataFrame, thresholds: AdjacencyThresholds) -> pd.DataFrame:
    icp = _level(table["icp_low"], table["icp_high"], thresholds.icp_overlap_above)
    flow = _level(table["integration_low"], table["integration_high"], thresholds.workflow_integration_above)
    quadrants = [
        Adjacency(icp_overlap=overlap, workflow_integration=level).quadrant if overlap and level else None
        for overlap, level in zip(icp, flow, strict=True)
    ]
    table = table.astype({"quadrant": "str", "basis": "str"})
    for name, values in (("icp_overlap", icp), ("workflow_integration", flow), ("suggested_quadrant", quadrants)):
        table[name] = pd.Series(values, index=table.index, dtype="str")
    both = table["suggested_quadrant"].notna() & table["quadrant"].notna()
    table["agrees"] = table["suggested_quadrant"].eq(table["quadrant"]).astype("boolean").where(both)
    return table[list(ADJACENCY_COLUMNS)]


def _level(low: pd.Series, high: pd.Series, threshold: float) -> list[Level | None]:
    return [
        "high" if above > threshold else "low" if below < threshold else None
        for above, below in zip(low, high, strict=True)
    ]


def _feature_use(facts: Facts, catalog: Catalog, spine: pd.DataFrame) -> pd.DataFrame:
    """Owned product, target product, account, date and uses of adjacent features in the look-back, where any."""
    listed = [(product.product_id, feature) for product in catalog for feature in product.adjacent_features]
    facts.connection.register("adjacent_rows", pd.DataFrame(listed, columns=["product_id", "feature"], dtype="str"))
    facts.connection.register("date_rows", spine[["as_of"]].drop_duplicates())
    frame = facts.connection.execute(
        f"""
        select
            used.product_id as owned_product, adjacent_rows.product_id as target_product, used.account_id,
            date_rows.as_of, sum(used.uses) as amount
        from facts.feature_usage as used
        join adjacent_rows on adjacent_rows.feature = used.feature and adjacent_rows.product_id <> used.product_id
        join date_rows
            on used.date >= cast(date_rows.as_of as date) - {LOOKBACK_DAYS}
            and {usable("used", "cast(date_rows.as_of as date)")}
        where used.uses > 0
        group by all
        """
    ).df()
    for name in ("adjacent_rows", "date_rows"):
        facts.connection.unregister(name)
    return frame.astype({"as_of": spine["as_of"].dtype})


def _usage_level(facts: Facts, spine: pd.DataFrame) -> pd.DataFrame:
    """Account, product, date and mean active users of the look-back."""
    facts.connection.register("date_rows", spine[["as_of"]].drop_duplicates())
    frame = facts.connection.execute(
        f"""
        select used.account_id, used.product_id, date_rows.as_of, avg(used.active_users) as amount
        from facts.usage as used
        join date_rows
            on used.date >= cast(date_rows.as_of as date) - {LOOKBACK_DAYS}
            and {usable("used", "cast(date_rows.as_of as date)")}
        group by all
        """
    ).df()
    facts.connection.unregister("date_rows")
    return frame.astype({"as_of": spine["as_of"].dtype})
