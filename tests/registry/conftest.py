from __future__ import annotations

from typing import Any

import pytest

from product_affinity.models import PropensityClassifier
from tests.registry.samples import fitted, manifest


@pytest.fixture(scope="session")
def classifiers() -> dict[int, PropensityClassifier]:
    return {30: fitted(30), 90: fitted(90)}


@pytest.fixture(scope="session")
def content(classifiers: dict[int, PropensityClassifier]) -> dict[str, Any]:
    """Arguments of `write_bundle` with one classifier."""
    return {
        "classifiers": {90: classifiers[90]},
        "manifest": manifest(90),
        "metrics": {"auc": 0.7, "ap": float("nan")},
        "card": "# Model card\n",
    }


@pytest.fixture(scope="session")
def other_content(content: dict[str, Any]) -> dict[str, Any]:
    """The same with another card: another bundle."""
    return {**content, "card": "# Another model card\n"}
