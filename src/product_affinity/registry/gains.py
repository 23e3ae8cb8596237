"""How much of a classifier's gain each of its inputs has: one that has most of it may know the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from product_affinity import models

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier


def gain_shares(classifier: PropensityClassifier) -> tuple[tuple[str, float], ...]:
    """Return the share of the split gain of all trees that each input has, largest first, those with none too.

    Pooled trees and each product's head count by their mean blend weight. The ridge has no gain, so the shares
    are empty where it was fitted alone.

    Parameters
    ----------
    classifier : fitted.

    Returns
    -------
    tuple of (str, float)
        Input and share; the shares sum to 1, ties go by name.
    """
    texts = models.classifier_to_texts(classifier)
    names = [column["name"] for column in json.loads(texts["classifier.json"])["model"]["encoder"]["columns"]]
    weights = classifier.weights_
    total = np.zeros(len(names))
    for file in sorted(texts):
        kind, _, rest = file.removesuffix(".txt").partition("-")
        if kind == "pooled" and kind in weights:
            weight = weights["pooled"].mean()
        elif kind == "head" and "heads" in weights:
            # head-<product code>-<seed>.txt serves its product alone
            weight = weights["heads"].iloc[int(rest.split("-")[0])] / len(weights)
        else:
            continue
        gain = _gains(texts[file], len(names))
        if gain.sum() > 0:
            total += weight * gain / gain.sum()
    if total.sum() <= 0:
        return ()
    named = zip(names, (total / total.sum()).tolist(), strict=True)
    return tuple(sorted(named, key=lambda item: (-item[1], item[0])))


def chance_of_largest(share: float, count: int) -> float:
    r"""Probability that the largest of some random shares reaches a share: what few inputs give by right.

    A stick broken at random into n pieces: :math:`\sum_k (-1)^{k-1} \binom{n}{k} (1 - k g)^{n-1}` over
    :math:`k \le 1/g` (Fisher 1929, Tests of significance in harmonic analysis).

    Parameters
    ----------
    share : g, in (0, 1].
    count : n ≥ 1, the inputs, those without gain too.

    >>> chance_of_largest(1 / 3, 3), chance_of_largest(0.5, 2), chance_of_largest(0.75, 2)
    (1.0, 1.0, 0.5)
    >>> chance_of_largest(0.25, 100) < 1e-9
    True
    """
    if share * count <= 1:
        return 1.0
    total = 0.0
    for k in range(1, int(1 / share) + 1):
        total += (-1) ** (k - 1) * math.comb(count, k) * float(1 - k * share) ** (count - 1)
    return min(1.0, total)


def _gains(text: str, column_count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    gains = np.zeros(column_count)
    for tree in text.split("\nTree=")[1:]:
        fields = dict(line.split("=", 1) for line in tree.splitlines() if "=" in line)
        if "split_gain" in fields:
            features = np.array(fields["split_feature"].split(), dtype=np.int64)
            np.add.at(gains, features, np.array(fields["split_gain"].split(), dtype=np.float64))
    return gains


def first_shares(shares: Mapping[str, float], count: int) -> str:
    """Say the first shares in words.

    >>> first_shares({"usage_a": 0.21, "usage_b": 0.1}, 2)
    'usage_a 21 %, usage_b 10 %'
    """
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in list(shares.items())[:count])
