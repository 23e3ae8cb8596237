"""Columns to Parquet, in one pass or piece by piece; same columns, same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from product_affinity.demo.clock import NEVER

MICROSECONDS_A_DAY = 86_400_000_000


@dataclass(frozen=True)
class Words:
    """A text column as positions in a vocabulary; -1 is missing."""

    codes: NDArray[np.int64]
    vocabulary: Sequence[str]


Column = NDArray[Any] | Words
Columns = Mapping[str, Column]


def dates(days: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Days since 1970-01-01 as dates; `NEVER` is missing.

    >>> dates(np.array([0, NEVER])).tolist()
    [datetime.date(1970, 1, 1), None]
    """
    return np.where(days >= NEVER, np.datetime64("NaT", "D"), days.astype("datetime64[D]"))


def instants(days: NDArray[np.int64], seconds: NDArray[np.int64] | int) -> NDArray[np.datetime64]:
    """Seconds after midnight UTC of some days as timestamps; day `NEVER` is missing."""
    moments = (days * 86_400 + seconds).astype("datetime64[s]").astype("datetime64[us]")
    return np.where(days >= NEVER, np.datetime64("NaT", "us"), moments)


def working_seconds(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Seconds after midnight UTC, 10:00 to 15:59: the same local day from UTC-10 to UTC+8."""
    return rng.integers(10 * 3600, 16 * 3600, size)


def numbered(prefix: str, count: int) -> list[str]:
    """Ids of equal width.

    >>> numbered("A", 2)
    ['A-00001', 'A-00002']
    """
    width = max(5, len(str(count)))
    return [f"{prefix}-{number:0{width}d}" for number in range(1, count + 1)]


def take(columns: Columns, rows: NDArray[Any]) -> dict[str, Column]:
    """Pick rows (positions or a mask) of every column."""
    return {
        name: Words(column.codes[rows], column.vocabulary) if isinstance(column, Words) else column[rows]
        for name, column in columns.items()
    }


class TableWriter:
    """Write one Parquet file in pieces; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, columns: Columns) -> None:
        """Append rows; every piece has the same columns."""
        table = pa.table({name: _array(column) for name, column in columns.items()})
        if self._writer is None:
            # Without Arrow's own schema in the file a text column reads back as text, not as a dictionary.
            self._writer = pq.ParquetWriter(
                self.path, table.schema, compression="zstd", compression_level=1, store_schema=False
            )
        self._writer.write_table(table)
        self.rows += table.num_rows


def write_table(path: Path, columns: Columns) -> int:
    """Write one Parquet file and return its number of rows."""
    with TableWriter(path) as writer:
        writer.write(columns)
    return writer.rows


def _array(column: Column) -> pa.Array:
    if isinstance(column, Words):
        # A word that is twice in a dictionary makes Arrow write different bytes from run to run.
        position = {word: number for number, word in enumerate(dict.fromkeys(column.vocabulary))}
        of_word = np.array([position[word] for word in column.vocabulary], dtype=np.int32)
        missing = column.codes < 0
        indices = pa.array(of_word[np.where(missing, 0, column.codes)] if len(of_word) else column.codes, mask=missing)
        return pa.DictionaryArray.from_arrays(indices.cast(pa.int32()), pa.array(list(position), pa.string()))
    if isinstance(column, np.ma.MaskedArray):
        return pa.array(column.data, mask=np.ma.getmaskarray(column))
    if column.dtype.kind in "OU":
        return pa.array(column.tolist(), pa.string())
    return pa.array(column, from_pandas=True)
