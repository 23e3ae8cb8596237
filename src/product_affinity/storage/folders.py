"""Durable files and folders."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Force a file's content, or the names inside a folder, to disk: a rename then survives a power cut.

    Raises
    ------
    OSError : the path does not exist or cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
