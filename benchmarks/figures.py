"""Splits and figures on (account, product) pairs with a known truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.worlds import PairWorld

Vector = npt.NDArray[np.float64]
GAP_DAYS = 97


@dataclass(frozen=True)
class Split:
    """Training rows and the last as-of date."""

    train: PairWorld
    test: PairWorld

    @property
    def base(self) -> Vector:
        """Training rate of each test row's product."""
        rate = pd.Series(self.train.y).groupby(self.train.product).mean()
        return rate.reindex(self.test.product).fillna(self.train.y.mean()).to_numpy()


def split(world: PairWorld) -> Split:
    """Everything up to a gap before the last date, and that date."""
    last = world.as_of.max()
    return Split(world.rows(world.as_of <= last - GAP_DAYS), world.rows(world.as_of == last))


def log_loss(probability: Vector, truth: Vector) -> float:
    """Expected log-loss under the true probabilities."""
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    return float(-np.mean(truth * np.log(clipped) + (1 - truth) * np.log1p(-clipped)))


def skill(probability: Vector, data: Split) -> float:
    """Share of the oracle's information."""
    truth = data.test.truth
    reference, oracle = log_loss(data.base, truth), log_loss(truth, truth)
    return (reference - log_loss(probability, truth)) / (reference - oracle)


def captured(probability: Vector, world: PairWorld, share: float = 0.01) -> float:
    """Expected value of the best pairs by propensity × value, as a share of the oracle's."""
    size = max(1, int(share * len(world.truth)))

    def value(score: Vector) -> float:
        best = np.argsort(-score * world.value, kind="stable")[:size]
        return float((world.truth * world.value)[best].sum())

    return value(probability) / value(world.truth)


def by_product(metric: Callable[[Any, Any], float], probability: Vector, world: PairWorld) -> float:
    """Mean of a metric over products with at least twenty test positives (all if none has)."""
    codes = np.unique(world.product)
    enough = [code for code in codes if world.y[world.product == code].sum() >= 20] or list(codes)
    values = [metric(world.y[at], probability[at]) for code in enough if (at := world.product == code).any()]
    return float(np.mean(values))
