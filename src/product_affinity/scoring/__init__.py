"""Scoring through the bundle only: no training code, no MLflow."""

from __future__ import annotations

from product_affinity.scoring.score import score_pairs

__all__ = ["score_pairs"]
