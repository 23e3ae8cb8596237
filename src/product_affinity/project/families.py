"""Placeholder until the feature engine lands."""

from __future__ import annotations

from pathlib import Path


class FeatureFamily:
    """Placeholder."""


def load_families(folder: Path) -> tuple[FeatureFamily, ...]:
    """Placeholder."""
    return ()
