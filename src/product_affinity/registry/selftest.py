"""Made-up rows with the scores a model gave them when it was written: whoever reads it must get the same.

Hashes tell that bytes were changed, structure that trees are trees. That the parts still belong together (this
encoder, these trees, these weights, this version of the libraries) is told only by scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from product_affinity import models
from product_affinity.registry.manifest import json_bytes

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

SELFTEST = "selftest.json"
ROWS = 64
TOLERANCE = 1e-9
UNSEEN = "a level never seen"
#: most values are missing, as they are in life, and so that no row is certain to adopt or not
MISSING_SHARE = 0.6
#: log-odds, shares, counts, days and dollars: steps that trees split between
_VALUES = (-3.0, -0.5, 0.0, 0.02, 0.3, 1.0, 2.0, 5.0, 20.0, 60.0, 200.0, 1000.0)
_LOG_ODDS = (-6.0, -4.5, -3.0, -1.0)


def write_selftest(classifier: PropensityClassifier) -> bytes:
    """Make rows of all products, of missing values and of levels never seen, and the scores of the classifier.

    No row of anybody's data is used: the rows depend on the names of columns and levels alone.

    Parameters
    ----------
    classifier : fitted, with column names.
    """
    model = json.loads(models.classifier_to_texts(classifier)["classifier.json"])["model"]
    choices = {
        column["name"]: column["levels"] and [UNSEEN, *column["levels"]] for column in model["encoder"]["columns"]
    }
    if model["offset"] is not None:
        choices[model["offset"]["column"]] = _LOG_ODDS
    rng = np.random.default_rng(0)
    rows = {str(name): _values(choices.get(str(name)) or _VALUES, rng) for name in classifier.feature_names_in_}
    products = [*map(str, classifier.weights_.index), ""]
    content = {"rows": rows, "product": [products[number % len(products)] for number in range(ROWS)]}
    return json_bytes({**content, "propensity": _scores(classifier, content).tolist()})


def check_selftest(classifier: PropensityClassifier, content: Mapping[str, Any]) -> None:
    """Score the rows again.

    Raises
    ------
    ValueError : a score differs by more than 1e-9 from the written one; other errors where the content is none.
    """
    written = np.array(content["propensity"], dtype=np.float64)
    scores = _scores(classifier, content)
    gap = float(np.abs(scores - written).max()) if len(written) else math.nan
    if scores.shape != written.shape or not gap <= TOLERANCE:
        raise ValueError(f"it does not give the scores it was written with (largest difference {gap:.3g})")


def _values(choices: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    drawn, missing = rng.integers(0, len(choices), size=ROWS), rng.random(ROWS) < MISSING_SHARE
    return [None if is_missing else choices[at] for at, is_missing in zip(drawn, missing, strict=True)]


def _scores(classifier: PropensityClassifier, content: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    product = np.array(content["product"], dtype=object)
    # a column of nothing but missing values still has a type
    frame = pd.DataFrame({name: pd.Series(values, dtype=_dtype(values)) for name, values in content["rows"].items()})
    return np.asarray(classifier.predict_proba(frame, product=product)[:, 1], dtype=np.float64)


def _dtype(values: list[Any]) -> str:
    return "str" if any(isinstance(value, str) for value in values) else "float64"
