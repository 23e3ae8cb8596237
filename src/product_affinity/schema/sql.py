"""Quoting for SQL: the one way a name or a text from outside gets into a query."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """SQL identifier of a table or column.

    >>> print(quote_name('the "old" date'))
    "the ""old"" date"
    """
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """SQL literal of a text.

    >>> print(quote_text("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"
