"""Which answers are new, which are recorded already, and which contradict each other.

The newest word on a play counts, where it is known which one is the newest. A row that carries a date is ordered
by it. One without counts from when the file came in; that orders it after everything its own workbook lineage
said before, but not after what came from elsewhere since its list was made.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from product_affinity.outcomes.matching import Answer
from product_affinity.outcomes.returned import ReturnedFile


@dataclass(frozen=True)
class Recorded:
    """One recorded outcome of a play.

    Attributes
    ----------
    content : status, reason, note, arr_usd and follow_up_on.
    noted_at : when it was noted, UTC without a zone.
    source : kind of file it came with.
    owner_key : whose workbook that was, or None.
    """

    content: tuple[object, ...]
    noted_at: dt.datetime
    source: str
    owner_key: str | None


@dataclass(frozen=True)
class Verdict:
    """What became of an answer.

    Attributes
    ----------
    answer : the answer.
    fate : applied, unchanged or rejected.
    why : in words; empty for applied ones.
    """

    answer: Answer
    fate: str
    why: str = ""


APPLIED, UNCHANGED, REJECTED = "applied", "unchanged", "rejected"


def judge_answers(
    file: ReturnedFile, answers: Sequence[Answer], recorded: Mapping[tuple[str, ...], Sequence[Recorded]]
) -> list[Verdict]:
    """Judge every answer of a file against the others and against what is recorded.

    Parameters
    ----------
    file : the file they came with.
    answers : its matched rows.
    recorded : by `Answer.key`, what is recorded of those plays, in order of noted_at.

    Returns
    -------
    list of Verdict
        One an answer, in order.
    """
    groups: dict[tuple[str, ...], list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.key, []).append(answer)
    verdicts = {
        id(verdict.answer): verdict
        for key, group in groups.items()
        for verdict in _judge_play(file, group, recorded.get(key, ()))
    }
    return [verdicts[id(answer)] for answer in answers]


def _judge_play(file: ReturnedFile, group: Sequence[Answer], history: Sequence[Recorded]) -> list[Verdict]:
    verdicts, fresh = [], dict[object, Answer]()
    known = {(past.content, past.noted_at): past for past in history}
    by_content = {past.content: past for past in history}
    for answer in group:
        said = (answer.row.content, answer.row.noted_at)
        past = known.get((answer.row.content, answer.noted_at)) if answer.is_dated else by_content.get(said[0])
        if past is not None:
            verdicts.append(Verdict(answer, UNCHANGED, _recorded_words(past, history[-1])))
        elif _is_as_shown(answer):
            verdicts.append(Verdict(answer, UNCHANGED, "as the list showed it"))
        elif said in fresh:
            verdicts.append(Verdict(answer, UNCHANGED, f"the same as {fresh[said].row.place}"))
        else:
            fresh[said] = answer
    rivals, times = _rivals(list(fresh.values())), {past.noted_at: past for past in history}
    for answer in fresh.values():
        why = _contradicts(rivals[id(answer)]) or _collides(times.get(answer.noted_at))
        why = why or _overtaken(file, answer, history)
        verdicts.append(Verdict(answer, REJECTED, why) if why else Verdict(answer, APPLIED))
    return verdicts


def _recorded_words(past: Recorded, last: Recorded) -> str:
    since = f", since then: {last.content[0]}" if last.noted_at > past.noted_at else ""
    return f"recorded already ({past.noted_at:%Y-%m-%d}{since})"


def _is_as_shown(answer: Answer) -> bool:
    """Whether the row only says what its sheet said when it was sent out."""
    row = answer.row
    says_more = answer.is_dated or row.arr_usd is not None or row.follow_up_on is not None
    return not says_more and (row.status, row.reason, row.note) in answer.play.shown


def _rivals(fresh: Sequence[Answer]) -> dict[int, Answer | None]:
    """Return for each answer another one of the same file of which it is not known whether it is newer."""
    all_dated = all(answer.is_dated for answer in fresh)
    groups: dict[object, list[Answer]] = {}
    for answer in fresh:
        groups.setdefault(answer.noted_at if all_dated else None, []).append(answer)
    return {
        id(answer): next((other for other in group[:2] if other is not answer), None)
        for group in groups.values()
        for answer in group
    }


def _contradicts(rival: Answer | None) -> str | None:
    if rival is None:
        return None
    said = rival.row.status + (f" ({rival.row.reason[:40]})" if rival.row.reason else "")
    return f"conflict: {rival.row.place} says {said} of the same play; keep one, or date both"


def _collides(past: Recorded | None) -> str | None:
    if past is None:
        return None
    return f"conflict: {past.content[0]} is recorded for the very same time {past.noted_at:%Y-%m-%d %H:%M} UTC"


def _overtaken(file: ReturnedFile, answer: Answer, history: Sequence[Recorded]) -> str | None:
    """Say that something came from elsewhere after the workbook was made, which it could not show."""
    if answer.is_dated or file.kind != "workbook":
        return None
    made = dt.datetime.combine(file.listed_on or dt.date.min, dt.time())
    for past in history:
        elsewhere = past.source != file.kind or past.owner_key != file.owner_key
        if elsewhere and past.noted_at >= made and past.content[0] != answer.row.status:
            return (
                f"conflict: {past.content[0]} came back elsewhere on {past.noted_at:%Y-%m-%d}; which is newer "
                'cannot be told, so date the row in a column "Noted on"'
            )
    return None
