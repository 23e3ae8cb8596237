"""Frames as compact JSON that cannot break out of a script element."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.lists.writers import clean_lines

_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# Enough to show every figure on the page, and half the bytes of full doubles.
_DIGITS = 6


def to_json(value: object) -> str:
    r"""Return `value` as JSON text that is inert inside an HTML script element.

    >>> to_json({"name": "</script><b>"})
    '{"name":"\\u003c/script\\u003e\\u003cb\\u003e"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return text


@dataclass(frozen=True)
class JsonTable:
    """A frame whose cells are JSON values already, so that many pages can be cut from it.

    Attributes
    ----------
    rows : number of rows.
    columns : cells by column.
    """

    rows: int
    columns: dict[str, list[Any]]

    def take(self, positions: Sequence[int] | np.ndarray) -> JsonTable:
        """Return the rows at `positions`, in that order."""
        chosen = list(map(int, positions))
        return JsonTable(len(chosen), {name: [cells[i] for i in chosen] for name, cells in self.columns.items()})

    def encoded(self) -> dict[str, object]:
        """Return the columns as lists; texts that repeat as levels and codes (−1 = missing).

        >>> JsonTable(4, {"a": ["x", "x", "x", "y"], "b": [1, 2.5, None, 4]}).encoded()
        {'rows': 4, 'columns': {'a': {'levels': ['x', 'y'], 'codes': [0, 0, 0, 1]}, 'b': [1, 2.5, None, 4]}}
        """
        return {"rows": self.rows, "columns": {name: _shortened(cells) for name, cells in self.columns.items()}}


def json_table(frame: pd.DataFrame, columns: Sequence[str]) -> JsonTable:
    """Return the named columns as JSON values: fractions to six digits, days as ISO text, texts without control signs.

    >>> json_table(pd.DataFrame({"a": ["x", None], "b": [1.0, 0.12345678]}), ["a", "b"])
    JsonTable(rows=2, columns={'a': ['x', None], 'b': [1, 0.123457]})
    """
    return JsonTable(len(frame), {name: _cells(frame[name]) for name in columns})


def _shortened(cells: list[Any]) -> object:
    if not any(isinstance(cell, str) for cell in cells):
        return cells
    levels: dict[str, int] = {}
    codes = [-1 if cell is None else levels.setdefault(cell, len(levels)) for cell in cells]
    return cells if 2 * len(levels) > len(cells) else {"levels": list(levels), "codes": codes}


def _cells(values: pd.Series) -> list[Any]:
    if pd.api.types.is_bool_dtype(values.dtype):
        return [None if pd.isna(value) else int(value) for value in values]
    if pd.api.types.is_numeric_dtype(values.dtype):
        return [_number(value) for value in values.to_numpy(dtype=float, na_value=np.nan).tolist()]
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [None if text is None or text != text else text for text in values.dt.strftime("%Y-%m-%d").tolist()]
    cleaned: dict[str, str] = {}
    return [_cell(cell, cleaned) for cell in values.tolist()]


def _cell(value: object, cleaned: dict[str, str]) -> object:
    """Return a list of numbers, or a text without control signs, or None; texts that repeat are cleaned once."""
    if isinstance(value, str):
        if value not in cleaned:
            cleaned[value] = clean_lines(value)
        return cleaned[value]
    if isinstance(value, list):
        return [_number(float(number)) for number in value]
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return None
    if isinstance(value, dt.date):
        return value.isoformat()[:10]
    return clean_lines(str(value))


def _number(value: float) -> float | int | None:
    """Return a number in as few digits as the page shows; None where missing or infinite."""
    if not math.isfinite(value):
        return None
    if not value.is_integer():
        value = float(f"{value:.{_DIGITS}g}")
    return int(value) if value.is_integer() else value
