"""Links that say which of the stored, never changed folders is in use; each moves by one rename."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from product_affinity.errors import BundleError
from product_affinity.registry.folder import partial_path, read_folder, version_of, write_folder
from product_affinity.storage import sync

VERSION = r"[0-9a-f]{12}"


def registry_lock(var: Path) -> Path:
    """Return the lock that whoever moves a pointer of a project holds."""
    return var / "registry.lock"


def pointed_version(link: Path, store: str) -> str | None:
    """Return the version a pointer shows, None where it was never set.

    Parameters
    ----------
    link : the pointer.
    store : name of the folder beside it that holds one folder a version.

    Raises
    ------
    BundleError : it leads elsewhere.
    """
    if not os.path.lexists(link):
        return None
    target = re.fullmatch(rf"{store}/({VERSION})", str(link.readlink())) if link.is_symlink() else None
    if target is None:
        raise BundleError(f"{link}: not a link to {store}/<version>. Delete it and promote the bundle again.")
    return target[1]


def move_pointer(link: Path, store: str, version: str) -> None:
    """Let a pointer show another version: a reader sees the old one or the new one."""
    partial = partial_path(link)
    try:
        partial.symlink_to(f"{store}/{version}")
        partial.replace(link)
        sync(link.parent)
    finally:
        partial.unlink(missing_ok=True)


def store_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder that is named by its version; a damaged one makes room, or training again could not mend it.

    Raises
    ------
    BundleError : a path is not allowed.
    """
    if folder.is_dir() and not folder.is_symlink():
        try:
            is_intact = version_of(read_folder(folder)) == folder.name
        except BundleError:
            is_intact = False
        if not is_intact:
            shutil.rmtree(folder)
    write_folder(folder, files)
