"""How much of a classifier's gain each of its inputs has: one that has most of it may know the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from product_affinity import models

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

#: probability from which a share of the gain is put down to chance
CHANCE = 0.05


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


def chance_of_sum(share: float, some: int, count: int) -> float:
    r"""Probability that given ones of many random shares reach a share together: what they have by being many.

    The sum of m pieces of a stick broken at random into n is Beta(m, n − m), so that this is
    :math:`\sum_{j < m} \binom{n - 1}{j} g^j (1 - g)^{n - 1 - j}`.

    Parameters
    ----------
    share : g, in [0, 1].
    some : m, 1 to n.
    count : n ≥ 1, the inputs, those without gain too.

    >>> chance_of_sum(0.5, 1, 2), chance_of_sum(0.5, 2, 3), chance_of_sum(1.0, 3, 3)
    (0.5, 0.75, 1.0)
    """
    others = count - 1
    return sum(math.comb(others, j) * share**j * (1 - share) ** (others - j) for j in range(min(some, count)))


def unproven_beyond_chance(shares: Mapping[str, float], unproven: Iterable[str], limit: float) -> tuple[str, ...]:
    """Return the inputs that nothing proves in time where they have too much of the gain together.

    What knows the answer may be spread over many columns, each with little. A company whose sources keep no history
    has many such inputs that are honest, so a sum that as many of all inputs reach by chance is let pass.

    Parameters
    ----------
    shares : input to its share (0 to 1) of the gain.
    unproven : inputs that rest on source columns without a history.
    limit : share up to which a sum is let pass.

    Returns
    -------
    tuple of str
        Those with any gain, largest first, ties by name; empty where their sum is let pass.

    >>> shares = {"usage_a": 0.7, "today_a": 0.2, "today_b": 0.1} | {f"usage_{k}": 0.0 for k in range(20)}
    >>> unproven_beyond_chance(shares, ["today_b", "today_a"], 0.25)
    ('today_a', 'today_b')
    >>> unproven_beyond_chance(shares, ["today_b"], 0.25)
    ()
    """
    found = {name: shares[name] for name in unproven if name in shares}
    together = math.fsum(found.values())
    if together <= limit or chance_of_sum(together, len(found), len(shares)) > CHANCE:
        return ()
    return tuple(sorted((name for name in found if found[name] > 0), key=lambda name: (-found[name], name)))


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
