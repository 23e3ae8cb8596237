"""One writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from product_affinity.errors import LockedError

WAIT_SECONDS = 30.0


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while the block runs, waiting up to `WAIT_SECONDS` for another process.

    Raises
    ------
    LockedError : another process still holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=WAIT_SECONDS)
    except Timeout:
        raise LockedError(
            f"{path}: held by another process for over {WAIT_SECONDS:g} seconds. Try again when it is done."
        ) from None
    try:
        yield
    finally:
        lock.release()
