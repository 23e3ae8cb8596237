"""Which bundle is in use: pointers beside the stored bundles, moved atomically, with the reason written down.

::

    var/bundles/<version>/     stored bundles, never changed
    var/challenger             link to the bundle trained last
    var/champion               link to the bundle that scores
    var/champion.previous      link to the one before, for rollback
    var/promotions.jsonl       one line a move of the champion, and a refusal
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from product_affinity.errors import BundleError
from product_affinity.registry.bundle import Bundle, bundle_files, bundle_from, read_bundle
from product_affinity.registry.folder import broken, read_folder, version_of, write_file
from product_affinity.registry.lock import sole_writer
from product_affinity.registry.pointers import move_pointer, pointed_version, registry_lock, store_files

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

BUNDLES = "bundles"
CHAMPION = "champion"
PREVIOUS = "champion.previous"
CHALLENGER = "challenger"
PROMOTIONS = "promotions.jsonl"


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
    with sole_writer(registry_lock(var)):
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


def has_pointer(var: Path, pointer: str) -> bool:
    """Whether `CHAMPION`, `PREVIOUS` or `CHALLENGER` was ever set; `pointed_bundle` says whether it is intact."""
    return os.path.lexists(var / pointer)


def pointed_bundle(var: Path, pointer: str) -> Bundle:
    """Read the bundle behind `CHAMPION`, `PREVIOUS` or `CHALLENGER`.

    Raises
    ------
    BundleError : there is none, or it is altered.
    """
    return _pointed_bundle(var, pointer, "none yet")


def intact_champion(var: Path) -> Bundle | None:
    """Read the bundle that scores; None where there is none or it is damaged, so that it can be replaced."""
    try:
        return champion(var)
    except BundleError:
        return None


def champion_version(var: Path) -> str | None:
    """Version of the bundle that scores, unread; None where there is none.

    Raises
    ------
    BundleError : the pointer leads elsewhere.
    """
    return _pointed(var, CHAMPION)


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
    with sole_writer(registry_lock(var)):
        return _promoted(var, bundle_folder, why, at)


def rollback(var: Path, *, why: str, at: str) -> Bundle:
    """Make the previous champion the champion again; parameters as in `install`.

    Raises
    ------
    BundleError : there is no previous champion, or it is altered.
    LockedError : another process moves a pointer of this project.
    """
    with sole_writer(registry_lock(var)):
        current, previous = _pointed(var, CHAMPION), _pointed(var, PREVIOUS)
        undone = current if previous != current else _last_recorded(var)
        if previous is None or undone in (None, previous):
            raise BundleError(f"{var / PREVIOUS}: no previous champion to go back to. Promote another bundle first.")
        bundle = _pointed_bundle(var, PREVIOUS, "no previous champion")
        # The step back is taken before the way forward is laid: a stop between the two leaves both pointers on
        # the restored champion and the log on the one undone, from which the next run finishes.
        _move(var, CHAMPION, bundle.version)
        _move(var, PREVIOUS, str(undone))
        _record(var, bundle.version, why, at, event="rolled_back")
    return bundle


def record_refusal(var: Path, version: str, *, why: str, at: str) -> None:
    """Write down that a bundle was not promoted, once for the same reason and date.

    Raises
    ------
    LockedError : another process moves a pointer of this project.
    """
    with sole_writer(registry_lock(var)):
        entries = promotions(var)
        last = entries[-1] if entries else {}
        if (last.get("event"), last.get("version"), last.get("why"), last.get("at")) != ("refused", version, why, at):
            _record(var, version, why, at, event="refused")


def promotions(var: Path) -> list[dict[str, Any]]:
    """Return every move of the champion and every refusal, oldest first.

    Returns
    -------
    list of dict
        at (as-of date), event (promoted, rolled_back, refused), version, previous, why.

    Raises
    ------
    BundleError : the log is not readable.
    """
    log = var / PROMOTIONS
    lines = log.read_bytes().splitlines() if log.exists() else []
    try:
        entries = [json.loads(line) for line in lines]
        return [{"event": "promoted", **entry, "version": str(entry["version"])} for entry in entries]
    except (ValueError, LookupError, TypeError):
        raise BundleError(f"{log}: a line is no promotion. Mend or move the file, then try again.") from None


def _promoted(var: Path, bundle_folder: Path, why: str, at: str) -> Bundle:
    bundle = _stored(var, read_folder(bundle_folder.resolve()))
    current, recorded = _pointed(var, CHAMPION), _last_recorded(var)
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
    store_files(target, files)
    return bundle


def _pointed(var: Path, pointer: str) -> str | None:
    return pointed_version(var / pointer, BUNDLES)


def _pointed_bundle(var: Path, pointer: str, none: str) -> Bundle:
    version = _pointed(var, pointer)
    if version is None:
        raise BundleError(f"{var / pointer}: {none}")
    bundle = read_bundle(var / BUNDLES / version)
    if bundle.version != version:
        raise broken(bundle.folder, f"holds the bundle {bundle.version}, not {version}")
    return bundle


def _move(var: Path, pointer: str, version: str) -> None:
    move_pointer(var / pointer, BUNDLES, version)


def _record(var: Path, version: str, why: str, at: str, event: str = "promoted") -> None:
    log = var / PROMOTIONS
    entry = {"at": at, "event": event, "version": version, "previous": _pointed(var, PREVIOUS), "why": why}
    line = json.dumps(entry, sort_keys=True, ensure_ascii=False) + "\n"
    write_file(log, (log.read_bytes() if log.exists() else b"") + line.encode())


def _last_recorded(var: Path) -> str | None:
    moved = [entry["version"] for entry in promotions(var) if entry["event"] != "refused"]
    return moved[-1] if moved else None
