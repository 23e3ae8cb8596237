"""Which columns and rows of a server's table are needed: what nobody reads stays where it is."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import zoneinfo
from collections.abc import Collection, Mapping
from pathlib import Path

from product_affinity.schema import KNOWN_AT, Table
from product_affinity.schema.sql import quote_name

REASON = "_reason"
TYPO_SIMILARITY = 0.8
_NUMBERS = ("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE")


def needed_columns(
    table: Table, columns: Mapping[str, str], types: Mapping[str, str], named: Collection[str] = ()
) -> dict[str, str]:
    """Engine type of each column that is read, in the order of `types`; ids and texts as text, as they are written.

    Needed is what is mapped, `_reason`, what the table carries beyond our columns (measures; firmographic columns that
    the project names), and what looks like a misspelt name of ours, so that the check can say so. While a required
    column is missing all are needed: one of them may be it.

    Parameters
    ----------
    table : definition of our table.
    columns : our column name to the raw column name.
    types : raw column name to the engine's type.
    named : words of the project's files, see `named_words`.

    >>> from product_affinity.schema import TABLES
    >>> have = {"account_id": "BIGINT", "name": "VARCHAR", "phone": "VARCHAR"}
    >>> needed_columns(TABLES["accounts"], {"account_id": "account_id", "name": "name"}, have)
    {'account_id': 'VARCHAR', 'name': 'VARCHAR'}
    >>> list(needed_columns(TABLES["accounts"], {"account_id": "account_id", "name": "name"}, have, {"phone"}))
    ['account_id', 'name', 'phone']
    >>> have = {"account_id": "BIGINT", "product_id": "BIGINT", "start_on": "DATE", "note": "VARCHAR"}
    >>> needed_columns(TABLES["subscriptions"], {name: name for name in list(have)[:3]}, have)
    {'account_id': 'VARCHAR', 'product_id': 'VARCHAR', 'start_on': 'DATE'}
    """
    mapped = {theirs: ours for ours, theirs in columns.items()}
    absent = [name for name in table.names if name not in columns]
    everything = any(column.required and column.name in absent for column in table.columns)
    lowered = {name.lower() for name in named} if table.extras == "any" else set()

    def is_needed(name: str) -> bool:
        if everything or name in mapped or name == REASON or name.lower() in lowered:
            return True
        near = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=TYPO_SIMILARITY)
        return bool(near) or (table.extras == "number" and types[name] in _NUMBERS)

    return {
        name: "VARCHAR" if _is_text(table, mapped.get(name)) else kind
        for name, kind in types.items()
        if is_needed(name)
    }


def named_words(root: Path) -> frozenset[str]:
    """Every word in the files of `features/` and `playbook/`: a column that is read is one of them.

    Words, and not what the files mean: a query may name a column in ways that only the engine knows.
    """
    paths = [path for folder in ("features", "playbook") for path in (root / folder).rglob("*.*") if path.is_file()]
    return frozenset(word for path in paths for word in re.findall(r"\w+", path.read_text("utf-8", "replace")))


def needed_rows(
    table: Table, columns: Mapping[str, str], types: Mapping[str, str], since: dt.date | None, timezone: str
) -> str:
    r"""SQL condition that a server's rows lie on or after a local day, as contracts date them, or have no day at all.

    Parameters
    ----------
    table, columns, types : see `needed_columns`.
    since : first local day that is read; None for all rows.
    timezone : IANA zone of the project; the server's session is in UTC.

    Returns
    -------
    str : empty for all rows, also where the day is written as text, which the server cannot compare.

    >>> from product_affinity.schema import TABLES
    >>> tickets, day = TABLES["tickets"], dt.date(2024, 6, 1)
    >>> needed_rows(tickets, {"opened_at": "at"}, {"at": "TIMESTAMP WITH TIME ZONE"}, day, "Europe/Berlin")
    '("at" >= \'2024-05-31 22:00:00\' or "at" is null)'
    >>> needed_rows(tickets, {"opened_at": "at"}, {"at": "DATE"}, day, "Europe/Berlin")
    '("at" >= \'2024-06-01\' or "at" is null)'
    """
    theirs = columns.get(table.event or "")
    event = table.column(table.event or "")
    if since is None or theirs is None or event is None:
        return ""
    kind, column = types[theirs], quote_name(theirs)
    if kind != "DATE" and not kind.startswith("TIMESTAMP"):
        return ""
    first = since.isoformat()
    if kind == "TIMESTAMP WITH TIME ZONE" or (kind != "DATE" and event.kind == "timestamp"):
        midnight = dt.datetime.combine(since, dt.time(), zoneinfo.ZoneInfo(timezone))
        first = midnight.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"({column} >= '{first}' or {column} is null)"


def _is_text(table: Table, ours: str | None) -> bool:
    column = table.column(ours) if ours is not None and ours != KNOWN_AT else None
    return column is not None and column.kind in ("id", "text")
