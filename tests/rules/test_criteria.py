from __future__ import annotations

import itertools

import numpy as np

from product_affinity.rules import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer, Readiness, SameWords
from product_affinity.rules.criteria import join_states

STATES = (PASS, FAIL, UNKNOWN, NOT_ASKED)
WORDS = SameWords("seen", "helps")


def answer(*states, confirm=()):
    confirmed = np.array([place in confirm for place in range(len(states))])
    return Answer("G02", "tickets", "account", np.array(states, dtype=np.int8), confirmed, WORDS)


def test_fails_and_unknowns_block_unless_nobody_could_know():
    assert answer(*STATES, UNKNOWN, confirm=[4]).blocks.tolist() == [False, True, True, False, False]


def test_words_are_made_for_the_rows_asked_for():
    rows = np.array([3, 1])
    assert answer(*STATES).evidence(rows) == ["seen", "seen"]
    assert answer(*STATES).unblocked_by(rows) == ["helps", "helps"]
    assert np.isnat(answer(*STATES).unblocked_on(rows)).tolist() == [True, True]


def test_joined_answers_agree_with_saying_it_aloud():
    for states in itertools.product(STATES, repeat=3):
        expected = FAIL if FAIL in states else UNKNOWN if UNKNOWN in states else PASS
        joined = join_states([np.array([state], dtype=np.int8) for state in states], 1)
        assert joined.tolist() == [expected], states
    assert join_states([], 2).tolist() == [PASS, PASS]


def readiness(rule_set, answers, known, possible):
    nothing = np.zeros(len(rule_set), dtype=bool)
    return Readiness(
        rule_set=np.array(rule_set, dtype=object),
        answers=answers,
        state=join_states([each.state for each in answers], len(rule_set)),
        has_problem=nothing,
        has_stakeholder=nothing,
        points_known=np.array(known, dtype=float),
        points_possible=np.array(possible, dtype=float),
        waivable=np.zeros(len(answers), dtype=bool),
        measured=answers,
    )


def test_readiness_in_a_few_words():
    answers = [answer(PASS, PASS, NOT_ASKED), answer(UNKNOWN, PASS, NOT_ASKED), answer(NOT_ASKED, NOT_ASKED, PASS)]
    told = readiness(["motion", "playbook", "scorecard"], answers, [70, 55, 12.5], [80, 55, 40])
    assert told.described(np.array([2, 0, 1])) == [
        "scorecard 12.5–40 of 100",
        "motion 1 of 2; scorecard 70–80 of 100",
        "playbook 2 of 2; scorecard 55 of 100",
    ]
    assert readiness(["none"], [], [0], [0]).described(np.array([0])) == ["no rule set asked"]
