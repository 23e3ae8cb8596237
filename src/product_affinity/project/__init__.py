"""A project: its settings, catalogue and specifications, and the folder where everything generated goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily, feature_columns, load_families
from product_affinity.project.model_spec import ModelSpec, load_model_spec
from product_affinity.project.playbook import Playbook, load_playbook
from product_affinity.project.reading import read_toml, read_yaml, validate
from product_affinity.project.settings import Settings

__all__ = ["Catalog", "FeatureFamily", "ModelSpec", "Project", "Settings", "load_project"]


@dataclass(frozen=True)
class Project:
    """One project folder, read and validated.

    Attributes
    ----------
    root : the folder that holds `affinity.toml`.
    settings : `affinity.toml`.
    catalog : `models/catalog.yml`.
    """

    root: Path
    settings: Settings
    catalog: Catalog

    @property
    def var(self) -> Path:
        """Folder of everything generated."""
        return self.root / "var"

    @cached_property
    def families(self) -> tuple[FeatureFamily, ...]:
        """Signal families of `features/`, in file-name order."""
        return load_families(self.root / "features")

    @cached_property
    def model_spec(self) -> ModelSpec:
        """`models/defaults.yml`."""
        offsets = [c.name for c in feature_columns(self.families) if c.role == "offset"]
        return load_model_spec(self.root / "models", self.catalog.product_ids, offsets)

    @cached_property
    def playbook(self) -> Playbook:
        """The motion: everything in `playbook/`."""
        return load_playbook(self.root / "playbook", self.catalog)

    @property
    def source_path(self) -> Path:
        """The data folder or file of `[sources] path`, relative paths taken from the project's root."""
        return (self.root / self.settings.sources.path).resolve()


def load_project(root: Path) -> Project:
    """Read a project folder.

    Raises
    ------
    UsageError : a file is missing or says something it may not; every fault of a file at once.
    """
    root = root.resolve()
    settings = validate(Settings, read_toml(root / "affinity.toml"), "affinity.toml")
    catalog = validate(Catalog, read_yaml(root / "models" / "catalog.yml"), "models/catalog.yml")
    project = Project(root, settings, catalog)
    # A check needs no features and training no playbook; but what is there is read now, so that a typo is
    # told before anything is computed.
    if (root / "features").is_dir():
        if (root / "models" / "defaults.yml").exists():
            _ = project.model_spec
        _ = project.families, project.playbook
    return project
