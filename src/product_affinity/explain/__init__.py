"""Why this account: contributions of a score, by family, in words."""

from __future__ import annotations

from product_affinity.explain.reasons import reasons_for

__all__ = ["reasons_for"]
