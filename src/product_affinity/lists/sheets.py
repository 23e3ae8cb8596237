"""Sheets of a workbook that people read and fill in: tables with formats, links and drop-downs, always the same bytes.

Text is always written as text: nothing that starts with `=` runs, nothing that looks like a link or a number turns
into one. Limits are Excel's: 32,767 characters a cell, 1,048,576 rows and 65,530 links a sheet, 2,079
characters a link.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import pandas as pd
import xlsxwriter

from product_affinity.lists.writers import CELL_LIMIT, clean_lines, cut_text

SHEET_ROWS = 1_048_576
_SHEET_LINKS, _LINK_LENGTH = 65_530, 2_079
_LINE_POINTS, _MOST_LINES = 15, 14
_HEADER = {
    "bold": True,
    "font_color": "#FFFFFF",
    "bg_color": "#1F3A5F",
    "text_wrap": True,
    "valign": "vcenter",
    "border": 1,
}
_BODY = {"valign": "top", "text_wrap": True, "bottom": 4, "bottom_color": "#B8C2CC"}
_LINK = {"font_color": "#0B57A4", "underline": 1}


class Cell(NamedTuple):
    """A value with what sets it apart from its column.

    Attributes
    ----------
    value : text, number, date or None for an empty cell.
    number_format : how a number is shown, or None for the column's.
    fill : background colour `#RRGGBB`, or None.
    link : where a text leads; a link of another scheme than http or https is dropped.
    """

    value: object
    number_format: str | None = None
    fill: str | None = None
    link: object = None


@dataclass(frozen=True)
class Column:
    """One column of a sheet.

    Attributes
    ----------
    header : what stands above it.
    width : in characters.
    meaning : one sentence for the read-me; empty for columns that explain themselves.
    number_format : how its numbers and dates are shown.
    look : further properties of its cells.
    choices : values offered in a drop-down, as a range of the hidden sheet.
    only_choices : whether other values are refused.
    hidden : whether it carries a key that people need not see.
    """

    header: str
    width: float
    meaning: str = ""
    number_format: str | None = None
    look: Mapping[str, object] = field(default_factory=dict)
    choices: str | None = None
    only_choices: bool = False
    hidden: bool = False


class Book:
    """A workbook being written to `path`; a context manager. Equal content gives equal bytes.

    Parameters
    ----------
    path : where the file goes.
    title : what the file's properties say.
    created : its date of creation, fixed so that a rerun gives the same bytes.
    """

    def __init__(self, path: Path, title: str, created: dt.date) -> None:
        options = {
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
            "in_memory": True,
        }
        self._book = xlsxwriter.Workbook(str(path), options)
        midnight = dt.datetime.combine(created, dt.time())
        self._book.set_properties({"title": as_text(title)[:255], "author": "product-affinity", "created": midnight})
        self._formats: dict[tuple[tuple[str, object], ...], Any] = {}
        self._cell_formats: dict[tuple[object, ...], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._book.close()

    def add_table(
        self, name: str, columns: Sequence[Column], rows: Iterable[Sequence[object]], *, frozen: int = 0
    ) -> None:
        """Add a sheet with a header row, filters and one row an item.

        Parameters
        ----------
        name : of the sheet, at most 31 characters.
        columns, rows : the table; a row has a value or `Cell` for each column. Rows beyond Excel's limit are left
            out: the caller says so where that can happen.
        frozen : columns that stay in sight when scrolling to the right.
        """
        sheet = self._book.add_worksheet(name)
        last = 0
        links = 0
        for column_at, column in enumerate(columns):
            sheet.set_column(column_at, column_at, column.width, None, {"hidden": column.hidden})
            sheet.write_string(0, column_at, column.header, self._format(_HEADER))
        for last, row in enumerate(rows, start=1):
            if last == SHEET_ROWS:
                last -= 1
                break
            for column_at, (column, value) in enumerate(zip(columns, row, strict=True)):
                links += self._write(sheet, last, column_at, column, value, links)
            sheet.set_row(last, _height(columns, row))
        sheet.set_row(0, 32)
        sheet.freeze_panes(1, frozen)
        sheet.autofilter(0, 0, last, len(columns) - 1)
        self._offer_choices(sheet, columns, last)
        self._lay_out(sheet)

    def add_text(self, name: str, rows: Iterable[tuple[str, str]]) -> None:
        """Add a sheet of headed paragraphs; a row without text is a heading."""
        sheet = self._book.add_worksheet(name)
        sheet.hide_gridlines(2)
        sheet.set_column(0, 0, 26)
        sheet.set_column(1, 1, 110)
        for at, (label, text) in enumerate(rows):
            heading = (
                {"bold": True, "font_size": 13, "font_color": "#1F3A5F"}
                if not text
                else {"bold": True, "valign": "top"}
            )
            if label:
                sheet.write_string(at, 0, as_text(label), self._format(heading))
            if text:
                sheet.write_string(at, 1, as_text(text), self._format({"text_wrap": True, "valign": "top"}))
            sheet.set_row(at, _LINE_POINTS * _lines(text, 110) if text else 20)
        self._lay_out(sheet)

    def add_choices(self, name: str, choices: Sequence[Sequence[str]]) -> None:
        """Add a hidden sheet whose columns hold what drop-downs offer."""
        sheet = self._book.add_worksheet(name)
        for column_at, values in enumerate(choices):
            sheet.write_column(0, column_at, values)
        sheet.hide()

    def _write(self, sheet: Any, row: int, column_at: int, column: Column, value: object, links: int) -> int:
        """Write one cell; return how many links it used."""
        cell = value if isinstance(value, Cell) else Cell(value)
        content = cell.value
        is_text = isinstance(content, str) and content != ""
        link = safe_link(cell.link) if is_text and links < _SHEET_LINKS else None
        look = self._cell_format(sheet, column_at, column, cell, is_text=is_text, is_link=link is not None)
        if link:
            sheet.write_url(row, column_at, link, look, as_text(str(content)) or link)
        elif is_text:
            sheet.write_string(row, column_at, as_text(str(content)), look)
        elif is_unknown(content) or content == "":
            sheet.write_blank(row, column_at, None, look)
        elif isinstance(content, dt.date):
            sheet.write_datetime(row, column_at, pd.Timestamp(content).to_pydatetime(), look)
        else:
            sheet.write_number(row, column_at, float(str(content)), look)
        return int(link is not None)

    def _cell_format(
        self, sheet: Any, column_at: int, column: Column, cell: Cell, *, is_text: bool, is_link: bool
    ) -> Any:
        # a million cells share a few dozen formats: found by what sets them apart, not by all their properties
        key = (sheet.get_name(), column_at, cell.number_format, cell.fill, is_text, is_link)
        if key not in self._cell_formats:
            number_format = cell.number_format or column.number_format
            self._cell_formats[key] = self._format(
                {
                    **_BODY,
                    **({"indent": 1} if is_text else {}),
                    **column.look,
                    **({"num_format": number_format} if number_format else {}),
                    **({"bg_color": cell.fill} if cell.fill else {}),
                    **(_LINK if is_link else {}),
                }
            )
        return self._cell_formats[key]

    def _offer_choices(self, sheet: Any, columns: Sequence[Column], last: int) -> None:
        for column_at, column in enumerate(columns):
            if column.choices and last:
                rule = {"validate": "list", "source": column.choices, "ignore_blank": True}
                rule["error_type"] = "stop" if column.only_choices else "information"
                rule["error_title"] = column.header
                rule["error_message"] = (
                    "Please choose from the list." if column.only_choices else "Not on the list: keep it?"
                )
                sheet.data_validation(1, column_at, last, column_at, rule)

    def _lay_out(self, sheet: Any) -> None:
        """Print on landscape A3, as wide as one page, the header on each."""
        sheet.set_landscape()
        sheet.set_paper(8)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(0.4, 0.4, 0.5, 0.5)
        sheet.set_footer("&L&A&RPage &P of &N")
        sheet.repeat_rows(0)

    def _format(self, look: Mapping[str, object]) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(dict(look))
        return self._formats[key]


def _height(columns: Sequence[Column], row: Sequence[object]) -> float:
    """Return a row's height in points: not every program finds it from wrapped text by itself."""
    most = 1
    for column, value in zip(columns, row, strict=True):
        text = value.value if isinstance(value, Cell) else value
        if isinstance(text, str) and (len(text) > column.width / 1.08 or "\n" in text) and not column.hidden:
            most = max(most, _lines(text, column.width))
    return _LINE_POINTS * most


