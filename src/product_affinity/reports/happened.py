"""What became of pairs after their as-of date: adopted, tried and won, and kept or given up again."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.labels import label_adoption
from product_affinity.spine.accounts import PAID

KEPT_DAYS = 365


def build_happened(
    facts: Facts, pairs: pd.DataFrame, *, horizon_days: int, maturity_days: int, observed_until: dt.date
) -> pd.DataFrame:
    """Say what became of each pair; what is not fully observed yet is missing, never 0.

    Parameters
    ----------
    facts : checked source tables.
    pairs : account_id, product_id, as_of, is_winback; one row a pair and date.
    horizon_days, maturity_days, observed_until : as in `labels.label_adoption`.

    Returns
    -------
    DataFrame
        Index of `pairs`; Int8 columns:

        adopted : 1 iff the first paid start falls in ``[as_of, as_of + horizon_days)``, missing while open;
        opened : 1 iff a cross-sell opportunity for the product was created in that window, missing while open;
        won : of the first of them, 1 if won, 0 if lost; missing while it is open and where there is none;
        churned : of an adoption, 1 iff the product no longer ran 365 days after its start, 0 if it did; missing
        where nothing was adopted and until those days and the maturity lag are over.
    """
    adopted = label_adoption(
        facts, pairs, horizon_days=horizon_days, maturity_days=maturity_days, observed_until=observed_until
    )
    keys = pairs[["account_id", "product_id", "as_of"]].assign(row=range(len(pairs)))
    facts.connection.register("happened_rows", keys)
    values = {"until": observed_until, "horizon": horizon_days, "kept": KEPT_DAYS, "maturity": maturity_days}
    tried = facts.connection.execute(_TRIED, {name: values[name] for name in ("until", "horizon")}).df()
    kept = facts.connection.execute(_KEPT, values).df()
    facts.connection.unregister("happened_rows")
    table = pd.DataFrame(
        {
            "adopted": adopted.to_numpy(),
            "opened": tried["opened"].astype("Int8").to_numpy(),
            "won": tried["won"].astype("Int8").to_numpy(),
            "churned": kept["churned"].astype("Int8").to_numpy(),
        },
        index=pairs.index,
    )
    open_horizon = adopted.isna().to_numpy()
    table["opened"], table["won"] = table["opened"].mask(open_horizon), table["won"].mask(open_horizon)
    table["churned"] = table["churned"].where((table["adopted"] == 1).fillna(False))
    return table


_CREATED = "deal.created_on >= cast(happened_rows.as_of as date)"
_CLOSED_ON = as_known("opportunities", "closed_on", "deal", "$until")
_RESULT = as_known("opportunities", "result", "deal", "$until")

_TRIED = f"""
-- grain: row of the pairs asked for
with first_deal as (
    select
        happened_rows.row,
        arg_min(
            case when ({_CLOSED_ON}) is null then 'open' else coalesce({_RESULT}, 'open') end,
            (deal.created_on, deal.opportunity_id)
        ) as result
    from happened_rows
    join facts.opportunities as deal
        on deal.account_id = happened_rows.account_id and deal.product_id = happened_rows.product_id
        and {_CREATED} and deal.created_on < cast(happened_rows.as_of as date) + cast($horizon as integer)
    where {usable("deal", "cast($until as date)")} and deal.kind = 'cross_sell'
    group by happened_rows.row
)
select
    row, first_deal.result is not null as opened,
    case first_deal.result when 'won' then true when 'lost' then false end as won
from happened_rows
left join first_deal using (row)
order by row
"""

_KEPT = f"""
-- grain: row of the pairs asked for; `churned` of its first start from the as-of date on
with paid as (
    select
        sub.account_id, sub.product_id, sub.start_on,
        {as_known("subscriptions", "end_on", "sub", "$until")} as end_on
    from facts.subscriptions as sub
    where {usable("sub", "cast($until as date)")} and {PAID}
),
started as (
    select happened_rows.row, paid.account_id, paid.product_id, min(paid.start_on) as start_on
    from happened_rows
    join paid
        on paid.account_id = happened_rows.account_id and paid.product_id = happened_rows.product_id
        and paid.start_on >= cast(happened_rows.as_of as date)
        and paid.start_on < cast(happened_rows.as_of as date) + cast($horizon as integer)
    group by all
),
still as ( -- a renewal is a second row: any one that covers the last of the days will do
    select started.row, bool_or(
        paid.start_on <= started.start_on + cast($kept as integer) - 1
        and coalesce(paid.end_on > started.start_on + cast($kept as integer) - 1, true)
    ) as runs
    from started
    join paid using (account_id, product_id)
    group by started.row
)
select
    row,
    case
        when started.start_on + cast($kept as integer) + cast($maturity as integer) <= cast($until as date)
        then not still.runs
    end as churned
from happened_rows
left join started using (row)
left join still using (row)
order by row
"""
