"""A file that came back, and its rows that say something."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from product_affinity.errors import UsageError

Kind = Literal["workbook", "opportunities", "outcomes"]


@dataclass(frozen=True)
class ReturnedRow:
    """What one row says.

    Attributes
    ----------
    place : where it stands, for people ("Worklist row 7").
    status : one of the outcome statuses; empty where `fault` says why there is none.
    play_id : the play it answers, or None.
    account_id, product_id : the pair as the row has it, or None.
    owner_key : key of the play's owner as the row has it, or None.
    as_of : list date the row names itself, or None.
    reason, note : one line each, empty where nothing is written.
    noted_at : when it was noted, UTC without a zone; None where the row does not say.
    noted_by : who noted it, or None.
    arr_usd : amount of the deal ≥ 0, or None.
    follow_up_on : day agreed on for another try, or None.
    fault : why the row cannot be used, or None.
    """

    place: str
    status: str = ""
    play_id: str | None = None
    account_id: str | None = None
    product_id: str | None = None
    owner_key: str | None = None
    as_of: dt.date | None = None
    reason: str = ""
    note: str = ""
    noted_at: dt.datetime | None = None
    noted_by: str | None = None
    arr_usd: float | None = None
    follow_up_on: dt.date | None = None
    fault: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What it says, apart from whom and when."""
        return (self.status, self.reason, self.note, self.arr_usd, self.follow_up_on)


@dataclass(frozen=True)
class ReturnedFile:
    """A file that came back.

    Attributes
    ----------
    name : the file's name, without folders.
    sha256 : of its bytes.
    kind : what it is.
    rows : the rows that say something, in order.
    blank : rows of plays without a word about them.
    owner_key : whose workbook it is; None for a team's workbook and for CSV files.
    listed_on : date of the list a workbook shows, None where it does not tell.
    """

    name: str
    sha256: str
    kind: Kind
    rows: tuple[ReturnedRow, ...]
    blank: int = 0
    owner_key: str | None = None
    listed_on: dt.date | None = None


def read_bytes(path: Path, limit: int) -> tuple[bytes, str]:
    """Return a file's bytes and their SHA-256.

    One read serves all that follows: what was checked is what is parsed, whoever writes to the file meanwhile.

    Raises
    ------
    UsageError : the file is missing, unreadable or larger than `limit` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{path.name}: not readable ({error.strerror or type(error).__name__})") from None
    if len(content) > limit:
        raise UsageError(
            f"{path.name}: larger than {limit // 1_000_000} MB. Send the workbook or export as it was made."
        )
    return content, hashlib.sha256(content).hexdigest()
