"""What a table of facts knew on which day: made once when it is checked, asked for every as-of date.

Two questions about an as-of date need no row of the table again: what the table covers (its first usable event, the
columns that usable rows fill), and whether anything that the date may know has changed since features were built.
The *days* of a table answer both with one row for each combination of the three dates of `facts`:

``has_<column>``  whether a row of them fills an optional column,
``_rows``         number of rows,
``_digest``       sum of the rows' 64-bit hashes modulo 2⁶⁴, which no order of rows changes.

Values that were open until a closing date are hashed apart, in lines that have no event and are of the day they became
known. So the sum over all lines known before a date is a digest of the log as the replay audit cuts it off there:
later arrivals absent, what had not closed open.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

import numpy as np

from product_affinity.contracts.facts import DERIVED, Facts, day_column
from product_affinity.schema import TABLES, Table
from product_affinity.schema.sql import quote_name, quote_text

SUFFIX = ".days.parquet"
# The engine joins the hashes of columns by exclusive or, so that two rows that swap a value may keep their sum: hashing
# the hash mixes them.
_SUM = "count(*) as _rows, cast(sum(hash(hash({columns}))) % 18446744073709551616 as ubigint) as _digest"


def days_query(table: Table, extras: Sequence[str], relation: str) -> str:
    """SQL of the days of a table.

    Parameters
    ----------
    table : definition of the source table.
    extras : columns its facts carry beyond the schema's.
    relation : SQL relation of its facts.
    """
    closing = {column.name: column.closed_by for column in table.columns if column.closed_by is not None}
    days = {column.name: day_column(column.name) for column in table.columns if column.kind == "timestamp"}
    steady = [name for name in (*table.names, *extras) if name not in closing]
    always = [f"f.{quote_name(name)}" for name in steady]
    always += ["f._event_on", "f._known_on", *(f"f.{day}" for name, day in days.items() if name not in closing)]
    required = {column.name for column in table.columns if column.required}
    filled = "".join(
        f"bool_or(f.{quote_name(name)} is not null) as {quote_name(f'has_{name}')}, "
        for name in steady
        if name not in required
    )
    lines = [
        f"select f._event_on, f._known_on, f._superseded_on, {filled}{_SUM.format(columns=', '.join(always))} "
        f"from {relation} as f group by all"
    ]
    for closer in sorted(set(closing.values())):
        told = [f"f.{day_column(closer)}", *(f"f.{name}" for name, by in closing.items() if by == closer)]
        lines.append(
            f"select greatest(f._known_on, f.{day_column(closer)}) as _known_on, "
            f"{_SUM.format(columns=', '.join([*always, *told]))} "
            f"from {relation} as f where f.{day_column(closer)} is not null group by all"
        )
    return "\nunion all by name\n".join(lines)


def days_relation(facts: Facts, table: str) -> str:
    """SQL relation of the days of a table: as the check wrote them, or computed where no check did."""
    path = facts.folder / f"{table}{SUFFIX}" if facts.folder is not None else None
    if path is not None and path.exists():
        return f"read_parquet({quote_text(str(path))})"
    return f"({days_query(TABLES[table], facts.extras[table], f'facts.{table}')})"


def known_digests(facts: Facts, table: str, as_ofs: Sequence[dt.date]) -> dict[dt.date, str]:
    """Digest of all that a table's log held at each as-of date; equal digests mean equal rows, as known then.

    Parameters
    ----------
    facts : checked source tables.
    table : name of one; where it is absent its digest says so.
    as_ofs : as-of dates, in any order.
    """
    if not facts.has(table):
        return dict.fromkeys(as_ofs, "absent")
    described = facts.connection.execute(f"describe facts.{table}").fetchall()
    types = sorted((str(name), str(kind)) for name, kind, *_ in described if name not in DERIVED)
    found = facts.connection.execute(
        f"select _known_on, cast(sum(_rows) as bigint) as _rows, "
        "cast(sum(_digest) % 18446744073709551616 as ubigint) as _digest "
        f"from {days_relation(facts, table)} group by all order by _known_on"
    ).fetchnumpy()
    known = np.asarray(found["_known_on"], dtype="datetime64[D]")
    rows, digests = (np.cumsum(np.asarray(found[name], dtype=np.uint64)) for name in ("_rows", "_digest"))
    said = {}
    for as_of in as_ofs:
        before = int(np.searchsorted(known, np.datetime64(as_of)))
        sums = (int(rows[before - 1]), int(digests[before - 1])) if before else (0, 0)
        said[as_of] = hashlib.sha256(f"{types}|{facts.timezone}|{sums}".encode()).hexdigest()
    return said
