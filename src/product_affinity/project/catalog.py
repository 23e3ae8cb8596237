"""`models/catalog.yml`: the products, whom they are sold to, and how they fit together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.reading import StrictModel

Level = Literal["high", "low"]
Segment = Literal["smb", "mid_market", "enterprise"]
Quadrant = Literal["primary", "specialist", "problem_first", "net_new"]


class SellableTo(StrictModel):
    """Who may buy the product; an empty list allows everybody."""

    segment: tuple[Segment, ...] = ()
    region: tuple[str, ...] = ()
    industry: tuple[str, ...] = ()


class Adjacency(StrictModel):
    """How a product sits beside another one the customer owns (domain: ICP overlap × workflow integration)."""

    icp_overlap: Level
    workflow_integration: Level

    @property
    def quadrant(self) -> Quadrant:
        """The motion the pair of levels asks for.

        >>> Adjacency(icp_overlap="high", workflow_integration="low").quadrant
        'problem_first'
        """
        if self.workflow_integration == "high":
            return "primary" if self.icp_overlap == "high" else "specialist"
        return "problem_first" if self.icp_overlap == "high" else "net_new"


class Product(StrictModel):
    """One line of the catalogue.

    Attributes
    ----------
    product_id, name, category : key and words.
    list_arr_usd : list price a year, None for products without one.
    launched_on, sunset_on : first day it may be sold, first day it no longer may; None for always.
    prerequisites, conflicts : products that must, or must not, be owned.
    solves : problem tags the product answers.
    core_features, adjacent_features : features of this product that matter; features of *other* products
        whose use shows a need for this one.
    adjacency : per owned product, how this product sits beside it.
    implementation_slots_per_month : cap on new customers a month, None for no cap.
    """

    product_id: str = Field(min_length=1)
    name: str
    category: str = ""
    list_arr_usd: float | None = Field(default=None, ge=0)
    launched_on: dt.date | None = None
    sunset_on: dt.date | None = None
    sellable_to: SellableTo = SellableTo()
    prerequisites: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    solves: tuple[str, ...] = ()
    core_features: tuple[str, ...] = ()
    adjacent_features: tuple[str, ...] = ()
    adjacency: dict[str, Adjacency] = {}
    implementation_slots_per_month: int | None = Field(default=None, ge=0)


class Catalog(StrictModel):
    """The products in the order of the file; every product named anywhere must be in it."""

    products: tuple[Product, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Catalog:
        ids = [product.product_id for product in self.products]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"product_id {repeated[0]} appears twice")
        for product in self.products:
            for key in ("prerequisites", "conflicts", "adjacency"):
                for other in getattr(product, key):
                    if other == product.product_id:
                        raise ValueError(f"{product.product_id}.{key}: names the product itself")
                    if other not in ids:
                        raise ValueError(
                            f"{product.product_id}.{key}: {other} is not in the catalogue{did_you_mean(other, ids)}"
                        )
        return self

    @property
    def product_ids(self) -> tuple[str, ...]:
        """Ids in the order of the file."""
        return tuple(product.product_id for product in self.products)

    def __iter__(self) -> Iterator[Product]:  # type: ignore[override]  # iterating products, not pydantic's fields
        return iter(self.products)

    def __len__(self) -> int:
        return len(self.products)

    def product(self, product_id: str) -> Product:
        """Return the product called `product_id`.

        Raises
        ------
        KeyError : it is not in the catalogue; the message names the closest one.
        """
        for product in self.products:
            if product.product_id == product_id:
                return product
        raise KeyError(f"product {product_id} is not in the catalogue{did_you_mean(product_id, self.product_ids)}")
