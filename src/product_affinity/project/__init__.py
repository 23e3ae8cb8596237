"""A project: its settings, catalogue and specifications, and the folder where everything generated goes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily, load_families
from product_affinity.project.model_spec import ModelSpec, load_model_spec
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
        return load_model_spec(self.root / "models", self.catalog.product_ids)

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
    settings_path = root / "affinity.toml"
    catalog_path = root / "models" / "catalog.yml"
    settings = validate(Settings, read_toml(settings_path), "affinity.toml")
    catalog = validate(Catalog, read_yaml(catalog_path), "models/catalog.yml")
    return Project(root, settings, catalog)
