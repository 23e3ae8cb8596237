"""The shipped catalogue, its launch dates, and the rules as arrays."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from product_affinity.demo import shift_catalog, write_catalog
from product_affinity.demo.clock import Clock, to_day
from product_affinity.demo.products import DEFAULT_MONTHS, DEFAULT_UNTIL, Products
from product_affinity.project.catalog import Catalog, Product, SellableTo
from product_affinity.project.reading import read_yaml, validate

from .conftest import TEMPLATE


def launches_within(catalog: Catalog, months: int, until: dt.date) -> list[str]:
    first = Clock.of(months, until).first
    return [p.product_id for p in catalog if p.launched_on and first < to_day(p.launched_on) < to_day(until)]


def test_the_shipped_catalogue_has_what_the_demo_needs(catalog):
    assert len(catalog) == 10
    assert launches_within(catalog, DEFAULT_MONTHS, DEFAULT_UNTIL) == [
        "customer_data_platform",
        "ai_assistant",
    ]
    assert 100 < (DEFAULT_UNTIL - catalog.product("ai_assistant").launched_on).days < 140
    assert sum(bool(product.sellable_to.segment) for product in catalog) == 1
    assert sum(bool(product.prerequisites) for product in catalog) == 1
    assert sum(product.list_arr_usd is None for product in catalog) == 1
    for product in catalog:
        for other in product.conflicts:
            assert product.product_id in catalog.product(other).conflicts, "both sides name the conflict"


@pytest.mark.parametrize(
    ("months", "until"),
    [
        (30, DEFAULT_UNTIL),
        (13, DEFAULT_UNTIL),
        (60, DEFAULT_UNTIL),
        (24, dt.date(2022, 2, 28)),
        (8, dt.date(2030, 7, 9)),
    ],
)
def test_the_same_products_launch_within_every_history(catalog, months, until):
    shifted = shift_catalog(catalog, months, until)
    inside = launches_within(shifted, months, until)
    assert {"customer_data_platform", "ai_assistant"} <= set(inside)
    assert months > 30 or len(inside) == 2
    assert all((p.launched_on + dt.timedelta(days=1)).day != 1 for p in shifted if p.launched_on)


def test_default_arguments_change_no_date(catalog):
    assert shift_catalog(catalog, DEFAULT_MONTHS, DEFAULT_UNTIL) == catalog


def test_writing_keeps_comments_and_changes_only_the_dates(catalog, tmp_path):
    source, target = TEMPLATE / "models" / "catalog.yml", tmp_path / "models" / "catalog.yml"
    shifted = shift_catalog(catalog, 13, DEFAULT_UNTIL)
    write_catalog(source, target, shifted)
    assert validate(Catalog, read_yaml(target), str(target)) == shifted
    comments = [line for line in source.read_text().splitlines() if line.strip().startswith("#")]
    assert comments
    assert [line for line in target.read_text().splitlines() if line.strip().startswith("#")] == comments


def test_allowed_follows_each_rule():
    products = Products.of(
        Catalog(
            products=(
                Product(product_id="base", name="Base"),
                Product(product_id="add_on", name="Add-on", prerequisites=("base",)),
                Product(product_id="rival", name="Rival", conflicts=("base",)),
                Product(product_id="large", name="Large", sellable_to=SellableTo(segment=("enterprise",))),
                Product(product_id="new", name="New", launched_on=dt.date(2026, 1, 10)),
            )
        )
    )
    owned = np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
    before, after = (products.allowed(owned, np.array([0, 2]), to_day(dt.date(2026, 1, day))) for day in (9, 10))
    assert before.astype(int).tolist() == [[0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]
    assert after.astype(int).tolist() == [[0, 1, 0, 0, 1], [1, 0, 1, 1, 1]]
