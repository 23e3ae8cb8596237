"""Map raw tables and columns to ours, as `[sources.tables.X]` of `affinity.toml` says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import duckdb

from product_affinity.errors import ContractError, UsageError, closest, did_you_mean
from product_affinity.project.settings import TableSettings
from product_affinity.schema import TABLES, Table
from product_affinity.schema.sql import quote_name
from product_affinity.sources.csv_files import engine_message
from product_affinity.sources.needed import needed_columns, needed_rows
from product_affinity.sources.opening import CSV, RawTable, RawTables, load_csv, number_parquet_rows, number_rows
from product_affinity.sources.postgres import Server, select_columns

# Where a table takes extra columns, only a near miss of one of our names is a typo.
TYPO_SIMILARITY = 0.8


@dataclass(frozen=True)
class SourceTable:
    """One of our tables as the source delivers it, untyped.

    Attributes
    ----------
    name : our name of the table.
    origin : the file or query it comes from, shown in messages.
    relation : SQL relation of `_row` (1-based) and the raw columns.
    columns : our column name to the raw column name, for every column of ours that is there.
    types : raw column name to the engine's type.
    numbered : whether `_row` is the row's number in the source; a query's rows are numbered in sorted order.
    inputs : names of the raw tables it was made from.
    select : what a server is asked for when the rows are needed (`load_rows`); empty where they are read in place.
    notes : what should be known of the rows that were chosen.
    """

    name: str
    origin: str
    relation: str
    columns: Mapping[str, str]
    types: Mapping[str, str]
    numbered: bool
    inputs: tuple[str, ...]
    select: str = ""
    notes: tuple[str, ...] = ()


def map_tables(
    raw: RawTables, settings: Mapping[str, TableSettings], *, timezone: str = "UTC", named: Collection[str] = ()
) -> dict[str, SourceTable]:
    """Find the source of each of our tables; tables without one are left out.

    Of a server's tables those that are needed stay in `raw`, with their fingerprints; no rows leave it yet.

    Parameters
    ----------
    raw : from `open_sources`.
    settings : `[sources.tables]`.
    timezone : IANA zone of the project: a day of `since` begins at its midnight.
    named : words of the project's files: of a server's accounts only columns among them leave beside ours.

    Raises
    ------
    UsageError : every table or column named in the settings that does not exist, with the closest that does.
    ContractError : a required table has no source, or a query fails.
    """
    faults: list[str] = []
    found: dict[str, SourceTable] = {}
    for name, table in TABLES.items():
        wanted = settings.get(name, TableSettings())
        source = _find_source(raw, name, wanted, faults)
        if source is not None:
            columns = _map_columns(table, source, wanted.columns, faults)
            found[name] = SourceTable(**{**vars(source), "columns": columns})
    if faults:
        raise UsageError("\n".join(faults))
    _check_required(raw, found)
    if raw.server is None:
        return found
    return _on_server(raw, raw.server, found, settings, timezone=timezone, named=named)


def load_rows(raw: RawTables, found: Mapping[str, SourceTable]) -> None:
    """Have a server send the rows of our tables, all as of one instant, and leave it; files need nothing.

    Raises
    ------
    ContractError : a query fails half way, or the server stops.
    """
    if raw.server is None:
        return
    for source in found.values():
        if source.select:
            path = raw.server.workspace / f"{source.name}.parquet"
            raw.server.write_rows(raw.connection, source.select, source.types, path)
    # checking takes minutes, and a transaction that stays open keeps the server from cleaning up
    raw.server.close()


def unused_tables(raw: RawTables, found: Mapping[str, SourceTable]) -> tuple[str, ...]:
    """Names of raw tables that nothing reads, in order."""
    used = {name for source in found.values() for name in source.inputs}
    return tuple(sorted(set(raw.tables) - used))


def _check_required(raw: RawTables, found: Mapping[str, SourceTable]) -> None:
    lines = []
    for name, table in TABLES.items():
        if table.required and name not in found:
            near = closest(name, raw.tables)
            present = f"closest present: {raw.tables[near].origin}" if near else _present(raw)
            lines.append(
                f"{name}: required table missing in {raw.place} ({present}). "
                f"Name its source under [sources.tables.{name}] in affinity.toml."
            )
    if lines:
        raise ContractError("\n".join(lines))


def _present(raw: RawTables) -> str:
    return f"present: {', '.join(sorted(raw.tables))}" if raw.tables else "no CSV, Parquet or table there at all"


def _find_source(raw: RawTables, name: str, wanted: TableSettings, faults: list[str]) -> SourceTable | None:
    if wanted.query:
        return _from_query(raw, name, wanted.query) if raw.server is None else _ask(raw.server, name, wanted.query)
    table = raw.tables.get(wanted.name or name)
    if table is None:
        if wanted.name:
            hint = did_you_mean(wanted.name, raw.tables) if raw.tables else ""
            faults.append(f"affinity.toml: sources.tables.{name}.name: no table {wanted.name} in {raw.place}{hint}")
        return None
    return _from_raw(raw, name, table) if raw.server is None else _of_server(raw.server, name, table)


def _from_raw(raw: RawTables, name: str, table: RawTable) -> SourceTable:
    if table.fault is not None:
        raise ContractError(f"{table.fault}. Mend or drop it, or name another source for {name}.")
    if "_row" in map(str.lower, table.types):
        raise ContractError(f"{table.origin}: column name _row is reserved for row numbers; rename it")
    if table.numbered is None:
        try:
            relation, _ = _load_sorted(raw.connection, name, f"select * from {table.relation}")
        except duckdb.Error as error:
            raise ContractError(f"{table.origin}: {engine_message(error)}") from None
        return SourceTable(name, table.origin, relation, {}, table.types, False, (table.name,))
    if table.origin.lower().endswith(CSV):
        load_csv(raw.connection, table)
    return SourceTable(name, table.origin, table.numbered, {}, table.types, True, (table.name,))


def _of_server(server: Server, name: str, table: RawTable) -> SourceTable:
    types = server.describe(table.relation, table.origin)
    return SourceTable(name, table.origin, table.relation, {}, _unreserved(types, table.origin), False, (table.name,))


def _ask(server: Server, name: str, query: str) -> SourceTable:
    """Describe a query of the settings that the server runs."""
    place, label = f"affinity.toml: sources.tables.{name}.query", f"query of {name}"
    relation = f"(\n{query.strip().rstrip(';')}\n)"
    types = _unreserved(server.describe(relation, place), place)
    return SourceTable(name, f"{server.place}: {label}", relation, {}, types, False, (label,))


def _unreserved(types: dict[str, str], place: str) -> dict[str, str]:
    if "_row" in map(str.lower, types):
        raise UsageError(f"{place}: column name _row is reserved for row numbers; rename it")
    return types


def _on_server(
    raw: RawTables,
    server: Server,
    found: Mapping[str, SourceTable],
    settings: Mapping[str, TableSettings],
    *,
    timezone: str,
    named: Collection[str],
) -> dict[str, SourceTable]:
    """Narrow our tables to the columns and rows that are needed, and have the server say whether they changed."""
    raw.tables.clear()
    narrowed = {}
    for name, source in found.items():
        types = needed_columns(TABLES[name], source.columns, source.types, named)
        since = settings.get(name, TableSettings()).since
        rows = needed_rows(TABLES[name], source.columns, source.types, since, timezone)
        notes = (f"rows before {since} stay in the warehouse",) if rows else ()
        select = select_columns(source.relation, types, rows)
        (label,) = source.inputs
        relation = number_parquet_rows(server.workspace / f"{name}.parquet", types)
        fingerprint = server.fingerprint(select, source.origin)
        kept = raw.tables.get(label)
        both = fingerprint if kept is None else f"{kept.fingerprint} {fingerprint}"
        raw.tables[label] = RawTable(label, source.origin, {**(kept.types if kept else {}), **types}, "", None, both)
        narrowed[name] = replace(source, relation=relation, types=types, select=select, notes=notes)
    return narrowed


def _from_query(raw: RawTables, name: str, query: str) -> SourceTable:
    """Run a query of the settings; its result is sorted by all columns so that row order cannot matter."""
    place = f"affinity.toml: sources.tables.{name}.query"
    words = set(re.findall(r"\w+", query.lower()))
    inputs = tuple(other for other in raw.tables if set(re.findall(r"\w+", other.lower())) <= words)
    try:
        statements = raw.connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise UsageError(f"{place}: must be one select statement")
        relation, types = _load_sorted(raw.connection, name, f"select * from (\n{query.strip().rstrip(';')}\n)")
    except duckdb.Error as error:
        faults = [fault for other in inputs if (fault := raw.tables[other].fault)]
        raise ContractError(f"{place}: {'; '.join(faults) or engine_message(error)}") from None
    if "_row" in map(str.lower, types):
        raise UsageError(f"{place}: column name _row is reserved for row numbers; rename it")
    return SourceTable(name, f"query of {name}", relation, {}, types, False, inputs)


def _load_sorted(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> tuple[str, dict[str, str]]:
    """Load rows sorted by all columns; return their numbered relation and their columns' types."""
    loaded = quote_name(f"rows of {name}")
    connection.execute(f"create temp table {loaded} as {select} order by all")
    types = {str(row[0]): str(row[1]) for row in connection.execute(f"describe temp.{loaded}").fetchall()}
    return number_rows(f"temp.{loaded}", types), types


def _map_columns(table: Table, source: SourceTable, mapping: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    place = f"affinity.toml: sources.tables.{table.name}.columns"
    for ours, theirs in mapping.items():
        if theirs not in source.types:
            faults.append(f"{place}.{ours}: no column {theirs} in {source.origin}{did_you_mean(theirs, source.types)}")
        if ours not in table.names and not _may_be_extra(table, ours):
            faults.append(f"{place}.{ours}: {table.name} has no such column{did_you_mean(ours, table.names)}")
    direct = {name: name for name in table.names if name in source.types and name not in mapping}
    return {**direct, **{ours: theirs for ours, theirs in mapping.items() if theirs in source.types}}


def _may_be_extra(table: Table, name: str) -> bool:
    if table.extras == "none":
        return False
    return not difflib.get_close_matches(name.lower(), table.names, n=1, cutoff=TYPO_SIMILARITY)


__all__ = ["RawTable", "SourceTable", "load_rows", "map_tables", "unused_tables"]
