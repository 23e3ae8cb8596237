"""Estimators and metrics: who is likely to adopt which product.

The names below are resolved on first use, because importing LightGBM and scikit-learn takes longer
than ``affinity --help`` may take.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from product_affinity.models.classifier import PropensityClassifier
    from product_affinity.models.serialize import classifier_from_texts, classifier_to_texts

_HOMES = {
    "PropensityClassifier": "product_affinity.models.classifier",
    "classifier_from_texts": "product_affinity.models.serialize",
    "classifier_to_texts": "product_affinity.models.serialize",
}

__all__ = ["PropensityClassifier", "classifier_from_texts", "classifier_to_texts"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
