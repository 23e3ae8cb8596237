"""The worklist as a table of a PostgreSQL warehouse, for reverse ETL into other systems (optional).

One row a play, by (account_id, product_id). A row that says the same as before is not touched, so that what follows
`updated_at` moves only what changed; a play that left the list stays with ``is_active = false``. Only columns that hold
still while nothing happens are mapped unless told otherwise: ranks and the numbers in reasons change every night.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from product_affinity.errors import RefusedError, UsageError, did_you_mean
from product_affinity.lists.writers import clean_text
from product_affinity.schema.lists import WORKLIST_COLUMNS

if TYPE_CHECKING:
    import psycopg

KEYS = ("account_id", "product_id")
DEFAULT_COLUMNS = (
    "play_id",
    "owner_id",
    "account_name",
    "product_name",
    "play_type",
    "propensity",
    "expected_arr_usd",
    "value_usd",
    "tier",
    "trigger",
    "stakeholder_role",
    "route",
    "best_by",
)
# Of a mapped number as many digits as a reader acts on: the rest would re-sync the row every night.
SIGNIFICANT_DIGITS = {"propensity": 2, "value_usd": 2, "expected_arr_usd": 3, "lift": 2}
# Texts that may quote what a customer wrote, which leaves the house in files of their own rules only.
WITHHELD = ("trigger_evidence", "next_step", "talk_track")
_TYPES = {
    **dict.fromkeys(SIGNIFICANT_DIGITS, "double precision"),
    **dict.fromkeys(("rank", "one_in", "tier", "days_on_list"), "bigint"),
}
_LONGEST_NAME = 63
_SECRETS = ("password", "sslpassword")


@dataclass(frozen=True)
class Upserted:
    """What became of the rows: numbers of them."""

    inserted: int
    updated: int
    unchanged: int
    deactivated: int


def upsert_worklist(
    connection_uri: str, table: str, plays: pd.DataFrame, *, columns: Sequence[str] = DEFAULT_COLUMNS
) -> Upserted:
    """Bring a warehouse table to the state of the worklist, in one transaction; the table is made where it is missing.

    Beside the mapped columns it has account_id and product_id (its key), is_active, and updated_at: the database's time
    of the last change of any of them.

    Parameters
    ----------
    connection_uri : `postgresql://user@host/database`, without a password: libpq takes it from PGPASSWORD or the
        password file.
    table : `table` or `schema.table`; any name, quoted as it stands.
    plays : the worklist, one row a pair; numbers are rounded to `SIGNIFICANT_DIGITS`.
    columns : worklist columns to map beside the key.

    Raises
    ------
    UsageError : the URI, the table's name or a column cannot be used, or the extra `postgres` is not installed.
    RefusedError : a key is missing or twice, the table has other columns, or the database refuses; it is as it was.
    """
    mapped = _mapped(columns)
    place = _table_parts(table)
    rows = _rows(plays, mapped)
    try:
        import psycopg
    except ModuleNotFoundError:
        raise UsageError("warehouse: needs psycopg. Install it: pip install 'product-affinity[postgres]'") from None
    settings = _settings(connection_uri)
    try:
        with psycopg.connect(**settings) as connection:
            return _bring_up_to_date(connection, place, mapped, rows)
    except psycopg.Error as error:
        reason = error.diag.message_primary or str(error).partition("\n")[0]
        raise RefusedError(f"warehouse table {table} not updated: {reason.strip()}") from None


def _mapped(columns: Sequence[str]) -> tuple[str, ...]:
    known = [name for name in WORKLIST_COLUMNS if name not in (*KEYS, *WITHHELD)]
    for name in columns:
        if name in WITHHELD:
            raise UsageError(f"warehouse: column {name} may quote what a customer wrote; it is not mapped")
        if name not in known:
            raise UsageError(f"warehouse: no column {name} to map{did_you_mean(name, known)}")
    return tuple(dict.fromkeys(columns))


def _table_parts(table: str) -> tuple[str, ...]:
    parts = tuple(table.split("."))
    if len(parts) > 2 or any(not p or len(p.encode()) > _LONGEST_NAME or "\0" in p for p in parts):
        raise UsageError(
            f"warehouse: {table[:80]!r} is no table name; write table or schema.table, each of 1 to "
            f"{_LONGEST_NAME} bytes"
        )
    return parts


def _settings(connection_uri: str) -> dict[str, Any]:
    """Read the URI; nothing of it is repeated in a message, as it may hold what it must not."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        settings: dict[str, Any] = conninfo_to_dict(connection_uri)
    except psycopg.ProgrammingError:
        raise UsageError("warehouse: not a connection URI like postgresql://user@host:5432/database") from None
    for name in _SECRETS:
        if settings.get(name):
            raise UsageError(
                f"warehouse: a {name} in the connection URI would be read by others; take it out and set PGPASSWORD, "
                "or use a password file"
            )
    return {"connect_timeout": 10, **settings}


