"""Fire the playbook's triggers for scored pairs: why now, with the evidence and its day."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.trigger_conditions import Condition
from product_affinity.project.playbook.triggers import PLACE, Trigger, Triggers
from product_affinity.rules.triggers_sql import PROBLEM_COLUMNS, firing_sql, matching_sql
from product_affinity.schema.sql import quote_name

PAIR_KEYS = ["account_id", "product_id", "as_of"]
FIRED_COLUMNS = (
    *PAIR_KEYS,
    "code",
    "title",
    "kind",
    "order",
    "evidence",
    "say",
    "fired_on",
    "ends_on",
    "problem_id",
    "problem_tag",
    "problem_statement",
    "problem_source",
    "problem_noted_on",
)
LEADING_COLUMNS = {
    "code": "trigger_code",
    "title": "trigger",
    "kind": "trigger_kind",
    "evidence": "trigger_evidence",
    "say": "trigger_say",
    "fired_on": "trigger_on",
    "ends_on": "trigger_ends_on",
}
_PROBLEM = {name: name if name == "problem_id" else f"problem_{name}" for name in PROBLEM_COLUMNS}


def fire_triggers(facts: Facts, catalog: Catalog, triggers: Triggers, pairs: pd.DataFrame) -> pd.DataFrame:
    """Fire every trigger for every pair, from the facts usable at the pair's as-of date.

    A trigger that rests on a table or column the company lacks fires for nobody; `silent_triggers` says which.
    Where several facts of one trigger lead to the same pair, the newest speaks, then the larger value, then the first
    in the alphabet.

    Parameters
    ----------
    facts : checked source tables.
    catalog : the products.
    triggers : `playbook/triggers.yml`.
    pairs : account_id, product_id, as_of; one or many as-of dates.

    Returns
    -------
    DataFrame
        `FIRED_COLUMNS`, one row a pair and trigger: code, title, kind (problem, usage, event), order, evidence and say
        (words), fired_on (day of the newest fact of its first condition; null for standing ones such as an industry),
        ends_on (the last as-of date at which it fires if nothing new happens; null likewise), and the problem's id,
        tag, statement, source and day, null for other triggers. Sorted by as_of, account_id, product_id, then as the
        triggers lead: order, newest first, code.

    Raises
    ------
    UsageError : a trigger adds up a column that holds text.
    """
    rows = pairs[PAIR_KEYS].sort_values(["as_of", "account_id", "product_id"], kind="stable", ignore_index=True)
    heard = [trigger for trigger in triggers if _lack(facts, trigger) is None]
    with _registered(facts, catalog, triggers, rows):
        for as_of in rows["as_of"].unique():
            for trigger in heard:
                _fire(facts, triggers, trigger, pd.Timestamp(as_of))
        firings = facts.connection.execute("from trigger_firings order by rowid").df()
        matches = facts.connection.execute(_MATCHES).df()
    return _assemble(rows, firings, list(triggers), matches)


def leading_trigger(fired: pd.DataFrame) -> pd.DataFrame:
    """Choose the trigger that is shown with a row.

    The one with the lowest `order` leads (as shipped: a request, then a documented problem, then usage, then events,
    then what always holds); then the newest; then the first code.

    Parameters
    ----------
    fired : result of `fire_triggers`, in its order.

    Returns
    -------
    DataFrame
        One row a pair with any trigger: account_id, product_id, as_of, trigger_code, trigger (its title), trigger_kind,
        trigger_evidence, trigger_say, trigger_on, trigger_ends_on and trigger_others (how many more fired).
    """
    is_first = ~fired.duplicated(PAIR_KEYS).to_numpy(dtype=bool)
    leading = fired.loc[is_first, [*PAIR_KEYS, *LEADING_COLUMNS]].rename(columns=LEADING_COLUMNS)
    starts = np.flatnonzero(is_first)
    leading["trigger_others"] = np.diff(np.append(starts, len(fired))) - 1
    return leading.reset_index(drop=True)


def silent_triggers(facts: Facts, triggers: Triggers) -> dict[str, str]:
    """Say which triggers can fire for nobody with the tables this company has, by code.

    >>> from product_affinity.contracts.facts import Facts
    >>> asked = {"table": "signals", "where": {"kind": "request"}, "evidence": "{date}"}
    >>> one = {"code": "T01", "title": "asked", "kind": "event", "when": [asked], "points_to": "any", "say": "Hi."}
    >>> silent_triggers(Facts.from_frames({}), Triggers.model_validate({"triggers": [one]}))
    {'T01': 'unknown: there is no signals table'}
    """
    reasons = ((trigger.code, _lack(facts, trigger) or _nothing(facts, trigger)) for trigger in triggers)
    return {code: reason for code, reason in reasons if reason is not None}


def _lack(facts: Facts, trigger: Trigger) -> str | None:
    """Say which table or column of its conditions is not there."""
    return next((reason for condition in trigger.when if (reason := _lack_of(facts, trigger, condition))), None)


def _lack_of(facts: Facts, trigger: Trigger, condition: Condition) -> str | None:
    if not facts.has(condition.table):
        return f"unknown: there is no {condition.table} table"
    described = facts.connection.execute(f"describe facts.{condition.table}").fetchall()
    types = {column: kind for column, kind, *_ in described}
    for column in condition.columns:
        if column not in types and condition.source.column(column) is None:
            return f"unknown: {condition.table} has no column {column}{did_you_mean(column, types)}"
    for name in (condition.of, condition.per):
        if name is not None and types.get(name) == "VARCHAR":
            raise UsageError(f"{PLACE}: {trigger.code}: {condition.table}.{name} is a text; name a column of numbers")
    return None


def _nothing(facts: Facts, trigger: Trigger) -> str | None:
    for condition in trigger.when:
        if facts.connection.execute(matching_sql(condition)).fetchone() is None:
            return f"no row of {condition.table} is ever {_asked(condition)}"
        if condition.of is not None:
            filled = f"select 1 from facts.{condition.table} where {quote_name(condition.of)} is not null limit 1"
            if facts.connection.execute(filled).fetchone() is None:
                return f"unknown: {condition.table}.{condition.of} holds no value"
    return None


def _asked(condition: Condition) -> str:
    return " and ".join(f"{name} {' or '.join(condition.wanted_texts(name))}".strip() for name in condition.where)


def _fire(facts: Facts, triggers: Triggers, trigger: Trigger, as_of: pd.Timestamp) -> None:
    day = as_of.date()
    if trigger.months and day.month not in trigger.months:
        return
    number = list(triggers).index(trigger)
    facts.connection.execute(
        f"insert into trigger_firings\n"
        f"select {number}, date '{day}', fired.* from ({firing_sql(trigger, day)}) as fired\n"
        f"where account_id in (select account_id from trigger_accounts where as_of = date '{day}')"
    )


@contextmanager
def _registered(facts: Facts, catalog: Catalog, triggers: Triggers, rows: pd.DataFrame) -> Iterator[None]:
    """Make pairs, products and what leads to them visible to SQL while triggers fire."""
    frames = {
        "trigger_pairs": rows.assign(row=np.arange(len(rows))),
        "trigger_products": pd.DataFrame([{"product_id": p.product_id, "name": p.name} for p in catalog]),
        "trigger_targets": _targets(catalog, triggers),
        "trigger_order": pd.DataFrame(
            {"number": range(len(triggers)), "precedence": [trigger.precedence for trigger in triggers]}
        ).astype("int64"),
    }
    connection = facts.connection
    for name, frame in frames.items():
        connection.register("trigger_frame", frame)
        connection.execute(f"create or replace temp table {name} as from trigger_frame")
        connection.unregister("trigger_frame")
    connection.execute("alter table trigger_pairs alter as_of type date")
    connection.execute(
        "create or replace temp table trigger_accounts as select distinct account_id, as_of from trigger_pairs"
    )
    connection.execute(_FIRINGS)
    try:
        yield
    finally:
        for name in (*frames, "trigger_accounts", "trigger_firings"):
            connection.execute(f"drop table if exists {name}")


def _targets(catalog: Catalog, triggers: Triggers) -> pd.DataFrame:
    """Which products each trigger leads to, by the value of its link ("" where there is none)."""
    links: dict[str, list[tuple[str, str]]] = {
        "any": [("", product.product_id) for product in catalog],
        "same_product": [(product.product_id, product.product_id) for product in catalog],
        "adjacent_product": [
            (other, product.product_id)
            for product in catalog
            for other, beside in product.adjacency.items()
            if beside.workflow_integration == "high"
        ],
        "solved_by_tag": [(tag, product.product_id) for product in catalog for tag in product.solves],
        "adjacent_feature": [(name, product.product_id) for product in catalog for name in product.adjacent_features],
    }
    found = [
        (number, link, product)
        for number, trigger in enumerate(triggers)
        for link, product in (
            links[trigger.points_to]
            if isinstance(trigger.points_to, str)
            else [("", product) for product in trigger.points_to]
        )
    ]
    return pd.DataFrame(sorted(set(found)), columns=["number", "link", "product_id"]).astype(
        {"number": "int64", "link": "str", "product_id": "str"}
    )


def _assemble(
    rows: pd.DataFrame, firings: pd.DataFrame, triggers: list[Trigger], matches: pd.DataFrame
) -> pd.DataFrame:
    seen = firings.take(matches["firing"].to_numpy(dtype=np.int64)).reset_index(drop=True)
    fired = rows.take(matches["row"].to_numpy(dtype=np.int64)).reset_index(drop=True)
    number = seen["number"].to_numpy(dtype=np.int64)
    for name in ("code", "title", "kind", "say"):
        fired[name] = pd.Series([getattr(trigger, name) for trigger in triggers], dtype="str").array.take(number)
    fired["order"] = np.array([trigger.precedence for trigger in triggers], dtype="int64")[number]
    for name in ("evidence", "fired_on", "ends_on", *PROBLEM_COLUMNS):
        # an engine's column without a value has a type of its own
        fired[_PROBLEM.get(name, name)] = seen[name].astype("datetime64[us]" if name.endswith("_on") else "str")
    return fired[list(FIRED_COLUMNS)]


_FIRINGS = """
create or replace temp table trigger_firings (
    number integer, as_of date, account_id varchar, link varchar, value double, fired_on date, ends_on date,
    evidence varchar, problem_id varchar, tag varchar, statement varchar, source varchar, noted_on date
)
"""

_MATCHES = """
-- grain: scored pair × trigger that fired
with reached as (
    select
        firing.rowid as firing, firing.number, firing.account_id, firing.as_of, firing.link, firing.fired_on,
        firing.value, target.product_id
    from trigger_firings as firing
    join trigger_targets as target on target.number = firing.number and target.link = coalesce(firing.link, '')
),
spoken as ( -- several facts may lead to one pair: one of them speaks
    select * from reached where link is null
    union all
    select * from reached where link is not null
    qualify row_number() over (
        partition by number, account_id, as_of, product_id order by fired_on desc nulls last, value desc, link
    ) = 1
)
select pair.row, spoken.firing
from spoken
join trigger_pairs as pair using (account_id, as_of, product_id)
join trigger_order as place using (number)
order by pair.row, place.precedence, spoken.fired_on desc nulls last, spoken.number
"""
