"""`affinity features`: what the features look like at one date, and the proof that they see no future."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd
from rich.table import Table

from product_affinity.features.audit import AuditReport, audit
from product_affinity.pipeline.prepare import Progress, prepare
from product_affinity.pipeline.table import build_table
from product_affinity.project import Project
from product_affinity.spine import build_pairs, build_spine


@dataclass(frozen=True)
class FeatureSummary:
    """Coverage of every feature column at one date.

    Attributes
    ----------
    as_of : the date.
    rows : number of white-space and in-pipeline pairs.
    columns : column, unit, coverage (share of rows with a value), mean, minimum, maximum.
    """

    as_of: dt.date
    rows: int
    columns: pd.DataFrame

    def render(self) -> Table:
        """Return a table for the terminal."""
        table = Table(title=f"{len(self.columns)} feature columns of {self.rows:,} pairs as of {self.as_of}")
        for name in ("column", "unit"):
            table.add_column(name)
        for name in ("coverage", "mean"):
            table.add_column(name, justify="right")
        for column, unit, coverage, mean in self.columns.to_numpy():
            table.add_row(column, unit, f"{coverage:.0%}", "" if mean != mean else f"{mean:,.4g}")
        return table

    def to_json(self) -> dict[str, object]:
        """Return the same for machines."""
        columns = self.columns.astype(object).where(self.columns.notna(), None)
        return {"as_of": str(self.as_of), "rows": self.rows, "columns": columns.to_dict("records")}


def describe_features(project: Project, as_of: dt.date, *, progress: Progress, jobs: int = 2) -> FeatureSummary:
    """Build all features at `as_of` and summarise them."""
    table = build_table(prepare(project, as_of, jobs=jobs, progress=progress), [as_of], progress=progress)
    numbers = table.rows[[c.name for c in table.columns if c.kind == "number"]]
    summary = pd.DataFrame(
        {
            "column": [c.name for c in table.columns],
            "unit": [c.unit for c in table.columns],
            "coverage": [float(table.rows[c.name].notna().mean()) for c in table.columns],
        }
    )
    summary["mean"] = summary["column"].map(numbers.mean())
    return FeatureSummary(as_of, len(table.rows), summary)


def audit_features(project: Project, as_of: dt.date, *, progress: Progress, jobs: int = 2) -> AuditReport:
    """Rebuild the features from logs truncated at `as_of` and compare: the replay audit."""
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    spine = build_spine(prepared.facts, project.settings.segments, [as_of])
    pairs = build_pairs(prepared.facts, project.catalog, project.model_spec, spine)
    progress("replaying every family from truncated and from scrambled logs")
    return audit(prepared.facts, project.catalog, project.families, spine, pairs, as_of)
