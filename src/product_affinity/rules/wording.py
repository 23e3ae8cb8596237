"""Put answers into words for the rows that are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from product_affinity.project.playbook.conditions import PLACEHOLDER
from product_affinity.project.playbook.evidence_columns import CLOCKS, EVIDENCE_COLUMNS
from product_affinity.rules.criteria import FAIL, PASS, UNKNOWN
from product_affinity.rules.judging import Judged

Joined = Literal["blocks_when", "needs", "needs_any"]
_CLOCK_WORDS = {column: words for column, words in CLOCKS.values()}
_NOT_KNOWN = "unknown"
_NO_DAY = "a day that cannot be told yet"


@dataclass(frozen=True)
class RuleWords:
    """Words of one gate or criterion.

    Attributes
    ----------
    title : what it is about.
    blocked, clear, remedy : templates for rows it blocks, rows it does not, and what would help.
    joined : how the conditions make the answer.
    judged : the conditions.
    state : the answer per row, whether the row was asked or not.
    evidence_rows : the evidence.
    """

    title: str
    blocked: str
    clear: str
    remedy: str
    joined: Joined
    judged: Sequence[Judged]
    state: np.ndarray
    evidence_rows: pd.DataFrame

    def evidence(self, rows: np.ndarray) -> list[str]:
        """Return what was seen and the bound, or why it is unknown."""
        state = self.state[rows]
        words = np.empty(len(rows), dtype=object)
        for value, template in ((FAIL, self.blocked), (PASS, self.clear)):
            words[state == value] = self._said(template, rows[state == value])
        words[state == UNKNOWN] = [f"unknown: {reason}" for reason in self._reasons(rows[state == UNKNOWN])]
        return list(words)

    def unblocked_by(self, rows: np.ndarray) -> list[str]:
        """Return what would let the rows pass; empty where they do."""
        unknown = self.state[rows] == UNKNOWN
        failed = self.state[rows] == FAIL
        words = np.full(len(rows), "", dtype=object)
        words[unknown] = f"it becomes known: {self.title}"
        words[failed] = self._said(self.remedy, rows[failed])
        return list(words)

    def unblocked_on(self, rows: np.ndarray) -> np.ndarray:
        """Return the day time alone lets the rows pass; NaT where it does not."""
        days = np.full(len(rows), "NaT", dtype="datetime64[D]")
        failed = self.state[rows] == FAIL
        days[failed] = self._passes_on(rows[failed])
        return days

    def _passes_on(self, rows: np.ndarray) -> np.ndarray:
        """A gate opens with the first condition that stops holding; criteria need the last one, or any one."""
        wanted = self.joined != "blocks_when"
        never = np.datetime64("9999-12-31", "D")
        found = []
        for judged in self.judged:
            days = judged.turns_on(rows, wanted=wanted)
            if self.joined == "needs":
                already = judged.holds[rows] == PASS
                found.append(np.where(already, np.datetime64("0001-01-01", "D"), _or(days, never)))
            else:
                found.append(_or(days, never))
        day: np.ndarray = np.max(found, axis=0) if self.joined == "needs" else np.min(found, axis=0)
        day[day == never] = np.datetime64("NaT")
        return day

    def _reasons(self, rows: np.ndarray) -> list[str]:
        """Why the first unknown condition of each row is unknown."""
        reasons = np.full(len(rows), _NOT_KNOWN, dtype=object)
        for judged in reversed(self.judged):
            reasons[judged.holds[rows] == UNKNOWN] = judged.why_unknown
        return list(reasons)

    def _said(self, template: str, rows: np.ndarray) -> list[str]:
        """Fill a template; what is filled in is data and never read as a template."""
        pieces = PLACEHOLDER.split(template)
        columns = [
            [piece] * len(rows) if position % 3 == 0 else self._spoken(piece, pieces[position + 1], rows)
            for position, piece in enumerate(pieces)
            if position % 3 != 2
        ]
        return ["".join(words) for words in zip(*columns, strict=True)]

    def _spoken(self, name: str, shown: str | None, rows: np.ndarray) -> list[str]:
        first = self.judged[0]
        if name == "bound":
            return _numbers(first.bound[rows], shown or _bound_format(first))
        if name == "months":
            return _numbers(first.value[rows], "months")
        if name == "on":
            days = self.unblocked_on(rows)
            return [_NO_DAY if np.isnat(day) else str(day) for day in days]
        if name == "clock":
            used = [first.condition.columns[position] for position in first.source[rows]]
            return [_CLOCK_WORDS.get(column, column) for column in used]
        column = EVIDENCE_COLUMNS[name]
        values = self.evidence_rows[name].iloc[rows]
        if column.shown == "text":
            return values.fillna(_NOT_KNOWN).tolist()
        if column.shown == "date":
            return [_NOT_KNOWN if pd.isna(day) else str(day.date()) for day in values]
        return _numbers(values.to_numpy(dtype=float, na_value=np.nan), shown or column.shown)


def _or(days: np.ndarray, other: np.datetime64) -> np.ndarray:
    return np.where(np.isnat(days), other, days)


def _bound_format(judged: Judged) -> str:
    shown = judged.column(0).shown
    return shown.removeprefix("+") if shown.endswith("%") else "g"


def _numbers(values: np.ndarray, shown: str) -> list[str]:
    """Say numbers in a format, or choose the word of one or of many.

    >>> _numbers(np.array([1.0, 2.0, np.nan]), "ticket|tickets")
    ['ticket', 'tickets', 'tickets']
    >>> _numbers(np.array([9.9, np.inf, np.nan]), "months")
    ['9', 'never', 'unknown']
    """
    if "|" in shown:
        one, many = shown.split("|", 1)
        return [one if value == 1 else many for value in values]
    if shown == "months":
        values, shown = np.floor(values), ".0f"
    return [_NOT_KNOWN if np.isnan(v) else "never" if np.isinf(v) else format(v, shown) for v in values.tolist()]
