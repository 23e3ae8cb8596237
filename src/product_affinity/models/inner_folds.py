"""Inner folds: where blend weights and calibration get their out-of-fold predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from product_affinity.models.encoding import IntVector
from product_affinity.models.rows import Rows, event_count

#: a fold with fewer events than this in its training part, or in its test part, teaches nothing about the final fit
MIN_TRAIN_EVENTS = 15
MIN_TEST_EVENTS = 5
#: tables up to this size get five folds instead of three
SMALL_ROWS = 20_000


@dataclass(frozen=True)
class InnerFold:
    """Row positions of one fold.

    Parameters
    ----------
    train, test : ndarray of int
        Increasing row positions without a common one.

    """

    train: IntVector
    test: IntVector


def inner_folds(rows: Rows, gap_days: int, seed: int) -> list[InnerFold]:
    """Folds by what is known of the rows: dates, else accounts, else neither.

    Parameters
    ----------
    rows : Rows
        Training rows.
    gap_days : int
        Days between the last training date and the first test date, at least the horizon, so
        that no label of a training row reaches into the test block.
    seed : int
        Seed of the assignment.

    Returns
    -------
    list of InnerFold
        Empty where no honest fold can be made: weights are equal then.

    """
    if rows.days is not None:
        rolling = _rolling(rows, rows.days, gap_days)
        if rolling:
            return rolling
        if rows.accounts is None and len(np.unique(rows.days)) > 1:
            # the same account on both sides of a random split would flatter what memorises
            return []
    count = 5 if len(rows.target) <= SMALL_ROWS else 3
    rng = np.random.default_rng(seed)
    part = _grouped(rows, rows.accounts, count, rng) if rows.accounts is not None else _stratified(rows, count, rng)
    folds = [InnerFold(np.flatnonzero(part != at), np.flatnonzero(part == at)) for at in range(count)]
    return [fold for fold in folds if _is_useful(rows, fold)]


def _rolling(rows: Rows, days: IntVector, gap_days: int) -> list[InnerFold]:
    dates = np.unique(days)
    feasible = dates[dates - gap_days >= dates[0]]
    recent = feasible[len(feasible) // 3 :]
    folds = []
    for block in np.array_split(recent, 2 if len(recent) > 1 else 1):
        if len(block):
            train = np.flatnonzero(days <= block[0] - gap_days)
            test = np.flatnonzero((days >= block[0]) & (days <= block[-1]))
            folds.append(InnerFold(train, test))
    return [fold for fold in folds if _is_useful(rows, fold)]


def _is_useful(rows: Rows, fold: InnerFold) -> bool:
    trained, tested = event_count(rows.target[fold.train]), event_count(rows.target[fold.test])
    return trained >= MIN_TRAIN_EVENTS and tested >= MIN_TEST_EVENTS


def _stratified(rows: Rows, count: int, rng: np.random.Generator) -> IntVector:
    part = np.empty(len(rows.target), dtype=np.int64)
    for label in (0.0, 1.0):
        at = rng.permutation(np.flatnonzero(rows.target == label))
        part[at] = np.arange(len(at)) % count
    return part


def _grouped(rows: Rows, accounts: IntVector, count: int, rng: np.random.Generator) -> IntVector:
    positives = np.bincount(accounts, weights=rows.target)
    size = len(positives)
    order = rng.permutation(size)
    # dealt out from the accounts with most positives, so that folds hold about equally many
    order = order[np.argsort(-positives[order], kind="stable")]
    part_of = np.empty(size, dtype=np.int64)
    part_of[order] = np.arange(size) % count
    return part_of[accounts]
