"""The motion: from a scored pair to worklist, watchlist, in flight, campaign or beyond capacity."""

from __future__ import annotations

from product_affinity.motion.decide import Decision, decide
from product_affinity.motion.history import History, build_history

__all__ = ["Decision", "History", "build_history", "decide"]
