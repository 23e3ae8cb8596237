"""The files a new project starts from: the ones at the top of this repository, shipped inside the wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

import product_affinity
from product_affinity.errors import UsageError

FOLDERS = ("features", "models", "playbook")
# A clone looks at its own demo company; a project elsewhere has its data beside its settings.
CLONE_DATA, PROJECT_DATA = 'path = "var/demo/data"', 'path = "data"'
# Nobody's rows are held back unasked; the demo company's are, to show how effects are measured.
DEMO_MODE, PROJECT_MODE = 'mode = "on" ', 'mode = "off"'


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


def copy_template(folder: Path, *, is_demo: bool = False) -> None:
    """Make a new project folder.

    Parameters
    ----------
    folder : a new or empty folder.
    is_demo : whether the hold-back of the demo company stays on.

    Raises
    ------
    UsageError : the folder holds something already, or cannot be made.
    """
    make_folder(folder)
    if any(folder.iterdir()):
        raise UsageError(f"{folder}: not empty. Choose a new folder, or edit the project that is there.")
    source = template_folder()
    settings = (source / "affinity.toml").read_text("utf-8")
    changes = [(CLONE_DATA, PROJECT_DATA)] if is_demo else [(CLONE_DATA, PROJECT_DATA), (DEMO_MODE, PROJECT_MODE)]
    for clone, project in changes:
        if settings.count(clone) != 1:
            raise UsageError(f"{source}/affinity.toml: expected {clone} once; restore it to make projects")
        settings = settings.replace(clone, project)
    for name in FOLDERS:
        shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
    (folder / "affinity.toml").write_text(settings, "utf-8")
