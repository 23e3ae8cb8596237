"""Single fits of the candidates on any of the training rows, and running many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
from joblib import Parallel, delayed

from product_affinity.models.calibration import product_intercepts
from product_affinity.models.encoding import FrameEncoder, IntVector
from product_affinity.models.fitted import Offset
from product_affinity.models.linear_terms import LinearTerms, fit_terms
from product_affinity.models.logistic import Vector
from product_affinity.models.ridge import Penalties, RidgeData, RidgeModel, fit_ridge
from product_affinity.models.rows import Rows, base_log_odds, event_count, positive_counts
from product_affinity.models.trees import TreeShape, bin_matrix

#: below either, only the ridge is fitted; also what a product needs for a head of its own. Where nearly all rows
#: are positive, the negatives are the events
MIN_POSITIVES = 30
MIN_ROWS = 500


@dataclass(frozen=True)
class FitPlan:
    """What to fit, besides the rows.

    Parameters
    ----------
    encoder : FrameEncoder
        How the rows were encoded.
    offset : Offset or None
        The column of base-rate log-odds.
    products : tuple
        Product of each code; empty without products.
    candidates : tuple of str
        Candidates wanted.
    directions : mapping of matrix column to -1 or 1
        Declared directions.
    gap_days, n_seeds, workers, seed : int
        Purging gap, boosters per ensemble, threads, and random seed.

    """

    encoder: FrameEncoder
    offset: Offset | None
    products: tuple[str | int, ...]
    candidates: tuple[str, ...]
    directions: Mapping[int, int]
    gap_days: int
    n_seeds: int
    workers: int
    seed: int


class Trainer:
    """Fits candidates on some of the training rows.

    Parameters
    ----------
    rows : Rows
        All training rows.
    plan : FitPlan
        What to fit.

    Attributes
    ----------
    product_count : int
        Number of products, 1 without products.
    candidates : tuple of str
        Candidates that these rows can carry.
    base : float
        Intercept of all rows, given the offset.

    """

    def __init__(self, rows: Rows, plan: FitPlan) -> None:
        self.rows = rows
        self.plan = plan
        self.product_count = max(1, len(plan.products))
        self.candidates = self._candidates()
        self.base = base_log_odds(rows.target, rows.fit_weight, rows.start)
        levels = plan.encoder.level_positions
        if self.candidates != ("ridge",):
            directions = [plan.directions.get(at, 0) for at in range(rows.matrix.shape[1])]
            self._binned = bin_matrix(rows.matrix, rows.target, rows.fit_weight, levels, directions)

    def _candidates(self) -> tuple[str, ...]:
        if not _carries_trees(self.rows.target):
            return ("ridge",)
        wanted = self.plan.candidates
        if self.product_count > 1:
            return wanted
        return tuple(dict.fromkeys("pooled" if name == "heads" else name for name in wanted))

    @cached_property
    def _terms(self) -> LinearTerms:
        levels = self.plan.encoder.level_positions
        return fit_terms(self.rows.matrix, self.rows.fit_weight, levels, self.plan.directions)

    def trees(
        self, at: IntVector, shape: TreeShape, seed: int, relevance: Vector | None = None
    ) -> tuple[float, lgb.Booster]:
        """One booster on some rows, and the base log-odds it starts from."""
        rows = self.rows
        base = base_log_odds(rows.target[at], rows.fit_weight[at], rows.start[at])
        return base, self._binned.train(at, base + rows.start[at], shape, seed, relevance)

    def ridge(self, at: IntVector | None = None) -> tuple[RidgeModel, Penalties]:
        """Ridge on some rows (all by default), and the penalties learnt on them."""
        rows = self.rows
        index: Any = slice(None) if at is None else at
        data = RidgeData(
            rows.matrix[index], rows.target[index], rows.fit_weight[index], rows.start[index], rows.codes[index],
            rows.prior_shift,
        )  # fmt: skip
        events = positive_counts(data.codes, data.target, self.product_count)
        several = self.product_count > 1
        deviating = [code for code in range(self.product_count) if several and events[code] >= MIN_POSITIVES]
        ridge, penalties = fit_ridge(data, self._terms, self.plan.directions, deviating)
        thin = set(np.unique(data.codes).tolist()).difference(deviating)
        if not self.has_levels or not thin:
            return ridge, penalties
        alike = ridge.log_odds(data.matrix, np.full(len(data.codes), -1))
        return replace(ridge, levels=self.product_levels(np.arange(len(rows.target))[index], alike)), penalties

    @property
    def has_levels(self) -> bool:
        """Whether products get levels of their own: an offset says what their levels are."""
        return self.product_count > 1 and self.plan.offset is None

    def product_levels(self, at: IntVector, log_odds: Vector) -> tuple[float, ...]:
        """Level of each product that fitted pooled log-odds of some rows leave unexplained, shrunk."""
        rows = self.rows
        return product_intercepts(
            log_odds + rows.start[at], rows.target[at], rows.fit_weight[at], rows.codes[at], self.product_count
        )

    def carries_head(self, at: IntVector) -> bool:
        """Whether these rows of one product are enough for a head."""
        return _carries_trees(self.rows.target[at])

    def product_rows(self, code: int) -> IntVector:
        """Positions of one product's rows."""
        return np.flatnonzero(self.rows.codes == code)

    def run(self, tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Results of independent fits, in order, whatever the number of workers."""
        jobs = (delayed(task)() for task in tasks)
        # boosters release the interpreter lock, so threads suffice and share the binned matrix
        return list(Parallel(n_jobs=self.plan.workers, require="sharedmem")(jobs))


def _carries_trees(target: Vector) -> bool:
    return len(target) >= MIN_ROWS and event_count(target) >= MIN_POSITIVES
