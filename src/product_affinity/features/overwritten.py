"""Columns that a source overwrites in place: a feature reads them from rows that say when they were known.

A contact's flags, its last touch, the escalation of a ticket or the stage of an opportunity are kept as they are today.
Of a past date such a value tells what came after it, and its absence does too: who was touched yesterday has no earlier
touch left. No replay can show that, as no log was kept. So rows without `known_at` do not count for a signal that reads
such a column, in training and in scoring alike, and the signal is missing where no row has it. What a subscription
says belongs to its line, as a change begins a new one; it is used as it stands, and named (docs/adr/0012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from product_affinity.contracts.facts import LINES, OVERWRITTEN, day_column
from product_affinity.schema import KNOWN_AT

#: table to the SQL relation it is read from
Read = Callable[[str], str]

WITHHELD: dict[str, frozenset[str]] = {
    table: frozenset({*names, *map(day_column, names), *(("stage",) if table == "opportunities" else ())})
    for table, names in OVERWRITTEN.items()
    if table not in LINES
}


def is_withheld(table: str, column: str) -> bool:
    """Whether features read the column, or its local day, from rows with `known_at` only.

    >>> is_withheld("contacts", "last_touch_on"), is_withheld("contacts", "role"), is_withheld("subscriptions", "seats")
    (True, False, False)
    """
    return column in WITHHELD.get(table, ())


def reads_withheld(table: str, columns: Iterable[str]) -> bool:
    """Whether any of the columns is withheld from rows without `known_at`."""
    return any(is_withheld(table, column) for column in columns)


def as_versioned(table: str, column: str, sql: str, alias: str) -> str:
    """SQL expression of a value that is null where its row does not say when it was known.

    Parameters
    ----------
    table, column : of the schema, or the local day of a column.
    sql : the value, as an expression over `alias`.

    >>> as_versioned("tickets", "escalated", "t.escalated", "t")
    'case when t.known_at is not null then t.escalated end'
    >>> as_versioned("tickets", "priority", "t.priority", "t")
    't.priority'
    """
    return f"case when {alias}.{KNOWN_AT} is not null then {sql} end" if is_withheld(table, column) else sql


def as_it_stands(table: str) -> str:
    """SQL relation of a table with what its source says today: right tonight, not of a past date.

    >>> as_it_stands("tickets")
    'facts.tickets'
    """
    return f"facts.{table}"


def as_learnt(table: str) -> str:
    """SQL relation of a table in which what is overwritten is null in rows without `known_at`.

    >>> as_learnt("tickets")
    '(select * replace (case when t.known_at is not null then t.escalated end as escalated) from facts.tickets as t)'
    """
    names = sorted(WITHHELD.get(table, ()))
    if not names:
        return as_it_stands(table)
    values = ", ".join(f"{as_versioned(table, name, f't.{name}', 't')} as {name}" for name in names)
    return f"(select * replace ({values}) from facts.{table} as t)"
