"""What was already done with an account: motions that run, how earlier ones ended, and what else ties it up.

One as-of date; only facts usable then. A motion is a deal or a play that was taken up (accepted, contacted, meeting).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.spine.accounts import PAID


@dataclass(frozen=True)
class History:
    """Frames of what was known at the as-of date; dates are datetime64, null where unknown.

    Attributes
    ----------
    deals : open opportunities but upsells: account_id, product_id (null where none is named), since_on.
    plays : plays whose last word is accepted, contacted or meeting, and which nothing closed since: account_id,
        product_id, play_id, status, owner_id, since_on (of that word).
    endings : last outcome of each kind by pair: account_id, product_id, status (not_now, not_a_fit, lost),
        noted_on, follow_up_on.
    closes : last motion that closed on an account: account_id, closed_on, product_id, status.
    upsells : open upsells: account_id, product_id, since_on.
    limits : highest limit share within the look-back: account_id, product_id, limit_share (≥ 0), reached_on.
    buyers : account_id, sponsor_areas (areas of known sponsors, joined by newlines; null without any),
        procurement_on (last signal of formal procurement).
    starts : implementations that start in the as-of date's calendar month, planned ones included, else paid
        starts: product_id, starts.
    """

    deals: pd.DataFrame
    plays: pd.DataFrame
    endings: pd.DataFrame
    closes: pd.DataFrame
    upsells: pd.DataFrame
    limits: pd.DataFrame
    buyers: pd.DataFrame
    starts: pd.DataFrame


def build_history(facts: Facts, sequencing: Sequencing, routing: Routing, as_of: dt.date) -> History:
    """Build the history of every account at one as-of date.

    Parameters
    ----------
    facts : checked source tables.
    sequencing, routing : their look-backs and kinds of signal.
    as_of : facts of that day and later are not used.
    """
    connection = facts.connection
    connection.execute(f"create or replace temp macro history_as_of() as date '{as_of.isoformat()}'")
    connection.execute(f"create or replace temp table deal as {_DEALS}")
    connection.execute(f"create or replace temp table episode as {_EPISODES}")
    lately = {"days": sequencing.limit_days}
    signals = {"days": routing.procurement_days, "kinds": list(routing.procurement_signals)}
    has_implementations = facts.has("implementations")
    history = History(
        deals=connection.execute(_OPEN_DEALS).df(),
        plays=connection.execute(_OPEN_PLAYS).df(),
        endings=connection.execute(_ENDINGS).df(),
        closes=connection.execute(_CLOSES).df(),
        upsells=connection.execute(_UPSELLS).df(),
        limits=connection.execute(_LIMITS, lately).df(),
        buyers=connection.execute(_BUYERS, signals).df(),
        starts=connection.execute(_IMPLEMENTATION_STARTS if has_implementations else _PAID_STARTS).df(),
    )
    connection.execute("drop table deal; drop table episode; drop macro history_as_of")
    return history


_AS_OF = "history_as_of()"

_DEALS = f"""
-- grain: opportunity as known at the date
select
    deal.account_id, deal.product_id, deal.kind, deal.created_on,
    {as_known("opportunities", "closed_on", "deal", _AS_OF)} as closed_on,
    {as_known("opportunities", "result", "deal", _AS_OF)} as result,
    {as_known("opportunities", "follow_up_on", "deal", _AS_OF)} as follow_up_on
from facts.opportunities as deal
where {usable("deal", _AS_OF)}
"""

_EPISODES = f"""
-- grain: play (or pair and list date, where an outcome names no play) with its last word
with noted as (
    select
        coalesce(outcome.account_id, play.account_id) as account_id,
        coalesce(outcome.product_id, play.product_id) as product_id,
        outcome.play_id, outcome.as_of, outcome.status, outcome.noted_at, outcome.noted_on, outcome.follow_up_on,
        play.owner_id
    from facts.outcomes as outcome
    left join facts.outreach as play on play.play_id = outcome.play_id and {usable("play", _AS_OF)}
    where {usable("outcome", _AS_OF)}
)
select
    account_id, product_id, play_id, as_of,
    first(status order by noted_at desc, status desc) as status,
    max(noted_on) as noted_on,
    first(follow_up_on order by noted_at desc, status desc) as follow_up_on,
    any_value(owner_id) as owner_id,
    bool_or(status in ('accepted', 'contacted', 'meeting')) as was_taken_up
from noted
where account_id is not null and product_id is not null
group by account_id, product_id, play_id, as_of
"""

_OPEN_DEALS = """
-- grain: account × product of open opportunities, upsells apart
select account_id, product_id, cast(min(created_on) as timestamp) as since_on
from deal
where closed_on is null and kind <> 'upsell'
group by account_id, product_id
order by account_id, product_id nulls first
"""

_OPEN_PLAYS = f"""
-- grain: account × product whose last play is open; a closed deal or a paid start since has closed it
select
    account_id, product_id, first(play_id order by noted_on desc, play_id desc) as play_id,
    first(status order by noted_on desc, play_id desc) as status,
    first(owner_id order by noted_on desc, play_id desc) as owner_id,
    cast(max(noted_on) as timestamp) as since_on
