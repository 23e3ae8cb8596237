"""Rules of the field, answered with pass, fail or unknown."""

from __future__ import annotations

from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer, Readiness, SameWords
from product_affinity.rules.evidence import build_evidence
from product_affinity.rules.gates import answer_gates
from product_affinity.rules.readiness import answer_readiness, scorecard_points

__all__ = [
    "FAIL",
    "NOT_ASKED",
    "PASS",
    "UNKNOWN",
    "Answer",
    "Readiness",
    "SameWords",
    "answer_gates",
    "answer_readiness",
    "build_evidence",
    "scorecard_points",
]
