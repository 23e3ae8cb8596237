"""Labels: did the account adopt the product within the horizon? Never imported by features."""

from __future__ import annotations

from product_affinity.labels.adoption import label_adoption

__all__ = ["label_adoption"]
