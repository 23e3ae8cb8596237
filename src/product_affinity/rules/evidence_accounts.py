"""Evidence about accounts: tenure, implementations, tickets, renewal, health, surveys, growth, champions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, as_known, usable
from product_affinity.features.overwritten import Read
from product_affinity.project.playbook.readiness import Definitions
from product_affinity.rules.months import months_between
from product_affinity.schema.sql import quote_text
from product_affinity.spine.accounts import PAID, RUNNING

_PER_USERS = 100.0
# What begins on some day: a table, or a column of it that the company may not have.
_SOURCES = {
    "implementations": ("implementations", "true"),
    "signals": ("signals", "true"),
    "tickets": ("tickets", "true"),
    "escalations": ("tickets", "fact.escalated is not null"),
    "surveys": ("surveys", "true"),
    "champions": ("contacts", "fact.is_champion is not null"),
}


def account_evidence(
    facts: Facts, definitions: Definitions, spine: pd.DataFrame, active_users: np.ndarray, read: Read
) -> pd.DataFrame:
    """Build the evidence of account grain, one row for each of the spine, in its order.

    Needs the temp tables `as_of_dates` and `evidence_spine`.

    Parameters
    ----------
    facts : checked source tables.
    definitions : look-backs.
    spine : active customers.
    active_users : mean active users of each, over the look-back of tickets; NaN where unknown.
    read : where tables with overwritten columns are read from.
    """
    rows = len(spine)
    as_of = spine["as_of"].to_numpy().astype("datetime64[D]")
    found = spine[["segment", "tier"]].reset_index(drop=True)
    found["tier"] = found["tier"].astype("float64")
    started = _started(facts, as_of, read)
    parts = [
        found,
        _tenure(spine, as_of),
        _implementations(facts, as_of, started),
        _signals(facts, definitions, as_of, started),
        _tickets(facts, definitions, as_of, started, active_users, read),
        _renewal_and_seats(facts, definitions, as_of),
        _health(facts, definitions, rows),
        _surveys(facts, definitions, rows, started),
        _employees(facts, definitions, rows),
        _champions(facts, rows, started, read),
    ]
    accounts = pd.concat(parts, axis=1)
    accounts["onboardings"] = _sum_known(accounts.pop("implemented"), accounts.pop("onboarding_signals"))
    accounts["tickets_percentile"] = _percentile(accounts["tickets_per_100_users"].to_numpy(), as_of)
    return accounts


def by_spine_row(facts: Facts, query: str, rows: int) -> pd.DataFrame:
    """Run a query that gives `spine_row` and columns, and lay it out by spine row; rows without any are missing."""
    frame = facts.connection.execute(query).df()
    return frame.set_index("spine_row").reindex(range(rows)).reset_index(drop=True)


def _started(facts: Facts, as_of: np.ndarray, read: Read) -> dict[str, np.ndarray]:
    """Per source, the first day it tells of, as known at each spine row; NaT before it begins."""
    selects = [
        f"select '{source}' as source, dates.as_of, min(fact._event_on) as first_on "
        f"from {read(table)} as fact join as_of_dates as dates on {usable('fact', 'dates.as_of')} "
        f"where {told} group by all"
        for source, (table, told) in _SOURCES.items()
    ]
    found = facts.connection.execute(" union all ".join(selects)).df()
    found["as_of"] = found["as_of"].astype("datetime64[us]")
    started, dates = {}, pd.DatetimeIndex(as_of.astype("datetime64[us]"))
    for source in _SOURCES:
        first = found[found["source"] == source].set_index("as_of")["first_on"]
        days = first.astype("datetime64[us]").reindex(dates)
        started[source] = days.to_numpy().astype("datetime64[D]")
    return started


def _covers(started: np.ndarray, as_of: np.ndarray, days: int) -> np.ndarray:
    """Rows whose whole look-back lies after the source began."""
    covers: np.ndarray = ~np.isnat(started) & (started <= as_of - np.timedelta64(days, "D"))
    return covers


def _known_count(count: pd.Series, known: np.ndarray) -> pd.Series:
    """A count: 0 where there is none although the source tells, unknown where it does not."""
    filled = count.astype("float64")
    return filled.where(filled.notna() | ~known, 0.0)


def _days(column: pd.Series) -> np.ndarray:
    return column.to_numpy().astype("datetime64[D]")


def _tenure(spine: pd.DataFrame, as_of: np.ndarray) -> pd.DataFrame:
    days = spine["tenure_days"].to_numpy(dtype=float)
    since = as_of - days.astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "customer_since_on": since.astype("datetime64[us]"),
            "tenure_days": days,
            "tenure_months": months_between(since, as_of),
        }
    )


def _implementations(facts: Facts, as_of: np.ndarray, started: dict[str, np.ndarray]) -> pd.DataFrame:
    end = as_known("implementations", "end_on", "fact", "dates.as_of")
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row with an implementation
        select
            spine_row,
            count(*) filter (where ended_on is null) as implementation_running,
            min(start_on) filter (where ended_on is null) as implementation_since_on,
            min((start_on, product_id)) filter (where ended_on is null)[2] as implementation_product_id,
            max(ended_on) as last_implementation_ended_on,
            count(ended_on) as implemented
        from (
            select fact.account_id, dates.as_of, fact.start_on, fact.product_id, {end} as ended_on
            from facts.implementations as fact
            join as_of_dates as dates on {usable("fact", "dates.as_of")}
        )
        join evidence_spine using (account_id, as_of)
        group by spine_row
        """,
        len(as_of),
    )
    known = ~np.isnat(started["implementations"])
    for column in ("implementation_running", "implemented"):
        frame[column] = _known_count(frame[column], known)
    frame["implemented_months"] = months_between(_days(frame["last_implementation_ended_on"]), as_of)
    return frame


