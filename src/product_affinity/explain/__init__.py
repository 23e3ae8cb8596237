"""Why this account: contributions of a score, by family, in words."""

from __future__ import annotations

from product_affinity.explain.comparisons import Comparisons, compare_listed, comparison_date
from product_affinity.explain.reasons import family_shares, reasons_for

__all__ = ["Comparisons", "compare_listed", "comparison_date", "family_shares", "reasons_for"]
