"""Product affinity: which customers should be offered which other products, now, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

__version__ = "0.1.0"
__all__ = ["PropensityClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    # Importing the package must stay cheap (`affinity --help`), so the classifier's libraries load on first use.
    if name == "PropensityClassifier":
        from product_affinity.models import PropensityClassifier

        return PropensityClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
