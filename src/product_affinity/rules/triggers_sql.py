"""A trigger as SQL over the facts: one query gives the accounts it fires for at one as-of date, with evidence."""

from __future__ import annotations

import datetime as dt
import string

from product_affinity.contracts.facts import as_known, usable
from product_affinity.project.playbook.trigger_conditions import Condition, parse_form
from product_affinity.project.playbook.triggers import Trigger
from product_affinity.project.signals import RUNNING_UNTIL, Bound, Scalar, Wanted
from product_affinity.schema.sql import quote_name, quote_text
from product_affinity.spine.accounts import PAID

PROBLEM_COLUMNS = ("problem_id", "tag", "statement", "source", "noted_on")
# Words like `spreadsheet_export` are read by people; names and ids are left as they were written.
_WORD = "[a-z0-9]+(_[a-z0-9]+)+"


def firing_sql(trigger: Trigger, as_of: dt.date) -> str:
    """SQL of the accounts for which a trigger fires at `as_of`.

    Columns: account_id, link (what leads to products; null where nothing does), value, evidence, the columns of the
    problem, and the two days, told by the first condition and the season and null where it is a standing one:
    fired_on (of its newest fact) and ends_on (the last as-of date at which it would still fire if nothing happened).
    """
    first, *others = trigger.when
    carried = PROBLEM_COLUMNS if first.table == "problems" else ()
    season = [_date(day) for day in season_of(trigger.months, as_of) or ()]
    names = ["c0", *(f"c{number}" for number in range(1, len(others) + 1))]
    joins = "".join(
        f"\njoin ({_condition_sql(other, None, (), as_of)}) as {name} using (account_id)"
        for name, other in zip(names[1:], others, strict=True)
    )
    problem = ", ".join(
        f"c0.{name}" if carried else f"cast(null as {'date' if name == 'noted_on' else 'varchar'}) as {name}"
        for name in PROBLEM_COLUMNS
    )
    evidence = " || '; ' || ".join(f"{name}.evidence" for name in names)
    return (
        f"select account_id, c0.link, c0.value,\n"
        f"    greatest({', '.join(['c0.fired_on', *season[:1]])}) as fired_on,\n"
        f"    least({', '.join(['c0.ends_on', *season[1:]])}) as ends_on,\n"
        f"    {evidence} as evidence, {problem}\n"
        f"from ({_condition_sql(first, trigger.link, carried, as_of)}) as c0{joins}"
    )


