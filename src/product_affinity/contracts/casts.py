"""SQL that turns raw values into the types of the schema, or into null where they cannot be read.

A raw value that is there but comes out null is *unreadable* and breaks the contract; empty text is missing.

* Dates are local days. Text is ISO 8601, or one of the table's `date_format`s, tried in order. The day of a
  timestamp without offset is taken as written; one with an offset is moved to the project's zone first.
* Timestamps are UTC. Without an offset they are taken as UTC; a bare date means local midnight of that day.
  The `date_format`s hold for them too, with ISO 8601 last: `known_at` is often written by another program.
* Integers may be written `12`, `12.0` or `1.2E1`, not `12.5`; numbers need a point, no thousands separator.
* Booleans are true, false, t, f, yes, no, y, n, 1, 0 in any case.
* Ids and texts stay as written; a whole number in a native float column loses its `.0`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import duckdb

from product_affinity.schema import Column

Family = Literal["text", "date", "timestamp", "instant", "boolean", "integer", "float"]

TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
_DATE = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"[T ]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?"
# The engine shifts by offsets it takes for hours up to 99; no clock on earth is 16 hours off.
_OFFSET = r" ?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)"
_NUMBER = r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?"
_TIME_DIRECTIVES = re.compile(r"%-?[HIMSpfgnzZcXT]")


def type_family(engine_type: str) -> Family:
    """Family of an engine type; whatever is no date, number or boolean is read as text.

    >>> type_family("DECIMAL(18,2)"), type_family("TIMESTAMP WITH TIME ZONE"), type_family("ENUM('a')")
    ('float', 'instant', 'text')
    """
    upper = engine_type.upper()
    if upper in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"):
        return "instant"
    if upper.startswith("TIMESTAMP") or upper == "DATETIME":
        return "timestamp"
    if upper in ("DATE", "BOOLEAN"):
        return "date" if upper == "DATE" else "boolean"
    if upper in ("FLOAT", "DOUBLE", "REAL") or upper.startswith("DECIMAL"):
        return "float" if not upper.endswith("]") else "text"
    return "integer" if re.fullmatch(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", upper) else "text"


def can_fail(kind: str, family: Family) -> bool:
    """Whether some value of the family has no value of the kind.

    >>> can_fail("date", "timestamp"), can_fail("integer", "float")
    (False, True)
    """
    never = {
        "id": True,
        "text": True,
        "date": family in ("date", "timestamp", "instant"),
        "timestamp": family in ("date", "timestamp", "instant"),
        "number": family in ("float", "integer"),
        "boolean": family == "boolean",
    }
    return not never.get(kind, False)


def cast_value(kind: str, raw: str, family: Family, *, formats: Sequence[str], timezone: str) -> str:
    """SQL expression that reads `raw` (a quoted column) as a value of `kind`.

    Parameters
    ----------
    kind : kind of a schema column.
    raw : SQL expression of the raw value.
    family : of the raw value's engine type.
    formats : strptime formats tried in order for dates and timestamps written as text; empty for ISO 8601.
    timezone : IANA zone of the project.
    """
    if kind in ("id", "text"):
        return _text(raw, family)
    if kind == "date":
        return _date(raw, family, formats, timezone)
    if kind == "timestamp":
        return _timestamp(raw, family, formats, timezone)
    if kind == "boolean":
        return _boolean(raw, family)
    number = _number(raw, family)
    return (
        f"try_cast(case when {number} = trunc({number}) then {number} end as bigint)" if kind == "integer" else number
    )


def is_written(raw: str, family: Family) -> str:
    """SQL condition: the raw value is there (an empty or blank text is not).

    >>> is_written('"seats"', "integer")
    '"seats" is not null'
    """
    return f"coalesce(trim(cast({raw} as varchar)), '') <> ''" if family == "text" else f"{raw} is not null"


def describe_kind(column: Column, formats: Sequence[str]) -> str:
    """Say what a value that could not be read should have been.

    >>> describe_kind(Column("seats", "integer"), ())
    'not a whole number'
    """
    shape = " or ".join(formats if formats and column.kind == "date" else (*formats, "ISO 8601"))
    return {
        "date": f"not a date ({shape})",
        "timestamp": f"not a timestamp ({shape})",
        "integer": "not a whole number",
        "number": "not a number",
        "boolean": "not true or false",
    }[column.kind]


def unusable_format(connection: duckdb.DuckDBPyConnection, pattern: str) -> str | None:
    """Say why a strptime format reads no date; None where it does.

    >>> unusable_format(duckdb.connect(), "%d.%m.%Y") is None, unusable_format(duckdb.connect(), "%d.%m.")
    (True, 'it reads no year')
    """
    if not pattern.strip():
        return "it is empty"
    try:
        row = connection.execute(
            "select year(cast(strptime(strftime(timestamptz '2023-06-15 00:00+00', $1), $1) as timestamp))", [pattern]
        ).fetchone()
    except duckdb.Error as error:
        line = str(error).splitlines()[0]
        return line.partition(f"specifier {pattern}: ")[2] or line
    return None if row == (2023,) else "it reads no year"


def _text(raw: str, family: Family) -> str:
    if family == "float":
        whole = f"case when {raw} = trunc({raw}) then cast(try_cast({raw} as hugeint) as varchar) end"
        return f"coalesce({whole}, cast({raw} as varchar))"
    return f"nullif(cast({raw} as varchar), '')"


def _number(raw: str, family: Family) -> str:
    if family in ("float", "integer"):
        return f"cast({raw} as double)"
    text = f"trim(cast({raw} as varchar))"
    return f"case when regexp_full_match({text}, '{_NUMBER}') then try_cast({text} as double) end"


def _boolean(raw: str, family: Family) -> str:
    if family == "boolean":
        return raw
    if family in ("float", "integer"):
        return f"case when {raw} = 1 then true when {raw} = 0 then false end"
    text = f"lower(trim(cast({raw} as varchar)))"
    return f"case when {text} in {TRUE} then true when {text} in {FALSE} then false end"


def _date(raw: str, family: Family, formats: Sequence[str], timezone: str) -> str:
    if family in ("date", "timestamp"):
        return f"cast({raw} as date)"
    if family == "instant":
        return f"cast(timezone('{timezone}', {raw}) as date)"
    text = f"trim(cast({raw} as varchar))"
    if formats:
        return f"cast({_parsed(text, formats)} as date)"
    return (
        f"case when regexp_full_match({text}, '{_DATE}({_CLOCK})?') then try_cast(left({text}, 10) as date) "
        f"when regexp_full_match({text}, '{_DATE}{_CLOCK}{_OFFSET}') "
        f"then cast(timezone('{timezone}', {_instant(text)}) as date) end"
    )


def _timestamp(raw: str, family: Family, formats: Sequence[str], timezone: str) -> str:
    if family == "timestamp":
        return f"cast({raw} as timestamp)"
    if family == "instant":
        return f"timezone('UTC', {raw})"
    if family == "date":
        return _midnight(raw, timezone)
    text = f"trim(cast({raw} as varchar))"
    midnight = _midnight(f"try_cast({text} as date)", timezone)
    iso = (
        f"case when regexp_full_match({text}, '{_DATE}') then {midnight} "
        f"when regexp_full_match({text}, '{_DATE}{_CLOCK}({_OFFSET})?') "
        f"then timezone('UTC', {_instant(text)}) end"
    )
    return f"coalesce({_parsed(text, formats, midnight_of=timezone)}, {iso})" if formats else iso


def _instant(text: str) -> str:
    """Read a text with a clock; the engine takes no blank before the offset, as some programs write it."""
    return f"try_cast(regexp_replace({text}, ' ([Z+-])', '\\1') as timestamptz)"


def _midnight(day: str, timezone: str) -> str:
    return f"timezone('UTC', timezone('{timezone}', cast({day} as timestamp)))"


def _parsed(text: str, formats: Sequence[str], midnight_of: str | None = None) -> str:
    """Try the formats in order; of a format without a clock take the midnight in the zone `midnight_of`."""
    tried = []
    for pattern in formats:
        quoted = pattern.replace("'", "''")
        parsed = f"cast(try_strptime({text}, '{quoted}') as timestamp)"
        day_only = midnight_of is not None and not _TIME_DIRECTIVES.search(pattern)
        tried.append(_midnight(parsed, midnight_of) if day_only and midnight_of else parsed)
    return f"coalesce({', '.join(tried)})"
