"""Answer the readiness rule sets: the scorecard's points, the playbook and the motion."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from product_affinity.project.playbook.readiness import SCORECARD_CODE, Choice, Criterion, ReadinessSpec
from product_affinity.rules.criteria import (
    FAIL,
    NO_RULE_SET,
    NOT_ASKED,
    PASS,
    READINESS,
    UNKNOWN,
    Answer,
    Readiness,
    join_states,
    say_points,
)
from product_affinity.rules.judging import join_all, join_any, judge, scope_of
from product_affinity.rules.wording import RuleWords


def choose_rule_sets(spec: ReadinessSpec, segment: pd.Series, tier: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the rule set of each row and the position of the choice that gave it.

    Parameters
    ----------
    spec : the readiness rules; without any choice every row's rule set is `none`, at position −1.
    segment, tier : of the rows; null where unknown, which only a choice without that key matches.
    """
    chosen = np.full(len(segment), -1)
    for position, choice in reversed(list(enumerate(spec.choose))):
        chosen[_matches(choice, segment, tier)] = position
    names = np.array([*(choice.rule_set for choice in spec.choose), NO_RULE_SET], dtype=object)
    return names[chosen], chosen


def _matches(choice: Choice, segment: pd.Series, tier: pd.Series) -> np.ndarray:
    matches = np.ones(len(segment), dtype=bool)
    if choice.segment:
        matches &= segment.isin(choice.segment).to_numpy()
    if choice.tier:
        matches &= tier.isin(choice.tier).to_numpy()
    return matches


def answer_readiness(spec: ReadinessSpec, evidence: pd.DataFrame, *, tables: Collection[str]) -> Readiness:
    """Answer every criterion for every row and join those of the row's rule set.

    Parameters
    ----------
    spec : `playbook/readiness.yml`.
    evidence : rows of `build_evidence`.
    tables : source tables the company has.

    Returns
    -------
    Readiness
        Positions are those of `evidence`. Unknown never passes: `confirm` is false throughout.
    """
    measured = {criterion.code: _measure(criterion, evidence, tables) for criterion in spec.criteria}
    known, possible = _points(spec, measured, len(evidence))
    rule_set, chosen = choose_rule_sets(spec, evidence["segment"], evidence["tier"])
    total = _scorecard_answer(spec, measured, known, possible)
    answers = [_only_where(total, rule_set == "scorecard")] if spec.scorecard.criteria else []
    waivable = [spec.scorecard.waived_by_request] if answers else []
    for criterion, rule_sets in _required(spec):
        asked = np.isin(rule_set, rule_sets) & ~_advised(spec, criterion.code, chosen)
        answers.append(_only_where(measured[criterion.code], asked))
        waivable.append(criterion.waived_by_request)
    return Readiness(
        rule_set=rule_set,
        answers=answers,
        state=join_states([answer.state for answer in answers], len(evidence)),
        has_problem=evidence["problems"].to_numpy(dtype=float) > 0,
        has_stakeholder=evidence["stakeholders"].to_numpy(dtype=float) > 0,
        points_known=known,
        points_possible=possible,
        waivable=np.array(waivable, dtype=bool),
        measured=list(measured.values()),
    )


def scorecard_points(spec: ReadinessSpec, evidence: pd.DataFrame) -> pd.Series:
    """Return the scorecard's points known to hold, 0 to 100: a ranking baseline.

    Parameters
    ----------
    spec, evidence : as for `answer_readiness`.
    """
    measured = {c.code: _measure(c, evidence, tables=()) for c in spec.scorecard.criteria}
    known, _ = _points(spec, measured, len(evidence))
    return pd.Series(known, index=evidence.index, name="scorecard_points")


def _required(spec: ReadinessSpec) -> list[tuple[Criterion, Sequence[str]]]:
    """Criteria that block, with the rule sets that ask them; needs and advice do not block."""
    sets: list[tuple[Criterion, Sequence[str]]] = [
        *((criterion, ["playbook"]) for criterion in spec.playbook.criteria),
        *((criterion, ["motion"]) for criterion in spec.motion.criteria),
        *((criterion, spec.timing.rule_sets) for criterion in spec.timing.criteria),
    ]
    return [(criterion, asked_by) for criterion, asked_by in sets if not (criterion.is_need or criterion.advisory)]


def _advised(spec: ReadinessSpec, code: str, chosen: np.ndarray) -> np.ndarray:
    """Rows that are only advised of a criterion."""
    return np.isin(chosen, [position for position, choice in enumerate(spec.choose) if code in choice.advisory])


def _measure(criterion: Criterion, evidence: pd.DataFrame, tables: Collection[str]) -> Answer:
    judged = [judge(condition, evidence, tables) for condition in criterion.conditions]
    state = join_all(judged) if criterion.needs else join_any(judged)
    words = RuleWords(
        criterion.title,
        criterion.evidence,
        criterion.clear or criterion.evidence,
        criterion.unblocked_by,
        "needs" if criterion.needs else "needs_any",
        judged,
        state,
        evidence,
    )
    nobody = np.zeros(len(evidence), dtype=bool)
    return Answer(criterion.code, criterion.title, scope_of(criterion.conditions), state, nobody, words, READINESS)


def _only_where(answer: Answer, asked: np.ndarray) -> Answer:
    return replace(answer, state=np.where(asked, answer.state, NOT_ASKED).astype(np.int8))


def _points(spec: ReadinessSpec, measured: dict[str, Answer], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of criteria known to pass, and with the unknown ones on top."""
    known, unknown = np.zeros(rows), np.zeros(rows)
    for criterion in spec.scorecard.criteria:
        state = measured[criterion.code].state
        known += criterion.points * (state == PASS)
        unknown += criterion.points * (state == UNKNOWN)
    return known, known + unknown


def _scorecard_answer(
    spec: ReadinessSpec, measured: dict[str, Answer], known: np.ndarray, possible: np.ndarray
) -> Answer:
    """Fail if even with the unknown points the bound is not passed, pass if it is without them."""
    bound = spec.scorecard.qualified_above
    state = np.select([possible <= bound, known > bound], [FAIL, PASS], UNKNOWN).astype(np.int8)
    scored = [(criterion.points, measured[criterion.code]) for criterion in spec.scorecard.criteria]
    words = ScorecardWords(bound, known, possible, scored)
    return Answer(SCORECARD_CODE, "scorecard points", "pair", state, np.zeros(len(known), dtype=bool), words, READINESS)


@dataclass(frozen=True)
class ScorecardWords:
    """Words of the scorecard's total.

    Attributes
    ----------
    bound : points a row needs more than.
    known, possible : points per row, without and with the unknown criteria.
    scored : points and answer of each criterion.
    """

    bound: float
    known: np.ndarray
    possible: np.ndarray
    scored: Sequence[tuple[float, Answer]]

    def evidence(self, rows: np.ndarray) -> list[str]:
        """Return the points and the bound."""
        return [
            f"scorecard {say_points(self.known[row], self.possible[row])} of 100, needs more than {self.bound:g}"
            for row in rows
        ]

    def unblocked_by(self, rows: np.ndarray) -> list[str]:
        """Return which criteria would add points."""
        said = []
        for row in rows:
            open_ones = [f"{a.title} (+{points:g})" for points, a in self.scored if a.state[row] != PASS]
            said.append(f"more than {self.bound:g} points: {', '.join(open_ones)}")
        return said

    def unblocked_on(self, rows: np.ndarray) -> np.ndarray:
        """Return no date: points come from many sides."""
        return np.full(len(rows), "NaT", dtype="datetime64[D]")
