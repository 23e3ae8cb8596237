from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from product_affinity.demo import write_demo
from product_affinity.project.catalog import Catalog
from product_affinity.project.reading import read_yaml, validate

TEMPLATE = Path(__file__).parents[2]
UNTIL = dt.date(2026, 6, 30)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    path = TEMPLATE / "models" / "catalog.yml"
    return validate(Catalog, read_yaml(path), str(path))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company large enough for every kind of row to occur."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, template=TEMPLATE, accounts=500, months=16, until=UNTIL, seed=3)
    return folder


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A company small enough for slow oracles, its history ending within a month."""
    folder = tmp_path_factory.mktemp("small")
    write_demo(folder, template=TEMPLATE, accounts=150, months=12, until=dt.date(2026, 6, 17), seed=5)
    return folder
