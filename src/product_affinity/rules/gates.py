"""Answer the gates of the playbook over the evidence."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from product_affinity.project.playbook.gates import GateRule, Gates
from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, READINESS, SAFETY, UNKNOWN, Answer, Step
from product_affinity.rules.judging import Judged, join_all, judge, scope_of
from product_affinity.rules.wording import RuleWords


def answer_gates(gates: Gates, evidence: pd.DataFrame, *, tables: Collection[str]) -> list[Answer]:
    """Answer every gate for every row, safety first, each in the order of the file.

    A gate fails where all its conditions hold, passes where one is known not to hold, and is unknown otherwise.
    Unknown because nobody could know (the table is absent, or the column has not one value) is marked
    `confirm`: such a row is listed "confirm first".

    Parameters
    ----------
    gates : `playbook/gates.yml`.
    evidence : rows of `build_evidence`.
    tables : source tables the company has.

    Returns
    -------
    list of Answer
        Positions are those of `evidence`; `scope` is pair where a condition asks a column of pair grain.
    """
    safety = [_answer(gate, SAFETY, evidence, tables) for gate in gates.safety]
    return safety + [_answer(gate, READINESS, evidence, tables) for gate in gates.decline]


def _answer(gate: GateRule, step: Step, evidence: pd.DataFrame, tables: Collection[str]) -> Answer:
    judged = [judge(condition, evidence, tables) for condition in gate.blocks_when]
    blocks = join_all(judged)
    state = np.select([blocks == PASS, blocks == FAIL], [FAIL, PASS], UNKNOWN).astype(np.int8)
    words = RuleWords(gate.title, gate.evidence, gate.clear, gate.unblocked_by, "blocks_when", judged, state, evidence)
    asked = evidence["rule_set"].isin(gate.rule_sets).to_numpy() if gate.rule_sets else np.True_
    state = np.where(asked, state, NOT_ASKED).astype(np.int8)
    scope = scope_of(gate.blocks_when)
    return Answer(gate.code, gate.title, scope, state, _nobody_knows(judged, state), words, step)


def _nobody_knows(judged: list[Judged], state: np.ndarray) -> np.ndarray:
    """Unknown rows of which every unknown condition is one that nobody could answer."""
    could_be_known = np.zeros(len(state), dtype=bool)
    for each in judged:
        if not each.absent:
            could_be_known |= each.holds == UNKNOWN
    confirm: np.ndarray = (state == UNKNOWN) & ~could_be_known
    return confirm
