"""The first row that breaks a rule, in the words of its key and with the value as written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from product_affinity.contracts.raw_rows import RawRows
from product_affinity.contracts.rules import Rule
from product_affinity.errors import closest
from product_affinity.schema import Table
from product_affinity.schema.sql import quote_name

LONGEST_SHOWN = 40


def first_examples(
    connection: duckdb.DuckDBPyConnection, table: Table, raw: RawRows, firsts: Sequence[tuple[Rule, int]]
) -> list[str]:
    """Describe rows by their key, e.g. ``A-0017, 2026-02-03``, and where it helps by the value in question.

    Parameters
    ----------
    connection : engine that holds the raw rows.
    table : definition of our table.
    raw : the raw rows, numbered by `_row`.
    firsts : each rule with the `_row` of its first example.
    """
    if not firsts:
        return []
    columns = dict(raw.columns)
    selected = "".join(f", cast({quote_name(theirs)} as varchar)" for theirs in columns.values())
    wanted = ", ".join(str(row) for row in sorted({row for _, row in firsts}))
    rows = connection.execute(f"select _row{selected} from {raw.relation} where _row in ({wanted})").fetchall()
    texts = {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}
    return [_describe(table, rule, row, texts[row], raw.numbered) for rule, row in firsts]


def _describe(table: Table, rule: Rule, row: int, texts: Mapping[str, str | None], numbered: bool) -> str:
    key = [text for name in table.key if (text := texts.get(name))]
    place = ", ".join(shorten(text) for text in key) or (f"row {row}" if numbered else "a row without its key")
    value = texts.get(rule.column)
    if not rule.shows_value or value is None:
        return place
    near = closest(value, rule.options) if rule.options else None
    meant = f", closest: {near}" if near else ""
    return f'{place}: "{shorten(value)}"{meant}'


def shorten(text: str) -> str:
    r"""Make a text fit into a line: control characters escaped, long texts cut, no midnight behind a day.

    >>> shorten("a\tb"), len(shorten("x" * 5000))
    ('a\\tb', 40)
    """
    text = text.removesuffix(" 00:00:00")
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return plain if len(plain) <= LONGEST_SHOWN else plain[: LONGEST_SHOWN - 1] + "…"
