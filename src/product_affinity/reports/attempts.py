"""Attempts to sell a further product, with what the account owned when each began."""

from __future__ import annotations

import datetime as dt

import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.spine.accounts import PAID

#: an outcome noted this soon after an opportunity, or before it closed, tells of the same attempt
SAME_ATTEMPT_DAYS = 30


def read_attempts(facts: Facts, as_of: dt.date) -> pd.DataFrame:
    """Read the cross-sell attempts known at a date.

    An opportunity of kind `cross_sell` is an attempt, open or closed; so is a play whose outcome is won or lost
    and that left no opportunity of the same account and product within 30 days.

    Parameters
    ----------
    facts : checked source tables.
    as_of : only facts strictly before it are used; what closed on it or later is open.

    Returns
    -------
    DataFrame
        account_id, product_id, opened_on, closed_on (missing while open), result (won, lost or missing), source
        (opportunity, outcome); sorted by opened_on, account_id, product_id, source, closed_on.
    """
    frame = facts.connection.execute(_ATTEMPTS, {"as_of": as_of}).df()
    return frame.astype({"opened_on": "datetime64[us]", "closed_on": "datetime64[us]"})


def owned_at_opening(facts: Facts, attempts: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """Pair each attempt with every other product the account owned on the day it was opened.

    Parameters
    ----------
    facts : checked source tables.
    attempts : as returned by `read_attempts`.
    as_of : date at which ownership is looked up; what was learnt later is not used.

    Returns
    -------
    DataFrame
        owned_product and the columns of `attempts`, product_id as target_product; an attempt of an account that
        owned nothing else has no row.
    """
    facts.connection.register("attempt_rows", attempts.assign(attempt=range(len(attempts))))
    owned = facts.connection.execute(_OWNED, {"as_of": as_of}).df()
    facts.connection.unregister("attempt_rows")
    paired = attempts.rename(columns={"product_id": "target_product"}).iloc[owned["attempt"].to_numpy(dtype="int64")]
    paired = paired.reset_index(drop=True)
    paired.insert(0, "owned_product", owned["owned_product"])
    return paired


_CLOSED_ON = as_known("opportunities", "closed_on", "deal", "$as_of")
_RESULT = as_known("opportunities", "result", "deal", "$as_of")

_ATTEMPTS = f"""
-- grain: attempt to sell one product to one account
with deal as (
    select
        deal.account_id, deal.product_id, deal.created_on as opened_on,
        {_CLOSED_ON} as closed_on, {_RESULT} as result
    from facts.opportunities as deal
    where {usable("deal", "$as_of")} and deal.kind = 'cross_sell' and deal.product_id is not null
),
noted as ( -- what a play came to, by its owner's last word
    select
        coalesce(outcome.account_id, play.account_id) as account_id,
        coalesce(outcome.product_id, play.product_id) as product_id,
        arg_max(coalesce(outcome.as_of, play.decided_on, outcome.noted_on), outcome.noted_at) as opened_on,
        max(outcome.noted_on) as closed_on,
        arg_max(outcome.status, outcome.noted_at) as result
    from facts.outcomes as outcome
    left join facts.outreach as play on play.play_id = outcome.play_id and {usable("play", "$as_of")}
    where {usable("outcome", "$as_of")} and outcome.status in ('won', 'lost')
    group by 1, 2, coalesce(outcome.play_id, cast(outcome.as_of as varchar), '')
)
select account_id, product_id, opened_on, closed_on, result, 'opportunity' as source from deal
union all
select account_id, product_id, least(opened_on, closed_on), closed_on, result, 'outcome'
from noted
where account_id is not null and product_id is not null and not exists (
    from deal
    where deal.account_id = noted.account_id and deal.product_id = noted.product_id
        and deal.opened_on <= noted.closed_on + {SAME_ATTEMPT_DAYS}
        and coalesce(deal.closed_on + {SAME_ATTEMPT_DAYS}, date '9999-12-31') >= noted.opened_on
)
order by opened_on, account_id, product_id, source, closed_on
"""

_OWNED = f"""
-- grain: attempt × other product that ran on the day it was opened
select distinct attempt_rows.attempt, sub.product_id as owned_product
from attempt_rows
join facts.subscriptions as sub
    on sub.account_id = attempt_rows.account_id and sub.product_id <> attempt_rows.product_id
    and sub.start_on < attempt_rows.opened_on
    and coalesce({as_known("subscriptions", "end_on", "sub", "$as_of")}, date '9999-12-31') > attempt_rows.opened_on
where {usable("sub", "$as_of")} and {PAID}
order by attempt, owned_product
"""
