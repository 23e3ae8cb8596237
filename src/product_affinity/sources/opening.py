"""Open a data folder or a DuckDB file: SQL sees every raw table under its own name, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from product_affinity.errors import ContractError, UsageError
from product_affinity.sources.csv_files import csv_relation, engine_message, quote_name, quote_text

PARQUET, CSV = ".parquet", ".csv"
DATABASES = (".duckdb", ".ddb", ".db")


@dataclass(frozen=True)
class RawTable:
    """One table as the source has it.

    Attributes
    ----------
    name : file stem, or the table's name in the database.
    origin : the file, and for a database the table, shown in messages.
    types : column name to the engine's type.
    relation : SQL relation of its columns.
    numbered : SQL relation with the 1-based row number as `_row` before its columns; None where rows have no
        order of their own (views of a database).
    fingerprint : SHA-256 of the bytes the table comes from.
    """

    name: str
    origin: str
    types: dict[str, str]
    relation: str
    numbered: str | None
    fingerprint: str


@dataclass(frozen=True)
class RawTables:
    """The raw tables of one source, readable as ``raw.<name>`` through `connection`."""

    connection: duckdb.DuckDBPyConnection
    place: str
    tables: dict[str, RawTable] = field(default_factory=dict)


def open_sources(connection: duckdb.DuckDBPyConnection, path: Path, workspace: Path) -> RawTables:
    """Make the raw tables of a folder or a DuckDB file readable, then lock the engine in.

    After this call the connection can reach files in the source and in `workspace` only, cannot load
    extensions and cannot change its configuration, which bounds what a `query` of `affinity.toml` may do.

    Parameters
    ----------
    connection : an in-memory engine; it gets a schema `raw`, which becomes the current one.
    path : the folder or the `.duckdb` file.
    workspace : existing folder for results and for what does not fit into memory.

    Raises
    ------
    UsageError : the path is missing or of a kind we cannot read.
    ContractError : two files give one table, or a file is not readable.
    """
    if "://" in str(path) or ":/" in str(path):
        raise UsageError(f"affinity.toml: sources.path: {path} is an address; only folders and .duckdb files are read")
    if not path.exists():
        raise UsageError(f"affinity.toml: sources.path: {path} not found. Point it at a folder or a .duckdb file.")
    connection.execute("create schema raw")
    connection.execute(f"set temp_directory = {quote_text(str(workspace / 'spill'))}")
    if path.is_dir():
        found = _open_folder(connection, path)
    elif path.suffix.lower() in DATABASES:
        found = _open_database(connection, path)
    else:
        raise UsageError(f"affinity.toml: sources.path: {path} is no folder and no .duckdb file")
    _lock(connection, (path if path.is_dir() else path.parent, workspace))
    return RawTables(connection, path.name, {table.name: table for table in found})


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
    if path.suffix.lower() == CSV:
        relation, numbered = csv_relation(path), _number_by_loading(connection, path.stem)
    else:
        quoted = quote_text(str(path))
        relation = f"read_parquet({quoted})"
        rows = f"read_parquet({quoted}, file_row_number = true)"
        numbered = f"(select file_row_number + 1 as _row, * exclude (file_row_number) from {rows})"
    try:
        types = _show(connection, path.stem, relation)
    except duckdb.Error as error:
        raise ContractError(f"{path.name}: {engine_message(error)}") from None
    return RawTable(path.stem, path.name, types, relation, numbered, file_fingerprint(path))


def _number_by_loading(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """SQL relation that numbers the rows of a CSV file; `load_csv` fills it when it is needed."""
    return f"(select rowid + 1 as _row, * from temp.{quote_name(f'csv {name}')})"


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


def _open_database(connection: duckdb.DuckDBPyConnection, path: Path) -> list[RawTable]:
    try:
        connection.execute(f"attach {quote_text(str(path))} as source (read_only)")
    except duckdb.Error as error:
        raise ContractError(f"{path.name}: {engine_message(error)}") from None
    rows = connection.execute(
        "select table_schema, table_name, table_type from information_schema.tables "
        "where table_catalog = 'source' order by table_schema <> 'main', table_schema, table_name"
    ).fetchall()
    fingerprint = file_fingerprint(path)
    tables = []
    for schema, name, kind in rows:
        relation = f"source.{quote_name(schema)}.{quote_name(name)}"
        shown = name if schema == "main" else f"{schema}.{name}"
        types = _show(connection, shown, relation)
        numbered = f"(select rowid + 1 as _row, * from {relation})" if kind == "BASE TABLE" else None
        tables.append(RawTable(shown, f"{path.name}: {shown}", types, relation, numbered, fingerprint))
    return tables
