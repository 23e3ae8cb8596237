"""`affinity features`: what the features look like at one date, and the proof that they see no future."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from functools import partial

import pandas as pd
from rich.table import Table

from product_affinity.contracts.facts import Facts
from product_affinity.features import build_features
from product_affinity.features.audit import AuditReport, replay
from product_affinity.features.unproven import unproven_columns
from product_affinity.pipeline.prepare import Progress, prepare
from product_affinity.pipeline.table import build_table
from product_affinity.project import Project
from product_affinity.rules import build_evidence
from product_affinity.rules.triggers import fire_triggers
from product_affinity.spine import build_pairs, build_spine
from product_affinity.spine.pairs import SCORED
from product_affinity.value import expected_arr

KEYS = ["account_id", "product_id", "as_of"]


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
    """Build all that is known at `as_of` from logs truncated there, and from scrambled ones, and compare.

    That is who is a customer, what may be sold to whom, every feature, expected ARR, the evidence that gates and
    readiness ask for, and the triggers.
    """
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    progress("replaying spine, pairs, every family and the motion's evidence from truncated and from scrambled logs")
    report = replay(prepared.facts, as_of, partial(known_at_date, project, as_of))
    return dataclasses.replace(report, unproven=unproven_columns(prepared.facts, project.families))


def known_at_date(project: Project, as_of: dt.date, facts: Facts) -> dict[str, pd.DataFrame]:
    """Build everything one date knows of customers, from facts: nothing may depend on what comes after it."""
    spine = build_spine(facts, project.settings.segments, [as_of])
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    features = build_features(
        facts, project.catalog, project.families, spine, pairs, horizon_days=project.settings.time.horizon_days
    )
    scored = pairs[pairs["status"].isin(SCORED)].merge(
        spine[["account_id", "as_of", "segment"]], on=["account_id", "as_of"], how="left", validate="m:1"
    )
    playbook = project.playbook
    return {
        "spine": spine,
        "pairs": pairs,
        "account features": features.account,
        "pair features": features.pair,
        "values": scored[KEYS].assign(expected_arr_usd=expected_arr(facts, project.catalog, scored, spine)),
        "evidence": build_evidence(facts, project.catalog, playbook.readiness, spine, scored),
        "triggers": fire_triggers(facts, project.catalog, playbook.triggers, scored),
    }
