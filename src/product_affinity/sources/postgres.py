"""Read PostgreSQL: one read-only transaction in which all tables are of one instant, and only what is needed leaves.

The server names its tables and describes the columns that are asked for; a hash over their content, computed
there, tells whether anything changed since the last check. Only if it did do rows leave, by `copy … to stdout`,
and only the columns that are mapped; the rows of a `query` and those before `since` are chosen by the server as well.

A hash over the content, and not counters of the server or the newest `xmin`: statistics forget after a crash, a
transaction that began early may commit late, and a database restored from a dump counts its transactions anew,
so that other rows come under numbers already seen. Views and foreign tables have none of these.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from product_affinity.errors import ContractError, UsageError
from product_affinity.schema.sql import quote_name, quote_text
from product_affinity.sources.csv_files import engine_message

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql:", "postgres:")
EXAMPLE = "postgresql://user@host:5432/database"
SECRETS = ("password", "sslpassword", "oauth_client_secret")
CONNECT_SECONDS = 10
# Types by the object ids every server has. A numeric has no type of ours that holds all of it; as a measure it
# becomes a double, and where it is an id it leaves as text. Everything else is text, as the server writes it.
TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    26: "BIGINT",
    700: "DOUBLE",
    701: "DOUBLE",
    1700: "DOUBLE",
    1082: "DATE",
    1114: "TIMESTAMP",
    1184: "TIMESTAMP WITH TIME ZONE",
}
TEXT = "VARCHAR"
# What the server writes must not depend on how it, the database or the role is set up. For this transaction only:
# behind a pooler the session is somebody else's next.
_SETTINGS = (
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local extra_float_digits = 1",
    "set local bytea_output = 'hex'",
)
# Parts of a partitioned table are read through it. A table the search path finds goes by its bare name.
_TABLES = """
    select n.nspname, c.relname, pg_table_is_visible(c.oid)
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
        and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    order by 1, 2
