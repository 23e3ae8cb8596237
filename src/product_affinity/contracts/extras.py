"""Columns beyond the schema's: usage measures and firmographic attributes that only this company has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from product_affinity.contracts.casts import cast_value, is_written, type_family
from product_affinity.contracts.facts import DERIVED, day_column
from product_affinity.errors import closest
from product_affinity.schema import Table
from product_affinity.schema.sql import quote_name

PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
REASON = "_reason"
# A text column is a measure when at least this share of what is written in it are numbers.
NUMBERS_FROM_SHARE = 0.5
TYPO_SIMILARITY = 0.8


@dataclass(frozen=True)
class Extra:
    """One column carried beyond the schema's.

    Attributes
    ----------
    name : our name of it.
    value : SQL expression over the raw rows.
    unreadable : SQL condition over the raw rows: what is written is no number; None where that cannot be.
    is_float : whether the value may be infinite or no number.
    """

    name: str
    value: str
    unreadable: str | None
    is_float: bool


def find_extras(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    relation: str,
    columns: Mapping[str, str],
    types: Mapping[str, str],
) -> tuple[tuple[Extra, ...], tuple[str, ...]]:
    """Choose the columns to carry beyond the schema's; return them with notes on those that are ignored.

    Parameters
    ----------
    connection : engine that holds the raw rows.
    table : definition of our table; says what extras may hold.
    relation : SQL relation of the raw rows.
    columns : our column name to raw column name.
    types : raw column name to the engine's type.
    """
    mapped = {theirs: ours for ours, theirs in columns.items()}
    known = {*(name.lower() for name in table.names), *DERIVED, *(day_column(name) for name in table.names)}
    candidates = {theirs: mapped.get(theirs, theirs) for theirs in types}
    found: list[Extra] = []
    ignored: dict[str, list[str]] = {}
    for theirs, ours in candidates.items():
        if ours in table.names or theirs == REASON:
            continue
        extra, reason = None, _refusal(table, ours, known)
        if reason is None:
            known.add(ours.lower())
            extra, reason = _carry(connection, table, relation, theirs, ours, types[theirs])
        if extra is not None:
            found.append(extra)
        else:
            ignored.setdefault(reason or "", []).append(_named(ours, theirs, table, columns))
    notes = (f"ignored {', '.join(names)}: {reason}" for reason, names in ignored.items())
    return tuple(sorted(found, key=lambda extra: extra.name)), tuple(notes)


def _named(ours: str, theirs: str, table: Table, columns: Mapping[str, str]) -> str:
    missing = [name for name in table.names if name not in columns]
    near = difflib.get_close_matches(ours.lower(), missing, n=1, cutoff=TYPO_SIMILARITY)
    return f"{theirs} (meant {near[0]}?)" if near else theirs


def _refusal(table: Table, name: str, known: set[str]) -> str | None:
    if table.extras == "none":
        return "no column of ours"
    if name.lower() in known:
        return "differs from another column in case only"
    return None if PLAIN_NAME.fullmatch(name) else "name is not made of letters, digits and _"


def _carry(
    connection: duckdb.DuckDBPyConnection, table: Table, relation: str, theirs: str, ours: str, raw_type: str
) -> tuple[Extra | None, str | None]:
    raw, family = quote_name(theirs), type_family(raw_type)
    if family == "integer" and "HUGE" not in raw_type.upper() and raw_type.upper() != "UBIGINT":
        return Extra(ours, f"cast({raw} as bigint)", None, False), None
    if family in ("integer", "float"):
        return Extra(ours, f"cast({raw} as double)", None, True), None
    if table.extras == "any":
        text = raw if family == "boolean" else f"nullif(cast({raw} as varchar), '')"
        return Extra(ours, text, None, False), None
    if family == "boolean":
        return Extra(ours, f"cast({raw} as bigint)", None, False), None
    number = cast_value("number", raw, family, formats=(), timezone="UTC")
    written = is_written(raw, family)
    row = connection.execute(f"select count(*) filter ({written}), count({number}) from {relation}").fetchone()
    filled, numbers = row or (0, 0)
    if family != "text" or numbers < NUMBERS_FROM_SHARE * filled:
        return None, "not numeric"
    return Extra(ours, number, f"{written} and {number} is null", True), None


def missing_columns(table: Table, columns: Mapping[str, str], types: Sequence[str], origin: str) -> list[str]:
    """Say which required columns are not there, each with the closest that is.

    >>> from product_affinity.schema import TABLES
    >>> have = {"account_id": "account_id", "product_id": "product_id"}
    >>> missing_columns(TABLES["subscriptions"], have, ["account_id", "product_id", "started"], "s.csv")[0]
    'subscriptions: missing column start_on in s.csv (closest present: started). \
Map it under [sources.tables.subscriptions.columns] in affinity.toml.'
    """
    free = [name for name in types if name not in columns.values()]
    lines = []
    for column in table.columns:
        if column.required and column.name not in columns:
            near = closest(column.name, free)
            present = f"closest present: {near}" if near else f"present: {', '.join(types)}"
            lines.append(
                f"{table.name}: missing column {column.name} in {origin} ({present}). "
                f"Map it under [sources.tables.{table.name}.columns] in affinity.toml."
            )
    return lines
