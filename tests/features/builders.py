"""Families, spines and pairs written out by hand, so that a test says only what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.features import FeatureTables, build_features, tiles
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily
from product_affinity.project.reading import validate
from tests.company import catalog

DESCRIBED = {"unit": "things", "missing": "unknown", "direction": "none", "reason": "none"}


def family(name: str, *, grain: str = "account", source: str | None = None, **parts: object) -> FeatureFamily:
    """A family whose signals need not describe themselves."""
    filled = {
        part: {key: DESCRIBED | dict(value) for key, value in declared.items()}
        if isinstance(declared, Mapping)
        else declared
        for part, declared in parts.items()
    }
    return validate(FeatureFamily, {"family": name, "grain": grain, "source": source, **filled}, f"features/{name}.yml")


def spine_of(accounts: Sequence[str], as_ofs: Sequence[str], **columns: Sequence[object]) -> pd.DataFrame:
    """Every account at every date."""
    rows = [(account, pd.Timestamp(day)) for day in as_ofs for account in accounts]
    frame = pd.DataFrame(rows, columns=["account_id", "as_of"])
    defaults = {name: None for name in ("segment", "industry", "region", "country")} | {"arr_usd": 1000.0}
    return frame.assign(**(defaults | {k: list(v) * len(as_ofs) for k, v in columns.items()}))


def pairs_of(
    spine: pd.DataFrame,
    products: Sequence[str],
    owned: Mapping[str, Iterable[str]],
    barred: Iterable[str] = (),
) -> pd.DataFrame:
    """Every account × product of a spine: owned as told, `barred` not eligible, the rest white space."""
    barred = set(barred)
    rows = [
        (
            row.account_id,
            product,
            row.as_of,
            "owned"
            if product in owned.get(row.account_id, ())
            else "not_eligible"
            if product in barred
            else "white_space",
        )
        for row in spine.itertuples()
        for product in products
    ]
    frame = pd.DataFrame(rows, columns=["account_id", "product_id", "as_of", "status"])
    return frame.assign(is_winback=False)


def build(
    facts: Facts,
    *families: FeatureFamily,
    as_ofs: Sequence[str],
    accounts: Sequence[str] = ("A",),
    products: Sequence[str] = ("crm", "chat"),
    owned: Mapping[str, Iterable[str]] | None = None,
    catalogue: Catalog | None = None,
    **columns: Sequence[object],
) -> FeatureTables:
    """Build families for every account at every date; all accounts own every product unless told."""
    spine = spine_of(accounts, as_ofs, **columns)
    held = {account: products for account in accounts} if owned is None else owned
    pairs = pairs_of(spine, products, held)
    return build_features(facts, catalogue or catalog(*products), families, spine, pairs)


def value(tables: FeatureTables, column: str, as_of: str, account: str = "A", product: str | None = None) -> object:
    """One cell of the table the column is in."""
    frame = tables.account if product is None else tables.pair
    rows = frame[(frame["account_id"] == account) & (frame["as_of"] == pd.Timestamp(as_of))]
    if product is not None:
        rows = rows[rows["product_id"] == product]
    return rows[column].item()


def read_carelessly(monkeypatch: pytest.MonkeyPatch, careless: dict[str, str]) -> None:
    """Let features be read by other days than the right ones."""
    rows = tiles._rows

    def misread(*scan: object) -> str:
        sql = rows(*scan)
        for right, wrong in careless.items():
            sql = sql.replace(right, wrong)
        return sql

    monkeypatch.setattr(tiles, "_rows", misread)