def _lines(text: str, width: float) -> int:
    """Return about how many lines a text takes at a width in characters, at most as many as are pleasant."""
    return min(_MOST_LINES, sum(max(1, math.ceil(1.08 * len(line) / width)) for line in text.split("\n")))


def as_text(text: str) -> str:
    r"""Return text as a cell holds it: lines kept, control and direction characters gone, within Excel's limit.

    >>> as_text("a\tb\nc\r")
    'a b\nc '
    """
    return cut_text(clean_lines(text), CELL_LIMIT)


def is_unknown(value: object) -> bool:
    """Whether a value is Python's, NumPy's or pandas' way to say that nothing is known.

    >>> is_unknown(None), is_unknown(float("nan")), is_unknown(""), is_unknown(0)
    (True, True, False, False)
    """
    return value is None or value is pd.NaT or value is pd.NA or value != value


def safe_link(link: object) -> str | None:
    """Return a web address that may be opened from a sheet or page, None for anything else.

    >>> safe_link("https://crm.example.com/1"), safe_link("javascript:alert(1)"), safe_link("https://a@b.example")
    ('https://crm.example.com/1', None, None)
    """
    if not isinstance(link, str) or not 0 < len(link) <= _LINK_LENGTH or not link.isprintable():
        return None
    if any(sign in link for sign in " \"'<>\\^`{|}"):
        return None
    try:
        parts = urlsplit(link)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return None
    return link if usable else None
