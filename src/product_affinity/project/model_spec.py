"""`models/*.yml`: shared training defaults and per-product overrides. Specs, never artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.reading import StrictModel, read_yaml, validate

Candidate = Literal["pooled", "heads", "ridge"]


class EstimatorSpec(StrictModel):
    """How the propensity classifier is built.

    Attributes
    ----------
    candidates : models that are blended.
    n_seeds : bagged fits a model; more is steadier and slower.
    random_state : seed of everything random.
    offset : feature column with base-rate log-odds, or None.
    """

    candidates: tuple[Candidate, ...] = ("pooled", "heads", "ridge")
    n_seeds: int = Field(default=3, ge=1, le=20)
    random_state: int = 0
    offset: str | None = None


class LabelSpec(StrictModel):
    """What counts as an adoption and who is eligible for one.

    Attributes
    ----------
    winback_after_days : days since the product was dropped from which a new start is a win-back.
    pending_days : days a closed-won deal without a start counts as pending.
    """

    winback_after_days: int = Field(default=90, ge=1)
    pending_days: int = Field(default=180, ge=0)


class ProductSpec(StrictModel):
    """What differs for one product; None keeps the shared value."""

    label: LabelSpec | None = None


class ModelSpec(StrictModel):
    """`models/defaults.yml`.

    Attributes
    ----------
    label, estimator : shared by all products.
    min_test_positives : adoptions a product needs in the test windows before its figures enter a mean.
    products : overrides by product_id.
    """

    label: LabelSpec = LabelSpec()
    estimator: EstimatorSpec = EstimatorSpec()
    min_test_positives: int = Field(default=20, ge=1)
    products: dict[str, ProductSpec] = {}

    def label_of(self, product_id: str) -> LabelSpec:
        """Return the shared label rules with what the product says of its own."""
        override = self.products.get(product_id)
        if override is None or override.label is None:
            return self.label
        return self.label.model_copy(update=override.label.model_dump(exclude_unset=True))


def load_model_spec(folder: Path, product_ids: tuple[str, ...], offsets: list[str]) -> ModelSpec:
    """Read `models/defaults.yml`; products and offset it names must be in the catalogue and the features.

    Parameters
    ----------
    folder : the project's `models/`.
    product_ids : of the catalogue.
    offsets : names of the feature columns with role offset.

    Raises
    ------
    UsageError : the file is missing or says something it may not.
    """
    spec = validate(ModelSpec, read_yaml(folder / "defaults.yml"), "models/defaults.yml")
    offset = spec.estimator.offset
    if offset is not None and offset not in offsets:
        known = did_you_mean(offset, offsets) if offsets else " (features/ declares none)"
        raise UsageError(f"models/defaults.yml: estimator.offset: no feature column {offset} with role offset{known}")
    for product_id in spec.products:
        if product_id not in product_ids:
            raise UsageError(
                f"models/defaults.yml: products.{product_id}: not in models/catalog.yml"
                f"{did_you_mean(product_id, product_ids)}"
            )
    return spec
