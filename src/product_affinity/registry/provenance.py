"""Which code made a model."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GitState:
    """The project's code at the time of a run.

    Attributes
    ----------
    commit : full hash, or "unknown" outside a repository.
    is_dirty : whether tracked or new files differ from the commit; None when unknown.
    """

    commit: str = "unknown"
    is_dirty: bool | None = None


def read_git_state(root: Path) -> GitState:
    """Return commit and dirtiness of the repository around `root`; unknown without git or a commit."""
    git = shutil.which("git")
    if git is None:
        return GitState()
    commit = _output(git, root, "rev-parse", "HEAD")
    if commit is None:
        return GitState()
    changes = _output(git, root, "status", "--porcelain")
    return GitState(commit, None if changes is None else bool(changes))


def _output(git: str, root: Path, *arguments: str) -> str | None:
    # Fixed arguments and no shell: only the folder comes from outside.
    run = subprocess.run([git, "-C", str(root), *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    return run.stdout.strip() if run.returncode == 0 else None
