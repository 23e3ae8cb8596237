"""Checked source tables with the three dates that decide what may be known when.

Every row carries, as local calendar days in the project's time zone,

``_event_on``       the day its fact happened (0001-01-01 where the table has no event),
``_known_on``       the day it reached our tables (`known_at`, else event + `lag_days`),
``_superseded_on``  the day a later version of the same key became usable (9999-12-31 for the last version).

The as-of instant is local midnight of `as_of`, so an instant lies before it exactly when its local day does:
a row is usable iff ``_event_on < as_of and _known_on < as_of and _superseded_on >= as_of``. Whole days make
every engine, and the slow oracle of the tests, agree on time zones and daylight saving once and for all.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pandas as pd

from product_affinity.errors import UsageError
from product_affinity.schema import KNOWN_AT, TABLES, Table

SQL_TYPES = {
    "id": "varchar",
    "text": "varchar",
    "date": "date",
    "timestamp": "timestamp",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
}
# Enough for a hundred million rows of use (benchmarks/README.md); more is hardly faster.
MEMORY_MB = 2_000
DERIVED = ("_event_on", "_known_on", "_superseded_on")
FIRST_DAY, LAST_DAY = "date '0001-01-01'", "date '9999-12-31'"
# What systems overwrite in place: without versions these say of every past date what is true today. A closing column
# tells its own date and `stage` is read from versioned rows only, so neither is among them.
OVERWRITTEN: dict[str, tuple[str, ...]] = {
    "subscriptions": ("arr_usd", "seats", "renewal_on", "plan"),
    "tickets": ("escalated",),
    "contacts": ("area", "seniority", "is_champion", "is_sponsor", "last_touch_at", "opted_out"),
    "opportunities": ("arr_usd", "stakeholder_id", "discount"),
}
# A change of price, seats or renewal begins a new line, so what a line says is taken as its own (docs/adr/0012).
LINES = frozenset({"subscriptions"})


def open_engine(threads: int, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB whose instants are UTC whatever the machine's zone is.

    It takes at most `MEMORY_MB`, or a quarter of the machine's memory where that is less, and puts what does not fit
    on disk; the environment variable `AFFINITY_MEMORY` ("8GB") says otherwise.

    Parameters
    ----------
    threads : of the engine.
    spill : folder for what does not fit into memory, made when it is needed and removed at the end; default a new one
        in the system's folder for temporary files.
    """
    name = f"affinity-{os.getpid()}-{secrets.token_hex(4)}"
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads,
        "memory_limit": os.environ.get("AFFINITY_MEMORY") or f"{min(MEMORY_MB, _machine_mb() // 4)}MB",
        "temp_directory": str(spill or Path(tempfile.gettempdir()) / name),
    }
    try:
        connection = duckdb.connect(config=config)
    except duckdb.Error as error:
        raise UsageError(
            f"the engine does not open: {str(error).splitlines()[0]}; is AFFINITY_MEMORY a size?"
        ) from None
    connection.execute("load icu; set TimeZone = 'UTC'")
    # In a notebook it is off already, and may not be set where its widgets are not installed.
    if connection.execute("select current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        connection.execute("set enable_progress_bar = false")
    return connection


def _machine_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000


def usable(alias: str, as_of: str) -> str:
    """SQL condition: the row of `alias` may be used at `as_of` (both are SQL expressions).

    >>> usable("usage", "spine.as_of")
    '(usage._event_on < spine.as_of and usage._known_on < spine.as_of and usage._superseded_on >= spine.as_of)'
    """
    return f"({alias}._event_on < {as_of} and {alias}._known_on < {as_of} and {alias}._superseded_on >= {as_of})"


def day_column(name: str) -> str:
    """Name of the local calendar day of a timestamp or date column.

    >>> day_column("opened_at"), day_column("end_on")
    ('opened_on', 'end_on')
    """
    return f"{name.removesuffix('_at')}_on" if name.endswith("_at") else name


def as_known(table: str, column: str, alias: str, as_of: str) -> str:
    """SQL expression: a column's value as known at `as_of`.

    Closing columns are null while their date is not before `as_of`; `stage` has no date of its own, so it is
    read from versioned rows only.

    >>> as_known("tickets", "closed_at", "t", "s.as_of")
    'case when t.closed_on < s.as_of then t.closed_at end'
    >>> as_known("tickets", "priority", "t", "s.as_of")
    't.priority'
    """
    definition = TABLES[table].column(column)
    if table == "opportunities" and column == "stage":
        return f"case when {alias}.{KNOWN_AT} is not null then {alias}.stage end"
    if column.endswith("_on") and definition is None:
        definition = TABLES[table].column(f"{column.removesuffix('_on')}_at")
    if definition is None or definition.closed_by is None:
        return f"{alias}.{column}"
    return f"case when {alias}.{day_column(definition.closed_by)} < {as_of} then {alias}.{column} end"


def overwritten_query(table: str, relation: str) -> str:
    """SQL of one row: whether any row carries `known_at`, then of each `OVERWRITTEN` column whether any is filled.

    Parameters
    ----------
    table : a table of `OVERWRITTEN`.
    relation : SQL relation with its facts.
    """
    filled = ", ".join(f"coalesce(bool_or({name} is not null), false)" for name in OVERWRITTEN[table])
    return f"select coalesce(bool_or({KNOWN_AT} is not null), false), {filled} from {relation}"


def without_history(table: str, answer: Sequence[object]) -> tuple[str, ...]:
    """Columns that say today's state of every date, from the answer to `overwritten_query`.

    >>> without_history("tickets", (False, True)), without_history("tickets", (True, True))
    (('escalated',), ())
    """
    versioned, *filled = answer
    return () if versioned else tuple(n for n, is_filled in zip(OVERWRITTEN[table], filled, strict=True) if is_filled)


def dated_select(
    table: Table,
    relation: str,
    present: set[str],
    *,
    timezone: str,
    lag_days: int,
    extras: tuple[str, ...],
    several_versions: bool = True,
) -> str:
    """SQL that adds local days and the three derived dates to a relation of typed rows.

    Parameters
    ----------
    table : definition of the source table.
    relation : SQL relation that holds typed rows under our column names.
    present : columns the relation has; the others become typed nulls.
    timezone : IANA zone whose midnight is the as-of instant.
    lag_days : days between a fact and its arrival, used where `known_at` is absent or null.
    extras : further columns to carry along.
    several_versions : whether a key may come in several versions; where none does, ordering them is saved.
    """
    typed = {column.name: SQL_TYPES[column.kind] for column in table.columns} | {KNOWN_AT: "timestamp"}
    lines = [name if name in present else f"cast(null as {sql_type}) as {name}" for name, sql_type in typed.items()]
    lines += [f'"{name}"' for name in extras]
    days = [
        f"{local_day(column.name, timezone)} as {day_column(column.name)}"
        for column in table.columns
        if column.kind == "timestamp"
    ]
    event = f"coalesce({day_column(table.event)}, {FIRST_DAY})" if table.event else FIRST_DAY
    known = f"coalesce({local_day(KNOWN_AT, timezone)}, {event} + {lag_days})"
    if not table.event:
        known = f"coalesce({local_day(KNOWN_AT, timezone)}, {FIRST_DAY})"
    identity = [name for name in table.key if name != table.event] if table.name == "accounts" else table.key
    can_version = KNOWN_AT in present or (table.name == "accounts" and "valid_from" in present)
    versioned = several_versions and can_version
    partition = ", ".join(identity)
    superseded = (
        f"coalesce(min(greatest(_known_on, {'_event_on' if table.name == 'accounts' else '_known_on'})) over "
        f"(partition by {partition} order by _version rows between 1 following and unbounded following), {LAST_DAY})"
        if versioned
        else LAST_DAY
    )
    version = (
        f"row_number() over (partition by {partition} order by "
        f"{'_event_on, ' if table.name == 'accounts' else ''}coalesce({KNOWN_AT}, timestamp '0001-01-01'))"
        if versioned
        else "1"
    )
    return (
        f"with typed as (select {', '.join(lines)} from {relation}),\n"
        f"local as (select *{''.join(', ' + day for day in days)} from typed),\n"
        f"dated as (select *, {event} as _event_on, {known} as _known_on from local),\n"
        f"ordered as (select *, {version} as _version from dated)\n"
        f"select * exclude (_version), {superseded} as _superseded_on from ordered"
    )


def local_day(column: str, timezone: str) -> str:
    """SQL expression: the local calendar day of a UTC timestamp.

    >>> local_day("known_at", "Europe/Berlin")
    "cast(timezone('Europe/Berlin', timezone('UTC', known_at)) as date)"
    >>> local_day("known_at", "UTC")
    'cast(known_at as date)'
    """
    if timezone == "UTC":
        return f"cast({column} as date)"
    return f"cast(timezone('{timezone}', timezone('UTC', {column})) as date)"


def overwritten_columns(facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return, per table without versions, the filled columns that its source overwrites (`OVERWRITTEN`)."""
    found = {}
    for table in OVERWRITTEN:
        if facts.has(table):
            answer = facts.connection.execute(overwritten_query(table, f"facts.{table}")).fetchall()[0]
            if names := without_history(table, answer):
                found[table] = names
    return found


@dataclass(frozen=True)
class Facts:
    """Checked source tables in one DuckDB connection, as relations ``facts.<table>``.

    Every table of the schema exists there, empty where the company has none. A source without a single usable
    row counts as none: whether nothing happened or nothing was delivered cannot be told, so it is unknown.

    Attributes
    ----------
    connection : DuckDB connection that owns the relations.
    timezone : IANA zone whose midnight is the as-of instant.
    present : names of the tables that hold at least one row.
    extras : per table, the columns carried beyond the schema's.
    folder : where a check wrote them, None where they were made in memory.
    """

    connection: duckdb.DuckDBPyConnection
    timezone: str
    present: frozenset[str]
    extras: Mapping[str, tuple[str, ...]]
    folder: Path | None = None

    def has(self, table: str) -> bool:
        """Return whether the company has this table; without it everything downstream is unknown."""
        return table in self.present

    @classmethod
    def from_frames(
        cls,
        frames: Mapping[str, pd.DataFrame],
        *,
        timezone: str = "UTC",
        lag_days: Mapping[str, int] | None = None,
    ) -> Facts:
        """Build facts from typed frames that already satisfy their contracts.

        Parameters
        ----------
        frames : table name to frame, columns named as in the schema.
        timezone, lag_days : as in `affinity.toml`.
        """
        connection = open_engine(threads=1)
        connection.execute("create schema facts")
        extras: dict[str, tuple[str, ...]] = {}
        for name, table in TABLES.items():
            relation, columns, extras[name] = "(select 1 where false)", set[str](), ()
            if name in frames:
                connection.register(f"frame_{name}", frames[name])
                columns = set(map(str, frames[name].columns))
                extras[name] = tuple(sorted(columns - set(table.names)))
                relation = f"({_cast_select(table, f'frame_{name}', columns, extras[name])})"
            query = dated_select(
                table,
                relation,
                columns,
                timezone=timezone,
                lag_days=(lag_days or {}).get(name, 0),
                extras=extras[name],
            )
            connection.execute(f"create table facts.{name} as {query}")
            connection.unregister(f"frame_{name}")
        return cls(connection, timezone, frozenset(name for name in frames if len(frames[name])), extras)

    @classmethod
    def from_folder(cls, folder: Path, *, timezone: str, threads: int = 1) -> Facts:
        """Open the dated Parquet files that a check wrote, one a table; missing files mean no such table.

        Parameters
        ----------
        folder : holds ``<table>.parquet`` with the columns of `dated_select`.
        timezone : as in `affinity.toml`; the files' days were computed with it.
        threads : of DuckDB.
        """
        connection = open_engine(threads, folder / f".spill-{os.getpid()}-{secrets.token_hex(4)}")
        connection.execute("create schema facts")
        extras: dict[str, tuple[str, ...]] = {}
        present = set()
        for name, table in TABLES.items():
            path = folder / f"{name}.parquet"
            extras[name] = ()
            if not path.exists():
                query = dated_select(table, "(select 1 where false)", set(), timezone=timezone, lag_days=0, extras=())
                connection.execute(f"create view facts.{name} as {query}")
                continue
            quoted = str(path).replace("'", "''")
            connection.execute(f"create view facts.{name} as from read_parquet('{quoted}')")
            if connection.execute(f"select 1 from facts.{name} limit 1").fetchone():
                present.add(name)
            days = {day_column(c.name) for c in table.columns if c.kind == "timestamp"}
            known = {*table.names, *DERIVED, *days}
            columns = [row[0] for row in connection.execute(f"describe facts.{name}").fetchall()]
            extras[name] = tuple(column for column in columns if column not in known)
        return cls(connection, timezone, frozenset(present), extras, folder)


def _cast_select(table: Table, relation: str, columns: set[str], extras: tuple[str, ...]) -> str:
    kinds = {column.name: SQL_TYPES[column.kind] for column in table.columns} | {KNOWN_AT: "timestamp"}
    cast = [f'cast("{name}" as {kind}) as {name}' for name, kind in kinds.items() if name in columns]
    cast += [f'"{extra}"' for extra in extras]
    return f"select {', '.join(cast)} from {relation}"
