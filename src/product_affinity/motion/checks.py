"""One question of the order of precedence, asked of every row: its step and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from product_affinity.motion.alignment import NO_DAY, Days, Flags, Positions
from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer, Scope

CONTACT, NET_NEW, IN_FLIGHT, SAFETY, WAITING, UPSELL, READINESS, NEED = 1, 3, 4, 5, 6, 7, 8, 9
Said = Callable[[int], str]


@dataclass(frozen=True)
class Check:
    """A question and where it stands.

    Attributes
    ----------
    step : 1 to 9 of the order of precedence; the lowest one that blocks is the reason shown.
    answer : its answer for every row.
    """

    step: int
    answer: Answer


@dataclass(frozen=True)
class RowWords:
    """Words made row by row, for the rows that are shown.

    Attributes
    ----------
    said, remedy : evidence, and what would open it, of one row position.
    until : the day each row opens by itself, or None where no row does.
    """

    said: Said
    remedy: Said
    until: Days | None = None

    def evidence(self, rows: Positions) -> list[str]:
        """Return what was seen."""
        return [self.said(row) for row in rows.tolist()]

    def unblocked_by(self, rows: Positions) -> list[str]:
        """Return what would open it."""
        return [self.remedy(row) for row in rows.tolist()]

    def unblocked_on(self, rows: Positions) -> Days:
        """Return the day it opens by itself, NaT where time alone does not help."""
        return np.full(len(rows), NO_DAY) if self.until is None else self.until[rows]


def make_check(
    step: int,
    code: str,
    title: str,
    scope: Scope,
    blocks: Flags,
    words: RowWords,
    *,
    unknown: Flags | None = None,
    asked: Flags | None = None,
) -> Check:
    """Make a check of the motion's own.

    Parameters
    ----------
    step, code, title, scope : as in `Check` and `Answer`.
    blocks : rows it holds back.
    words : what is said of them.
    unknown : rows for which it cannot be told; they are listed "confirm first".
    asked : rows it is asked of; default: all.
    """
    state = np.where(blocks, FAIL, PASS).astype(np.int8)
    confirm = np.zeros(len(blocks), dtype=bool)
    if unknown is not None:
        state[unknown] = UNKNOWN
        confirm |= unknown
    if asked is not None:
        state[~asked] = NOT_ASKED
    return Check(step, Answer(code, title, scope, state, confirm, words))
