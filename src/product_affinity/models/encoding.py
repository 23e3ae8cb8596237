"""From a frame or an array to one float matrix, the same way at fit and at predict.

Columns are kept in a canonical order (by name where names exist), so that the order in which a
caller passes them can never change a score. Numbers stay numbers, levels become codes, and what
was never seen becomes missing. The encoder is plain data and goes to JSON.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.models.frames import check_no_dates, column_position, has_names, inferred_kind

FloatMatrix = npt.NDArray[np.float32]
IntVector = npt.NDArray[np.int64]

#: levels kept per column, the most frequent ones; LightGBM bins 8-bit categories fastest
MAX_LEVELS = 254
#: a gap is a value of its own where that many rows have one at fit, and one row in so many; rarer ones teach nothing,
#: and a booster that has seen none would read a later one as the number 0
MIN_GAPS, ROWS_PER_GAP = 30, 500
#: rows of which a column's typical value is taken
TYPICAL_OF_ROWS = 20_000
#: rows copied at once, so that a block of all columns stays in the processor's cache
BLOCK_ROWS = 8192


@dataclass(frozen=True)
class ColumnCode:
    """How one input column becomes one float column.

    Parameters
    ----------
    name : str
        Column name, or its position as text where the input has no names.
    position : int
        Position at fit, from 0.
    levels : tuple of str or None
        Known levels in code order; None for a number.
    typical : float or None
        What a gap of a number stands for; None where gaps are values of their own.

    """

    name: str
    position: int
    levels: tuple[str, ...] | None = None
    typical: float | None = None

    @property
    def is_level(self) -> bool:
        """Whether the column holds codes of levels instead of numbers."""
        return self.levels is not None

    def encode(self, values: pd.Series[Any]) -> npt.NDArray[Any]:
        """Floats of one column; missing and unseen levels become NaN, gaps of a column with a typical value take that.

        Raises
        ------
        ValueError
            If a column that held numbers at fit holds something else.

        """
        if self.levels is None:
            numbers = _numbers(values, self.name)
            if self.typical is None:
                return numbers
            gaps = np.isnan(numbers)
            return np.where(gaps, self.typical, numbers) if gaps.any() else numbers
        known = pd.Index(self.levels, dtype=object)
        codes, uniques = _factorized(values, self.name)
        code_of = known.get_indexer(pd.Index([level_key(value) for value in uniques], dtype=object))
        lookup = np.append(np.where(code_of < 0, np.nan, code_of), np.nan)
        return lookup[codes].astype(np.float32)


@dataclass(frozen=True)
class FrameEncoder:
    """Columns in canonical order and how each is encoded.

    Parameters
    ----------
    columns : tuple of ColumnCode
        In canonical order: by name where names exist, else by position.
    named : bool
        Whether the input had column names at fit.

    """

    columns: tuple[ColumnCode, ...]
    named: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in canonical order."""
        return tuple(column.name for column in self.columns)

    @property
    def level_positions(self) -> list[int]:
        """Canonical positions of the columns that hold levels."""
        return [index for index, column in enumerate(self.columns) if column.is_level]

    def encode(self, frame: pd.DataFrame, rows: IntVector | None = None) -> FloatMatrix:
        """One C-ordered float32 matrix in canonical column order.

        Parameters
        ----------
        frame : pd.DataFrame
            Table with the columns of the fit.
        rows : ndarray of int, optional
            Positions of the rows to encode, all by default.

        Raises
        ------
        ValueError
            If a value is infinite or beyond float32, naming column and row of the table.

        """
        matrix = np.empty((len(frame) if rows is None else len(rows), len(self.columns)), dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            if rows is None:
                _fill(matrix, self._encoded(frame))
            else:
                # block by block: a copy of all these rows would be larger than the matrix
                for start in range(0, len(rows), BLOCK_ROWS):
                    block = slice(start, start + BLOCK_ROWS)
                    _fill(matrix[block], self._encoded(frame.iloc[rows[block]]))
        self._check_finite(matrix, rows)
        return matrix

    def _encoded(self, frame: pd.DataFrame) -> list[npt.NDArray[Any]]:
        located = self._locate(frame)
        return [column.encode(frame.iloc[:, at]) for column, at in zip(self.columns, located, strict=True)]

    def _locate(self, frame: pd.DataFrame) -> list[int]:
        if not self.named:
            return [column.position for column in self.columns]
        present = {str(name): at for at, name in enumerate(frame.columns)}
        return [present[column.name] for column in self.columns]

    def _check_finite(self, matrix: FloatMatrix, rows: IntVector | None) -> None:
        for start in range(0, len(matrix), BLOCK_ROWS):
            infinite = np.isinf(matrix[start : start + BLOCK_ROWS])
            if infinite.any():
                at, column = (int(found[0]) for found in np.nonzero(infinite))
                row = start + at if rows is None else int(rows[start + at])
                raise ValueError(
                    f"column {self.columns[column].name!r}: infinity or a value too large for float32 "
                    f"in row {row}. Replace it by a number, or by a missing value."
                )


def level_key(value: object) -> str:
    """Text under which a level is known; integral numbers read the same as int and as float.

    Examples
    --------
    >>> level_key(3), level_key(3.0), level_key("3"), level_key(True)
    ('3', '3', '3', 'True')

    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def fit_encoder(frame: pd.DataFrame, categorical: str | Sequence[str | int]) -> FrameEncoder:
    """Learn columns, order and levels from the training table.

    Parameters
    ----------
    frame : pd.DataFrame
        Training rows.
    categorical : "auto" or sequence of names or positions
        "auto" takes category, text and mixed columns as levels; a sequence adds to these.

    Raises
    ------
    ValueError
        If a named column does not exist, or a column holds dates.

    """
    forced = _forced_levels(frame, categorical)
    named = has_names(frame)
    columns = [
        _column_code(frame.iloc[:, position], str(name), position, position in forced)
        for position, name in enumerate(frame.columns)
    ]
    ordered = sorted(columns, key=lambda column: column.name) if named else columns
    return FrameEncoder(columns=tuple(ordered), named=named)


def _column_code(values: pd.Series[Any], name: str, position: int, forced: bool) -> ColumnCode:
    if forced or _kind(values, name) == "level":
        return ColumnCode(name, position, levels=_levels(values, name))
    return ColumnCode(name, position, typical=_typical(_numbers(values, name)))


def _typical(numbers: npt.NDArray[Any]) -> float | None:
    """Median of the numbers, None where gaps are values of their own or nothing is known."""
    gaps = np.isnan(numbers)
    if gaps.sum() >= max(MIN_GAPS, len(numbers) / ROWS_PER_GAP) or gaps.all():
        return None
    sample = numbers[~gaps]
    if len(sample) > TYPICAL_OF_ROWS:
        # drawn: every k-th row of a table in order could be of one month
        sample = sample[np.random.default_rng(0).integers(len(sample), size=TYPICAL_OF_ROWS)]
    return float(np.median(sample.astype(np.float64)))


def _forced_levels(frame: pd.DataFrame, categorical: str | Sequence[str | int]) -> set[int]:
    if isinstance(categorical, str):
        if categorical != "auto":
            raise ValueError(f'categorical: {categorical!r} is neither "auto" nor a list of columns.')
        return set()
    return {column_position(frame, column, "categorical") for column in categorical}


def _kind(values: pd.Series[Any], name: str) -> Literal["number", "level"]:
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "level"
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return "number"
    check_no_dates(values, f"column {name!r}")
    if pd.api.types.is_object_dtype(dtype):
        return "number" if inferred_kind(values) in _NUMBER_KINDS else "level"
    return "level"


_NUMBER_KINDS = frozenset({"integer", "floating", "mixed-integer-float", "decimal", "boolean"})


def _numbers(values: pd.Series[Any], name: str) -> npt.NDArray[Any]:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        return values.to_numpy()
    check_no_dates(values, f"column {name!r}")
    try:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        wrong = next((value for value in values if not _is_number(value)), None)
        raise ValueError(f"column {name!r}: {wrong!r} is not a number, but the column held numbers at fit.") from None


def _is_number(value: object) -> bool:
    return value is None or value is pd.NA or isinstance(value, int | float | np.number | np.bool_)


def _levels(values: pd.Series[Any], name: str) -> tuple[str, ...]:
    codes, uniques = _factorized(values, name)
    counts: dict[str, int] = {}
    for value, count in zip(uniques, np.bincount(codes[codes >= 0], minlength=len(uniques)), strict=True):
        key = level_key(value)
        counts[key] = counts.get(key, 0) + int(count)
    kept = sorted(counts, key=lambda key: (-counts[key], key))[:MAX_LEVELS]
    return tuple(sorted(kept))


def _factorized(values: pd.Series[Any], name: str) -> tuple[IntVector, Any]:
    try:
        return pd.factorize(values)
    # pandas raises the one for a value without a hash, Arrow the other for its lists and structs, missing ones too
    except (TypeError, NotImplementedError):
        unhashable = ((row, value) for row, value in enumerate(values) if not pd.api.types.is_hashable(value))
        row, value = next(unhashable, (0, values.dtype))
        raise ValueError(
            f"column {name!r}: {reprlib.repr(value)} in row {row} is a collection. Spread it over columns, or drop it."
        ) from None


def _fill(matrix: FloatMatrix, columns: list[npt.NDArray[Any]]) -> None:
    for start in range(0, len(matrix), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        for at, column in enumerate(columns):
            matrix[start:stop, at] = column[start:stop]
