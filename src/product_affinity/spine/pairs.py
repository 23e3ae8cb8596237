"""Account × product at each as-of date: owned, not eligible, in pipeline or white space."""

from __future__ import annotations

import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.project.catalog import Catalog
from product_affinity.project.model_spec import ModelSpec
from product_affinity.spine.accounts import PAID, RUNNING, register_dates

SCORED = ("in_pipeline", "white_space")


def build_pairs(facts: Facts, catalog: Catalog, spec: ModelSpec, spine: pd.DataFrame) -> pd.DataFrame:
    """Build every account × product of the spine with its status.

    The first of these that holds: `owned` (a paid subscription or purchase runs); `not_eligible` (not launched or
    no longer sold, not sellable to the account, a prerequisite missing, a conflict owned, dropped too recently,
    won and not yet started); `in_pipeline` (an open opportunity); `white_space`. An attribute that is unknown
    (no region, say) excludes nothing.

    Parameters
    ----------
    facts : checked source tables.
    catalog : the products.
    spec : label rules per product (days after which a new start is a win-back, days a won deal is pending).
    spine : account_id, as_of, segment, region, industry.

    Returns
    -------
    DataFrame
        account_id, product_id, as_of, status, why_not (first reason of `not_eligible`, else null), is_winback;
        sorted by as_of, account_id, product_id.
    """
    connection = facts.connection
    register_dates(facts, list(spine["as_of"].dt.date.unique()))
    connection.register("spine_frame", spine[["account_id", "as_of", "segment", "region", "industry"]])
    connection.register("product_frame", _products(catalog, spec))
    frame = connection.execute(_PAIRS).df()
    connection.unregister("spine_frame")
    connection.unregister("product_frame")
    return frame.astype({"as_of": "datetime64[us]"})


def _products(catalog: Catalog, spec: ModelSpec) -> pd.DataFrame:
    rows = [
        {
            "product_id": product.product_id,
            "launched_on": pd.Timestamp(product.launched_on) if product.launched_on else pd.NaT,
            "sunset_on": pd.Timestamp(product.sunset_on) if product.sunset_on else pd.NaT,
            "segments": "\n".join(product.sellable_to.segment),
            "regions": "\n".join(product.sellable_to.region),
            "industries": "\n".join(product.sellable_to.industry),
            "prerequisites": "\n".join(product.prerequisites),
            "conflicts": "\n".join(product.conflicts),
            "winback_after_days": spec.label_of(product.product_id).winback_after_days,
            "pending_days": spec.label_of(product.product_id).pending_days,
        }
        for product in catalog
    ]
    return pd.DataFrame(rows)


def _outside(allowed: str, value: str) -> str:
    listed = f"list_contains(split(product.{allowed}, chr(10)), {value})"
    return f"(product.{allowed} <> '' and {value} is not null and not {listed})"


_CLOSED_ON = as_known("opportunities", "closed_on", "deal", "dates.as_of")
_RESULT = as_known("opportunities", "result", "deal", "dates.as_of")

_PAIRS = f"""
-- grain: account × product × as-of date, for every account of the spine
with product as (
    select * replace (cast(launched_on as date) as launched_on, cast(sunset_on as date) as sunset_on)
    from product_frame
),
spine as (
    select account_id, cast(as_of as date) as as_of, segment, region, industry from spine_frame
),
held as ( -- what was bought before the date, and whether it still runs
    select
        sub.account_id, sub.product_id, dates.as_of,
        bool_or({RUNNING}) as runs, max(sub.start_on) as last_start_on,
        max({as_known("subscriptions", "end_on", "sub", "dates.as_of")}) as last_end_on
    from facts.subscriptions as sub
    join as_of_dates as dates on {usable("sub", "dates.as_of")}
    where {PAID}
    group by all
),
owned as (
    select account_id, as_of, list(product_id) as product_ids from held where runs group by all
),
deals as ( -- open and won opportunities as known at the date
    select
        deal.account_id, deal.product_id, dates.as_of,
        bool_or(({_CLOSED_ON}) is null) as is_open,
        max(case when ({_RESULT}) = 'won' then {_CLOSED_ON} end) as last_won_on
    from facts.opportunities as deal
    join as_of_dates as dates on {usable("deal", "dates.as_of")}
    where deal.product_id is not null and deal.kind <> 'upsell'
    group by all
),
pair as (
    select
        spine.account_id, product.product_id, spine.as_of,
        coalesce(held.runs, false) as is_owned,
        held.last_end_on is not null and not held.runs as was_owned,
        date_diff('day', held.last_end_on, spine.as_of) as days_dropped,
        coalesce(deals.is_open, false) as has_open_deal,
        product.winback_after_days,
        case
            when product.launched_on > spine.as_of then 'not_launched'
            when product.sunset_on <= spine.as_of then 'sunset'
            when {_outside("segments", "spine.segment")} then 'segment'
            when {_outside("regions", "spine.region")} then 'region'
            when {_outside("industries", "spine.industry")} then 'industry'
            when product.prerequisites <> ''
                and not list_has_all(coalesce(owned.product_ids, []), split(product.prerequisites, chr(10)))
                then 'prerequisite'
            when product.conflicts <> ''
                and list_has_any(coalesce(owned.product_ids, []), split(product.conflicts, chr(10))) then 'conflict'
            when not held.runs and date_diff('day', held.last_end_on, spine.as_of) < product.winback_after_days
                then 'recently_dropped'
            when deals.last_won_on >= spine.as_of - cast(product.pending_days as integer)
                and (held.last_start_on is null or held.last_start_on < deals.last_won_on) then 'won_pending'
        end as barred_by
    from spine
    cross join product
    left join held using (account_id, product_id, as_of)
    left join deals using (account_id, product_id, as_of)
    left join owned using (account_id, as_of)
)
select
    account_id, product_id, as_of,
    case
        when is_owned then 'owned'
        when barred_by is not null then 'not_eligible'
        when has_open_deal then 'in_pipeline'
        else 'white_space'
    end as status,
    case when not is_owned then barred_by end as why_not,
    was_owned and days_dropped >= winback_after_days as is_winback
from pair
order by as_of, account_id, product_id
"""
