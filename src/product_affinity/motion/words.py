"""Put a play into words: the next step, what to say, what to ask, what they may answer, and by when."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import pandas as pd

from product_affinity.project.playbook.talk_tracks import TalkTracks

TOLD_COLUMNS = ("next_step", "talk_track", "discovery_questions", "objections", "best_by")
LONGEST_VALUE = 200
_USED = (
    "name",
    "product_id",
    "play_type",
    "route",
    "tier",
    "anchor_product_id",
    "stakeholder_role",
    "trigger",
    "trigger_kind",
    "trigger_say",
    "problem_tag",
    "problem_source",
    "problem_noted_on",
)
_SOURCES = {"qbr": "quarterly review", "ticket": "support ticket", "check_in": "check-in"}

Values = dict[str, str]


def tell_plays(rows: pd.DataFrame, talk_tracks: TalkTracks, product_names: Mapping[str, str]) -> pd.DataFrame:
    """Put plays into words.

    Of the texts for a product, kind of trigger and play, the first one is used whose placeholders all have a value;
    values are inserted as they are, in one pass, and never read as templates.

    Parameters
    ----------
    rows : listed and campaign rows: name (of the account), product_id, as_of, play_type and, where known, route
        (default csm), tier, anchor_product_id, stakeholder_role, trigger, trigger_kind, trigger_say, trigger_ends_on,
        problem_tag, problem_source, problem_noted_on, renewal_on. A column that is not there is unknown for all.
    talk_tracks : `playbook/talk_tracks.yml`.
    product_names : product_id to the name people know.

    Returns
    -------
    DataFrame
        `TOLD_COLUMNS` under the rows' index: next_step, talk_track (one paragraph), discovery_questions and objections
        (one a line), best_by (see `best_by`).
    """
    columns = [rows[name].tolist() if name in rows else [None] * len(rows) for name in _USED]
    told = [
        _Play(dict(zip(_USED, cells, strict=True)), talk_tracks, product_names).told()
        for cells in zip(*columns, strict=True)
    ]
    frame = pd.DataFrame(told, index=rows.index, columns=list(TOLD_COLUMNS[:-1]), dtype="str")
    return frame.assign(best_by=best_by(rows, lead_days=talk_tracks.best_by.lead_days))


def best_by(rows: pd.DataFrame, *, lead_days: int) -> pd.Series:
    """Day by which a play should have begun: what is nearest of the trigger's end, the renewal and the quarter's end.

    Days that are not after `as_of` don't count; a calendar quarter that ends within `lead_days` gives way to the next.

    Parameters
    ----------
    rows : as_of and, where known, trigger_ends_on and renewal_on.
    lead_days : days a play needs.

    >>> day = pd.to_datetime(["2026-06-25"])
    >>> str(best_by(pd.DataFrame({"as_of": day}), lead_days=14)[0].date())
    '2026-09-30'
    """
    as_of = pd.to_datetime(rows["as_of"])
    quarter = (as_of + pd.Timedelta(days=lead_days)) + pd.offsets.QuarterEnd(0)
    nearest = quarter.mask(quarter <= as_of, quarter + pd.offsets.QuarterEnd(1))
    for name in ("trigger_ends_on", "renewal_on"):
        if name in rows:
            day = pd.to_datetime(rows[name])
            nearest = nearest.mask((day > as_of) & (day < nearest), day)
    return nearest.astype("datetime64[us]")


def fill(template: str, values: Mapping[str, str]) -> str | None:
    """Insert values into a template, or return None where one of them is missing.

    >>> fill("Call {role} at {account}.", {"account": "{role} Ltd", "role": "Ann"})
    'Call Ann at {role} Ltd.'
    >>> fill("Call {role}.", {}) is None
    True
    """
    pieces = _pieces(template)
    if len(pieces) == 1 and pieces[0][1] is None:
        return pieces[0][0]
    parts = []
    for text, name in pieces:
        parts.append(text)
        if name is not None:
            value = values.get(name)
            if value is None:
                return None
            parts.append(value)
    return "".join(parts)


class _Play:
    """One row and the words that fit it."""

    def __init__(self, row: Mapping[str, object], talk_tracks: TalkTracks, product_names: Mapping[str, str]) -> None:
        self.talk_tracks = talk_tracks
        self.play = _text(row["play_type"]) or ""
        self.route = _text(row["route"]) or "csm"
        self.tier = None if pd.isna(row["tier"]) else int(row["tier"])  # type: ignore[call-overload]  # a number or NA
        self.kind = _text(row["trigger_kind"])
        self.product_id = str(row["product_id"])
        self.values = _values(row, talk_tracks, product_names)
        self.tracks = talk_tracks.tracks(self.product_id)

    def told(self) -> tuple[str, str, str, str]:
        """The words, in the order of `TOLD_COLUMNS` up to best_by."""
        objections = [
            f"“{they_say}” → {answer}"
            for track in self.tracks
            for objection in track.objections
            if (they_say := self._filled(objection.they_say)) and (answer := self._filled(objection.answer))
        ]
        questions = self._all(question for track in self.tracks for question in track.discovery_questions)
        return self._next_step(), self._talk_track(), "\n".join(questions), "\n".join(objections)

    def _next_step(self) -> str:
        step = self._first(text for track in self.tracks for text in _nested(track.next_steps, self.play, self.route))
        engagement = self.talk_tracks.engagement.get(self.tier or 0)
        return _joined([step, self._filled(engagement.say) if engagement else None])

    def _talk_track(self) -> str:
        link = self._first(text for track in self.tracks for text in track.link)
        answer = self._first(text for track in self.tracks for text in track.answer)
        return _joined([self._opening(), link, None if self.play == "discover" else answer, *self._closing()])

    def _opening(self) -> str | None:
        # A documented need is worth more than news, so it opens wherever the leading trigger has no words of its own.
        kinds = dict.fromkeys(kind for kind in (self.kind, "problem", "none") if kind is not None)
        return self._first(
            text for kind in kinds for track in self.tracks for text in _nested(track.openings, kind, self.play)
        )

    def _closing(self) -> Iterator[str]:
        """What helps, what may be offered, and the steps that follow."""
        assets = next((track.assets for track in self.tracks if track.assets), {})
        if self.play == "discover":  # a demo before the problem is confirmed would answer what nobody asked
            assets = {name: words for name, words in assets.items() if name == "playbook"}
        incentives = self.talk_tracks.incentives
        offers = [incentives.kinds[name] for name in _nested(incentives.allowed, self.play)]
        for label, texts, between in (
            ("Assets", assets.values(), ", "),
            ("You may offer", offers, ", "),
            ("Steps", _nested(self.talk_tracks.outreach, self.play), " → "),
        ):
            if words := self._all(texts):
                yield f"{label}: {between.join(words)}."

    def _filled(self, text: str) -> str | None:
        return fill(text, self.values)

    def _first(self, texts: Iterable[str]) -> str | None:
        return next((filled for text in texts if (filled := self._filled(text)) is not None), None)

    def _all(self, texts: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(filled for text in texts if (filled := self._filled(text)) is not None))


def _values(row: Mapping[str, object], talk_tracks: TalkTracks, product_names: Mapping[str, str]) -> Values:
    tag, anchor = _text(row["problem_tag"]), _text(row["anchor_product_id"])
    source = _text(row["problem_source"])
    found = {
        "account": _text(row["name"]) or "the account",
        "product": product_names.get(str(row["product_id"]), str(row["product_id"])),
        "anchor": None if anchor is None else product_names.get(anchor, anchor),
        "problem": None if tag is None else talk_tracks.problems.get(tag, tag.replace("_", " ")),
        "source": None if source is None else _SOURCES.get(source, source),
        "noted_on": _spoken_day(row["problem_noted_on"]),
        "role": _text(row["stakeholder_role"]),
        "trigger": _text(row["trigger"]),
        "say": _text(row["trigger_say"]),
        "max_discount": f"{talk_tracks.incentives.max_discount:.0%}",
    }
    return {name: _tidy(value) for name, value in found.items() if value is not None}


def _spoken_day(value: Any) -> str | None:
    return None if pd.isna(value) else f"{(day := pd.Timestamp(value)).day} {day:%B %Y}"


def _tidy(value: str) -> str:
    """One line, not too long: a pasted mail must not drown the sentence it is inserted into."""
    line = " ".join(value.split())
    return line if len(line) <= LONGEST_VALUE else f"{line[: LONGEST_VALUE - 1]}…"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _joined(sentences: Iterable[str | None]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _nested(mapping: Mapping[Any, Any], *keys: str) -> tuple[str, ...]:
    """Texts under the keys, none where one of them is missing."""
    found: Any = mapping
    for key in keys:
        found = found.get(key, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, tuple) else ()


@lru_cache(maxsize=4096)
def _pieces(template: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((text, name) for text, name, _, _ in string.Formatter().parse(template))
