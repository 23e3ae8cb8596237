"""`affinity score` and `affinity nightly`: from checked facts through the champion to published lists."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from product_affinity.lists import build_watchlist, build_worklist, latest_before, publish_lists
from product_affinity.lists.files import write_list_files
from product_affinity.lists.writers import write_parquet
from product_affinity.motion import decide
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.scoring import build_scores, check_families, explain_listed, value_pairs
from product_affinity.pipeline.table import PairTable, build_table
from product_affinity.project import Project
from product_affinity.registry.champion import champion
from product_affinity.registry.lock import sole_writer

if TYPE_CHECKING:
    from product_affinity.registry.bundle import Bundle


@dataclass(frozen=True)
class _Scored:
    """One date, scored and decided."""

    bundle: Bundle
    prepared: Prepared
    table: PairTable
    decided: pd.DataFrame
    scores: pd.DataFrame


def score_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Score every account × product at `as_of` and write `var/scores/<as_of>.parquet`; no list is touched.

    Raises
    ------
    BundleError : there is no champion, it was altered, or its features are not the project's.
    ContractError, FreshnessError : the sources cannot be used.
    """
    scores = _score(project, as_of, jobs=jobs, progress=progress).scores
    path = project.var / "scores" / f"{as_of}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    write_parquet(scores, draft)
    draft.replace(path)
    statuses = ", ".join(f"{name} {count:,}" for name, count in scores["status"].value_counts().sort_index().items())
    return f"scored {path}: {len(scores):,} pairs ({statuses}), model {scores['model_version'].iloc[0]}"


def nightly_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Check, score, rank and publish the lists of `as_of` under the project's lock.

    Raises
    ------
    LockedError : another night works on this project.
    BundleError : there is no champion, it was altered, or its features are not the project's.
    ContractError, FreshnessError : the sources cannot be used; the published list stays as it was.
    RefusedError : the counts do not balance, or what was written does not verify.
    """
    with sole_writer(project.var / "nightly.lock"):
        scored = _score(project, as_of, jobs=jobs, progress=progress)
        listed = explain_listed(scored.decided, scored.table, scored.bundle, project)
        worklist = build_worklist(listed, latest_before(project.var / "lists", as_of), as_of)
        watchlist = build_watchlist(scored.decided[scored.decided["disposition"].eq("watchlist")])
        progress("writing lists")
        said = _provenance(scored.prepared, scored.bundle)
        folder = publish_lists(
            project.var / "lists",
            as_of,
            lambda draft: write_list_files(draft, scored.scores, worklist, watchlist, said),
        )
    return _closing_words(folder, scored, worklist, watchlist)


def _score(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> _Scored:
    bundle = champion(project.var)
    check_families(bundle, project)
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_table(prepared, [as_of], progress=progress)
    progress(f"scoring {len(table.rows):,} pairs")
    decided = decide(
        value_pairs(table, bundle, project),
        project.gates,
        tables=prepared.facts.present,
        plays_per_owner=project.settings.capacity.plays_per_owner,
    )
    return _Scored(bundle, prepared, table, decided, build_scores(prepared, table, decided, bundle))


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


def _closing_words(folder: Path, scored: _Scored, worklist: pd.DataFrame, watchlist: pd.DataFrame) -> str:
    """Say what was published, where it is and what to open first."""
    unpriced = scored.decided.loc[scored.decided["expected_arr_usd"].isna(), "product_id"]
    lines = [
        f"published {folder}: {len(scored.scores):,} pairs, {len(scored.decided):,} scored, {len(worklist):,} listed "
        f"for {worklist['owner_id'].nunique()} owners, {len(watchlist):,} on the watchlist "
        f"(model {scored.bundle.version})",
        f"  open  {folder}/worklist.csv    what to work, ranked within each owner, with reasons",
        f"        {folder}/owners/         the same, one file an owner; products/ one a product",
        f"        {folder}/watchlist.csv   what is held back, by which gate, and what would open it",
    ]
    for row in worklist.nlargest(1, "value_usd").itertuples():
        lines.append(
            f"  first {row.account_name} → {row.product_name}: one in {row.one_in} in the horizon, "
            f"worth {row.value_usd:,.0f} {scored.prepared.project.settings.project.currency}; {row.reason_1}"
        )
    if worklist["owner_id"].isna().any():
        lines.append(
            f"  note  {int(worklist['owner_id'].isna().sum()):,} rows have no owner: they share one file and one "
            "capacity ([capacity] plays_per_owner); map owner_id of accounts"
        )
    if len(unpriced):
        lines.append(
            f"  note  {len(unpriced):,} pairs have no known price and cannot be listed: give list_arr_usd of "
            f"{', '.join(sorted(unpriced.unique()))} in models/catalog.yml, or arr_usd in subscriptions"
        )
    return "\n".join(lines)
