"""A second opinion on folds, from the rows they select and by other logic than planned them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.backtest.folds import Fold

_KEY = ["account_id", "product_id", "as_of"]


def check_folds(folds: Sequence[Fold], rows: pd.DataFrame) -> tuple[str, ...]:
    """Check the rows each fold really trains and tests on.

    Counts whole days between every training and every test row instead of comparing the folds' dates, and
    looks for empty sides, rows on both sides, repeated rows, open labels, and as-of dates where only a part
    of the labels is open (keeping the adopters of an open horizon overstates the rate).

    Parameters
    ----------
    folds : as planned.
    rows : account_id, product_id, as_of, adopted (Int8, missing while open).

    Returns
    -------
    tuple of str
        Violations with fold, count and first example; empty where the folds are sound.
    """
    violations: list[str] = []
    for fold in folds:
        train, test = fold.split(rows)
        violations += [f"fold {fold.origin}: {fault}" for fault in _faults(fold, train, test)]
    return tuple(violations + _half_open(rows))


def _faults(fold: Fold, train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    if train.empty or test.empty:
        return [f"no {'training' if train.empty else 'test'} rows"]
    faults = _overlaps(fold, train, test)
    for side, frame in (("training", train), ("test", test)):
        still_open = frame["adopted"].isna().to_numpy()
        if still_open.any():
            faults.append(f"{_counted(still_open)} {side} labels are open (first: {_first(frame, still_open)})")
        repeated = frame.duplicated(_KEY).to_numpy()
        if repeated.any():
            faults.append(f"{_counted(repeated)} {side} rows are repeated (first: {_first(frame, repeated)})")
    return faults


def _overlaps(fold: Fold, train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    faults = []
    last_label_day = _days(train) + fold.horizon_days + fold.maturity_days
    late = last_label_day > _days(test).min()
    if late.any():
        faults.append(
            f"{_counted(late)} training labels reach past the first test as-of "
            f"{test['as_of'].min().date()} (first: {_first(train, late)})"
        )
    both = pd.MultiIndex.from_frame(train[_KEY]).isin(pd.MultiIndex.from_frame(test[_KEY]))
    if both.any():
        faults.append(f"{_counted(both)} rows are in training and test (first: {_first(train, both)})")
    return faults


def _half_open(rows: pd.DataFrame) -> list[str]:
    open_share = rows["adopted"].isna().groupby(rows["as_of"]).mean()
    partly = open_share[(open_share > 0) & (open_share < 1)]
    return [
        f"as-of {pd.Timestamp(str(day)).date()}: {share:.0%} of the labels are open, not all"
        for day, share in partly.items()
    ]


def _days(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    return rows["as_of"].to_numpy().astype("datetime64[D]").astype(np.int64)


def _counted(wrong: npt.NDArray[np.bool_]) -> str:
    return f"{int(wrong.sum()):,} of {len(wrong):,}"


def _first(rows: pd.DataFrame, wrong: npt.NDArray[np.bool_]) -> str:
    row = rows.iloc[int(np.argmax(wrong))]
    return f"{row['account_id']} × {row['product_id']} at {row['as_of'].date()}"
