"""Tables as callers pass them: as frames, with columns that are found by name or by position."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_array

_DATE_KINDS = frozenset({"datetime", "datetime64", "date", "timedelta", "timedelta64", "time", "period"})


def to_frame(X: Any, estimator_name: str) -> pd.DataFrame:
    """Input table as a frame; columns that are not named by text are called 0, 1, ….

    Raises
    ------
    ValueError
        If the table is not two-dimensional, complex, empty, or has a column name twice.
    TypeError
        If it is sparse, or mixes names that are text with names that are not.

    """
    if hasattr(X, "to_pandas"):  # Polars and Arrow tables
        X = X.to_pandas()
    if isinstance(X, pd.DataFrame):
        _check_frame(X, estimator_name)
        return X if has_names(X) else X.set_axis(range(X.shape[1]), axis=1)
    array = check_array(X, dtype=None, ensure_all_finite=False, estimator=estimator_name, input_name="X", order=None)
    # an array of a list of rows would turn numbers beside text into text
    return pd.DataFrame(X if isinstance(X, list) and array.dtype.kind in "US" else array)


def has_names(frame: pd.DataFrame) -> bool:
    """Whether the columns are named by text (scikit-learn's rule)."""
    return len(frame.columns) > 0 and all(isinstance(name, str) for name in frame.columns)


def align_columns(frame: pd.DataFrame, names: Sequence[str] | None, count: int, estimator_name: str) -> pd.DataFrame:
    """The frame with the columns of the fit, in the order of the fit.

    Parameters
    ----------
    frame : pd.DataFrame
        Rows to score.
    names : sequence of str or None
        Column names at fit, where they existed.
    count : int
        Number of columns at fit.
    estimator_name : str
        For messages.

    Raises
    ------
    ValueError
        If a column is missing or was not there at fit.

    """
    if names is not None and has_names(frame):
        missing = [name for name in names if name not in frame.columns]
        unknown = [str(name) for name in frame.columns if name not in set(names)]
        if missing or unknown:
            found = {"missing": missing, "unseen at fit": unknown}
            words = "; ".join(f"{what}: {columns[:5]}" for what, columns in found.items() if columns)
            raise ValueError(f"The feature names should match those that were passed during fit; {words}.")
        return frame[list(names)]
    if frame.shape[1] != count:
        raise ValueError(
            f"X has {frame.shape[1]} features, but {estimator_name} is expecting {count} features as input."
        )
    if names is not None:
        warnings.warn(
            f"X does not have valid feature names, but {estimator_name} was fitted with feature names",
            stacklevel=4,
        )
        return frame.set_axis(list(names), axis=1)
    return frame.set_axis(range(count), axis=1)


def column_position(frame: pd.DataFrame, column: str | int, argument: str) -> int:
    """Position of a column given by name, or by position for tables without names.

    Raises
    ------
    ValueError
        If there is no such column, with the closest name present.

    """
    if has_names(frame):
        names = [str(name) for name in frame.columns]
        if column in names:
            return names.index(str(column))
        folded = {name.casefold(): name for name in names}
        closest = folded[get_close_matches(str(column).casefold(), folded, n=1, cutoff=0.0)[0]]
        raise ValueError(f"{argument}: unknown column {column!r} (closest present: {closest!r}).")
    if isinstance(column, int | np.integer) and 0 <= column < frame.shape[1]:
        return int(column)
    raise ValueError(
        f"{argument}: unknown column {column!r}: X has no column names, so give a position "
        f"from 0 to {frame.shape[1] - 1}."
    )


def _check_frame(frame: pd.DataFrame, estimator_name: str) -> None:
    kinds = {isinstance(name, str) for name in frame.columns}
    if len(kinds) == 2:
        raise TypeError("X: some column names are text and some are not. Rename the columns to text.")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"X: column {twice!r} appears twice. Rename or drop one of them.")
    for size, what in ((frame.shape[0], "sample(s)"), (frame.shape[1], "feature(s)")):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={frame.shape}) while a minimum of 1 is required by {estimator_name}."
            )
    if any(np.issubdtype(dtype, np.complexfloating) for dtype in frame.dtypes if isinstance(dtype, np.dtype)):
        raise ValueError("Complex data not supported: X.")


def inferred_kind(values: pd.Series[Any]) -> str:
    """What pandas makes of the values of an object column, gaps aside."""
    return pd.api.types.infer_dtype(values, skipna=True)


def check_no_dates(values: pd.Series[Any], what: str) -> None:
    """Refuse dates and durations, which are no numbers until somebody says in which unit.

    Raises
    ------
    ValueError
        Beginning with ``what``.

    """
    dtype = values.dtype
    kind = inferred_kind(values) if pd.api.types.is_object_dtype(dtype) or str(dtype).startswith("period") else ""
    # "m" and "M": durations and dates of NumPy, pandas and Arrow alike
    if dtype.kind in "mM" or kind in _DATE_KINDS:
        raise ValueError(f"{what} holds dates ({kind or dtype}). Turn it into a number of days, or drop it.")
