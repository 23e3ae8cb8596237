"""The catalogue as the simulator needs it: launch dates inside the history, and rules as arrays."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML

from product_affinity.demo.clock import Clock, month_end, to_date, to_day
from product_affinity.project.catalog import Catalog

DEFAULT_MONTHS = 30
DEFAULT_UNTIL = dt.date(2026, 6, 30)
SEGMENTS = ("smb", "mid_market", "enterprise")
LATEST_LAUNCH_SHARE = 0.56


def shift_catalog(catalog: Catalog, months: int, until: dt.date) -> Catalog:
    """Move the launch dates so that those inside the default history fall inside this one.

    All dates move by the days between the two ends; a launch that would then precede a shorter history is
    moved to where 56 % of it remain. No launch falls on a month's last day, so that "launched" is never a
    matter of hours.

    Parameters
    ----------
    catalog : dates as in the shipped file, whose history is 30 months up to 2026-06-30.
    months : length of the demo's history, at least 1.
    until : its end.

    Examples
    --------
    >>> from product_affinity.project.catalog import Product
    >>> new = Catalog(products=(Product(product_id="a", name="A", launched_on=dt.date(2025, 2, 10)),))
    >>> shift_catalog(new, 30, dt.date(2026, 6, 30)).products[0].launched_on
    datetime.date(2025, 2, 10)
    >>> shift_catalog(new, 13, dt.date(2026, 6, 30)).products[0].launched_on
    datetime.date(2025, 11, 21)
    """
    products = tuple(
        product.model_copy(update={"launched_on": _shifted(product.launched_on, months, until)})
        for product in catalog.products
    )
    return catalog.model_copy(update={"products": products})


def _shifted(launched_on: dt.date | None, months: int, until: dt.date) -> dt.date | None:
    if launched_on is None:
        return None
    shifted = launched_on + (until - DEFAULT_UNTIL)
    if launched_on > to_date(Clock.of(DEFAULT_MONTHS, DEFAULT_UNTIL).first):
        length = Clock.of(months, until).until - Clock.of(months, until).first
        shifted = max(shifted, until - dt.timedelta(days=int(length * LATEST_LAUNCH_SHARE)))
    return shifted - dt.timedelta(days=1) if shifted in (month_end(shifted), until) else shifted


def write_catalog(source: Path, target: Path, catalog: Catalog) -> None:
    """Write `source` to `target` with the launch dates of `catalog`; comments and order stay as they are.

    Parameters
    ----------
    source : a `catalog.yml` with the products of `catalog`.
    target : file to write, may be `source`.
    catalog : result of `shift_catalog`.
    """
    yaml = YAML()
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    content = yaml.load(source.read_text(encoding="utf-8"))
    for entry in content["products"]:
        launched_on = catalog.product(str(entry["product_id"])).launched_on
        if launched_on is not None:
            entry["launched_on"] = launched_on
    text = io.StringIO()
    yaml.dump(content, text)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text.getvalue(), encoding="utf-8")


@dataclass(frozen=True)
class Products:
    """The catalogue as arrays, products in the order of the file.

    Attributes
    ----------
    catalog : what the arrays were made of.
    launched : first day each product may be sold.
    sold_to : segment × product, whether the segment may buy it.
    requires : product × product, row needs column to be owned.
    excludes : product × product, symmetric: never both.
    one_time : bought once for a term of 365 days, has no ARR (the catalogue gives no list price).
    price : list ARR in USD, 0 for one-time products.
    protected : never dropped by itself, because another product needs it or it is one-time.
    """

    catalog: Catalog
    launched: NDArray[np.int64]
    sold_to: NDArray[np.bool_]
    requires: NDArray[np.bool_]
    excludes: NDArray[np.bool_]
    one_time: NDArray[np.bool_]
    price: NDArray[np.float64]

    @classmethod
    def of(cls, catalog: Catalog) -> Products:
        """Read the rules out of a catalogue."""
        ids = catalog.product_ids
        requires = np.array([[other in product.prerequisites for other in ids] for product in catalog])
        excludes = np.array([[other in product.conflicts for other in ids] for product in catalog])
        return cls(
            catalog=catalog,
            launched=np.array([to_day(product.launched_on or dt.date(1970, 1, 1)) for product in catalog]),
            sold_to=np.array(
                [
                    [not product.sellable_to.segment or segment in product.sellable_to.segment for product in catalog]
                    for segment in SEGMENTS
                ]
            ),
            requires=requires,
            excludes=excludes | excludes.T,
            one_time=np.array([product.list_arr_usd is None for product in catalog]),
            price=np.array([product.list_arr_usd or 0.0 for product in catalog]),
        )

    def __len__(self) -> int:
        return len(self.launched)

    @property
    def ids(self) -> tuple[str, ...]:
        """Product ids in the order of the file."""
        return self.catalog.product_ids

    @property
    def protected(self) -> NDArray[np.bool_]:
        """Products that are never dropped by themselves."""
        return self.requires.any(axis=0) | self.one_time

    def allowed(self, owned: NDArray[np.bool_], segment: NDArray[np.int64], day: int) -> NDArray[np.bool_]:
        """Accounts × products that may be bought: launched, sellable, prerequisites held, no conflict, not
        owned.

        Parameters
        ----------
        owned : accounts × products in use.
        segment : per account, position in `SEGMENTS`.
        day : the day of the question.
        """
        held = ~(~owned @ self.requires.T)
        conflict = owned @ self.excludes
        return ~owned & held & ~conflict & self.sold_to[segment] & (self.launched <= day)

    def conflicts(self) -> list[tuple[int, int]]:
        """Conflicting products as pairs of positions, the earlier in the catalogue first."""
        rows, columns = np.nonzero(np.triu(self.excludes))
        return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True)]
