"""Adoption within a horizon, missing while the horizon is open."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.spine.accounts import PAID


def label_adoption(
    facts: Facts, pairs: pd.DataFrame, *, horizon_days: int, maturity_days: int, observed_until: dt.date
) -> pd.Series:
    """Label pairs: 1 iff the first paid start of the product falls in ``[as_of, as_of + horizon_days)``.

    Rows that dropped the product before (`is_winback`) count the first start after `as_of` instead. Trials are
    no starts. While ``as_of + horizon_days + maturity_days`` lies after `observed_until` the label is missing
    for everybody, adopters included: keeping only the positives of an open horizon would overstate the rate.

    Parameters
    ----------
    facts : checked source tables.
    pairs : account_id, product_id, as_of, is_winback.
    horizon_days, maturity_days : days, see design "Labels and time".
    observed_until : the run's as-of date; only starts known by then count.

    Returns
    -------
    Series of Int8
        1, 0 or missing, in the order and with the index of `pairs`.
    """
    connection = facts.connection
    rows = pairs[["account_id", "product_id", "as_of", "is_winback"]].assign(row=range(len(pairs)))
    connection.register("label_rows", rows)
    adopted = connection.execute(
        f"""
        with start as (
            select distinct sub.account_id, sub.product_id, sub.start_on
            from facts.subscriptions as sub
            where {PAID} and {usable("sub", "cast($until as date)")}
        ),
        first_start as (
            select label_rows.row, min(start.start_on) as start_on
            from label_rows
            join start using (account_id, product_id)
            where start.start_on >= label_rows.as_of or not label_rows.is_winback
            group by all
        )
        select
            row,
            coalesce(
                first_start.start_on >= cast(as_of as date)
                and first_start.start_on < cast(as_of as date) + cast($horizon as integer), false
            ) as adopted
        from label_rows
        left join first_start using (row)
        order by row
        """,
        {"until": observed_until, "horizon": horizon_days},
    ).df()["adopted"]
    connection.unregister("label_rows")
    label = pd.Series(adopted.astype("Int8").to_numpy(), index=pairs.index, name="adopted", dtype="Int8")
    closed_on = pairs["as_of"] + pd.Timedelta(days=horizon_days + maturity_days)
    return label.mask(closed_on > pd.Timestamp(observed_until))