def _signals(facts: Facts, definitions: Definitions, as_of: np.ndarray, started: dict[str, np.ndarray]) -> pd.DataFrame:
    kinds = ", ".join(map(quote_text, definitions.growth_signals)) or "null"
    growing = f"fact.kind in ({kinds}) and fact.happened_on >= dates.as_of - {definitions.growth_days}"
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row with a signal
        select
            spine_row,
            max(fact.happened_on) filter (where fact.kind = 'onboarding_done') as onboarding_done_on,
            count(*) filter (where fact.kind = 'onboarding_done') as onboarding_signals,
            min(fact.happened_on) filter (where fact.kind = 'milestone') as milestone_on,
            count(*) filter (where fact.kind = 'milestone') as milestones,
            count(*) filter (where {growing}) as growth_signals,
            max((fact.happened_on, fact.kind)) filter (where {growing})[2] as growth_signal,
            max(fact.happened_on) filter (where {growing}) as growth_signal_on
        from facts.signals as fact
        join as_of_dates as dates on {usable("fact", "dates.as_of")}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        group by spine_row
        """,
        len(as_of),
    )
    began, covered = ~np.isnat(started["signals"]), _covers(started["signals"], as_of, definitions.growth_days)
    for column, known in (("onboarding_signals", began), ("milestones", began), ("growth_signals", covered)):
        frame[column] = _known_count(frame[column], known)
    # a signal that was seen counts; that there was none is known only where the feed covers the look-back
    frame.loc[~covered & frame["growth_signals"].eq(0), "growth_signals"] = np.nan
    frame["proven_months"] = months_between(_days(frame["milestone_on"]), as_of)
    return frame


def _sum_known(one: pd.Series, other: pd.Series) -> pd.Series:
    """Sum of two counts of which either may be unknown; unknown where both are."""
    return (one.fillna(0.0) + other.fillna(0.0)).where(one.notna() | other.notna())


def _tickets(
    facts: Facts,
    definitions: Definitions,
    as_of: np.ndarray,
    started: dict[str, np.ndarray],
    active_users: np.ndarray,
    read: Read,
) -> pd.DataFrame:
    closed = as_known("tickets", "closed_on", "fact", "dates.as_of")
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row with a ticket
        select
            spine_row,
            count(*) filter (where is_urgent) as open_urgent,
            max(as_of - opened_on) filter (where is_urgent) as open_urgent_oldest_days,
            string_agg(distinct priority, '/' order by priority) filter (where is_urgent) as open_urgent_priorities,
            max(opened_on) filter (where escalated) as escalated_on,
            count(*) filter (where opened_on >= as_of - {definitions.ticket_days}) as opened
        from (
            select
                fact.account_id, dates.as_of, fact.opened_on, fact.priority, fact.escalated,
                ({closed}) is null and fact.priority in ('P1', 'P2') as is_urgent
            from {read("tickets")} as fact
            join as_of_dates as dates on {usable("fact", "dates.as_of")}
        )
        join evidence_spine using (account_id, as_of)
        group by spine_row
        """,
        len(as_of),
    )
    covered = _covers(started["tickets"], as_of, definitions.ticket_days)
    frame["open_urgent"] = _known_count(frame["open_urgent"], ~np.isnat(started["tickets"]))
    opened = _known_count(frame.pop("opened"), covered).where(covered)
    with np.errstate(divide="ignore", invalid="ignore"):
        per_users: np.ndarray = _PER_USERS * opened / np.where(active_users > 0, active_users, np.nan)
    days_ago = (as_of - _days(frame["escalated_on"])).astype("timedelta64[D]")
    since = np.where(np.isnat(days_ago), np.inf, days_ago.astype(float))
    unknown = np.isinf(since) & ~_covers(started["escalations"], as_of, definitions.ticket_days)
    return frame.assign(tickets_per_100_users=per_users, escalated_days_ago=np.where(unknown, np.nan, since))


