"""Tell all there is to know of one feature column: its definition, the query behind it, and its values at a date."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.errors import UsageError, did_you_mean
from product_affinity.features.affinity import PAID_INTERVALS
from product_affinity.features.build import FeatureTables
from product_affinity.features.keys import ACCOUNT_KEYS
from product_affinity.features.queries import compile_query
from product_affinity.features.scans import Scan, plan_scans
from product_affinity.features.tiles import compile_scan
from product_affinity.project.families import FeatureFamily, derivations, feature_columns
from product_affinity.project.feature_columns import FeatureColumn
from product_affinity.project.signals import Encoding
from product_affinity.spine.accounts import PAID, RUNNING

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MOST_WORDS = 10
_SCAN_NOTE = (
    "-- fe_accounts, fe_products: codes of ids; fe_spine, fe_pairs, fe_owned: rows asked for; fe_dates: as-of dates;\n"
    "-- fe_days: per day the first as-of date after it and the last one whose window holds it"
)


_OWNED = f"""
select sub.account_id, sub.product_id
from facts.subscriptions as sub
cross join (select date '{{as_of}}' as as_of) as dates
where {usable("sub", "dates.as_of")} and {PAID}
group by all
having bool_or({RUNNING})
order by all"""


@dataclass(frozen=True)
class Spread:
    """How a column's values lie among some rows.

    Attributes
    ----------
    rows : number of rows.
    coverage : share of them with a value, 0–1; missing without rows.
    quantiles : of the values that are there, by level 0–1; empty without any, and for texts.
    mean : of the values; missing for texts.
    zeros : share of the values that are 0, 0–1; missing for texts.
    shares : of a text, its most frequent values and their share, 0–1.
    """

    rows: int
    coverage: float
    quantiles: Mapping[float, float] = field(default_factory=dict)
    mean: float = float("nan")
    zeros: float = float("nan")
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ColumnDescription:
    """One column at one date.

    Attributes
    ----------
    column : what it is, its words included.
    as_of : the date.
    query : the SQL, or in words what is computed where there is none.
    built_on : columns a derived one is computed from, with their definitions.
    overall : spread over all rows of its grain.
    by_segment : spread by segment, `unknown` where an account has none.
    """

    column: FeatureColumn
    as_of: dt.date
    query: str
    built_on: Mapping[str, str]
    overall: Spread
    by_segment: Mapping[str, Spread]


def find_column(families: tuple[FeatureFamily, ...], name: str) -> FeatureColumn:
    """Return the column called `name`.

    Raises
    ------
    UsageError : there is none; the message names the closest one.
    """
    columns = {c.name: c for c in feature_columns(families)}
    if name not in columns:
        raise UsageError(f"{name}: no such feature column{did_you_mean(name, columns)}")
    return columns[name]


def describe_values(
    families: tuple[FeatureFamily, ...],
    column: FeatureColumn,
    tables: FeatureTables,
    spine: pd.DataFrame,
    as_of: dt.date,
    *,
    query: str,
) -> ColumnDescription:
    """Describe a column from tables that were built at one date.

    Parameters
    ----------
    families : declared signals.
    column : one of their columns.
    tables : features at `as_of`.
    spine : accounts of that date with their segment.
    query : result of `column_query`.
    """
    frame = tables.account if column.grain == "account" else tables.pair
    segment = frame[ACCOUNT_KEYS].merge(spine[[*ACCOUNT_KEYS, "segment"]], on=ACCOUNT_KEYS, how="left", validate="m:1")
    values = frame[column.name].reset_index(drop=True)
    groups = values.groupby(segment["segment"].fillna("unknown").to_numpy(), sort=True)
    return ColumnDescription(
        column=column,
        as_of=as_of,
        query=query,
        built_on=_built_on(families, column),
        overall=spread_of(values),
        by_segment={str(name): spread_of(group) for name, group in groups},
    )


def spread_of(values: pd.Series) -> Spread:
    """Summarise a column; quantiles interpolate linearly between neighbours.

    >>> spread = spread_of(pd.Series([0.0, 1.0, 2.0, np.nan]))
    >>> spread.rows, spread.coverage, spread.mean, spread.quantiles[0.75]
    (4, 0.75, 1.0, 1.5)
    """
    known = values.dropna()
    coverage = len(known) / len(values) if len(values) else float("nan")
    if values.dtype != np.float64:
        counts = known.value_counts().rename_axis("word").reset_index(name="rows")
        counts = counts.sort_values(["rows", "word"], ascending=[False, True]).head(MOST_WORDS)
        shares = dict(zip(counts["word"], counts["rows"] / max(len(known), 1), strict=True))
        return Spread(len(values), coverage, shares=shares)
    if known.empty:
        return Spread(len(values), coverage)
    quantiles = dict(zip(QUANTILES, np.quantile(known, QUANTILES).tolist(), strict=True))
    return Spread(len(values), coverage, quantiles, float(known.mean()), float((known == 0).mean()))


def column_query(facts: Facts, families: tuple[FeatureFamily, ...], column: FeatureColumn, as_of: dt.date) -> str:
    """Return the SQL that computes one column at a date, or in words what is computed without any.

    Parameters
    ----------
    facts : checked source tables.
    families, column : declared signals, and one of their columns.
    as_of : the date.
    """
    family = next(f for f in families if f.family == column.family)
    if column.signal in family.columns:
        return compile_query(facts, family, as_of, 0)
    if column.signal in family.encodings:
        return f"-- {column.definition}\n{_learnt_from(family.encodings[column.signal], as_of)}"
    if column.signal in family.derived:
        return f"-- no query: arithmetic on other columns\n-- {column.definition}"
    source = dict(family.resolved())[column.signal].source
    if source in ("spine", "catalog"):
        told = "the account's row of the spine" if source == "spine" else "models/catalog.yml and what the account owns"
        return f"-- no query: from {told}\n-- {column.definition}"
    scans = _scans_of(facts, family, column)
    if not scans:
        return f"-- no query: there is no table {source}, so the column is missing"
    return f"{_SCAN_NOTE}\n" + "\n;\n".join(_written(scan, as_of) for scan in scans)


def _learnt_from(encoding: Encoding, as_of: dt.date) -> str:
    """The SQL of the facts a rate is learnt from, and what else it reads."""
    if encoding.form == "peers":
        given = " and ".join(encoding.given)
        return (
            f"-- learnt from what each customer owned at {as_of}, beside its {given} then{_OWNED.format(as_of=as_of)}"
        )
    return f"-- learnt from what of this was known before {as_of}{PAID_INTERVALS.rstrip()}"


def _scans_of(facts: Facts, family: FeatureFamily, column: FeatureColumn) -> list[Scan]:
    """The scans of one column: its own, or the two dates that a change compares."""
    wanted = (column.name, f"{column.name}:now", f"{column.name}:then")
    narrowed = [
        Scan(scan.reading, [measure for measure in scan.measures if measure.name in wanted])
        for scan in plan_scans((family,), facts)[0]
    ]
    return [scan for scan in narrowed if scan.measures]


def _written(scan: Scan, as_of: dt.date) -> str:
    day = as_of - dt.timedelta(days=scan.reading.shift_days)
    return compile_scan(scan, day, day)


def _built_on(families: tuple[FeatureFamily, ...], column: FeatureColumn) -> dict[str, str]:
    """Definitions of the columns a derived one is computed from, directly or by way of another."""
    steps = {step.column.name: step for step in derivations(families)}
    definitions = {c.name: c.definition for c in feature_columns(families)}
    found: dict[str, str] = {}
    ahead = [column.name]
    while ahead:
        step = steps.get(ahead.pop(0))
        for name in dict.fromkeys(step.names.values()) if step else ():
            if name not in found:
                found[name] = definitions[name]
                ahead.append(name)
    return found
