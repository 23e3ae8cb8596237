"""Active customers at each as-of date, with what was known of them then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.project.settings import SegmentSettings

# An unpriced row is taken as paid: a company without prices in its source still sells subscriptions.
PAID = "(not coalesce(sub.is_trial, false) and (coalesce(sub.arr_usd, 1) <> 0 or coalesce(sub.one_time, false)))"
RUNNING = f"(({as_known('subscriptions', 'end_on', 'sub', 'dates.as_of')}) is null)"


def register_dates(facts: Facts, as_ofs: Sequence[dt.date]) -> None:
    """Make the as-of dates visible to SQL as the relation `as_of_dates(as_of)`."""
    dates = pd.DataFrame({"as_of": pd.to_datetime(sorted(set(as_ofs)))})
    facts.connection.register("as_of_dates_frame", dates)
    facts.connection.execute(
        "create or replace temp table as_of_dates as select cast(as_of as date) as as_of from as_of_dates_frame"
    )
    facts.connection.unregister("as_of_dates_frame")


def build_spine(facts: Facts, segments: SegmentSettings, as_ofs: Sequence[dt.date]) -> pd.DataFrame:
    """Build the spine: one row per active customer and as-of date.

    A customer is active while a paid subscription runs; trials make none, nor does a one-time purchase alone.

    Parameters
    ----------
    facts : checked source tables.
    segments : bounds between segments (employees) and tiers (account ARR).
    as_ofs : as-of dates, in any order.

    Returns
    -------
    DataFrame
        account_id, as_of, name, segment (smb, mid_market, enterprise), tier (1 to 3), industry, region, country,
        employees, owner_id, owner_name, do_not_contact, arr_usd (of what runs), tenure_days (since the first
        paid start), open_deals (products, or kinds, of open opportunities);
        null where unknown; sorted by as_of, account_id.
    """
    register_dates(facts, as_ofs)
    frame = facts.connection.execute(
        f"""
        -- grain: active customer × as-of date
        with paid as (
            select sub.*, dates.as_of, {RUNNING} and not coalesce(sub.one_time, false) as runs
            from facts.subscriptions as sub
            join as_of_dates as dates on {usable("sub", "dates.as_of")}
            where {PAID}
        ),
        active as (
            select
                account_id, as_of, sum(arr_usd) filter (where runs) as arr_usd,
                date_diff('day', min(start_on), as_of) as tenure_days
            from paid
            group by account_id, as_of
            having bool_or(runs)
        ),
        deals as (
            select
                deal.account_id, dates.as_of,
                array_to_string(list_sort(list(distinct coalesce(deal.product_id, deal.kind))), ', ') as open_deals
            from facts.opportunities as deal
            join as_of_dates as dates on {usable("deal", "dates.as_of")}
            where ({as_known("opportunities", "closed_on", "deal", "dates.as_of")}) is null
            group by all
        )
        select
            active.account_id, active.as_of, account.name,
            case
                when account.employees is null then null
                when account.employees < {segments.mid_market_from_employees} then 'smb'
                when account.employees <= {segments.enterprise_above_employees} then 'mid_market'
                else 'enterprise'
            end as segment,
            case
                when active.arr_usd is null then null
                when active.arr_usd > {segments.tier_1_above_usd} then 1
                when active.arr_usd >= {segments.tier_2_from_usd} then 2
                else 3
            end as tier,
            account.industry, account.region, account.country, account.employees,
            account.owner_id, account.owner_name, account.do_not_contact, active.arr_usd,
            active.tenure_days, deals.open_deals
        from active
        left join deals using (account_id, as_of)
        -- a customer whose attributes were not known yet is a customer all the same
        left join facts.accounts as account
            on account.account_id = active.account_id and {usable("account", "active.as_of")}
        order by active.as_of, active.account_id
        """
    ).df()
    return frame.astype({"as_of": "datetime64[us]"})