def season_of(months: tuple[int, ...], as_of: dt.date) -> tuple[dt.date, dt.date] | None:
    """First and last day of the run of `months` that `as_of` lies in; None outside, or where all year is season.

    >>> season_of((11, 12, 1), dt.date(2026, 1, 15))
    (datetime.date(2025, 11, 1), datetime.date(2026, 1, 31))
    """
    if as_of.month not in months or len(set(months)) == 12:
        return None
    first = as_of.replace(day=1)
    while (before := first - dt.timedelta(days=1)).month in months:
        first = before.replace(day=1)
    after = (as_of.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    while after.month in months:
        after = (after + dt.timedelta(days=32)).replace(day=1)
    return first, after - dt.timedelta(days=1)


def matching_sql(condition: Condition) -> str:
    """SQL of the rows a condition is about at any time: for telling what can never fire."""
    tests = [_where(condition, name, wanted, "date '9999-12-31'") for name, wanted in condition.where.items()]
    return f"select 1 from facts.{condition.table} as f where {' and '.join(tests) or 'true'} limit 1"


def _condition_sql(condition: Condition, link: str | None, carried: tuple[str, ...], as_of: dt.date) -> str:
    """SQL of one condition: account_id, link, value, fired_on, ends_on, evidence and the carried columns."""
    shown = tuple(dict.fromkeys([*condition.shown, *carried, *_product_shown(condition)]))
    kept = "".join(f", lead.{quote_name(f'shown_{name}')} as {quote_name(name)}" for name in carried)
    fired, ends = _dates(condition)
    return (
        f"with {_rows(condition, link, shown, as_of)},\n"
        f"grouped as (select account_id, link, {_value(condition, as_of)} as value, {_total(condition)} as total,\n"
        f"    max({_lead(condition, shown)}) as lead from windowed group by all)\n"
        f"select account_id, link, value, {fired} as fired_on, {ends} as ends_on,\n"
        f"    {_words(condition, as_of)} as evidence{kept}\n"
        f"from grouped {_named(condition)}where {_holds(condition)}"
    )


def _rows(condition: Condition, link: str | None, shown: tuple[str, ...], as_of: dt.date) -> str:
    """CTEs of the usable rows the condition is about, and of those in its window."""
    on, table = _date(as_of), condition.source
    tests = [usable("f", on), *(_where(condition, name, wanted, on) for name, wanted in condition.where.items())]
    if condition.running:
        tests.append(f"({as_known(table.name, RUNNING_UNTIL[table.name], 'f', on)}) is null")
    columns = [
        "f.account_id",
        f"{f'f.{link}' if link else 'cast(null as varchar)'} as link",
        f"{_day(condition, on)} as day",
        f"{_column(condition, condition.of, on)} as amount",
        f"{_column(condition, condition.per, on)} as per",
        *(f"f.{quote_name(name)} as {quote_name(f'tie_{name}')}" for name in _ties(condition)),
        *(f"{_column(condition, name, on)} as {quote_name(f'shown_{name}')}" for name in shown),
    ]
    return (
        f"rows_seen as (select {', '.join(columns)} from facts.{table.name} as f\n"
        f"    where {' and '.join(tests)}),\n"
        f"windowed as (select * from rows_seen where {_window(condition, on)})"
    )


def _day(condition: Condition, on: str) -> str:
    day = "nullif(f._event_on, date '0001-01-01')"
    if condition.date:
        day = as_known(condition.table, _day_name(condition.date), "f", on)
    if not condition.yearly:
        return day
    years = f"(year({on}) - year({day}))::integer"
    return (
        f"case when {years} >= 1 and {day} + to_years({years}) < {on} then ({day} + to_years({years}))::date "
        f"when {years} >= 2 then ({day} + to_years({years} - 1))::date end"
    )


def _day_name(column: str) -> str:
    return f"{column.removesuffix('_at')}_on" if column.endswith("_at") else column


def _window(condition: Condition, on: str) -> str:
    tests = []
    if condition.window_days is not None:
        tests.append(f"day >= {on} - {condition.window_days} and day < {on}")
    if condition.next_days is not None:
        tests.append(f"day >= {on} and day < {on} + {condition.next_days}")
    if condition.of is not None and condition.op != "weeks":
        tests.append("amount is not null")
    if condition.per is not None:
        tests.append("per is not null")
    if condition.op == "max" and not any(sign.startswith("<") for sign, _ in condition.holds.tests):
        # rows below the bound cannot be the largest that keeps it: most of a usage feed is left out here
        tests += [f"amount {sign} {bound!r}" for sign, bound in condition.holds.tests]
    return " and ".join(tests) or "true"


def _ties(condition: Condition) -> tuple[str, ...]:
    """Columns that order rows of one day, so that the row shown never depends on the order of reading."""
    table = condition.source
    event = (table.event,) if table.event else ()
    return tuple(dict.fromkeys([*event, *(name for name in table.key if name != "account_id")]))


def _lead(condition: Condition, shown: tuple[str, ...]) -> str:
    """SQL struct whose maximum is the row that is shown: the largest for `max`, else the newest."""
    fields = ["'day': day", *(f"{quote_text(f'tie_{name}')}: {quote_name(f'tie_{name}')}" for name in _ties(condition))]
    amount = ["'amount': amount"] if condition.of is not None else []
    fields = [*amount, *fields] if condition.op == "max" else [*fields, *amount]
    fields += [f"{quote_text(f'shown_{name}')}: {quote_name(f'shown_{name}')}" for name in shown]
    return f"{{{', '.join(fields)}}}"


def _value(condition: Condition, as_of: dt.date) -> str:
    # Decimals add up to the same sum in every order, so that a bound is never crossed by rounding.
    amount, per = (f"sum(cast({name} as decimal(18, 6)))" for name in ("amount", "per"))
    sql = {
        "count": "count(*)",
        "sum": amount,
        "mean": f"cast({amount} as double) / count(amount)",
        "max": "max(amount)",
        "last": f"max({{'day': day{_tie_fields(condition)}, 'amount': amount}}).amount",
        "share": f"cast({amount} as double) / nullif(cast({per} as double), 0)",
        "weeks": f"count(distinct (date_diff('day', day, {_date(as_of)}) - 1) // 7)",
    }[condition.op]
    return f"cast({sql} as double)"


def _tie_fields(condition: Condition) -> str:
    return "".join(f", {quote_text(f'tie_{name}')}: {quote_name(f'tie_{name}')}" for name in _ties(condition))


def _total(condition: Condition) -> str:
    return "count(*)::double" if condition.of is None else "sum(cast(amount as decimal(18, 6)))::double"


def _holds(condition: Condition) -> str:
    return " and ".join(f"value {sign} {bound!r}" for sign, bound in condition.holds.tests)


def _dates(condition: Condition) -> tuple[str, str]:
    """SQL of the day of the newest fact, and of the last as-of date at which it counts."""
    if condition.next_days is not None:
        return f"lead.day - {condition.next_days}", "lead.day"
    if condition.window_days is not None:
        return "lead.day", f"lead.day + {condition.window_days}"
    return "cast(null as date)", "cast(null as date)"


def _product_shown(condition: Condition) -> tuple[str, ...]:
    return ("product_id",) if "{product}" in condition.evidence else ()


def _named(condition: Condition) -> str:
    if not _product_shown(condition):
        return ""
    return "left join trigger_products as named on named.product_id = grouped.lead.shown_product_id\n"


def _words(condition: Condition, as_of: dt.date) -> str:
    """SQL text of the evidence; values are concatenated as data, never read as a template."""
    parts = []
    for text, name, form, _ in string.Formatter().parse(condition.evidence):
        if text:
            parts.append(quote_text(text))
        if name is not None:
            parts.append(f"coalesce({_placeholder(condition, name, form or '', as_of)}, 'unknown')")
    return f"({' || '.join(parts)})"


def _placeholder(condition: Condition, name: str, form: str, as_of: dt.date) -> str:
    fixed = {"weeks": (condition.window_days or 0) // 7, "window_days": condition.window_days}
    if name in fixed:
        return quote_text(str(fixed[name]))
    if name == "date":
        return "cast(lead.day as varchar)"
    if name == "days":
        return f"cast(abs(date_diff('day', lead.day, {_date(as_of)})) as varchar)"
    if name == "product":
        return "coalesce(named.name, lead.shown_product_id)"
    if name == "threshold":
        return _number(f"cast({condition.holds.tests[0][1]!r} as double)", form)
    if name in ("value", "total"):
        return _number(name, form)
    column = f"lead.{quote_name(f'shown_{name}')}"
    if condition.is_number(name):
        return _number(column, form)
    text = f"cast({column} as varchar)"
    return f"case when regexp_full_match({text}, '{_WORD}') then replace({text}, '_', ' ') else {text} end"


def _number(sql: str, form: str) -> str:
    if not form:
        return f"format('{{:g}}', cast({sql} as double))"
    comma, digits, percent = parse_form(form)
    return (
        f"format('{{:{',' if comma else ''}.{digits}f}}{'%' if percent else ''}', {sql} * {100.0 if percent else 1.0})"
    )


def _column(condition: Condition, name: str | None, on: str) -> str:
    if name is None:
        return "null"
    if name == "paid" and condition.table == "subscriptions":
        return PAID.replace("sub.", "f.")
    if condition.source.column(name) is None and not name.endswith("_on"):
        return f"f.{quote_name(name)}"
    return as_known(condition.table, name, "f", on)


def _where(condition: Condition, name: str, wanted: Wanted, on: str) -> str:
    column = f"({_column(condition, name, on)})"
    if isinstance(wanted, Bound):
        return "(" + " and ".join(f"{column} {sign} {value!r}" for sign, value in wanted.tests) + ")"
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    known = [_literal(value) for value in values if value is not None]
    tests = [f"{column} in ({', '.join(known)})"] if known else []
    if None in values:
        tests.append(f"{column} is null")
    return f"({' or '.join(tests)})"


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, (int, float)) else quote_text(str(value))


def _date(day: dt.date) -> str:
    return f"date '{day}'"
