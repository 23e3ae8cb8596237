"""Run the queries of families, one as-of date at a time, on relations that hold what was known then.

Under the name of a source table a query finds its usable rows with the columns of the schema, further columns of the
source, the local days of timestamps and `known_at`; closing columns are null while their date has not passed. Beside
them `rows` (what to compute for), `owned`, `products` and `adjacency`. When a row will be superseded is not among
the columns: it would tell of the future.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from product_affinity.contracts.facts import Facts, as_known, day_column, usable
from product_affinity.errors import ContractError, UsageError, did_you_mean
from product_affinity.features.keys import ACCOUNT_KEYS, PAIR_KEYS, FeatureRows
from product_affinity.features.overwritten import as_versioned
from product_affinity.features.tiles import source_relation
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily, QueryColumn
from product_affinity.project.feature_columns import column_name
from product_affinity.project.queries import AS_OF, tables_read, uses_as_of
from product_affinity.schema import KNOWN_AT, TABLES
from product_affinity.schema.sql import quote_name
from product_affinity.spine.accounts import PAID

_LISTS = ("solves", "core_features", "adjacent_features", "prerequisites", "conflicts")
_PRODUCTS = pa.schema(
    [
        ("product_id", pa.string()),
        ("name", pa.string()),
        ("category", pa.string()),
        ("list_arr_usd", pa.float64()),
        ("launched_on", pa.date32()),
        ("sunset_on", pa.date32()),
        *((name, pa.list_(pa.string())) for name in _LISTS),
    ]
)
_ADJACENCY = pa.schema(
    [(name, pa.string()) for name in ("product_id", "owned_product_id", "icp_overlap", "workflow_integration")]
    + [("quadrant", pa.string())]
)


def run_queries(
    facts: Facts, catalog: Catalog, families: tuple[FeatureFamily, ...], rows: FeatureRows
) -> dict[str, np.ndarray]:
    """Return the columns of all families' queries, in the order of their grain's rows.

    Needs the temporary tables of `keys.registered`.

    Parameters
    ----------
    facts : checked source tables.
    catalog : the products.
    families : families, with or without a query.
    rows : the feature rows.

    Raises
    ------
    UsageError : a query names a column there is none of, or its result has not the declared columns, their types,
        or at most one row for each row asked for.
    ContractError : a value of the data cannot be computed with.
    """
    asked = [family for family in families if family.query]
    if not asked:
        return {}
    columns = {
        column_name(family.family, name): _empty(declared, len(_grain_rows(family, rows)))
        for family in asked
        for name, declared in family.columns.items()
    }
    _register(facts, "fe_catalog", _catalog_table(catalog))
    _register(facts, "fe_adjacency", _adjacency_table(catalog))
    for t, as_of in enumerate(rows.as_ofs):
        held = _tables_with_rows(facts, {table for family in asked for table in _needed(family)}, as_of)
        for family in asked:
            keys = _grain_rows(family, rows)
            at = np.flatnonzero(keys["t"].to_numpy() == t)
            found = _placed(family, run_query(facts, family, as_of, t), keys.iloc[at])
            for name, declared in family.columns.items():
                if held.issuperset(declared.needs):
                    columns[column_name(family.family, name)][at] = found[name]
    for name in ("fe_catalog", "fe_adjacency"):
        facts.connection.execute(f"drop table {name}")
    return columns


def compile_query(facts: Facts, family: FeatureFamily, as_of: dt.date, t: int) -> str:
    """Put the relations as known at a date before a family's query.

    Parameters
    ----------
    facts : source tables, for their further columns.
    family : a family with a query.
    as_of : the date, position `t` among the dates of the feature rows.
    """
    query = str(family.query)
    known = {name: _relation(facts, family, name, as_of, t) for name in tables_read(query)}
    opening = ",\n".join(f"{name} as not materialized (\n    {sql}\n)" for name, sql in known.items())
    opening = f"with {opening}\n" if known else ""
    return f"{opening}select * from (\n{query.strip().rstrip(';')}\n) as computed"


def run_query(facts: Facts, family: FeatureFamily, as_of: dt.date, t: int) -> pd.DataFrame:
    """Run a family's query for one date and return what it gives, unchecked.

    Raises
    ------
    UsageError, ContractError : it cannot be run; the message names its place and the closest column.
    """
    parameters = {AS_OF: as_of} if uses_as_of(str(family.query)) else {}
    try:
        return facts.connection.execute(compile_query(facts, family, as_of, t), parameters).df()
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException) as error:
        raise ContractError(f"{family.query_place}: as of {as_of}: {_first_line(error)}") from None
    except duckdb.Error as error:
        raise UsageError(f"{family.query_place}: {_first_line(error)}{_closest(family, str(error))}") from None


def _needed(family: FeatureFamily) -> Iterator[str]:
    for declared in family.columns.values():
        yield from declared.needs


def _grain_rows(family: FeatureFamily, rows: FeatureRows) -> pd.DataFrame:
    return rows.account if family.grain == "account" else rows.pair


def _empty(declared: QueryColumn, size: int) -> np.ndarray:
    return np.full(size, None, dtype=object) if declared.unit == "category" else np.full(size, np.nan)


def _relation(facts: Facts, family: FeatureFamily, name: str, as_of: dt.date, t: int) -> str:
    """SQL of one relation a query may read."""
    if name in TABLES:
        return _known_table(facts, name, as_of)
    if name == "rows" and family.grain == "account":
        return (
            f"select a.account_id, date '{as_of}' as as_of from fe_spine as cell "
            f"join fe_accounts as a on a.code = cell.account where cell.t = {t}"
        )
    if name == "rows":
        return (
            f"select a.account_id, p.product_id, date '{as_of}' as as_of from fe_pairs as cell "
            "join fe_accounts as a on a.code = cell.account join fe_products as p on p.code = cell.k "
            f"where cell.t = {t}"
        )
    if name == "owned":
        return (
            f"select a.account_id, p.product_id, date '{as_of}' as as_of, cell.is_core from fe_owned as cell "
            "join fe_accounts as a on a.code = cell.account join fe_products as p on p.code = cell.k "
            f"where cell.t = {t}"
        )
    return "from fe_catalog" if name == "products" else "from fe_adjacency"


def _known_table(facts: Facts, name: str, as_of: dt.date) -> str:
    """SQL of a source table's usable rows as known at the date."""
    table, day = TABLES[name], f"date '{as_of}'"
    named = [column.name for column in table.columns]
    named += [day_column(column.name) for column in table.columns if column.kind == "timestamp"]
    known = [as_versioned(name, column, as_known(name, column, "f", day), "f") for column in named]
    columns = [f"{value} as {quote_name(column)}" for column, value in zip(named, known, strict=True)]
    columns += [f"f.{quote_name(column)}" for column in (*facts.extras[name], KNOWN_AT)]
    if name == "subscriptions":
        columns.append(f"{PAID.replace('sub.', 'f.')} as paid")
    return f"select {', '.join(columns)} from {source_relation(name)} as f where {usable('f', day)}"