def _percentile(values: np.ndarray, as_of: np.ndarray) -> np.ndarray:
    """Percent of the customers of the same date whose value is lower; ties are not lower."""
    share = np.full(len(values), np.nan)
    for day in np.unique(as_of):
        rows = np.flatnonzero((as_of == day) & ~np.isnan(values))
        ordered = np.sort(values[rows])
        if len(rows):
            share[rows] = 100.0 * np.searchsorted(ordered, values[rows], side="left") / len(rows)
    return share


def _renewal_and_seats(facts: Facts, definitions: Definitions, as_of: np.ndarray) -> pd.DataFrame:
    earlier = f"(dates.as_of - {definitions.growth_days})"
    ran = f"({as_known('subscriptions', 'end_on', 'sub', earlier)}) is null"
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row; what ran at the date, and what ran a look-back earlier as known then
        with now as (
            select
                sub.account_id, dates.as_of, sum(sub.seats) as seats,
                min(sub.renewal_on) filter (where sub.renewal_on >= dates.as_of) as renewal_on
            from facts.subscriptions as sub
            join as_of_dates as dates on {usable("sub", "dates.as_of")}
            where {PAID} and {RUNNING}
            group by all
        ),
        earlier as (
            select sub.account_id, dates.as_of, sum(sub.seats) as seats
            from facts.subscriptions as sub
            join as_of_dates as dates on {usable("sub", earlier)}
            where {PAID} and {ran}
            group by all
        )
        select
            spine_row, now.renewal_on,
            case when earlier.seats > 0 then now.seats / earlier.seats - 1 end as seats_growth
        from evidence_spine
        join now using (account_id, as_of)
        left join earlier using (account_id, as_of)
        """,
        len(as_of),
    )
    renewal = _days(frame["renewal_on"])
    days = (renewal - as_of).astype("timedelta64[D]")
    frame["renewal_in_days"] = np.where(np.isnat(days), np.nan, days.astype(float))
    frame["renewal_in_months"] = months_between(as_of, renewal)
    return frame


def _health(facts: Facts, definitions: Definitions, rows: int) -> pd.DataFrame:
    window, change = definitions.health_days, definitions.health_change_days
    return by_spine_row(
        facts,
        f"""
        -- grain: spine row with a recent score of the whole account
        select
            spine_row,
            arg_max(fact.score, fact.date) filter (where fact.date >= dates.as_of - {window}) as account_health,
            account_health - arg_max(fact.score, fact.date) filter (where fact.date <= dates.as_of - {change})
                as account_health_change
        from facts.health as fact
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.date >= dates.as_of - {window + change}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        where fact.product_id is null
        group by spine_row
        """,
        rows,
    )


def _surveys(facts: Facts, definitions: Definitions, rows: int, started: dict[str, np.ndarray]) -> pd.DataFrame:
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row with an answer in the look-back
        select
            spine_row, count(*) as nps_answers,
            100 * (count(*) filter (where fact.score >= 9) - count(*) filter (where fact.score <= 6)) / count(*) as nps
        from facts.surveys as fact
        join as_of_dates as dates
            on {usable("fact", "dates.as_of")} and fact.responded_on >= dates.as_of - {definitions.nps_days}
            and (fact.kind is null or lower(fact.kind) = 'nps')
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        group by spine_row
        """,
        rows,
    )
    frame["nps_answers"] = _known_count(frame["nps_answers"], ~np.isnat(started["surveys"]))
    frame["nps"] = frame["nps"].where(frame["nps_answers"] >= definitions.nps_min_answers)
    return frame


def _employees(facts: Facts, definitions: Definitions, rows: int) -> pd.DataFrame:
    earlier = f"(dates.as_of - {definitions.growth_days})"
    return by_spine_row(
        facts,
        f"""
        -- grain: spine row whose account has a history of attributes
        select spine_row, case when old.employees > 0 then new.employees / old.employees - 1 end as employees_growth
        from as_of_dates as dates
        join facts.accounts as new on {usable("new", "dates.as_of")} and new.valid_from is not null
        join facts.accounts as old
            on old.account_id = new.account_id and {usable("old", earlier)} and old.valid_from is not null
        join evidence_spine as spine on spine.account_id = new.account_id and spine.as_of = dates.as_of
        """,
        rows,
    )


def _champions(facts: Facts, rows: int, started: dict[str, np.ndarray], read: Read) -> pd.DataFrame:
    left = as_known("contacts", "to_on", "fact", "dates.as_of")
    frame = by_spine_row(
        facts,
        f"""
        -- grain: spine row with a contact
        select spine_row, count(*) filter (where fact.is_champion and ({left}) is null) as champion_count
        from {read("contacts")} as fact
        join as_of_dates as dates on {usable("fact", "dates.as_of")}
        join evidence_spine as spine on spine.account_id = fact.account_id and spine.as_of = dates.as_of
        group by spine_row
        """,
        rows,
    )
    known = ~np.isnat(started["champions"])
    # somebody nobody has flagged either way is no known lack of a champion
    frame["champion_count"] = _known_count(frame["champion_count"], known).where(known)
    return frame
