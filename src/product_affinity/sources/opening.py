"""Open a data folder, a DuckDB file or a server: SQL sees its raw tables under their own names, and nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb

from product_affinity.errors import ContractError, UsageError
from product_affinity.schema.sql import quote_name, quote_text
from product_affinity.sources.csv_files import csv_relation, engine_message
from product_affinity.sources.postgres import Server, connect, is_server

_READ = "folders, .duckdb files and postgresql:// addresses"
PARQUET, CSV = ".parquet", ".csv"
DATABASES = (".duckdb", ".ddb", ".db")


@dataclass(frozen=True)
class RawTable:
    """One table as the source has it.

    Attributes
    ----------
    name : file stem, or the table's name in the database.
    origin : the file, and for a database the table, shown in messages.
    types : column name to the engine's type; empty for a table of a server, which is asked when it is needed.
    relation : SQL relation of its columns.
    numbered : SQL relation with the 1-based row number as `_row` before its columns; None where rows have no
        order of their own (views of a database, tables of a server).
    fingerprint : SHA-256 of the bytes the table comes from; empty while nobody asked a server for it.
    fault : why the table cannot be read, which matters only to who uses it; None where it can.
    """

    name: str
    origin: str
    types: dict[str, str]
    relation: str
    numbered: str | None
    fingerprint: str
    fault: str | None = None


@dataclass(frozen=True)
class RawTables:
    """The raw tables of one source; leaving its ``with`` block leaves the server, where there is one.

    Attributes
    ----------
    connection : engine that reads them, as ``raw.<name>`` unless they are on a server.
    place : the source as messages show it.
    tables : by name. Of a server's tables `map_tables` leaves those that are needed.
    server : the server they are on, None for files.
    """

    connection: duckdb.DuckDBPyConnection
    place: str
    tables: dict[str, RawTable] = field(default_factory=dict)
    server: Server | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.server is not None:
            self.server.close()


def open_sources(connection: duckdb.DuckDBPyConnection, path: Path | str, workspace: Path) -> RawTables:
    """Make the raw tables of a folder, a DuckDB file or a server readable, then lock the engine in.

    After this call the connection can reach files in the source and in `workspace` only, cannot load
    extensions and cannot change its configuration, which bounds what a `query` of `affinity.toml` may do.

    Parameters
    ----------
    connection : an in-memory engine; it gets a schema `raw`, which becomes the current one.
    path : the folder, the `.duckdb` file or the address of a server.
    workspace : existing folder for results, for what does not fit into memory and for what a server sends.

    Raises
    ------
    UsageError : the path is missing or of a kind we cannot read, or a server cannot be reached.
    ContractError : two files give one table, or a file is not readable.
    """
    if is_server(str(path)):
        return _open_server(connection, str(path), workspace)
    shown, path = without_credentials(str(path)), Path(path)
    if ":/" in str(path):
        raise UsageError(f"affinity.toml: sources.path: {shown} is an address of a kind we cannot read; {_READ} are")
    if not path.exists():
        raise UsageError(f"affinity.toml: sources.path: {shown} not found; {_READ} are read")
    _prepare(connection, workspace)
    if path.is_dir():
        _lock(connection, (path, workspace))
        found = _open_folder(connection, path)
    elif path.suffix.lower() in DATABASES:
        _attach(connection, path)
        # A view of the database must not reach further than a query of the settings.
        _lock(connection, (path.parent, workspace))
        found = _open_database(connection, path)
    else:
        raise UsageError(f"affinity.toml: sources.path: {shown} is no folder and no .duckdb file")
    return RawTables(connection, path.name, {table.name: table for table in found})


def _prepare(connection: duckdb.DuckDBPyConnection, workspace: Path) -> None:
    connection.execute("create schema raw")
    connection.execute(f"set temp_directory = {quote_text(str(workspace / 'spill'))}")


def _open_server(connection: duckdb.DuckDBPyConnection, address: str, workspace: Path) -> RawTables:
    server = connect(address, workspace)
    try:
        _prepare(connection, workspace)
        _lock(connection, (workspace,))
        tables = {
            name: RawTable(name, f"{server.place}: {name}", {}, relation, None, "")
            for name, relation in server.tables().items()
        }
    except BaseException:
        server.close()
        raise
    return RawTables(connection, server.place, tables, server)


def without_credentials(address: str) -> str:
    """Mask whoever may log in where: an address goes into messages, logs and tickets.

    >>> without_credentials("postgresql://u:secret@h/db?password=secret&x=1")
    'postgresql:***@h/db?password=***&x=1'
    >>> without_credentials("data/2025")
    'data/2025'
    """
    masked = re.sub(r"(?<=:)[^:].*@", "***@", address)
    return re.sub(r"(?i)((?:password|passwd|pwd|token|secret|key)\s*=\s*)[^\s&;]+", r"\1***", masked)


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal: names, sizes and times may lie, contents do not."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lock(connection: duckdb.DuckDBPyConnection, folders: tuple[Path, ...]) -> None:
    allowed = ", ".join(quote_text(f"{folder}/") for folder in folders)
    connection.execute(f"set allowed_directories = [{allowed}]")
    # A query must see raw tables only, not the variables of this program.
    connection.execute("set python_enable_replacements = false")
    connection.execute("set schema = 'raw'")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _open_folder(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[RawTable]:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() in (PARQUET, CSV))
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem.lower(), path)
        if other is not path:
            raise ContractError(f"{folder.name}: {other.name} and {path.name} both give table {path.stem}; keep one")
    return [_open_file(connection, path) for path in paths]


def _open_file(connection: duckdb.DuckDBPyConnection, path: Path) -> RawTable:
    relation = csv_relation(path) if path.suffix.lower() == CSV else f"read_parquet({quote_text(str(path))})"
    try:
        types = _show(connection, path.stem, relation)
    except duckdb.Error as error:
        raise ContractError(f"{path.name}: {engine_message(error)}") from None
    if path.suffix.lower() == CSV:
        # `load_csv` fills this table when it is needed.
        numbered = number_rows(f"temp.{quote_name(f'csv {path.stem}')}", types)
    else:
        numbered = number_parquet_rows(path, types)
    return RawTable(path.stem, path.name, types, relation, numbered, file_fingerprint(path))


def number_parquet_rows(path: Path, columns: Iterable[str]) -> str:
    """SQL relation of a Parquet file's columns behind the 1-based row number `_row`."""
    quoted = quote_text(str(path))
    if "file_row_number" in map(str.lower, columns):
        return f"(select row_number() over () as _row, * from read_parquet({quoted}))"
    rows = f"read_parquet({quoted}, file_row_number = true)"
    return f"(select file_row_number + 1 as _row, * exclude (file_row_number) from {rows})"


