"""`affinity report`: what the rules, affinities, adjacencies and lists were measured to be worth."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Sequence

import pandas as pd

from product_affinity.lists import PublishedList, published_before
from product_affinity.lists.files import MEASUREMENT
from product_affinity.lists.worklist import play_id
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.table import training_dates
from product_affinity.project import Project
from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS
from product_affinity.project.playbook.readiness import ReadinessSpec
from product_affinity.reports import (
    Measured,
    build_happened,
    learn_affinity,
    learn_points,
    load_affinity_reference,
    measure_effect,
    measure_rules,
    measure_values,
    read_plays,
    suggest_adjacency,
    write_report,
)
from product_affinity.rules import answer_gates, answer_readiness, build_evidence
from product_affinity.spine import build_pairs, build_spine
from product_affinity.spine.pairs import SCORED

KEYS = ["account_id", "product_id", "as_of"]


def report_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Measure everything at one date and write `var/reports/<as_of>/`, which appears whole or not at all.

    Raises
    ------
    ContractError, FreshnessError : the sources cannot be used.
    UsageError : `playbook/affinity.yml` has a typo.
    """
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    measured = measure(prepared, progress=progress)
    folder = project.var / "reports" / str(as_of)
    draft = folder.with_name(f".{as_of}.{os.getpid()}")
    draft.mkdir(parents=True)
    write_report(draft, measured)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return f"measured {folder}: open report.md; one CSV a table beside it"


def measure(prepared: Prepared, *, progress: Progress) -> Measured:
    """Measure rules, affinities, adjacencies and the effect of the lists from what was known at the date."""
    project, facts, as_of = prepared.project, prepared.facts, prepared.as_of
    playbook, time = project.playbook, project.settings.time
    progress("building the history of evidence")
    spine = build_spine(facts, project.settings.segments, training_dates(prepared))
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    rows = pairs[pairs["status"].isin(SCORED)].reset_index(drop=True)
    evidence = build_evidence(facts, project.catalog, playbook.readiness, spine, rows, for_learning=True)
    readiness = answer_readiness(playbook.readiness, evidence, tables=facts.present)
    progress("looking what happened")
    happened = build_happened(
        facts, rows, horizon_days=time.horizon_days, maturity_days=time.maturity_days, observed_until=as_of
    )
    earlier = published_before(project.var / "lists", as_of)
    plays = read_plays(
        facts,
        horizon_days=time.horizon_days,
        maturity_days=time.maturity_days,
        observed_until=as_of,
        logged=_drawn(earlier),
    )
    adopted = rows[KEYS].assign(adopted=happened["adopted"])
    by_pair = pairs[KEYS].merge(adopted, on=KEYS, how="left", validate="1:1")["adopted"].set_axis(pairs.index)
    reference = load_affinity_reference(project.root / "playbook", project.catalog)
    progress("measuring")
    return Measured(
        as_of=as_of,
        horizon_days=time.horizon_days,
        rules=measure_rules(readiness.measured, rows, happened),
        gates=measure_rules(answer_gates(playbook.gates, evidence, tables=facts.present), rows, happened),
        values=measure_values(evidence, _compared(playbook.readiness), rows, happened),
        points=learn_points(readiness.measured, _points(playbook.readiness), rows, happened["adopted"]),
        affinity=learn_affinity(facts, project.catalog, reference, as_of),
        adjacency=suggest_adjacency(facts, project.catalog, spine, pairs, by_pair, reference.adjacency),
        effect=measure_effect(plays, mode=project.settings.measurement.mode, scores=_published_scores(earlier)),
    )


def _points(readiness: ReadinessSpec) -> dict[str, float]:
    return {criterion.code: criterion.points for criterion in readiness.scorecard.criteria}


def _compared(readiness: ReadinessSpec) -> list[str]:
    """Number columns that the criteria compare with a bound, each once."""
    names = [c.column for criterion in readiness.criteria for c in criterion.conditions if c.column is not None]
    return [name for name in dict.fromkeys(names) if EVIDENCE_COLUMNS[name].is_number]


def _drawn(earlier: Sequence[PublishedList]) -> pd.DataFrame | None:
    """Draws of the published lists as plays; a pair that was held back gets the id its play would have."""
    frames = []
    for one in earlier:
        path = one.folder / MEASUREMENT if one.folder is not None else None
        if path is None or not path.exists():
            continue
        draws = pd.read_parquet(path).merge(
            one.worklist[["account_id", "product_id", "play_id"]],
            on=["account_id", "product_id"],
            how="left",
            validate="m:1",
        )
        would_be = [play_id(a, p, one.as_of) for a, p in zip(draws["account_id"], draws["product_id"], strict=True)]
        draws["play_id"] = draws["play_id"].fillna(pd.Series(would_be, index=draws.index, dtype="str"))
        frames.append(draws.assign(as_of=pd.Timestamp(one.as_of)))
    return pd.concat(frames, ignore_index=True) if frames else None


def _published_scores(earlier: Sequence[PublishedList]) -> pd.DataFrame | None:
    """Propensities of earlier lists, which narrow the interval of an effect."""
    paths = [one.folder / "scores.parquet" for one in earlier if one.folder is not None]
    frames = [pd.read_parquet(path, columns=[*KEYS, "propensity"]).dropna() for path in paths]
    return pd.concat(frames, ignore_index=True) if frames else None
