"""Answer a gate for many rows: pass, fail or unknown, with the value seen."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.project.playbook import Condition, Gate

_COMPARISONS = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


@dataclass(frozen=True)
class GateAnswers:
    """A gate's answers, one a row.

    Attributes
    ----------
    fails : the gate blocks the row.
    unknown : a value it needs is missing and none of its other conditions lets the row pass.
    value : value of the gate's first condition, NaN where missing.
    """

    fails: np.ndarray
    unknown: np.ndarray
    value: np.ndarray


def answer_gate(gate: Gate, rows: pd.DataFrame) -> GateAnswers:
    """Answer `gate` for every row.

    All conditions must hold for the gate to block. One condition known not to hold is a pass, whatever else is
    missing; otherwise a missing value makes the answer unknown: never silently a pass or a fail.

    Parameters
    ----------
    gate : the gate.
    rows : must have the columns its conditions name.
    """
    shape = len(rows)
    any_false, any_missing = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for condition in gate.blocks_when:
        value = rows[condition.column].to_numpy(dtype=float)
        missing = np.isnan(value)
        any_missing |= missing
        any_false |= ~missing & ~_holds(condition, value)
    first = rows[gate.blocks_when[0].column].to_numpy(dtype=float)
    return GateAnswers(~any_false & ~any_missing, ~any_false & any_missing, first)


def _holds(condition: Condition, value: np.ndarray) -> np.ndarray:
    name, compare = next(
        (name, compare) for name, compare in _COMPARISONS.items() if getattr(condition, name) is not None
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(compare(value, getattr(condition, name)))
