"""Histories of accounts as known at a date: what they own and use, how they are doing, what was tried before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.lists.privacy import redact
from product_affinity.lists.site import ACCOUNT_TABLES
from product_affinity.spine.accounts import PAID, RUNNING

WEEKS, MONTHS = 52, 13
TICKET_DAYS, PROBLEM_DAYS = 365, 730
_KEYS = ["account_id", "product_id"]
_RECENT_STEPS = 4
MOST_TICKETS, MOST_PROBLEMS, MOST_EVENTS = 12, 8, 16


def account_histories(facts: Facts, accounts: Sequence[str], as_of: dt.date) -> dict[str, pd.DataFrame]:
    """Return the tables owned, usage, health, problems, tickets and events of `ACCOUNT_TABLES`.

    Only facts usable at `as_of` are in them. Weeks are counted back from `as_of`, months are calendar months of
    the day before it. Problem statements are redacted.

    Parameters
    ----------
    facts : checked source tables.
    accounts : ids of the accounts to gather.
    as_of : the date.
    """
    chosen = pd.DataFrame({"account_id": pd.Series(list(accounts), dtype="str")})
    facts.connection.register("site_accounts", chosen)
    try:
        queries = {
            "owned": _OWNED,
            "usage": _USAGE,
            "health": _HEALTH,
            "problems": _PROBLEMS,
            "tickets": _TICKETS,
            "events": _EVENTS,
        }
        found = {name: facts.connection.execute(query, {"as_of": as_of}).df() for name, query in queries.items()}
    finally:
        facts.connection.unregister("site_accounts")
    found["problems"]["statement"] = found["problems"]["statement"].map(redact, na_action="ignore").astype("str")
    owned = found["owned"][_KEYS]
    found["usage"] = _worth_showing(_series(found["usage"], "weekly", WEEKS), "weekly", owned)
    found["health"] = _worth_showing(_series(found["health"], "monthly", MONTHS), "monthly", owned)
    return {name: frame[list(ACCOUNT_TABLES[name])] for name, frame in found.items()}


def _series(rows: pd.DataFrame, name: str, length: int) -> pd.DataFrame:
    """Turn (account, product, steps_ago, value) rows into one list a series, oldest first, missing where no row."""
    rows = rows[rows["value"].notna()]
    keys = rows[_KEYS].drop_duplicates(ignore_index=True)
    # the account's own score has no product and comes first
    keys = keys.sort_values(_KEYS, na_position="first", ignore_index=True)
    place = rows.merge(keys.reset_index(names="line"), on=_KEYS, how="left", validate="m:1")
    values = np.full((len(keys), length), np.nan)
    values[place["line"].to_numpy(), length - 1 - place["steps_ago"].to_numpy()] = place["value"].round(1)
    return keys.assign(**{name: pd.Series(values.tolist(), index=keys.index, dtype=object)})


def _worth_showing(series: pd.DataFrame, name: str, owned: pd.DataFrame) -> pd.DataFrame:
    """Keep the account's own series, those of owned products, and those of products in use now, such as trials."""
    found = series.merge(owned, on=_KEYS, how="left", validate="1:1", indicator="held")
    in_use = series[name].map(lambda values: not np.isnan(values[-_RECENT_STEPS:]).all()).astype(bool)
    kept = series["product_id"].isna() | found["held"].eq("both") | (in_use & (name == "weekly"))
    return series[kept].reset_index(drop=True)


_DATES = "(select cast($as_of as date) as as_of) as dates"

_OWNED = f"""
-- grain: account × owned product
select
    sub.account_id, sub.product_id, min(sub.start_on) as start_on, arg_max(sub.plan, sub.start_on) as plan,
    sum(sub.seats) as seats, sum(sub.arr_usd) as arr_usd, min(sub.renewal_on) as renewal_on
from facts.subscriptions as sub
cross join {_DATES}
join site_accounts using (account_id)
where {usable("sub", "dates.as_of")} and {PAID} and {RUNNING}
group by sub.account_id, sub.product_id
order by sub.account_id, sub.product_id
"""

_USAGE = f"""
-- grain: account × product × week with a record
select
    usage.account_id, usage.product_id,
    cast(floor((date_diff('day', usage.date, dates.as_of) - 1) / 7) as integer) as steps_ago,
    avg(usage.active_users) as value
from facts.usage as usage
cross join {_DATES}
join site_accounts using (account_id)
where {usable("usage", "dates.as_of")} and usage.date >= dates.as_of - {7 * WEEKS} and usage.date < dates.as_of
group by all
order by usage.account_id, usage.product_id, steps_ago
"""

