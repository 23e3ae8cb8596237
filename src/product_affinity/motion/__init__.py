"""The motion: from a scored pair to worklist, watchlist, in flight or beyond capacity."""

from __future__ import annotations

from product_affinity.motion.dispositions import DISPOSITIONS, decide

__all__ = ["DISPOSITIONS", "decide"]
