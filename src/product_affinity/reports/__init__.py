"""What was measured: rules, affinities, adjacencies and the effect of the lists."""

from __future__ import annotations

from product_affinity.reports.adjacency import suggest_adjacency
from product_affinity.reports.affinity import learn_affinity
from product_affinity.reports.happened import build_happened
from product_affinity.reports.outreach import MeasuredEffect, measure_effect, read_plays
from product_affinity.reports.points import learn_points
from product_affinity.reports.reference import AffinityReference, load_affinity_reference
from product_affinity.reports.report import Measured, render_report, write_report
from product_affinity.reports.rules import measure_rules, measure_values

__all__ = [
    "AffinityReference",
    "Measured",
    "MeasuredEffect",
    "build_happened",
    "learn_affinity",
    "learn_points",
    "load_affinity_reference",
    "measure_effect",
    "measure_rules",
    "measure_values",
    "read_plays",
    "render_report",
    "suggest_adjacency",
    "write_report",
]
