"""Columns read from the spine and from the catalogue rather than from a source table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.features.keys import FeatureRows
from product_affinity.project.catalog import Catalog, Product
from product_affinity.project.families import FeatureFamily
from product_affinity.project.feature_columns import column_name
from product_affinity.project.signals import Signal


def describe_accounts(families: tuple[FeatureFamily, ...], spine: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the columns of `source: spine`, in the order of the spine's rows."""
    columns = {}
    for name, signal in _signals(families, "spine"):
        values = spine[str(signal.of)]
        if signal.unit == "category":
            columns[name] = values.astype(object).where(values.notna(), None).to_numpy()
        else:
            columns[name] = values.to_numpy(dtype=float, na_value=np.nan)
    return columns


def describe_targets(families: tuple[FeatureFamily, ...], catalog: Catalog, rows: FeatureRows) -> dict[str, np.ndarray]:
    """Return the columns of `source: catalog`, in the order of the pair rows."""
    target = rows.pair["k"].to_numpy()
    columns: dict[str, np.ndarray] = {}
    for name, signal in _signals(families, "catalog"):
        of = str(signal.of)
        if of == "category":
            columns[name] = np.array([p.category or None for p in catalog], dtype=object)[target]
        elif of == "list_arr_usd":
            prices = [np.nan if p.list_arr_usd is None else p.list_arr_usd for p in catalog]
            columns[name] = np.array(prices, dtype=float)[target]
        elif of == "launched_on":
            columns[name] = _days_since_launch(catalog, rows)
        else:
            columns[name] = _count_owned(catalog, rows, of.removeprefix("owned."))
    return columns


def _signals(families: tuple[FeatureFamily, ...], source: str) -> Iterator[tuple[str, Signal]]:
    for family in families:
        for name, signal in family.resolved():
            if signal.source == source:
                yield column_name(family.family, name, signal.ops[0]), signal


def _days_since_launch(catalog: Catalog, rows: FeatureRows) -> np.ndarray:
    launched = np.array([p.launched_on or "NaT" for p in catalog], dtype="datetime64[D]")
    as_ofs = np.array(rows.as_ofs, dtype="datetime64[D]")
    days = (as_ofs[rows.pair["t"]] - launched[rows.pair["k"]]).astype("timedelta64[D]")
    return np.where(np.isnat(days), np.nan, days.astype(float))


def _beside(relation: str) -> Callable[[Product, Product], bool]:
    """Whether an owned product stands in a relation to a target product."""
    if relation == "same_category":
        return lambda target, owned: bool(target.category) and target.category == owned.category
    if relation == "prerequisites":
        return lambda target, owned: owned.product_id in target.prerequisites
    return lambda target, owned: (
        owned.product_id in target.adjacency and target.adjacency[owned.product_id].quadrant == relation
    )


def _count_owned(catalog: Catalog, rows: FeatureRows, relation: str) -> np.ndarray:
    """Count the owned products in a relation to the target; missing where the catalogue is silent."""
    holds = _beside(relation)
    beside = np.array([[holds(target, owned) for owned in catalog] for target in catalog], dtype=float)
    silent: dict[str, Callable[[Any], bool]] = {
        "same_category": lambda p: not p.category,
        "prerequisites": lambda p: False,
    }
    unknown = np.array([silent.get(relation, lambda p: not p.adjacency)(p) for p in catalog])
    owned = np.zeros((len(rows.account), len(catalog)))
    owned[rows.owned["spine_row"], rows.owned["k"]] = 1
    target = rows.pair["k"].to_numpy()
    counts = np.einsum("ij,ij->i", owned[rows.pair["spine_row"]], beside[target])
    return np.where(unknown[target], np.nan, counts)