def number_rows(table: str, columns: Iterable[str]) -> str:
    """SQL relation of a stored table's columns behind the 1-based row number `_row`.

    A column called rowid hides the engine's own; then rows are counted as they are stored, which is slower.

    >>> number_rows("temp.t", ["a"])
    '(select rowid + 1 as _row, * from temp.t)'
    >>> number_rows("temp.t", ["RowId"])
    '(select row_number() over () as _row, * from temp.t)'
    """
    number = "row_number() over ()" if "rowid" in map(str.lower, columns) else "rowid + 1"
    return f"(select {number} as _row, * from {table})"


def load_csv(connection: duckdb.DuckDBPyConnection, table: RawTable) -> None:
    """Load a CSV file into memory once, so that its rows have numbers and are parsed only once.

    Raises
    ------
    ContractError : a line is not readable; the message names file and line.
    """
    loaded = quote_name(f"csv {table.name}")
    try:
        connection.execute(f"create temp table if not exists {loaded} as from {table.relation}")
    except duckdb.Error as error:
        raise ContractError(f"{table.origin}: {engine_message(error)}") from None


def _show(connection: duckdb.DuckDBPyConnection, name: str, relation: str) -> dict[str, str]:
    """Make a relation visible to queries under its own name; return its columns and types."""
    connection.execute(f"create view raw.{quote_name(name)} as from {relation}")
    described = connection.execute(f"describe raw.{quote_name(name)}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        connection.execute(f"attach {quote_text(str(path))} as source (read_only)")
    except duckdb.Error as error:
        raise ContractError(f"{path.name}: {engine_message(error)}") from None


def _open_database(connection: duckdb.DuckDBPyConnection, path: Path) -> list[RawTable]:
    rows = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        "where table_catalog = 'source' order by table_schema <> 'main', table_schema, table_name"
    ).fetchall()
    fingerprint = file_fingerprint(path)
    tables = []
    for schema, name, kind in rows:
        relation = f"source.{quote_name(schema)}.{quote_name(name)}"
        shown = name if schema == "main" else f"{schema}.{name}"
        origin, types, fault = f"{path.name}: {shown}", dict[str, str](), None
        try:
            types = _show(connection, shown, relation)
        except duckdb.Error as error:
            fault = f"{origin}: {engine_message(error)}"
        numbered = number_rows(relation, types) if kind == "BASE TABLE" else None
        tables.append(RawTable(shown, origin, types, relation, numbered, fingerprint, fault))
    return tables
