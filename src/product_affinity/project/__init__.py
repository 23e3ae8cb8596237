"""A project: its settings, catalogue and specifications, and the folder where everything generated goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily, feature_columns, load_families
from product_affinity.project.model_spec import ModelSpec, load_model_spec
from product_affinity.project.playbook import Gate, load_gates
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
    families : signal families of `features/`, in file-name order.
    model_spec : `models/defaults.yml`.
    gates : `playbook/gates.yml`, in the order of precedence.
    """

    root: Path
    settings: Settings
    catalog: Catalog
    families: tuple[FeatureFamily, ...]
    model_spec: ModelSpec
    gates: tuple[Gate, ...]

    @property
    def var(self) -> Path:
        """Folder of everything generated."""
        return self.root / "var"

    @property
    def source_path(self) -> Path:
        """The data folder or file of `[sources] path`, relative paths taken from the project's root."""
        return (self.root / self.settings.sources.path).resolve()


def load_project(root: Path) -> Project:
    """Read a project folder, all of it: a typo anywhere is told before anything is computed.

    Raises
    ------
    UsageError : a file is missing or says something it may not; every fault of a file at once.
    """
    root = root.resolve()
    settings = validate(Settings, read_toml(root / "affinity.toml"), "affinity.toml")
    catalog = validate(Catalog, read_yaml(root / "models" / "catalog.yml"), "models/catalog.yml")
    families = load_families(root / "features")
    columns = feature_columns(families)
    model_spec = load_model_spec(root / "models", catalog.product_ids, [c.name for c in columns if c.role == "offset"])
    gates = load_gates(root / "playbook", [c.name for c in columns if c.grain == "account" and c.kind == "number"])
    return Project(root, settings, catalog, families, model_spec, gates)
