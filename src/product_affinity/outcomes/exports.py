"""Read CSV files that came back: opportunity stages exported from a CRM, and plain tables of outcomes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from product_affinity.errors import UsageError, closest, did_you_mean
from product_affinity.outcomes.cells import (
    NOTE_LIMIT,
    REASON_LIMIT,
    UnreadableError,
    key_text,
    plain_text,
    read_amount,
    read_day,
    read_instant,
    read_status,
)
from product_affinity.outcomes.returned import Kind, ReturnedFile, ReturnedRow, read_bytes
from product_affinity.schema.tables import OUTCOME_STATUSES, TABLES

FILE_BYTES, MOST_ROWS, MOST_COLUMNS = 100_000_000, 500_000, 1_000
_DELIMITERS = ",;\t|"
_CLOSED = ("won", "lost")

# What Salesforce and HubSpot call them in exports and reports, and what our own CRM files call them.
OPPORTUNITY_HEADERS: Mapping[str, tuple[str, ...]] = {
    "play_id": ("Play_Id__c", "Play ID", "play_id"),
    "account_id": ("Account_Key__c", "Account key"),
    "product_id": ("Product_Key__c", "Product key"),
    "stage": ("StageName", "Stage", "Deal Stage", "dealstage", "Status__c"),
    "closed_on": ("CloseDate", "Close Date", "closedate"),
    "changed_on": ("LastStageChangeDate", "Last Stage Change Date", "LastModifiedDate", "Last Modified Date"),
    "arr_usd": ("Amount", "Deal Amount", "Annual recurring revenue"),
    "reason": ("Loss_Reason__c", "Lost Reason", "Closed Lost Reason", "closed_lost_reason"),
    "noted_by": ("Opportunity Owner", "Deal owner"),
    "follow_up_on": ("Follow_Up_On__c", "Follow up on"),
}
STAGES: Mapping[str, str] = {
    **{status: status for status in OUTCOME_STATUSES},
    "prospecting": "accepted",
    "qualification": "contacted",
    "needs analysis": "meeting",
    "value proposition": "meeting",
    "id. decision makers": "meeting",
    "perception analysis": "meeting",
    "proposal/price quote": "meeting",
    "negotiation/review": "meeting",
    "appointment scheduled": "meeting",
    "qualified to buy": "meeting",
    "presentation scheduled": "meeting",
    "decision maker bought-in": "meeting",
    "contract sent": "meeting",
    "closed won": "won",
    "closed lost": "lost",
}
_OUTCOME_COLUMNS = tuple(column.name for column in TABLES["outcomes"].columns)

_Row = Mapping[str, str]


def read_opportunity_csv(
    path: Path,
    *,
    timezone: str,
    columns: Mapping[str, str] | None = None,
    stages: Mapping[str, str] | None = None,
    date_formats: Sequence[str] = (),
) -> ReturnedFile:
    """Read opportunities exported from a CRM: their stage becomes a status of the play.

    A won or lost opportunity counts from its close date, any other from the day its stage or record changed last;
    where neither is there, the row carries no date.

    Parameters
    ----------
    path : the CSV file, UTF-8 with or without byte order mark; comma, semicolon, tab or bar between the cells.
    timezone : IANA zone of the project.
    columns : key of `OPPORTUNITY_HEADERS` to the header in this file, where it has another name.
    stages : stage to status, beside and before the vendors' own `STAGES`; case does not matter.
    date_formats : strptime formats of its days, beside ISO 8601.

    Raises
    ------
    UsageError : the file is unreadable or too large, a column is missing, or a mapping names what does not exist.
    """
    asked = {_words(stage): _known_status(status) for stage, status in (stages or {}).items()}
    known = {_words(stage): status for stage, status in STAGES.items()} | asked
    header, lines, sha256 = _open(path)
    at = _find_columns(path.name, header, OPPORTUNITY_HEADERS, columns or {})
    if "stage" not in at or not ("play_id" in at or {"account_id", "product_id"} <= at.keys()):
        raise UsageError(
            f"{path.name}: needs a stage ({', '.join(OPPORTUNITY_HEADERS['stage'][:3])}) and a play id "
            f"({', '.join(OPPORTUNITY_HEADERS['play_id'][:2])}), or account and product key; "
            f"it has {', '.join(header)[:200]}"
        )

    def fill(row: ReturnedRow, cells: _Row) -> ReturnedRow:
        status = _stage_status(cells.get("stage", ""), known)
        when = "closed_on" if status in _CLOSED and cells.get("closed_on", "").strip() else "changed_on"
        return replace(
            row,
            status=status,
            reason=plain_text(cells.get("reason"), REASON_LIMIT),
            noted_at=read_instant(cells.get(when), when, timezone, date_formats),
            noted_by=plain_text(cells.get("noted_by"), REASON_LIMIT) or None,
            arr_usd=read_amount(cells.get("arr_usd"), "amount"),
            follow_up_on=read_day(cells.get("follow_up_on"), "follow up on", date_formats),
        )

    return _read(path.name, sha256, "opportunities", _cells(lines, at, len(header)), fill)


def read_outcome_csv(path: Path, *, timezone: str, date_formats: Sequence[str] = ()) -> ReturnedFile:
    """Read a plain table of outcomes: the columns of the source table `outcomes`, and `note`.

    Parameters
    ----------
    path : the CSV file; `noted_at` may be left out or empty.
    timezone : IANA zone of the project.
    date_formats : strptime formats of its days, beside ISO 8601.

    Raises
    ------
    UsageError : the file is unreadable or too large, or a column is unknown or missing.
    """
    header, lines, sha256 = _open(path)
    names = (*_OUTCOME_COLUMNS, *(name for name in ("note",) if name not in _OUTCOME_COLUMNS))
    unknown = next((name for name in header if name not in names), None)
    if unknown is not None:
        raise UsageError(f"{path.name}: unknown column {unknown[:60]}{did_you_mean(unknown, names)}")
    if "status" not in header or not ("play_id" in header or {"account_id", "product_id"} <= set(header)):
        raise UsageError(
            f"{path.name}: needs status, and play_id or account_id and product_id; it has {', '.join(header)}"
        )

    def fill(row: ReturnedRow, cells: _Row) -> ReturnedRow:
        return replace(
            row,
            status=read_status(cells.get("status")),
            as_of=read_day(cells.get("as_of"), "as_of", date_formats),
            reason=plain_text(cells.get("reason"), REASON_LIMIT),
            note=plain_text(cells.get("note"), NOTE_LIMIT),
            noted_at=read_instant(cells.get("noted_at"), "noted_at", timezone, date_formats),
            noted_by=plain_text(cells.get("noted_by"), REASON_LIMIT) or None,
            arr_usd=read_amount(cells.get("arr_usd"), "arr_usd"),
            follow_up_on=read_day(cells.get("follow_up_on"), "follow_up_on", date_formats),
        )

    at = {name: k for k, name in enumerate(header)}
    return _read(path.name, sha256, "outcomes", _cells(lines, at, len(header)), fill)


def _read(
    name: str,
    sha256: str,
    kind: Kind,
    lines: Iterator[tuple[int, _Row | None]],
    fill: Callable[[ReturnedRow, _Row], ReturnedRow],
) -> ReturnedFile:
    rows: list[ReturnedRow] = []
    for number, cells in lines:
        place = f"line {number}"
        if len(rows) >= MOST_ROWS:
            raise UsageError(f"{name}: more than {MOST_ROWS:,} rows; split the file")
        if cells is None:
            rows.append(ReturnedRow(place, fault="has more or fewer cells than the header"))
            continue
        play, account, product = (key_text(cells.get(key)) for key in ("play_id", "account_id", "product_id"))
        row = ReturnedRow(place, play_id=play, account_id=account, product_id=product)
        try:
            rows.append(fill(row, cells))
        except UnreadableError as error:
            rows.append(replace(row, fault=str(error)))
    return ReturnedFile(name, sha256, kind, tuple(rows))


def _open(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]], str]:
    content, sha256 = read_bytes(path, FILE_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name}: not UTF-8 at byte {error.start:,}. Export it as UTF-8.") from None
    if "\0" in text:
        raise UsageError(f"{path.name}: holds null characters; it is no CSV file")
    first = re.sub(r'"[^"]*"', "", text.split("\n", 1)[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=first.count), strict=True)
    lines = _numbered(path.name, reader)
    header = [name.strip() for name in next(lines, (1, []))[1]]
    if not header or len(header) > MOST_COLUMNS:
        raise UsageError(f"{path.name}: needs a header line of 1 to {MOST_COLUMNS:,} columns")
    lowered = [name.lower() for name in header]
    repeated = next((name for name in lowered if name and lowered.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"{path.name}:1: column {repeated[:60]} appears twice; keep one")
    return header, lines, sha256


def _numbered(name: str, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Give each row with the number of the line it ends on."""
    try:
        for cells in reader:
            yield reader.line_num, cells  # type: ignore[attr-defined]  # the reader's protocol lacks its line number
    except csv.Error as error:
        raise UsageError(f"{name}: not readable as CSV ({error})") from None