_HEALTH = f"""
-- grain: account × product (null for the account's own score) × month with a score
select
    health.account_id, health.product_id,
    cast(date_diff('month', health.date, dates.as_of - 1) as integer) as steps_ago,
    arg_max(health.score, health.date) as value
from facts.health as health
cross join {_DATES}
join site_accounts using (account_id)
where {usable("health", "dates.as_of")} and date_diff('month', health.date, dates.as_of - 1) < {MONTHS}
group by all
order by health.account_id, health.product_id, steps_ago
"""

_PROBLEMS = f"""
-- grain: problem
select
    problem.account_id, problem.tag, problem.statement, problem.source, cast(problem.noted_on as varchar) as noted_on,
    cast({as_known("problems", "solved_on", "problem", "dates.as_of")} as varchar) as solved_on
from facts.problems as problem
cross join {_DATES}
join site_accounts using (account_id)
where {usable("problem", "dates.as_of")} and problem.noted_on >= dates.as_of - {PROBLEM_DAYS}
qualify row_number() over (
    partition by problem.account_id
    order by ({as_known("problems", "solved_on", "problem", "dates.as_of")}) is null desc,
        problem.noted_on desc, problem.problem_id
) <= {MOST_PROBLEMS}
order by problem.account_id, noted_on desc, problem.problem_id
"""

_TICKETS = f"""
-- grain: ticket
select
    ticket.account_id, ticket.product_id, ticket.priority, ticket.escalated,
    cast(ticket.opened_on as varchar) as opened_on,
    cast({as_known("tickets", "closed_on", "ticket", "dates.as_of")} as varchar) as closed_on
from facts.tickets as ticket
cross join {_DATES}
join site_accounts using (account_id)
where {usable("ticket", "dates.as_of")}
    and (ticket.opened_on >= dates.as_of - {TICKET_DAYS}
        or ({as_known("tickets", "closed_on", "ticket", "dates.as_of")}) is null)
qualify row_number() over (
    partition by ticket.account_id
    order by ({as_known("tickets", "closed_on", "ticket", "dates.as_of")}) is null desc,
        ticket.opened_on desc, ticket.ticket_id
) <= {MOST_TICKETS}
order by ticket.account_id, opened_on desc, ticket.ticket_id
"""

# Plays that were held back are no events: nothing happened, and showing them would tell the arm.
_EVENTS = f"""
-- grain: something that happened between us and the account: a proposal, an outcome, a deal opened or closed
with play as (
    select outreach.* from facts.outreach as outreach
    cross join {_DATES}
    where {usable("outreach", "dates.as_of")}
),
deal as (
    select
        opportunity.*,
        {as_known("opportunities", "closed_on", "opportunity", "dates.as_of")} as known_closed_on,
        {as_known("opportunities", "result", "opportunity", "dates.as_of")} as known_result,
        {as_known("opportunities", "lost_reason", "opportunity", "dates.as_of")} as known_lost_reason
    from facts.opportunities as opportunity
    cross join {_DATES}
    where {usable("opportunity", "dates.as_of")}
),
happened as (
    select account_id, product_id, decided_on as happened_on, 'proposed' as what, channel as detail, play_id as id
    from play where arm <> 'held_back'
    union all
    select
        coalesce(outcome.account_id, play.account_id), coalesce(outcome.product_id, play.product_id),
        outcome.noted_on, replace(outcome.status, '_', ' '), outcome.reason, outcome.play_id
    from facts.outcomes as outcome
    cross join {_DATES}
    left join play on play.play_id = outcome.play_id
    where {usable("outcome", "dates.as_of")} and coalesce(play.arm, 'none') <> 'held_back'
    union all
    select account_id, product_id, created_on, replace(kind, '_', '-') || ' deal opened', null, opportunity_id
    from deal
    union all
    select
        account_id, product_id, known_closed_on,
        replace(kind, '_', '-') || ' deal ' || coalesce(known_result, 'closed'), known_lost_reason, opportunity_id
    from deal where known_closed_on is not null
)
select account_id, product_id, cast(happened_on as varchar) as happened_on, what, detail
from happened
join site_accounts using (account_id)
qualify row_number() over (partition by account_id order by happened_on desc, what, id, product_id) <= {MOST_EVENTS}
order by account_id, happened_on desc, what, id, product_id
"""
