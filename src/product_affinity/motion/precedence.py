"""One order for all rules: the first blocking reason is the lowest step, and all are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.motion.alignment import NO_DAY, Flags
from product_affinity.motion.checks import Check
from product_affinity.rules.criteria import UNKNOWN

NOTHING_BLOCKS = 99
# the other bits of an int64 hold the combination so far: enough for every pair there can be
WORDS_A_PASS = 30


@dataclass(frozen=True)
class Verdict:
    """What the checks together say of each row.

    Attributes
    ----------
    first : position among the checks of the first that blocks, −1 where none does.
    step : its step, `NOTHING_BLOCKS` where none does.
    all_gates : codes of all that block, joined by ", "; null where none does.
    confirm_first : titles of what could not be checked for want of a whole table, joined by "; "; else null.
    """

    first: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    all_gates: npt.NDArray[np.object_]
    confirm_first: npt.NDArray[np.object_]


def judge(checks: Sequence[Check], n_rows: int) -> Verdict:
    """Find the first blocking check of each row.

    Parameters
    ----------
    checks : in the order of precedence.
    n_rows : how many rows they answer.

    Raises
    ------
    ValueError : the checks are not in the order of their steps.
    """
    steps = [check.step for check in checks]
    if steps != sorted(steps):
        raise ValueError(f"checks are not in the order of precedence: steps {steps}")
    first = np.full(n_rows, -1, dtype=np.int64)
    for position in range(len(checks) - 1, -1, -1):
        first[checks[position].answer.blocks] = position
    step = np.append(steps, NOTHING_BLOCKS).astype(np.int64)[first]
    gates = [(check.answer.code, check.answer.blocks) for check in checks]
    confirm = [(check.answer.title, (check.answer.state == UNKNOWN) & check.answer.confirm) for check in checks]
    return Verdict(first, step, _joined(gates, n_rows, ", "), _joined(confirm, n_rows, "; "))


def _joined(flags: Sequence[tuple[str, Flags]], n_rows: int, separator: str) -> npt.NDArray[np.object_]:
    """Join the words flagged in each row; made once for each combination that occurs."""
    code, said = np.zeros(n_rows, dtype=np.int64), [""]
    for start in range(0, len(flags), WORDS_A_PASS):
        words = flags[start : start + WORDS_A_PASS]
        mask = code << WORDS_A_PASS
        for bit, (_, flag) in enumerate(words):
            mask |= flag.astype(np.int64) << bit
        code, combinations = pd.factorize(mask)
        said = [_also(said, int(combination), words, separator) for combination in combinations]
    return np.array([text or None for text in said], dtype=object)[code]


def _also(said: Sequence[str], combination: int, words: Sequence[tuple[str, Flags]], separator: str) -> str:
    """Add the words of a combination to what the passes before it said."""
    more = [word for bit, (word, _) in enumerate(words) if combination >> bit & 1]
    before = said[combination >> WORDS_A_PASS]
    return separator.join([before, *more] if before else more)


def put_into_words(checks: Sequence[Check], verdict: Verdict) -> pd.DataFrame:
    """Say the first blocking reason of every row that has one.

    Returns
    -------
    DataFrame
        first_gate, evidence, unblocked_by (null where nothing blocks), unblocked_on (datetime64, null where time
        alone does not help); by position.
    """
    size = len(verdict.first)
    said = {name: np.full(size, None, dtype=object) for name in ("first_gate", "evidence", "unblocked_by")}
    unblocked_on = np.full(size, NO_DAY)
    for position, check in enumerate(checks):
        rows = np.flatnonzero(verdict.first == position)
        if rows.size:
            said["first_gate"][rows] = check.answer.code
            said["evidence"][rows] = check.answer.evidence(rows)
            said["unblocked_by"][rows] = check.answer.unblocked_by(rows)
            unblocked_on[rows] = check.answer.unblocked_on(rows)
    texts = pd.DataFrame({name: pd.Series(column, dtype="str") for name, column in said.items()})
    return texts.assign(unblocked_on=unblocked_on.astype("datetime64[us]"))