def _placed(family: FeatureFamily, found: pd.DataFrame, keys: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """Check a result and lay it out over the rows asked for."""
    names = ACCOUNT_KEYS if family.grain == "account" else PAIR_KEYS
    _check_columns(family, found, names)
    index = pd.MultiIndex.from_frame(found[names].astype({"as_of": "datetime64[us]"}))
    wanted = pd.MultiIndex.from_frame(keys[names].astype({"as_of": "datetime64[us]"}))
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise UsageError(f"{family.query_place}: {_row(first)} comes {int((index == first).sum())} times; one row each")
    position = wanted.get_indexer(index)
    if (position < 0).any():
        stray = int((position < 0).sum())
        example = _row(index[int(np.argmin(position))])
        raise UsageError(f"{family.query_place}: {stray} rows were not asked for (first: {example}); select from rows")
    return {name: _column(family, name, found[name], position, len(wanted)) for name in family.columns}


def _row(key: tuple[object, ...]) -> str:
    *ids, day = key
    return f"{' × '.join(map(str, ids))} as of {pd.Timestamp(str(day)).date()}"


def _check_columns(family: FeatureFamily, found: pd.DataFrame, keys: list[str]) -> None:
    wanted, given = [*keys, *family.columns], [str(name) for name in found]
    for name in wanted:
        if name not in given:
            raise UsageError(f"{family.query_place}: column {name} is missing{did_you_mean(name, given)}")
    for name in given:
        if name not in wanted or given.count(name) > 1:
            raise UsageError(
                f"{family.query_place}: column {name} is not declared, once, in features/{family.family}.yml"
            )


def _column(family: FeatureFamily, name: str, values: pd.Series, position: np.ndarray, size: int) -> np.ndarray:
    declared = family.columns[name]
    placed = _empty(declared, size)
    # With nulls a column of booleans comes as objects.
    is_text = pd.api.types.infer_dtype(values, skipna=True) not in ("integer", "floating", "boolean")
    if declared.unit == "category":
        if not is_text and values.notna().any():
            raise UsageError(f"{family.query_place}: {name} is a number; cast it to varchar, or say another unit")
        placed[position] = values.astype(object).where(values.notna(), None)
        return placed
    if is_text and values.notna().any():
        raise UsageError(f"{family.query_place}: {name} is no number; cast it to double, or say unit: category")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    # Dividing by zero gives no number.
    placed[position] = np.where(np.isfinite(numbers), numbers, np.nan)
    return placed


def _tables_with_rows(facts: Facts, tables: set[str], as_of: dt.date) -> set[str]:
    """The tables that hold a usable row at the date."""
    day = f"date '{as_of}'"
    return {
        name
        for name in sorted(tables)
        if facts.connection.execute(f"select 1 from facts.{name} as f where {usable('f', day)} limit 1").fetchone()
    }


def _register(facts: Facts, name: str, table: pa.Table) -> None:
    facts.connection.register("fe_frame", table)
    facts.connection.execute(f"create or replace temp table {name} as from fe_frame")
    facts.connection.unregister("fe_frame")


def _catalog_table(catalog: Catalog) -> pa.Table:
    lines = [
        {name: getattr(product, name) for name in _PRODUCTS.names if name not in _LISTS}
        | {name: list(getattr(product, name)) for name in _LISTS}
        | {"category": product.category or None}
        for product in catalog
    ]
    return pa.Table.from_pylist(lines, schema=_PRODUCTS)


def _adjacency_table(catalog: Catalog) -> pa.Table:
    lines = [
        {
            "product_id": product.product_id,
            "owned_product_id": other,
            "icp_overlap": adjacency.icp_overlap,
            "workflow_integration": adjacency.workflow_integration,
            "quadrant": adjacency.quadrant,
        }
        for product in catalog
        for other, adjacency in product.adjacency.items()
    ]
    return pa.Table.from_pylist(lines, schema=_ADJACENCY)


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0].removeprefix("Binder Error: ")


def _closest(family: FeatureFamily, message: str) -> str:
    """The name that was meant: among those the engine offers, else among the columns of what the query reads."""
    named = re.search(r'(?:column (?:named )?|table )"([^"]+)" (?:not found|in)|column named "([^"]+)"', message)
    if not named:
        return ""
    offered = re.search(r"Candidate \w+: ?:? ?(.+)", message)
    names = [name.split(".")[-1] for name in re.findall(r'"([^"]+)"', offered[1])] if offered else []
    tables = [TABLES[name] for name in tables_read(str(family.query)) if name in TABLES]
    return did_you_mean(named[1] or named[2], names or sorted({name for table in tables for name in table.names}))