def _cells(
    lines: Iterator[tuple[int, list[str]]], at: Mapping[str, int], width: int
) -> Iterator[tuple[int, _Row | None]]:
    """Name the cells of each row; None for a row that does not fit the header, empty lines are skipped."""
    for number, cells in lines:
        if any(cell.strip() for cell in cells):
            yield number, {name: cells[k] for name, k in at.items()} if len(cells) == width else None


def _find_columns(
    name: str, header: Sequence[str], known: Mapping[str, tuple[str, ...]], asked: Mapping[str, str]
) -> dict[str, int]:
    for ours, theirs in asked.items():
        if ours not in known:
            raise UsageError(f"{name}: nothing of ours is called {ours[:60]}{did_you_mean(ours, known)}")
        if theirs not in header:
            raise UsageError(f"{name}: no column {theirs[:60]} for {ours}{did_you_mean(theirs, header)}")
    lowered = {title.lower(): k for k, title in enumerate(header)}
    found = {
        ours: next((lowered[title.lower()] for title in titles if title.lower() in lowered), None)
        for ours, titles in known.items()
    }
    return {ours: k for ours, k in found.items() if k is not None} | {
        ours: header.index(theirs) for ours, theirs in asked.items()
    }


def _stage_status(stage: str, known: Mapping[str, str]) -> str:
    status = known.get(_words(stage))
    if status is None:
        text = plain_text(stage, 60)
        near = closest(_words(stage), known)
        hint = f"; did you mean {near}?" if near else ""
        raise UnreadableError(f"stage {text!r} is not mapped to a status{hint}" if text else "no stage")
    return status


def _known_status(status: str) -> str:
    if status not in OUTCOME_STATUSES:
        raise UsageError(f"stages: {status[:60]} is no status{did_you_mean(status, OUTCOME_STATUSES)}")
    return status


def _words(text: str) -> str:
    """Return a stage as it is compared: HubSpot's internal `closedwon` is its label `Closed won`.

    >>> _words("Closed Won") == _words("closedwon") == _words("closed_won")
    True
    """
    return re.sub(r"[\s_\-]+", "", text.lower())
