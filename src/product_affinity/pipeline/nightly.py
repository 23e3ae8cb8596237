"""`affinity score` and `affinity nightly`: from checked facts through the champion to published lists."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from product_affinity.lists import build_watchlist, build_worklist, latest_before, publish_lists
from product_affinity.lists.files import write_list_files
from product_affinity.motion import decide
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.scoring import build_scores, check_families, explain_listed, value_pairs
from product_affinity.pipeline.table import build_table
from product_affinity.project import Project
from product_affinity.project.playbook import load_gates
from product_affinity.registry.champion import champion
from product_affinity.registry.lock import sole_writer

if TYPE_CHECKING:
    from product_affinity.registry.bundle import Bundle


def nightly_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Check freshness, score and publish under the project's lock.

    Raises
    ------
    LockedError : another night works on this project.
    FreshnessError : a source ends too long before `as_of`.
    """
    with sole_writer(project.var / "nightly.lock"):
        return score_project(project, as_of, jobs=jobs, progress=progress)


def score_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Score every account × product at `as_of`, decide what happens to each, publish the lists.

    Raises
    ------
    BundleError : there is no champion, it was altered, or its features are not the project's.
    """
    bundle = champion(project.var)
    check_families(bundle, project)
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_table(prepared, [as_of], progress=progress)
    progress(f"scoring {len(table.rows):,} pairs")
    rows = value_pairs(table, bundle, project)
    gates = load_gates(project.root / "playbook", [c.name for c in table.columns if c.grain == "account"])
    decided = decide(
        rows, gates, tables=prepared.facts.present, plays_per_owner=project.settings.capacity.plays_per_owner
    )
    scores = build_scores(prepared, table, decided, bundle)
    worklist = build_worklist(
        explain_listed(decided, table, bundle, project), latest_before(project.var / "lists", as_of), as_of
    )
    watchlist = build_watchlist(decided[decided["disposition"].eq("watchlist")])
    progress("writing lists")
    folder = publish_lists(
        project.var / "lists",
        as_of,
        lambda draft: write_list_files(draft, scores, worklist, watchlist, _provenance(prepared, bundle)),
    )
    return _closing_words(folder, scores, worklist, watchlist)


def _provenance(prepared: Prepared, bundle: Bundle) -> dict[str, object]:
    """Say in the manifest where a list comes from."""
    return {
        "as_of": str(prepared.as_of),
        "project": prepared.project.settings.project.name,
        "horizon_days": prepared.project.settings.time.horizon_days,
        "model_version": bundle.version,
        "trained_as_of": str(bundle.manifest.trained_as_of),
        "sources": prepared.report.to_json(),
        "families": {family.family: family.fingerprint for family in prepared.project.families},
    }


def _closing_words(folder: Path, scores: pd.DataFrame, worklist: pd.DataFrame, watchlist: pd.DataFrame) -> str:
    """Say what was published, where it is and what to open first."""
    scored = int(scores["propensity"].notna().sum())
    first = worklist.nlargest(1, "value_usd")
    lines = [
        f"published {folder}: {len(scores):,} pairs, {scored:,} scored, {len(worklist):,} listed for "
        f"{worklist['owner_id'].nunique()} owners, {len(watchlist):,} on the watchlist "
        f"(model {scores['model_version'].iloc[0]})",
        f"  open  {folder}/worklist.csv    what to work, ranked within each owner, with reasons",
        f"        {folder}/owners/         the same, one file an owner",
        f"        {folder}/watchlist.csv   what is held back, by which gate, and what would open it",
    ]
    for row in first.itertuples():
        lines.append(
            f"  first {row.account_name} → {row.product_name}: one in {row.one_in} in the horizon, "
            f"worth ${row.value_usd:,.0f}; {row.reason_1}"
        )
    return "\n".join(lines)
