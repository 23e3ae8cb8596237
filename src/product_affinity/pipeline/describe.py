"""`affinity features --explain COLUMN`: what one feature column is, how it is computed, and its values at a date."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from product_affinity.features import build_features
from product_affinity.features.describe import (
    QUANTILES,
    ColumnDescription,
    Spread,
    column_query,
    describe_values,
    find_column,
)
from product_affinity.pipeline.prepare import Progress, prepare
from product_affinity.project import Project
from product_affinity.project.feature_columns import FeatureColumn
from product_affinity.spine import build_pairs, build_spine

DIRECTIONS = {
    "up": "up: more of it never lowers a score (monotone constraint)",
    "down": "down: more of it never raises a score (monotone constraint)",
    "none": "none: the model may use it either way",
}


@dataclass(frozen=True)
class ColumnReport:
    """A description to read or to hand to a machine."""

    description: ColumnDescription

    def render(self) -> RenderableType:
        """Return text, the query and a table for the terminal."""
        told = self.description
        lines = Text("\n").join(Text.assemble((f"{name:<12}", "bold"), words) for name, words in self._facts())
        return Group(lines, Text(), Text(told.query), Text(), self._values())

    def to_json(self) -> dict[str, object]:
        """Return the same for machines; null where there is no number."""
        told, column = self.description, self.description.column
        return {
            "column": column.name,
            "family": column.family,
            "grain": column.grain,
            "as_of": str(told.as_of),
            "definition": column.definition,
            "built_on": dict(told.built_on),
            "unit": column.unit,
            "direction": column.direction,
            "role": column.role,
            "missing": column.missing,
            "reason": column.reason,
            "said": column.said,
            "sayable": column.sayable,
            "query": told.query,
            "overall": _spread_json(told.overall),
            "by_segment": {name: _spread_json(spread) for name, spread in told.by_segment.items()},
        }

    def _facts(self) -> Iterator[tuple[str, str]]:
        column = self.description.column
        yield "column", column.name
        yield "declared in", f"features/{column.family}.yml, {column.signal}"
        yield "is", column.definition
        for name, definition in self.description.built_on.items():
            yield "", f"{name}: {definition}"
        yield "one value", "an account" if column.grain == "account" else "an account and target product"
        yield "unit", column.unit
        yield "direction", DIRECTIONS[column.direction]
        yield "missing", column.missing
        yield "in words", _words(column)

    def _values(self) -> Table:
        told = self.description
        table = Table(title=f"values as of {told.as_of}")
        spreads = {"all": told.overall, **told.by_segment}
        names = ["segment", "rows", "coverage"]
        if told.column.kind == "category":
            names.append("most frequent")
        else:
            names += ["mean", "zero", *(f"{level:.0%}" for level in QUANTILES)]
        for name in names:
            table.add_column(name, justify="left" if name in ("segment", "most frequent") else "right")
        for name, spread in spreads.items():
            table.add_row(name, *_cells(told.column, spread))
        return table


def describe_column(
    project: Project, as_of: dt.date, column: str, *, progress: Progress, jobs: int = 2
) -> ColumnReport:
    """Build the features at `as_of` and describe one column.

    Parameters
    ----------
    project : the project.
    as_of : the date its values are shown of.
    column : name of a feature column.

    Raises
    ------
    UsageError : there is no such column; told before anything is computed, with the closest one.
    """
    found = find_column(project.families, column)
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    spine = build_spine(prepared.facts, project.settings.segments, [as_of])
    pairs = build_pairs(prepared.facts, project.catalog, project.model_spec, spine)
    progress(f"building features as of {as_of}")
    horizon = project.settings.time.horizon_days
    tables = build_features(prepared.facts, project.catalog, project.families, spine, pairs, horizon_days=horizon)
    query = column_query(prepared.facts, project.families, found, as_of)
    return ColumnReport(describe_values(project.families, found, tables, spine, as_of, query=query))


def _words(column: FeatureColumn) -> str:
    if column.reason is None:
        return "never said"
    return f"{column.reason} ({'may' if column.sayable else 'may not'} be said to the customer)"


def _cells(column: FeatureColumn, spread: Spread) -> Iterator[str]:
    yield f"{spread.rows:,}"
    yield _share(spread.coverage)
    if column.kind == "category":
        yield ", ".join(f"{word} {share:.0%}" for word, share in spread.shares.items())
        return
    yield _number(spread.mean)
    yield _share(spread.zeros)
    for level in QUANTILES:
        yield _number(spread.quantiles.get(level, math.nan))


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0%}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:,.4g}"


def _spread_json(spread: Spread) -> dict[str, object]:
    known = {"coverage": spread.coverage, "mean": spread.mean, "zeros": spread.zeros}
    return {
        "rows": spread.rows,
        **{name: None if math.isnan(value) else value for name, value in known.items()},
        "quantiles": {f"{level:g}": value for level, value in spread.quantiles.items()},
        "shares": dict(spread.shares),
    }
