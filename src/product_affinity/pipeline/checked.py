"""Where the results of a check lie: one folder a fingerprint, so that two commands never mix their tables.

``var/checks/<fingerprint>/`` holds ``facts`` and ``quarantine`` and is never changed once it is there. ``var/facts``
and ``var/quarantine`` are links to the last ones, each replaced in one step; a command reads the folder of the
fingerprint it checked, whatever another command does meanwhile.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from product_affinity.sources.opening import file_fingerprint

REPORT = "check.json"
FACTS, QUARANTINE = "facts", "quarantine"
_KEPT = 3


def facts_folder(var: Path, fingerprint: str) -> Path:
    """Return the folder of the facts that a check with this fingerprint wrote."""
    return _folder(var, fingerprint) / FACTS


def read_intact(var: Path, fingerprint: str) -> dict[str, Any] | None:
    """Return the report of facts with this fingerprint, or None where they are absent or not as written."""
    folder = facts_folder(var, fingerprint)
    try:
        content = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        intact = content["fingerprint"] == fingerprint and content["files"] == _fingerprints(folder)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if intact:
        _show(var, _folder(var, fingerprint), (FACTS, QUARANTINE))
    return content if intact else None


def keep(var: Path, workspace: Path, fingerprint: str, report: Mapping[str, Any], *, usable: bool) -> None:
    """Move what a check wrote into place and show it.

    Parameters
    ----------
    var : folder of everything generated.
    workspace : folder on the same disk with `facts` and `quarantine`; it is moved away.
    fingerprint : of everything the facts depend on.
    report : the check's report as JSON values.
    usable : whether the facts may be worked with; else only the quarantine is kept and shown.
    """
    if usable and read_intact(var, fingerprint):
        return  # another command checked the same sources meanwhile
    facts = workspace / FACTS
    if usable:
        content = {**report, "files": _fingerprints(facts)}
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
        (facts / REPORT).write_text(f"{text}\n", encoding="utf-8")
    else:
        shutil.rmtree(facts)
    final = _folder(var, fingerprint)
    final.parent.mkdir(exist_ok=True)
    if final.exists():
        # damaged, or of sources that could not be worked with: nobody reads it
        aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}")
        final.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    workspace.rename(final)
    _show(var, final, (FACTS, QUARANTINE) if usable else (QUARANTINE,))
    _drop_old(var)


def _folder(var: Path, fingerprint: str) -> Path:
    return var / "checks" / fingerprint[:16]


def _fingerprints(folder: Path) -> dict[str, str]:
    return {path.name: file_fingerprint(path) for path in sorted(folder.glob("*.parquet"))}


def _show(var: Path, folder: Path, names: tuple[str, ...]) -> None:
    """Let `var/<name>` show the folder's part, in one step."""
    for name in names:
        link, target = var / name, os.path.relpath(folder / name, var)
        if link.is_symlink() and str(link.readlink()) == target:
            continue
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # written by a version that kept no folder a fingerprint
        fresh = var / f".{name}.{secrets.token_hex(4)}"
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(link)


def _drop_old(var: Path) -> None:
    """Keep what is shown and the newest few: another command may still read the folder it checked."""
    shown = {(var / name).resolve().parent for name in (FACTS, QUARANTINE) if (var / name).exists()}
    folders = [path for path in (var / "checks").iterdir() if path.resolve() not in shown]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]:
        shutil.rmtree(folder, ignore_errors=True)
