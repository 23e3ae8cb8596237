"""Read the filled-in workbook: status, reason and note of each play, found again by its hidden keys.

Only values are read. A formula is never evaluated, and the value a program stored beside it is not trusted
either: a row with one in a column we read is rejected.
"""

from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from product_affinity.errors import UsageError
from product_affinity.outcomes.archive import FILE_BYTES, check_archive
from product_affinity.outcomes.cells import (
    NOTE_LIMIT,
    REASON_LIMIT,
    UnreadableError,
    key_text,
    plain_text,
    read_day,
    read_instant,
    read_status,
)
from product_affinity.outcomes.returned import ReturnedFile, ReturnedRow, read_bytes

KEYS = ("play_id", "owner", "account_id", "product_id")
STATUS, REASON, NOTE, NOTED, FOLLOW_UP = "Status", "Reason", "Note", "Noted on", "Follow up on"
_FILLED = (STATUS, REASON, NOTE, NOTED, FOLLOW_UP)
# A team's workbook names the owner in a column people see; an owner's own one has only the hidden key.
_TEAM = "Owner"
MOST_ROWS, MOST_COLUMNS = 100_000, 64


def read_workbook(path: Path, *, timezone: str, owner_key: str | None = None) -> ReturnedFile:
    """Read a workbook that came back.

    Beside Status, Reason and Note a team may add columns headed "Noted on" and "Follow up on"; days in them are
    local. All sheets that carry the hidden keys are read, whatever the order of rows and columns has become.

    Parameters
    ----------
    path : the `.xlsx` file.
    timezone : IANA zone of the project.
    owner_key : whose workbook it is; by default the owner most of its rows belong to, and nobody's for the
        team's workbook.

    Returns
    -------
    ReturnedFile
        The rows that say something; a row that cannot be read carries its fault.

    Raises
    ------
    UsageError : the file is no workbook of ours, is not safe to open, or goes beyond the limits.
    """
    content, sha256 = read_bytes(path, FILE_BYTES)
    check_archive(path.name, content)
    cells, listed_on = _read_sheets(path.name, content)
    if not cells:
        raise UsageError(
            f"{path.name}: no sheet with the columns {', '.join((STATUS, *KEYS))}. "
            "Send the workbook that was published."
        )
    is_team = any(sheet.is_team for sheet in cells)
    read = [_read_row(sheet.name, number, row, timezone) for sheet in cells for number, row in sheet.rows]
    rows = tuple(row for row in read if row is not None)
    key = owner_key or (None if is_team else _main_owner(path.name, cells))
    if key is not None:
        rows = tuple(_of_owner(row, key) for row in rows)
    return ReturnedFile(path.name, sha256, "workbook", rows, len(read) - len(rows), key, listed_on)


@dataclass(frozen=True)
class _Sheet:
    name: str
    is_team: bool
    rows: Sequence[tuple[int, Mapping[str, Any]]]


def _read_sheets(name: str, content: bytes) -> tuple[list[_Sheet], dt.date | None]:
    import openpyxl

    try:
        # data_only=False: a formula comes back as a formula and is seen for what it is
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        try:
            sheets = [found for sheet in book.worksheets if (found := _read_sheet(name, sheet)) is not None]
            created = book.properties.created
        finally:
            book.close()
    except UsageError:
        raise
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, ParseError, OverflowError) as error:
        # openpyxl has no error of its own for a damaged file: these are what it lets through
        raise UsageError(f"{name}: damaged, not readable as a workbook ({type(error).__name__})") from None
    return sheets, created.date() if isinstance(created, dt.datetime) else None


def _read_sheet(name: str, sheet: Any) -> _Sheet | None:
    # the range a sheet declares is only what its writer claims
    sheet.reset_dimensions()
    lines: Iterator[Sequence[Any]] = sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=MOST_COLUMNS)
    header = [str(cell.value) if cell.value is not None else "" for cell in next(lines, ())]
    if not {STATUS, *KEYS} <= set(header):
        return None
    repeated = next((title for title in (*_FILLED, *KEYS) if header.count(title) > 1), None)
    if repeated:
        raise UsageError(f"{name}: sheet {sheet.title[:31]}: column {repeated} appears twice; keep one")
    at = {title: header.index(title) for title in (*_FILLED, *KEYS) if title in header}
    rows = []
    for number, line in enumerate(lines, start=2):
        if number > MOST_ROWS + 1:
            raise UsageError(f"{name}: sheet {sheet.title[:31]} has more than {MOST_ROWS:,} rows")
        row = {title: line[k] for title, k in at.items() if k < len(line) and line[k].value is not None}
        if row:
            rows.append((number, row))
    return _Sheet(plain_text(sheet.title, 31), _TEAM in header, rows)


def _read_row(sheet: str, number: int, cells: Mapping[str, Any], timezone: str) -> ReturnedRow | None:
    """Return what a row says, or None where nothing is filled in."""
    place = f"{sheet} row {number}"
    if not any(plain_text(cells[title].value, NOTE_LIMIT) for title in _FILLED if title in cells):
        return None
    values = {title: cell.value for title, cell in cells.items()}
    play, owner, account, product = (key_text(values.get(name)) for name in KEYS)
    row = ReturnedRow(place, play_id=play, owner_key=owner, account_id=account, product_id=product)
    try:
        _refuse_formulas(cells)
        if not plain_text(values.get(STATUS), REASON_LIMIT):
            raise UnreadableError("something is written, but no status is chosen")
        return replace(
            row,
            status=read_status(values[STATUS]),
            reason=plain_text(values.get(REASON), REASON_LIMIT),
            note=plain_text(values.get(NOTE), NOTE_LIMIT),
            noted_at=read_instant(values.get(NOTED), NOTED, timezone),
            follow_up_on=read_day(values.get(FOLLOW_UP), FOLLOW_UP),
        )
    except UnreadableError as error:
        return replace(row, fault=str(error))


def _refuse_formulas(cells: Mapping[str, Any]) -> None:
    for title, cell in cells.items():
        if cell.data_type in ("f", "e"):
            what = "a formula" if cell.data_type == "f" else "an error value"
            raise UnreadableError(f"{what} in column {title}; write the value itself")


def _main_owner(name: str, sheets: Sequence[_Sheet]) -> str | None:
    """Return the owner most rows belong to: all rows count, filled in or not."""
    keys = Counter(
        key
        for sheet in sheets
        for _, row in sheet.rows
        if "owner" in row and row["owner"].data_type != "f" and (key := key_text(row["owner"].value))
    )
    ranked = keys.most_common(2)
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        raise UsageError(f"{name}: as many rows of {ranked[0][0][:40]} as of {ranked[1][0][:40]}; say whose it is")
    return ranked[0][0] if ranked else None


def _of_owner(row: ReturnedRow, key: str) -> ReturnedRow:
    if row.fault is None and row.owner_key != key:
        return replace(row, fault=f"belongs to owner {(row.owner_key or 'nobody')[:40]}, not to {key[:40]}'s workbook")
    return row