"""


@dataclass(frozen=True)
class Server:
    """An open read-only transaction on a PostgreSQL server.

    Attributes
    ----------
    connection : of psycopg.
    place : database and host, as messages show them.
    workspace : folder that rows are written to.
    """

    connection: psycopg.Connection[Any]
    place: str
    workspace: Path

    def tables(self) -> dict[str, str]:
        """SQL relation of each table and view by name: `schema.table`, or `table` where the search path finds it."""
        with self._faults(self.place):
            rows = self.connection.execute(_TABLES).fetchall()
        return {
            table if visible else f"{schema}.{table}": f"{quote_name(schema)}.{quote_name(table)}"
            for schema, table, visible in rows
        }

    def describe(self, relation: str, place: str) -> dict[str, str]:
        """Engine type of each column of a relation.

        Parameters
        ----------
        relation : SQL of a table, or of a query in parentheses.
        place : shown in messages.

        Raises
        ------
        ContractError : the server refuses it, or columns differ in nothing but case.
        """
        with self._faults(place), self.connection.cursor() as cursor:
            # a prepared statement can be one statement only, whatever the query says
            cursor.execute(f"select * from {relation} as described limit 0".encode(), prepare=True)
            columns = [(column.name, column.type_code) for column in cursor.description or ()]
        lowered = [name.lower() for name, _ in columns]
        twice = next((name for name, _ in columns if lowered.count(name.lower()) > 1), None)
        if twice is not None or not columns:
            fault = f"column {twice} comes twice, upper and lower case being the same" if twice else "no columns"
            raise ContractError(f"{place}: {fault}; name the columns in a query")
        return {name: TYPES.get(code, TEXT) for name, code in columns}

    def fingerprint(self, select: str, place: str) -> str:
        """SHA-256 of types, number and content of what a select returns, whatever the order of its rows."""
        query = (
            'select count(*), coalesce(sum(hashtextextended(cast("rows to hash" as text), 0)), 0) '
            f'from ({select}) as "rows to hash"'
        )
        with self._faults(place):
            rows = self.connection.execute(query.encode()).fetchall()
        return hashlib.sha256(f"{select} {rows}".encode()).hexdigest()

    def write_rows(self, engine: duckdb.DuckDBPyConnection, select: str, types: Mapping[str, str], to: Path) -> None:
        """Write what a select returns to a Parquet file, sorted by all columns.

        Parameters
        ----------
        engine : converts the server's text to the types.
        select : see `select_columns`.
        types : of its columns, in order.
        to : the file; messages show its stem.

        Raises
        ------
        ContractError : the server stops, or sends a value that its type does not allow.
        """
        text = to.with_suffix(".csv")
        try:
            with (
                self._faults(f"{self.place}: {to.stem}"),
                text.open("wb") as file,
                self.connection.cursor() as cursor,
                cursor.copy(f"copy ({select}) to stdout (format csv)".encode()) as copy,
            ):
                for block in copy:
                    file.write(block)
            columns = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in types.items())
            rows = (
                f"read_csv({quote_text(str(text))}, auto_detect = false, header = false, delim = ',', quote = '\"', "
                f"escape = '\"', nullstr = '', allow_quoted_nulls = false, columns = {{{columns}}})"
            )
            engine.execute(f"copy (from {rows} order by all) to {quote_text(str(to))} (format parquet)")
        except duckdb.Error as error:
            raise ContractError(f"{self.place}: {to.stem}: {engine_message(error)}") from None
        finally:
            text.unlink(missing_ok=True)

    def close(self) -> None:
        """End the transaction and leave the server."""
        self.connection.close()

    @contextmanager
    def _faults(self, place: str) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise ContractError(f"{place}: {_reason(error)}") from None


def is_server(address: str) -> bool:
    """Whether an address is of a PostgreSQL server.

    >>> is_server("postgresql://host/db"), is_server("data/postgresql")
    (True, False)
    """
    return address.lower().startswith(SCHEMES)


def connect(address: str, workspace: Path) -> Server:
    """Open a transaction on a server that reads only, and sees all tables as they are now.

    Who may log in is libpq's to find: PGUSER, PGPASSWORD, the password file, certificates.

    Parameters
    ----------
    address : `postgresql://…` without a password.
    workspace : folder that rows are written to.

    Raises
    ------
    UsageError : the address is none or holds a password, psycopg is not installed, or the server refuses.
    """
    try:
        import psycopg
    except ModuleNotFoundError:
        raise UsageError(
            "affinity.toml: sources.path: PostgreSQL needs psycopg. "
            "Install it: pip install 'product-affinity[postgres]'"
        ) from None
    settings = _settings(address)
    place = _place(settings)
    try:
        connection = psycopg.connect(**settings)
    except psycopg.Error as error:
        raise UsageError(
            f"affinity.toml: sources.path: {place}: {_reason(error)}. Look at host, port and database; user and "
            "password come from PGUSER and PGPASSWORD or the password file."
        ) from None
    try:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for statement in _SETTINGS:
            connection.execute(statement)
    except psycopg.Error as error:
        connection.close()
        raise UsageError(f"affinity.toml: sources.path: {place}: {_reason(error)}") from None
    return Server(connection, place, workspace)


def select_columns(relation: str, types: Mapping[str, str], rows: str = "") -> str:
    """Select that brings columns into the form in which they leave.

    Days before our calendar's first would not be read; as that first day they break the contract, as they should.

    Parameters
    ----------
    relation : SQL of a table, or of a query in parentheses.
    types : engine type of each column that leaves.
    rows : SQL condition of the rows that leave; empty for all.

    >>> select_columns("billing", {"id": "VARCHAR", "seats": "INTEGER"})
    'select cast("id" as text), "seats" from billing as asked'
    """
    columns = ", ".join(_leaving(quote_name(name), kind) for name, kind in types.items())
    return f"select {columns} from {relation} as asked" + (f" where {rows}" if rows else "")


def _leaving(column: str, kind: str) -> str:
    if kind == TEXT:
        return f"cast({column} as text)"
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return f"case when {column} < '0001-01-01' then '0001-01-01' else {column} end"
    return column


def _settings(address: str) -> dict[str, Any]:
    """Read the address; nothing of a faulty one is repeated, as it may hold what it must not."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    wrong = f"affinity.toml: sources.path: not an address like {EXAMPLE}; special characters are written %40"
    try:
        settings: dict[str, Any] = conninfo_to_dict(address) if "://" in address else {}
    except psycopg.ProgrammingError:
        raise UsageError(wrong) from None
    for name in SECRETS:
        if settings.get(name):
            raise UsageError(
                f"affinity.toml: sources.path: a {name} in the address would be read by others; take it out and set "
                "PGPASSWORD, or use a password file"
            )
    numbers = re.fullmatch(r"[\d,]*", str(settings.get("port", "")))
    # a password with an unescaped / or @ would else be taken for a part that messages show
    if not settings or not numbers or any("@" in str(settings.get(name, "")) for name in ("host", "dbname")):
        raise UsageError(wrong)
    return {"connect_timeout": CONNECT_SECONDS, **settings, "client_encoding": "UTF8"}


def _place(settings: Mapping[str, Any]) -> str:
    from psycopg import pq

    defaults = {o.keyword.decode(): o.val.decode() for o in pq.Conninfo.get_defaults() if o.val}
    known = {**defaults, **settings}
    return f"{known.get('dbname', 'the default database')} on {known.get('host', 'this machine')}"


def _reason(error: psycopg.Error) -> str:
    """Say in one line, without who tried to log in, what the server says."""
    text = error.diag.message_primary or str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return re.sub(r'(user|role) "[^"]*"', r"\1 ***", first).rstrip(".") + hint
