"""What a cell of a returned file says: texts, days, instants and amounts, read strictly."""

from __future__ import annotations

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from product_affinity.errors import did_you_mean
from product_affinity.schema.tables import OUTCOME_STATUSES

REASON_LIMIT, NOTE_LIMIT = 255, 2_000
# They reorder or hide what is shown beside them: a note could look like another one.
_DIRECTIONS = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_AMOUNT = re.compile(r"[$€£]?\s?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", re.ASCII)
_MOST_ARR = 1e12


class UnreadableError(ValueError):
    """A cell holds something else than it should; the message says what, in the reader's words."""


def plain_text(value: object, limit: int) -> str:
    r"""Return a value as one line of text: no control or direction characters, blanks joined, at most `limit` long.

    Two texts that only differ in what a spreadsheet or a CRM does to blanks and lines are equal afterwards.

    >>> plain_text(" no\tbudget\r\nuntil May ", 255), plain_text(None, 255), plain_text("abcdef", 4)
    ('no budget until May', '', 'abc…')
    """
    if value is None:
        return ""
    signs = (" " if _is_control(sign) else sign for sign in str(value) if sign not in _DIRECTIONS)
    text = " ".join("".join(signs).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _is_control(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")


def key_text(value: object) -> str | None:
    """Return an id as it is written, None where there is none.

    A spreadsheet may have turned digits into a number; a whole one is taken back to its digits.

    >>> key_text("00012"), key_text("NA"), key_text(12.0), key_text(" ")
    ('00012', 'NA', '12', None)
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value)
    return text if text.strip() else None


def read_status(value: object) -> str:
    """Return one of `OUTCOME_STATUSES`.

    >>> read_status(" Not now ")
    'not_now'

    Raises
    ------
    UnreadableError : another word; the message names the closest status.
    """
    text = plain_text(value, REASON_LIMIT)
    status = re.sub(r"[ \-]+", "_", text.lower())
    if status not in OUTCOME_STATUSES:
        raise UnreadableError(f"status {text[:40]!r} is none of ours{did_you_mean(status, OUTCOME_STATUSES)}")
    return status


def read_day(value: object, what: str, formats: Sequence[str] = ()) -> dt.date | None:
    """Return the day a cell holds: a date, or text in ISO 8601 or one of the strptime `formats`.

    >>> read_day("2026-07-03", "noted on"), read_day("3.7.2026", "noted on", ["%d.%m.%Y"]), read_day("", "noted on")
    (datetime.date(2026, 7, 3), datetime.date(2026, 7, 3), None)

    Raises
    ------
    UnreadableError : something is written that is no day.
    """
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    text = plain_text(value, REASON_LIMIT)
    if not text:
        return None
    for pattern in ("%Y-%m-%d", *formats):
        try:
            return dt.datetime.strptime(text, pattern).date()
        except ValueError:
            continue
    raise UnreadableError(f"{what} {text[:40]!r} is no date (2026-06-30{_others(formats)})")


def read_instant(value: object, what: str, timezone: str, formats: Sequence[str] = ()) -> dt.datetime | None:
    """Return a cell's instant as UTC without a zone; a bare day means its local midnight.

    Parameters
    ----------
    value : date, datetime, or text: ISO 8601 with or without a clock, or one of `formats` for days.
    what : the column, for the message.
    timezone : IANA zone of the project; a clock without offset is UTC, as in every source table.
    formats : strptime formats of days, beside ISO 8601.

    >>> read_instant("2026-07-03", "noted_at", "Europe/Berlin"), read_instant("2026-07-03T10:00Z", "noted_at", "UTC")
    (datetime.datetime(2026, 7, 2, 22, 0), datetime.datetime(2026, 7, 3, 10, 0))

    Raises
    ------
    UnreadableError : something is written that is no date.
    """
    text = plain_text(value, REASON_LIMIT)
    if isinstance(value, dt.datetime) and value.time() != dt.time():
        return _as_utc(value)
    if not isinstance(value, dt.date) and re.match(r"\d{4}-\d{2}-\d{2}[T ]\d", text):
        try:
            return _as_utc(dt.datetime.fromisoformat(text))
        except ValueError:
            raise UnreadableError(f"{what} {text[:40]!r} is no date (2026-06-30{_others(formats)})") from None
    day = read_day(value, what, formats)
    return None if day is None else local_midnight(day, timezone)


def local_midnight(day: dt.date, timezone: str) -> dt.datetime:
    """Return local midnight of a day as UTC without a zone."""
    return _as_utc(dt.datetime.combine(day, dt.time(), ZoneInfo(timezone)))


def local_day(instant: dt.datetime, timezone: str) -> dt.date:
    """Return the local day of an instant given as UTC without a zone.

    >>> local_day(dt.datetime(2026, 7, 2, 22), "Europe/Berlin")
    datetime.date(2026, 7, 3)
    """
    return instant.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(timezone)).date()


def read_amount(value: object, what: str) -> float | None:
    """Return an amount ≥ 0: a number, or text with a decimal point and, where at all, commas between thousands.

    >>> read_amount("$12,500.50", "amount"), read_amount(7, "amount"), read_amount("", "amount")
    (12500.5, 7.0, None)

    Raises
    ------
    UnreadableError : something else is written; "12.500,00" is refused, because "12.500" could be either.
    """
    text = plain_text(value, REASON_LIMIT)
    if not text:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        amount = float(value)
    elif _AMOUNT.fullmatch(text):
        amount = float(re.sub(r"[^0-9.]", "", text))
    else:
        raise UnreadableError(f"{what} {text[:40]!r} is no amount (12500.50)")
    if not (math.isfinite(amount) and 0 <= amount < _MOST_ARR):
        raise UnreadableError(f"{what} {text[:40]!r} is negative or beyond 1e12")
    return amount


def _as_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise UnreadableError(f"date {moment.date()} lies beyond the calendar") from None


def _others(formats: Sequence[str]) -> str:
    return "".join(f" or {pattern}" for pattern in formats)
