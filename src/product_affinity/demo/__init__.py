"""A made-up software vendor with known true probabilities, to try, test and measure on.

It is a demonstration: what holds on it is no evidence of performance on real data.
"""

from __future__ import annotations

from product_affinity.demo.company import DemoSummary, write_demo
from product_affinity.demo.products import shift_catalog, write_catalog
from product_affinity.demo.simulation import History, simulate
from product_affinity.demo.truth import TruePairs, true_pairs

__all__ = [
    "DemoSummary",
    "History",
    "TruePairs",
    "shift_catalog",
    "simulate",
    "true_pairs",
    "write_catalog",
    "write_demo",
]
