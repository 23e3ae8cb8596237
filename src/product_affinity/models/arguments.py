"""The classifier's arguments and labels, checked and located in the table they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.models.encoding import FrameEncoder
from product_affinity.models.fitted import Offset
from product_affinity.models.frames import check_no_dates, column_position, has_names
from product_affinity.models.logistic import Vector

CANDIDATES = ("pooled", "heads", "ridge")


def check_arguments(estimator: Any) -> None:
    """Refuse arguments of the classifier that can be judged without a table.

    Raises
    ------
    ValueError
        Naming argument and value.

    """
    candidates = estimator.candidates
    several = isinstance(candidates, Sequence) and not isinstance(candidates, str) and len(candidates) > 0
    if not several or not set(candidates) <= set(CANDIDATES) or len(set(candidates)) < len(candidates):
        raise ValueError(f"candidates: {candidates!r}; choose from {', '.join(CANDIDATES)}, each once.")
    for name in ("horizon_days", "gap_days", "n_seeds"):
        check_whole(name, getattr(estimator, name))
    if estimator.gap_days < estimator.horizon_days:
        raise ValueError(
            f"gap_days: {estimator.gap_days} is below horizon_days ({estimator.horizon_days}): labels of the "
            f"training rows would reach into the test block. Raise gap_days to at least {estimator.horizon_days}."
        )
    if estimator.n_jobs is not None and not isinstance(estimator.n_jobs, int | np.integer):
        raise ValueError(f"n_jobs: {estimator.n_jobs!r} is neither a whole number nor None.")
    if isinstance(estimator.random_state, int | np.integer) and estimator.random_state < 0:
        raise ValueError(f"random_state: {estimator.random_state} is below 0.")
    if estimator.monotone is not None and not isinstance(estimator.monotone, Mapping):
        raise ValueError(f"monotone: {estimator.monotone!r} is no mapping of column to -1, 0 or 1.")
    if not isinstance(estimator.categorical, str | Sequence):
        raise ValueError(f'categorical: {estimator.categorical!r} is neither "auto" nor a list of columns.')


def check_whole(name: str, value: object) -> None:
    """Refuse what is no whole number above 0.

    Raises
    ------
    ValueError
        Naming argument and value.

    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name}: {value!r} is no whole number above 0.")


def check_pointed_at(X: Any, estimator: Any) -> None:
    """Refuse arguments that point at columns of a frame whose labels are neither text nor positions.

    Raises
    ------
    ValueError
        Naming the first labels: 1 could mean the label or the position.

    """
    points = bool(estimator.monotone) or estimator.offset is not None or estimator.categorical != "auto"
    if not points or not isinstance(X, pd.DataFrame) or has_names(X):
        return
    if not X.columns.equals(pd.RangeIndex(X.shape[1])):
        shown = ", ".join(str(name) for name in X.columns[:3])
        raise ValueError(
            f"X: columns are named {shown}, neither text nor positions from 0, so none can be pointed at. "
            "Rename them to text."
        )


def locate_offset(frame: pd.DataFrame, column: str | int | None, weight: Vector) -> Offset | None:
    """The offset's column, and the mean of its known values in rows that count."""
    if column is None:
        return None
    position = column_position(frame, column, "offset")
    values = offset_numbers(frame.iloc[:, position], str(column))
    known = values[~np.isnan(values) & (weight > 0)]
    return Offset(str(column), position, float(known.mean()) if len(known) else 0.0)


def offset_numbers(values: pd.Series[Any], name: str) -> Vector:
    """Base-rate log-odds of each row, missing ones as NaN.

    Raises
    ------
    ValueError
        If a value is no finite number.

    """
    check_no_dates(values, f"offset: column {name!r}")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.isnan(numbers) & values.notna().to_numpy()
    if wrong.any():
        raise ValueError(f"offset: column {name!r} holds {values.iloc[int(np.argmax(wrong))]!r}, which is no number.")
    if np.isinf(numbers).any():
        raise ValueError(f"offset: column {name!r} holds infinity. Log-odds of a rate of 0 or 1 have no end.")
    return numbers


def locate_categorical(
    frame: pd.DataFrame, categorical: str | Sequence[str | int], offset: Offset | None
) -> str | Sequence[str | int]:
    """Columns named as levels, as the table without its offset knows them."""
    if isinstance(categorical, str) or offset is None:
        return categorical
    positions = [column_position(frame, column, "categorical") for column in categorical]
    if offset.position in positions:
        raise ValueError(f"categorical: {offset.column!r} is the offset, a number.")
    return categorical if has_names(frame) else [at - (at > offset.position) for at in positions]


def locate_directions(
    frame: pd.DataFrame, monotone: Mapping[str, int] | Mapping[int, int] | None, encoder: FrameEncoder,
    offset: Offset | None,
) -> dict[int, int]:  # fmt: skip
    """Direction of each matrix column that has one.

    Raises
    ------
    ValueError
        If a column is unknown or holds levels, a direction is none of -1, 0, 1, or the offset is to fall.

    """
    directions: dict[int, int] = {}
    for column, direction in (monotone or {}).items():
        position = column_position(frame, column, "monotone")
        if direction not in (-1, 0, 1):
            raise ValueError(f"monotone: {direction!r} for {column!r} is none of -1, 0, 1.")
        if offset is not None and position == offset.position:
            if direction < 0:
                raise ValueError(f"monotone: {column!r} is the offset, with which every score rises.")
            continue
        at = encoder.names.index(str(frame.columns[position]))
        if direction and encoder.columns[at].is_level:
            raise ValueError(f"monotone: {column!r} holds levels, which have no direction.")
        if direction:
            directions[at] = int(direction)
    return directions


def known_labels(labels: npt.NDArray[Any], classes: npt.NDArray[Any]) -> Vector:
    """1 for the second class, 0 for the first.

    Raises
    ------
    ValueError
        If a label is missing or was no label of the fit: taken for "not adopted", it would lower every level.

    """
    column = pd.Series(labels)
    if column.isna().any():
        raise ValueError(f"y: row {int(np.argmax(column.isna()))} is missing. Leave out rows that are not yet known.")
    strange = ~column.isin(classes).to_numpy()
    if strange.any():
        known = ", ".join(repr(value) for value in classes.tolist())
        raise ValueError(f"y: {column.tolist()[int(np.argmax(strange))]!r} is none of the labels {known} of the fit.")
    return np.asarray(column.eq(classes[1]), dtype=np.float64)
