"""A threshold of the playbook: one bound for all rows, and other ones for segments and products."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.catalog import Segment
from product_affinity.project.reading import StrictModel


class ThresholdOverride(StrictModel):
    """Another bound for some rows; everything that is given must match, and the last match counts.

    Attributes
    ----------
    segment, product : which rows.
    bound : the bound for them, null to ask nothing of them.
    """

    segment: Segment | None = None
    product: str | None = None
    bound: float | None

    @model_validator(mode="after")
    def _for_something(self) -> ThresholdOverride:
        if self.segment is None and self.product is None:
            raise ValueError("give segment or product; for all rows change the bound itself")
        _check_bound(self.bound)
        return self


class Threshold(StrictModel):
    """A bound ≥ 0, written as a number, or as `{bound: 45, overrides: [{segment: smb, bound: 30}]}`.

    Attributes
    ----------
    bound : the bound for rows without an override; null where the rule is not asked.
    overrides : other bounds for segments and products.
    """

    bound: float | None = None
    overrides: tuple[ThresholdOverride, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _plain_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict | Threshold) else {"bound": value}

    @model_validator(mode="after")
    def _not_negative(self) -> Threshold:
        _check_bound(self.bound)
        return self

    def per_row(self, segments: pd.Series, products: pd.Series) -> npt.NDArray[np.float64]:
        """Return the bound of each row; NaN where nothing is asked.

        Parameters
        ----------
        segments, products : segment (null where unknown) and product_id of the rows, of equal length.

        >>> gap = Threshold.model_validate({"bound": 45, "overrides": [{"segment": "smb", "bound": 30}]})
        >>> gap.per_row(pd.Series(["smb", None]), pd.Series(["crm", "crm"])).tolist()
        [30.0, 45.0]
        """
        bounds = np.full(len(segments), np.nan if self.bound is None else self.bound)
        for override in self.overrides:
            matches = np.ones(len(bounds), dtype=bool)
            if override.segment is not None:
                matches &= segments.eq(override.segment).to_numpy(dtype=bool, na_value=False)
            if override.product is not None:
                matches &= products.eq(override.product).to_numpy(dtype=bool, na_value=False)
            bounds[matches] = np.nan if override.bound is None else override.bound
        return bounds


def _check_bound(bound: float | None) -> None:
    if bound is not None and not 0 <= bound < np.inf:
        raise ValueError(f"{bound:g} is no bound of 0 or more")


def unknown_products(spec: BaseModel, product_ids: Collection[str]) -> Iterator[str]:
    """Yield a fault for every override of a specification's thresholds that names an unknown product.

    Parameters
    ----------
    spec : a model with `Threshold` fields.
    product_ids : products of the catalogue.
    """
    for name, value in spec:
        for override in value.overrides if isinstance(value, Threshold) else ():
            if override.product is not None and override.product not in product_ids:
                closest = did_you_mean(override.product, product_ids)
                yield f"{name}.overrides: {override.product} is not in the catalogue{closest}"
