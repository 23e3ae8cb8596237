"""`models/*.yml`: shared training defaults and per-product overrides. Specs, never artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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


Share = Annotated[float, Field(ge=0, le=1)]
Margin = Annotated[float, Field(ge=0, le=1)]


class Bounds(StrictModel):
    """A range that a figure should lie in; above 0."""

    low: float = Field(gt=0)
    high: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        return self


class GateSpec(StrictModel):
    """What a challenger must show before it may score; `docs/promotion.md` explains every check.

    Attributes
    ----------
    n_resamples : of the account-clustered bootstrap behind every interval.
    min_adoptions : first-time adoptions in the test windows below which nothing can be judged.
    champion_margins : figure to how much worse than the champion's it may be.
    observed_over_expected, calibration_slope : bounds over all test pairs.
    group_observed_over_expected : bounds within each product and segment that has `min_test_positives`.
    min_top_overlap : share (0 to 1) of the champion's top list that must stay on the challenger's.
    top_share : share (0 to 1) of a product's pairs that is its top list.
    warn_gain_share, max_gain_share : share (0 to 1) of the trees' gain one feature may have before it is
        called suspicious, and before it is refused; more is let pass where the largest of so few features has it
        by chance.
    max_ap_ratio : average precision ÷ the champion's above which a gain is too good to be true.
    max_auc : AUC within products (0.5 to 1) above which it is too good to be true, champion or not.
    min_backtest_agreement : rank correlation (0 to 1) between the bundle and its backtest's last fold.
    max_age_days : days between the training's as-of date and that of the promotion.
    """

    n_resamples: int = Field(default=200, ge=20, le=10_000)
    min_adoptions: int = Field(default=30, ge=1)
    champion_margins: dict[Literal["log_loss_skill", "ap", "captured_at_k"], Margin] = {
        "log_loss_skill": 0.01,
        "ap": 0.01,
        "captured_at_k": 0.03,
    }
    observed_over_expected: Bounds = Bounds(low=0.8, high=1.25)
    calibration_slope: Bounds = Bounds(low=0.7, high=1.4)
    group_observed_over_expected: Bounds = Bounds(low=0.5, high=2.0)
    min_top_overlap: Share = 0.3
    top_share: float = Field(default=0.1, gt=0, le=1)
    warn_gain_share: Share = 0.25
    max_gain_share: Share = 0.5
    max_ap_ratio: float = Field(default=1.5, gt=1)
    max_auc: float = Field(default=0.95, gt=0.5, le=1)
    min_backtest_agreement: Share = 0.5
    max_age_days: int = Field(default=45, ge=1)

    @model_validator(mode="after")
    def _warned_before_refused(self) -> Self:
        if self.warn_gain_share > self.max_gain_share:
            raise ValueError(f"warn_gain_share {self.warn_gain_share:g} is above max_gain_share")
        return self


class ModelSpec(StrictModel):
    """`models/defaults.yml`.

    Attributes
    ----------
    label, estimator : shared by all products.
    min_test_positives : adoptions a product needs in the test windows before its figures enter a mean.
    gate : what a challenger must show before it may score.
    products : overrides by product_id.
    """

    label: LabelSpec = LabelSpec()
    estimator: EstimatorSpec = EstimatorSpec()
    min_test_positives: int = Field(default=20, ge=1)
    gate: GateSpec = GateSpec()
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
