"""The files a new project starts from: the ones at the top of this repository, shipped inside the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

import product_affinity
from product_affinity.errors import UsageError

FOLDERS = ("features", "models", "playbook")
CLONE_DATA, PROJECT_DATA = 'path = "var/demo/data"', 'path = "data"'


def template_folder() -> Path:
    """Return the folder that holds affinity.toml, features/, models/ and playbook/ to copy from.

    An installed wheel carries them beside the package; in a clone they are the clone's own.
    """
    package = Path(product_affinity.__file__).parent
    shipped = package / "template"
    return shipped if shipped.exists() else package.parent.parent


def make_folder(folder: Path) -> None:
    """Make a folder and the ones above it, if it is not there.

    Raises
    ------
    UsageError : it cannot be made; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made ({error.strerror}). Choose another folder.") from None


def copy_template(folder: Path) -> None:
    """Make a new project folder.

    Raises
    ------
    UsageError : the folder holds something already, or cannot be made.
    """
    make_folder(folder)
    if any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty. Choose a new folder, or edit the project that is there.")
    source = template_folder()
    settings = (source / "affinity.toml").read_text("utf-8")
    if settings.count(CLONE_DATA) != 1:
        raise UsageError(f"{source}/affinity.toml: expected the line {CLONE_DATA} once; restore it to make projects")
    for name in FOLDERS:
        shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
    # A clone looks at its own demo company; a project elsewhere has its data beside its settings.
    (folder / "affinity.toml").write_text(settings.replace(CLONE_DATA, PROJECT_DATA), "utf-8")
