"""`playbook/affinity.yml`: what is known of product affinities from outside, shown beside what was measured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.catalog import Catalog, Quadrant
from product_affinity.project.reading import StrictModel, read_spec


class ReferenceRate(StrictModel):
    """One row of the reference matrix.

    Attributes
    ----------
    owned, target : products.
    conversion_rate : share of opportunities won, 0–1.
    days_to_close : days from opening to close.
    """

    owned: str
    target: str
    conversion_rate: float = Field(ge=0, le=1)
    days_to_close: float | None = Field(default=None, gt=0)


class Band(StrictModel):
    """Range of a share, 0–1, both ends included."""

    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Band:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} lies above high {self.high:g}")
        return self


class AdjacencyThresholds(StrictModel):
    """Odds ratio above which data suggests "high".

    Attributes
    ----------
    icp_overlap_above : of owning the one product among owners of the other.
    workflow_integration_above : of adopting the one among heavy users of the other.
    """

    icp_overlap_above: float = Field(default=1.0, gt=0)
    workflow_integration_above: float = Field(default=1.5, gt=0)


class AffinityReference(StrictModel):
    """Everything in `playbook/affinity.yml`.

    Attributes
    ----------
    reference : known conversion rates and times to close.
    not_sold : products named there that are not in the catalogue.
    attach_bands : attach rate that each quadrant promises.
    adjacency : thresholds of the suggestion from data.
    """

    reference: tuple[ReferenceRate, ...] = ()
    not_sold: tuple[str, ...] = ()
    attach_bands: dict[Quadrant, Band] = {}
    adjacency: AdjacencyThresholds = AdjacencyThresholds()


def load_affinity_reference(folder: Path, catalog: Catalog) -> AffinityReference:
    """Read `playbook/affinity.yml`; an absent file means that nothing is known from outside.

    Parameters
    ----------
    folder : the project's `playbook/`.
    catalog : the products.

    Raises
    ------
    UsageError : a typo, a product that is neither in the catalogue nor declared as not sold, or a pair given
        twice; with the key and the closest match.
    """
    place = "playbook/affinity.yml"
    spec = read_spec(folder / "affinity.yml", AffinityReference, place)
    known, seen = (*catalog.product_ids, *spec.not_sold), set[tuple[str, str]]()
    for number, row in enumerate(spec.reference):
        for key, name in (("owned", row.owned), ("target", row.target)):
            if name not in known:
                raise UsageError(
                    f"{place}: reference.{number}.{key}: {name} is neither in the catalogue nor in not_sold"
                    f"{did_you_mean(name, known)}"
                )
        if (row.owned, row.target) in seen:
            raise UsageError(f"{place}: reference.{number}: {row.owned} → {row.target} is given twice")
        seen.add((row.owned, row.target))
    return spec
