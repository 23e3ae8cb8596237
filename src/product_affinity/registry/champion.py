"""Which bundle is in use: pointers beside the stored bundles, moved atomically, with the reason written down.

::

    var/bundles/<version>/     stored bundles, never changed
    var/challenger             link to the bundle trained last
    var/champion               link to the bundle that scores
    var/champion.previous      link to the one before, for rollback
    var/promotions.jsonl       one line a move of the champion
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from product_affinity.errors import BundleError
from product_affinity.registry.bundle import Bundle, bundle_files, bundle_from, read_bundle
from product_affinity.registry.folder import (
    broken,
    partial_path,
    read_folder,
    sync_folder,
    version_of,
    write_file,
    write_folder,
)
from product_affinity.registry.lock import sole_writer

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

BUNDLES = "bundles"
CHAMPION = "champion"
PREVIOUS = "champion.previous"
CHALLENGER = "challenger"
PROMOTIONS = "promotions.jsonl"
_TARGET = re.compile(rf"{BUNDLES}/([0-9a-f]{{12}})")


def write_challenger(
    var: Path,
    *,
    classifiers: Mapping[int, PropensityClassifier],
    manifest: Mapping[str, object],
    metrics: Mapping[str, Any],
    card: str,
) -> Bundle:
    """Write a bundle under its version and make it the challenger; parameters as in `write_bundle`.

    Raises
    ------
    BundleError : the bundle cannot be written as asked.
    LockedError : another process moves a pointer of this project.
    """
    files = bundle_files(classifiers=classifiers, manifest=manifest, metrics=metrics, card=card)
    with sole_writer(_lock(var)):
        bundle = _stored(var, files)
        _move(var, CHALLENGER, bundle.version)
    return bundle


def latest_challenger(var: Path) -> Bundle:
    """Read the bundle trained last.

    Raises
    ------
    BundleError : there is none, or it is altered.
    """
    return _pointed_bundle(var, CHALLENGER, "no challenger: run `affinity train`")


def champion(var: Path) -> Bundle:
    """Read the bundle that scores.

    Raises
    ------
    BundleError : there is none, or it is altered.
    """
    return _pointed_bundle(var, CHAMPION, "no champion: run `affinity train` and `affinity promote`")


def install(var: Path, bundle_folder: Path, *, why: str, at: str) -> Bundle:
    """Store a bundle, make it the champion and write down why; repeating it changes nothing.

    A stop at any step leaves the old champion or the new one, both intact; the next run finishes the rest.

    Parameters
    ----------
    var : the project's folder of everything generated.
    bundle_folder : an intact bundle, stored already or not.
    why : the reason in words.
    at : as-of date of the promotion, ISO 8601; the library reads no clock.

    Raises
    ------
    BundleError : the bundle or the pointer is not usable.
    LockedError : another process moves a pointer of this project.
    """
    with sole_writer(_lock(var)):
        return _promoted(var, bundle_folder, why, at)


def rollback(var: Path, *, why: str, at: str) -> Bundle:
    """Make the previous champion the champion again; parameters as in `install`.

    Raises
    ------
    BundleError : there is no previous champion, or it is altered.
    LockedError : another process moves a pointer of this project.
    """
    with sole_writer(_lock(var)):
        previous = _pointed(var, PREVIOUS)
        if previous is None or previous == _pointed(var, CHAMPION):
            raise BundleError(f"{var / PREVIOUS}: no previous champion to go back to. Promote another bundle first.")
        return _promoted(var, var / BUNDLES / previous, why, at)


def _lock(var: Path) -> Path:
    return var / "registry.lock"


def _promoted(var: Path, bundle_folder: Path, why: str, at: str) -> Bundle:
    bundle = _stored(var, read_folder(bundle_folder.resolve()))
    current, recorded = _pointed(var, CHAMPION), _last_recorded(var / PROMOTIONS)
    if current != bundle.version:
        # the way back is laid before the step is taken
        if current is not None:
            _move(var, PREVIOUS, current)
        _move(var, CHAMPION, bundle.version)
    # Compared with the log, not with the pointer: a stop between the two is healed by the next run.
    if recorded != bundle.version:
        _record(var, bundle.version, why, at)
    return bundle


def _stored(var: Path, files: Mapping[str, bytes]) -> Bundle:
    target = var / BUNDLES / version_of(files)
    bundle = bundle_from(target, files)
    write_folder(target, files)
    return bundle


def _pointed(var: Path, pointer: str) -> str | None:
    link = var / pointer
    if not os.path.lexists(link):
        return None
    target = _TARGET.fullmatch(str(link.readlink())) if link.is_symlink() else None
    if target is None:
        raise BundleError(f"{link}: not a link to {BUNDLES}/<version>. Delete it and promote the bundle again.")
    return target[1]


def _pointed_bundle(var: Path, pointer: str, none: str) -> Bundle:
    version = _pointed(var, pointer)
    if version is None:
        raise BundleError(f"{var / pointer}: {none}")
    bundle = read_bundle(var / BUNDLES / version)
    if bundle.version != version:
        raise broken(bundle.folder, f"holds the bundle {bundle.version}, not {version}")
    return bundle


def _move(var: Path, pointer: str, version: str) -> None:
    partial = partial_path(var / pointer)
    try:
        partial.symlink_to(f"{BUNDLES}/{version}")
        partial.replace(var / pointer)
        sync_folder(var)
    finally:
        partial.unlink(missing_ok=True)


def _record(var: Path, version: str, why: str, at: str) -> None:
    log = var / PROMOTIONS
    entry = {"at": at, "version": version, "previous": _pointed(var, PREVIOUS), "why": why}
    line = json.dumps(entry, sort_keys=True, ensure_ascii=False) + "\n"
    write_file(log, (log.read_bytes() if log.exists() else b"") + line.encode())


def _last_recorded(log: Path) -> str | None:
    lines = log.read_bytes().rstrip(b"\n").split(b"\n") if log.exists() else [b""]
    if not lines[-1]:
        return None
    try:
        return str(json.loads(lines[-1])["version"])
    except (ValueError, LookupError, TypeError):
        raise BundleError(f"{log}: its last line is no promotion. Mend or move the file, then try again.") from None
