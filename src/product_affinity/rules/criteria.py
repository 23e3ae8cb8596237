"""One criterion or gate answered over many rows: pass, fail or unknown, with words made only for rows shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

PASS, FAIL, UNKNOWN, NOT_ASKED = 1, 0, -1, -2
NO_RULE_SET = "none"
Scope = Literal["account", "pair"]
Step = Literal[5, 8]
SAFETY: Step = 5
READINESS: Step = 8


class Words(Protocol):
    """What is said about rows, by position; called for the few rows that are shown."""

    def evidence(self, rows: np.ndarray) -> list[str]:
        """Value seen and threshold, or why it is unknown."""

    def unblocked_by(self, rows: np.ndarray) -> list[str]:
        """What would let the rows pass."""

    def unblocked_on(self, rows: np.ndarray) -> np.ndarray:
        """The day on which the rows will pass if nothing else changes; NaT where none can be told."""


@dataclass(frozen=True)
class SameWords:
    """Words that are the same for every row.

    >>> SameWords("marked do not contact", "the mark is removed").evidence(np.array([4, 7]))
    ['marked do not contact', 'marked do not contact']
    """

    said: str
    remedy: str

    def evidence(self, rows: np.ndarray) -> list[str]:
        """Return what was seen."""
        return [self.said] * len(rows)

    def unblocked_by(self, rows: np.ndarray) -> list[str]:
        """Return what would open it."""
        return [self.remedy] * len(rows)

    def unblocked_on(self, rows: np.ndarray) -> np.ndarray:
        """Return no date."""
        return np.full(len(rows), "NaT", dtype="datetime64[D]")


@dataclass(frozen=True)
class Answer:
    """One criterion or gate, answered for every row.

    Attributes
    ----------
    code : `G02`, `R11`, `S03`, …
    title : what it is about, in a few words.
    scope : whether a block stops the whole account, or this product only and the next one may compete.
    state : int8 per row, one of `PASS`, `FAIL`, `UNKNOWN`, `NOT_ASKED`.
    confirm : per row, unknown because the whole table is absent: listed "confirm first", never a block.
    words : says what was seen and what would help.
    step : place in the order of precedence: 5 safety, never overridden; 8 readiness and reasons to decline.
    """

    code: str
    title: str
    scope: Scope
    state: np.ndarray
    confirm: np.ndarray
    words: Words
    step: Step = SAFETY

    @property
    def blocks(self) -> np.ndarray:
        """Rows it holds back: failed, or unknown with a table that could have told."""
        held: np.ndarray = (self.state == FAIL) | ((self.state == UNKNOWN) & ~self.confirm)
        return held

    def evidence(self, rows: np.ndarray) -> list[str]:
        """Return words for these row positions: value seen and threshold, or why it is unknown."""
        return self.words.evidence(rows)

    def unblocked_by(self, rows: np.ndarray) -> list[str]:
        """Return what would let these row positions pass."""
        return self.words.unblocked_by(rows)

    def unblocked_on(self, rows: np.ndarray) -> np.ndarray:
        """Return the day these row positions pass if nothing else changes, as datetime64[D]; NaT where unknown."""
        return self.words.unblocked_on(rows)


@dataclass(frozen=True)
class Readiness:
    """Whether rows are ready, by the rule set chosen for each.

    Attributes
    ----------
    rule_set : scorecard, playbook, motion or none, per row.
    answers : criteria in order; `NOT_ASKED` where the row's rule set does not ask, or only advises.
    state : `PASS`, `FAIL` or `UNKNOWN` of the row's rule set without the need for problem and stakeholder.
    has_problem, has_stakeholder : whether a documented unsolved problem that the product solves, and a named
        stakeholder for its area, are there.
    points_known, points_possible : scorecard points (0 to 100) of criteria known to pass, and the same plus the
        unknown ones; computed for every row.
    waivable : per answer, whether an explicit request waives it.
    measured : every criterion answered for every row, whichever rule set asks it and advisory or not: what the
        measurement of rules reads.
    """

    rule_set: np.ndarray
    answers: Sequence[Answer]
    state: np.ndarray
    has_problem: np.ndarray
    has_stakeholder: np.ndarray
    points_known: np.ndarray
    points_possible: np.ndarray
    waivable: np.ndarray
    measured: Sequence[Answer]

    def described(self, rows: np.ndarray) -> list[str]:
        """Say the outcome in a few words, such as "motion 5 of 6; scorecard 70–80 of 100"."""
        states = np.stack([answer.state[rows] for answer in self.answers]) if self.answers else np.zeros((0, len(rows)))
        passed, asked = (states == PASS).sum(axis=0), (states != NOT_ASKED).sum(axis=0)
        said = []
        for position, row in enumerate(rows):
            points = f"scorecard {say_points(self.points_known[row], self.points_possible[row])} of 100"
            rule_set = self.rule_set[row]
            if rule_set == NO_RULE_SET:
                said.append("no rule set asked")
            elif rule_set == "scorecard":
                said.append(points)
            else:
                said.append(f"{rule_set} {passed[position]} of {asked[position]}; {points}")
        return said


def say_points(known: float, possible: float) -> str:
    """Say the points of a scorecard, as a range where some are unknown.

    >>> say_points(70, 80), say_points(70, 70)
    ('70–80', '70')
    """
    return f"{known:g}" if known == possible else f"{known:g}–{possible:g}"


def join_states(states: Sequence[np.ndarray], n_rows: int) -> np.ndarray:
    """Join answers that must all hold: one fail is a fail, else one unknown is unknown, else a pass.

    Parameters
    ----------
    states : int8 arrays of answers; `NOT_ASKED` counts as a pass.
    n_rows : length of the result, needed where nothing is asked.

    >>> join_states([np.array([1, 1, 0]), np.array([-2, -1, -1])], 3).tolist()
    [1, -1, 0]
    """
    joined = np.full(n_rows, PASS, dtype=np.int8)
    for state in states:
        joined[(state == UNKNOWN) & (joined == PASS)] = UNKNOWN
        joined[state == FAIL] = FAIL
    return joined
