"""The spine: who was an active customer when, and which products they could still adopt."""

from __future__ import annotations

from product_affinity.spine.accounts import build_spine
from product_affinity.spine.calendar import training_as_ofs
from product_affinity.spine.pairs import build_pairs

__all__ = ["build_pairs", "build_spine", "training_as_ofs"]
