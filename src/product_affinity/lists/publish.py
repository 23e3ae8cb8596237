"""Publish lists: a reader sees the old list or the new one, whole, whatever happens in between.

A list is written to a folder of its own under ``var/lists/.store/``, verified, and then shown by replacing one
symbolic link (``var/lists/<as_of>``), a single atomic step. ``var/lists/current`` moves last, and only forward.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from product_affinity.errors import RefusedError
from product_affinity.storage import sync

MANIFEST, SUCCESS = "manifest.json", "_SUCCESS"
FOLDER_MODE, FILE_MODE, PRIVATE_MODE = 0o750, 0o640, 0o600
# Arms of the hold-back: whoever reads them could act on them, and the measurement would be worthless.
# both tell who was held back: the log of draws, and the disposition of every pair
PRIVATE_FILES = frozenset({"measurement.parquet", "scores.parquet"})


def publish_lists(lists: Path, as_of: dt.date, write: Callable[[Path], Mapping[str, object]]) -> Path:
    """Write a list and show it atomically.

    Parameters
    ----------
    lists : `var/lists` of the project.
    as_of : date of the list.
    write : writes the files into the folder it is given and returns what the manifest says of them.

    Returns
    -------
    Path
        The published folder, `lists/<as_of>`.

    Raises
    ------
    RefusedError : what was written does not verify; nothing was published.
    """
    store = lists / ".store"
    store.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    draft = store / f"{as_of}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=FOLDER_MODE)
    said = write(draft)
    digest = _seal(draft, said)
    final = store / f"{as_of}.{digest[:12]}"
    if final.exists() and verify_list(final):
        # somebody worked inside the published folder: put it aside, and publish the list as it was computed
        shutil.rmtree(store / f"{as_of}.touched", ignore_errors=True)
        final.rename(store / f"{as_of}.touched")
    if final.exists():
        shutil.rmtree(draft)
    else:
        draft.rename(final)
    sync(store)
    faults = verify_list(final)
    if faults:
        raise RefusedError(f"list of {as_of} does not verify, nothing was published: {faults[0]}")
    _point(lists / str(as_of), final)
    _advance_current(lists, as_of)
    _drop_replaced(lists, as_of, final)
    return lists / str(as_of)


def verify_list(folder: Path) -> list[str]:
    """Return what is wrong with a published folder: missing or altered files, no seal; empty when all is well."""
    if not (folder / SUCCESS).exists():
        return [f"{folder.name}: no {SUCCESS}, the list is not complete"]
    text = (folder / MANIFEST).read_bytes()
    if (folder / SUCCESS).read_text("utf-8").strip() != hashlib.sha256(text).hexdigest():
        return [f"{folder.name}/{MANIFEST}: altered after it was published"]
    expected = json.loads(text)["checksums"]
    found = _checksums(folder)
    faults = [f"{folder.name}/{name}: missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{folder.name}/{name}: not in the manifest" for name in sorted(found.keys() - expected.keys())]
    faults += [
        f"{folder.name}/{name}: altered after it was published"
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]
    return faults


def _seal(folder: Path, said: Mapping[str, object]) -> str:
    """Write manifest and `_SUCCESS`, force everything to disk, return the manifest's digest."""
    manifest = {**said, "checksums": _checksums(folder)}
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / MANIFEST).write_text(text, "utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / SUCCESS).write_text(digest + "\n", "utf-8")
    for path in sorted(folder.rglob("*")):
        path.chmod(_mode(path))
        sync(path)
    sync(folder)
    return digest


def _mode(path: Path) -> int:
    if path.is_dir():
        return FOLDER_MODE
    return PRIVATE_MODE if path.name in PRIVATE_FILES else FILE_MODE


def _checksums(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.name not in (MANIFEST, SUCCESS)
    }


def _point(link: Path, target: Path) -> None:
    """Make `link` point to `target` in one step."""
    fresh = link.with_name(f".{link.name}.next")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)
    fresh.replace(link)
    sync(link.parent)


def _advance_current(lists: Path, as_of: dt.date) -> None:
    """Let `current` show the newest date; publishing an older one again leaves it alone."""
    current = lists / "current"
    if current.is_symlink() and current.readlink().name > str(as_of):
        return
    _point(current, lists / str(as_of))


def _drop_replaced(lists: Path, as_of: dt.date, shown: Path) -> None:
    """Remove earlier contents of the same date, which no link shows any more."""
    for path in (lists / ".store").glob(f"{as_of}.*"):
        if path != shown:
            shutil.rmtree(path, ignore_errors=True)