def _rows(plays: pd.DataFrame, mapped: Sequence[str]) -> list[tuple[object, ...]]:
    for name in KEYS:
        if plays[name].isna().any():
            raise RefusedError(f"warehouse table not updated: {int(plays[name].isna().sum())} rows without {name}")
    names = (*KEYS, *mapped)
    rows = [
        tuple(_cell(name, cell) for name, cell in zip(names, row, strict=True))
        for row in plays[list(names)].astype(object).itertuples(index=False, name=None)
    ]
    (key, times), *_ = Counter(row[: len(KEYS)] for row in rows).most_common(1) or [(KEYS, 0)]
    if times > 1:
        raise RefusedError(f"warehouse table not updated: {key[0]} × {key[1]} is listed {times} times")
    return rows


def _cell(name: str, cell: Any) -> object:
    """Return a value as the table holds it: text without control characters, numbers rounded, None where unknown."""
    if cell is None or cell is pd.NaT or cell is pd.NA or cell != cell:
        return None
    if name in SIGNIFICANT_DIGITS:
        return _significant(float(cell), SIGNIFICANT_DIGITS[name])
    if _TYPES.get(name) == "bigint":
        return int(cell)
    return clean_text(str(cell))


def _significant(number: float, digits: int) -> float | None:
    """Round to significant digits.

    >>> _significant(0.12345, 2), _significant(2449.0, 2), _significant(0.0, 2)
    (0.12, 2400.0, 0.0)
    """
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None


def _bring_up_to_date(
    connection: psycopg.Connection[Any],
    place: tuple[str, ...],
    mapped: tuple[str, ...],
    rows: list[tuple[object, ...]],
) -> Upserted:
    from psycopg import sql

    names = (*KEYS, *mapped)
    table = sql.Identifier(*place)
    # a temporary table hides one of its name
    listed = sql.Identifier("listed" if place[-1] != "listed" else "listed_now")
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    typed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_TYPES.get(name, "text"))) for name in names
    )
    with connection.cursor() as cursor:
        cursor.execute("set local lock_timeout = '30s'")
        cursor.execute(
            sql.SQL(
                "create table if not exists {} ({}, is_active boolean not null, updated_at timestamptz not null, "
                "primary key (account_id, product_id))"
            ).format(table, typed)
        )
        # two nights at once would deactivate each other's rows; readers are not held up
        cursor.execute(sql.SQL("lock table {} in share row exclusive mode").format(table))
        cursor.execute(sql.SQL("create temp table {} ({}) on commit drop").format(listed, typed))
        with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(listed, columns)) as copy:
            for row in rows:
                copy.write_row(row)
        written = cursor.execute(_upsert(table, listed, names)).fetchall()
        inserted = sum(bool(row[0]) for row in written)
        deactivated = cursor.execute(
            sql.SQL(
                "update {} as kept set is_active = false, updated_at = now() where kept.is_active and not exists "
                "(select from {} as listed where listed.account_id = kept.account_id "
                "and listed.product_id = kept.product_id)"
            ).format(table, listed)
        ).rowcount
    return Upserted(inserted, len(written) - inserted, len(rows) - len(written), deactivated)


def _upsert(table: Any, listed: Any, names: Sequence[str]) -> Any:
    """Return the statement that writes only rows with something new; `xmax` is 0 in a row that was not there."""
    from psycopg import sql

    def fields(prefix: str) -> Any:
        return sql.SQL(", ").join(sql.Identifier(prefix, name) for name in names)

    changes = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in names)
    return sql.SQL(
        "insert into {table} as kept ({columns}, is_active, updated_at) select {columns}, true, now() from {listed} "
        "on conflict (account_id, product_id) do update set {changes}, is_active = true, updated_at = now() "
        "where ({old}, kept.is_active) is distinct from ({new}, true) returning kept.xmax = 0"
    ).format(
        table=table,
        listed=listed,
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        changes=changes,
        old=fields("kept"),
        new=fields("excluded"),
    )
