"""Features: declared signals computed as they were known at each as-of date."""

from __future__ import annotations

from product_affinity.features.affinity import affinity_matrix
from product_affinity.features.build import FeatureTables, assemble, build_features
from product_affinity.project.families import feature_columns

__all__ = ["FeatureTables", "affinity_matrix", "assemble", "build_features", "feature_columns"]
