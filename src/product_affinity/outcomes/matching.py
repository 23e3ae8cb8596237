"""Find the play each returned row answers, and refuse rows that answer none, somebody else's, or at no sane date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from product_affinity.outcomes.cells import local_day
from product_affinity.outcomes.published import Play, PublishedPlays
from product_affinity.outcomes.returned import ReturnedFile, ReturnedRow

MOST_FOLLOW_UP_DAYS = 1_100


@dataclass(frozen=True)
class Answer:
    """A row and the play it answers.

    Attributes
    ----------
    row : the row.
    play : the published play.
    noted_at : when it counts from, UTC without a zone.
    """

    row: ReturnedRow
    play: Play
    noted_at: dt.datetime

    @property
    def is_dated(self) -> bool:
        """Whether the row says itself when it was noted."""
        return self.row.noted_at is not None

    @property
    def key(self) -> tuple[str, ...]:
        """Identity of the play: its id, or its pair where the work did not begin on a list."""
        if self.play.play_id is not None:
            return (self.play.play_id,)
        return (self.play.account_id, self.play.product_id)


def match_rows(
    file: ReturnedFile,
    published: PublishedPlays,
    *,
    timezone: str,
    noted_at: dt.datetime,
    received_at: dt.datetime,
) -> tuple[list[Answer], list[tuple[ReturnedRow, str]]]:
    """Match the rows of a file to the plays that caused them.

    Parameters
    ----------
    file : the file.
    published : plays of the published lists.
    timezone : IANA zone of the project: whether a date is too early or too late is asked of local days.
    noted_at : when rows without a date of their own were noted; received_at : when the file came; both UTC
        without a zone.

    Returns
    -------
    answers, rejected
        Rows with their plays, and rows with why they are refused, both in the order of the file.
    """
    answers, rejected = [], []
    for row in file.rows:
        found = row.fault or _play_of(row, published, timezone, noted_at)
        if isinstance(found, str):
            rejected.append((row, found))
            continue
        answer = Answer(row, found, row.noted_at or noted_at)
        fault = _fault(answer, timezone, received_at)
        if fault is None:
            answers.append(answer)
        else:
            rejected.append((row, fault))
    return answers, rejected


def _play_of(row: ReturnedRow, published: PublishedPlays, timezone: str, noted_at: dt.datetime) -> Play | str:
    """Return the row's play, or why there is none."""
    if row.play_id is not None:
        play = published.by_id.get(row.play_id)
        return play if play is not None else f"play {row.play_id[:40]} was never published"
    if row.account_id is None or row.product_id is None:
        return "names no play, and not both an account and a product"
    plays = published.by_pair.get((row.account_id, row.product_id), [])
    if row.owner_key is not None:
        # a workbook shows without play_id only what did not begin on a list
        plays = [play for play in plays if play.play_id is None]
    day = row.as_of or local_day(row.noted_at or noted_at, timezone)
    listed = [play for play in plays if play.play_id is not None and play.listed_on <= day] or plays
    if not listed:
        return f"no play on {row.product_id[:40]} for account {row.account_id[:40]} was ever published"
    return listed[-1]


def _fault(answer: Answer, timezone: str, received_at: dt.datetime) -> str | None:
    row, play = answer.row, answer.play
    name = "this row" if play.play_id is None else f"play {play.play_id}"
    for what, said, true in (
        ("account", row.account_id, play.account_id),
        ("product", row.product_id, play.product_id),
    ):
        if said is not None and said != true:
            return f"{name} is about {what} {true[:40]}, the row says {said[:40]}; its keys were altered"
    if row.owner_key is not None and row.owner_key not in play.owner_keys:
        return f"{name} was never on the list of owner {row.owner_key[:40]}"
    return _date_fault(answer, timezone, received_at)


def _date_fault(answer: Answer, timezone: str, received_at: dt.datetime) -> str | None:
    noted, received = local_day(answer.noted_at, timezone), local_day(received_at, timezone)
    if noted > received:
        return f"noted on {noted}, after the file came in on {received}"
    if answer.play.play_id is not None and noted < answer.play.listed_on:
        return f"noted on {noted}, before the play was first listed on {answer.play.listed_on}"
    follow_up = answer.row.follow_up_on
    if follow_up is not None and not 0 <= (follow_up - noted).days <= MOST_FOLLOW_UP_DAYS:
        return f"follow up on {follow_up} lies before {noted} or more than {MOST_FOLLOW_UP_DAYS:,} days after it"
    return None
