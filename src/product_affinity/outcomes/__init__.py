"""What people did with the lists comes back: validated, matched to its play, never applied twice."""

from __future__ import annotations

from product_affinity.outcomes.applying import apply_outcomes
from product_affinity.outcomes.exports import read_opportunity_csv, read_outcome_csv
from product_affinity.outcomes.merging import merge_outcomes
from product_affinity.outcomes.report import OutcomeReport
from product_affinity.outcomes.returned import ReturnedFile
from product_affinity.outcomes.workbook import read_workbook

__all__ = [
    "OutcomeReport",
    "ReturnedFile",
    "apply_outcomes",
    "merge_outcomes",
    "read_opportunity_csv",
    "read_outcome_csv",
    "read_workbook",
]
