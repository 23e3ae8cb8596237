"""Files of built features: whole or not at all, checked when read, and never more than fit.

Each file carries its key and a checksum of its values, so that a damaged or foreign one is told from a good one and
built again. A file gets its name in one step, so processes that work side by side see all of it or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KEPT_BYTES = 2 * 1024**3
ABANDONED_SECONDS = 3600.0
_KEY, _CHECKSUM = b"product_affinity.key", b"product_affinity.sha256"

Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class CacheFolder:
    """A folder of Parquet files, each found by its key.

    Attributes
    ----------
    path : the folder; it is made when the first file is written.
    kept_bytes : size of all files above which those unused for the longest time are dropped.
    """

    path: Path
    kept_bytes: int = KEPT_BYTES

    def file(self, key: str) -> Path:
        """Return where the values of a key lie."""
        return self.path / f"{key}.parquet"

    def read(self, key: str, names: Sequence[str], rows: int) -> Values | None:
        """Return the values kept under a key, None where there are none that can be trusted.

        Parameters
        ----------
        key : of the values.
        names : columns wanted, in their order.
        rows : length of each.
        """
        path = self.file(key)
        try:
            table = pq.read_table(path, use_threads=False, partitioning=None)
            kept = table.schema.metadata or {}
            values = {name: _to_numpy(table.column(name)) for name in table.column_names}
            if kept.get(_KEY) != key.encode() or kept.get(_CHECKSUM) != checksum(values).encode():
                return None
            os.utime(path)
        except (OSError, ValueError, pa.ArrowException):
            # absent, dropped by another process meanwhile, or damaged: built again either way
            return None
        return values if list(values) == list(names) and table.num_rows == rows else None

    def write(self, key: str, values: Values) -> bool:
        """Keep values under a key; return whether that was possible.

        A disk that is full or cannot be written costs the next run some time and this one nothing.
        """
        arrays = {name: _to_arrow(array) for name, array in values.items()}
        metadata = {_KEY: key.encode(), _CHECKSUM: checksum(values).encode()}
        fresh = self.path / f".{key}.{secrets.token_hex(6)}"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(arrays, metadata=metadata), fresh, compression="zstd")
            fresh.replace(self.file(key))
        except OSError:
            with suppress(OSError):
                fresh.unlink()
            return False
        return True

    def drop_unused(self, used: Collection[str]) -> int:
        """Drop files, the longest unused first, until the others fit; return how many.

        Parameters
        ----------
        used : keys that stay whatever their size.
        """
        files = sorted(self._sizes().items(), key=lambda item: (item[1][0], item[0].name))
        newest = max((touched for touched, _ in (facts for _, facts in files)), default=0.0)
        total = sum(size for _, (_, size) in files)
        staying = {self.file(key) for key in used}
        dropped = 0
        for path, (touched, size) in files:
            abandoned = path.name.startswith(".") and touched < newest - ABANDONED_SECONDS
            if not abandoned and (total <= self.kept_bytes or path in staying or path.name.startswith(".")):
                continue
            with suppress(OSError):  # gone already, or not ours to remove
                path.unlink()
            total -= size
            dropped += 1
        return dropped

    def _sizes(self) -> Mapping[Path, tuple[float, int]]:
        """When each file was last used (seconds) and its bytes."""
        found = {}
        for path in self.path.glob("*") if self.path.is_dir() else ():
            try:
                status = path.stat()
            except FileNotFoundError:  # another process dropped it
                continue
            if path.suffix == ".parquet" or path.name.startswith("."):
                found[path] = (status.st_mtime, status.st_size)
        return found


def checksum(values: Values) -> str:
    """sha256 of names, types and values of columns, bit by bit.

    >>> a, b = np.array([1.0, np.nan]), np.array([1.0, 0.0])
    >>> checksum({"x": a}) == checksum({"x": a.copy()}), checksum({"x": a}) == checksum({"x": b})
    (True, False)
    """
    digest = hashlib.sha256()
    for name, array in values.items():
        digest.update(f"{name}|{array.dtype}|{len(array)}|".encode())
        if array.dtype == np.float64:
            digest.update(np.ascontiguousarray(array).data)
        else:
            digest.update(json.dumps(array.tolist()).encode())
    return digest.hexdigest()


def _to_arrow(array: np.ndarray) -> pa.Array:
    # NaN stays a NaN: a null would come back as one of another bit pattern
    return pa.array(array, from_pandas=False) if array.dtype == np.float64 else pa.array(array.tolist(), pa.string())


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy(), dtype=np.float64)
    words = np.empty(len(column), dtype=object)
    words[:] = column.to_pylist()
    return words
