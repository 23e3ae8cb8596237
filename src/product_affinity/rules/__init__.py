"""Rules of the field, answered with pass, fail or unknown."""

from __future__ import annotations

from product_affinity.rules.criteria import GateAnswers, answer_gate

__all__ = ["GateAnswers", "answer_gate"]