from episode
where status in ('accepted', 'contacted', 'meeting')
    and not exists (
        select 1 from episode as later
        where later.account_id = episode.account_id and later.product_id = episode.product_id
            and later.noted_on >= episode.noted_on and later.status not in ('accepted', 'contacted', 'meeting')
    )
    and not exists (
        select 1 from deal
        where deal.account_id = episode.account_id and deal.product_id = episode.product_id
            and deal.kind <> 'upsell' and deal.closed_on >= episode.noted_on
    )
    and not exists (
        select 1 from facts.subscriptions as sub
        where sub.account_id = episode.account_id and sub.product_id = episode.product_id
            and {PAID} and {usable("sub", _AS_OF)} and sub.start_on >= episode.noted_on
    )
group by account_id, product_id
order by account_id, product_id
"""

_ENDINGS = """
-- grain: account × product × kind of ending
with ending as (
    select account_id, product_id, status, noted_on, follow_up_on from episode
    where status in ('not_now', 'not_a_fit', 'lost')
    union all
    select account_id, product_id, 'lost', closed_on, follow_up_on from deal
    where result = 'lost' and kind <> 'upsell' and product_id is not null
)
select
    account_id, product_id, status, cast(max(noted_on) as timestamp) as noted_on,
    -- of two endings on one day the later follow-up counts
    cast(first(follow_up_on order by noted_on desc, follow_up_on desc nulls last) as timestamp) as follow_up_on
from ending
group by account_id, product_id, status
order by account_id, product_id, status
"""

_CLOSES = """
-- grain: account; what a CSM declined without having taken it up was no motion, so it makes no gap
with closed as (
    select account_id, closed_on, product_id, coalesce(result, 'closed') as status from deal
    where closed_on is not null
    union all
    select account_id, noted_on, product_id, status from episode
    where status not in ('accepted', 'contacted', 'meeting') and was_taken_up
)
select
    account_id, cast(max(closed_on) as timestamp) as closed_on,
    first(product_id order by closed_on desc, product_id desc nulls last, status) as product_id,
    first(status order by closed_on desc, product_id desc nulls last, status) as status
from closed
group by account_id
order by account_id
"""

_UPSELLS = """
-- grain: account with an open upsell
select
    account_id, first(product_id order by created_on, product_id nulls last) as product_id,
    cast(min(created_on) as timestamp) as since_on
from deal
where closed_on is null and kind = 'upsell'
group by account_id
order by account_id
"""

_LIMITS = f"""
-- grain: account, over the owned products' usage in the look-back
select
    account_id, first(product_id order by limit_share desc, date desc, product_id) as product_id,
    max(limit_share) as limit_share,
    cast(first(date order by limit_share desc, date desc) as timestamp) as reached_on
from facts.usage as usage
where {usable("usage", _AS_OF)} and limit_share is not null
    and usage.date >= {_AS_OF} - cast($days as integer)
group by account_id
order by account_id
"""

_BUYERS = f"""
-- grain: account with a known sponsor or a signal of formal procurement
with sponsor as (
    select account_id, array_to_string(list_sort(list(distinct lower(trim(contact.area)))), chr(10)) as sponsor_areas
    from facts.contacts as contact
    where {usable("contact", _AS_OF)} and contact.is_sponsor and contact.area is not null
        and ({as_known("contacts", "to_on", "contact", _AS_OF)}) is null
    group by account_id
),
procurement as (
    select account_id, cast(max(happened_on) as timestamp) as procurement_on
    from facts.signals as signal
    where {usable("signal", _AS_OF)} and list_contains($kinds::varchar[], signal.kind)
        and signal.happened_on >= {_AS_OF} - cast($days as integer)
    group by account_id
)
select account_id, sponsor_areas, procurement_on
from sponsor
full join procurement using (account_id)
order by account_id
"""

_MONTH = f"date_trunc('month', {_AS_OF})"

_IMPLEMENTATION_STARTS = f"""
-- grain: product; a plan that was known counts, whenever in the month it starts
select product_id, count(*) as starts
from facts.implementations as implementation
where implementation._known_on < {_AS_OF} and implementation._superseded_on >= {_AS_OF}
    and date_trunc('month', implementation.start_on) = {_MONTH}
group by product_id
order by product_id
"""

_PAID_STARTS = f"""
-- grain: product
select sub.product_id, count(*) as starts
from facts.subscriptions as sub
where {PAID} and {usable("sub", _AS_OF)} and date_trunc('month', sub.start_on) = {_MONTH}
group by sub.product_id
order by sub.product_id
"""
