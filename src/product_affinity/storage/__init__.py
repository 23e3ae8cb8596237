"""What registry and lists share about files: making them durable."""

from __future__ import annotations

from product_affinity.storage.folders import sync

__all__ = ["sync"]
