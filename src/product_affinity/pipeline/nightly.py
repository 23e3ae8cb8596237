"""`affinity score` and `affinity nightly`: from checked facts through champion or baseline to published lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from product_affinity.backtest.baselines import SCORECARD
from product_affinity.errors import BundleError, RefusedError
from product_affinity.lists import (
    ListContent,
    PublishedList,
    build_in_flight,
    build_track_record,
    build_watchlist,
    build_worklist,
    find_gone,
    publish_lists,
    published_before,
)
from product_affinity.lists.files import write_list_files
from product_affinity.lists.site import write_site
from product_affinity.lists.warehouse import upsert_worklist
from product_affinity.lists.writers import write_parquet
from product_affinity.pipeline.backtest import with_scorecard
from product_affinity.pipeline.motion import (
    Moved,
    first_paid_starts,
    gate_titles,
    known_outcomes,
    move_pairs,
    told_rows,
)
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.scoring import build_scores, check_families, explain_rows, value_pairs
from product_affinity.pipeline.site_data import Night, build_site_data
from product_affinity.pipeline.table import PairTable, build_table
from product_affinity.project import Project
from product_affinity.registry.evidence import CHALLENGER, has_evidence, read_evidence
from product_affinity.registry.lock import sole_writer
from product_affinity.registry.stand_in import Ranker, StandIn, ranker
from product_affinity.reports import learn_affinity, load_affinity_reference


@dataclass(frozen=True)
class Scored:
    """One date, scored and decided.

    Attributes
    ----------
    bundle : what scored: the champion, or a baseline that stands in for it.
    prepared, table : project, facts, and the date's pairs with their features.
    moved : what happens with every scored pair, and why.
    scores : every account × product, as published.
    earlier : lists published before the date, oldest first.
    """

    bundle: Ranker
    prepared: Prepared
    table: PairTable
    moved: Moved
    scores: pd.DataFrame
    earlier: Sequence[PublishedList]

    @property
    def ranked_by(self) -> str:
        """What every reader must know of who ranked; empty where a champion did."""
        return self.bundle.words if isinstance(self.bundle, StandIn) else ""

    @property
    def decided(self) -> pd.DataFrame:
        """The scored pairs with their disposition."""
        return self.moved.decided

    @property
    def previous(self) -> PublishedList | None:
        """The list before this one."""
        return self.earlier[-1] if self.earlier else None


def score_project(project: Project, as_of: dt.date, *, strict: bool = False, jobs: int, progress: Progress) -> str:
    """Score every account × product at `as_of` and write `var/scores/<as_of>.parquet`; no list is touched.

    Raises
    ------
    BundleError : there is no champion and no baseline, it was altered, or its features are not the project's.
    ContractError, FreshnessError : the sources cannot be used.
    RefusedError : `strict`, and no model has passed the gate.
    """
    scored = score_date(project, as_of, strict=strict, jobs=jobs, progress=progress)
    scores = scored.scores
    path = project.var / "scores" / f"{as_of}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    write_parquet(scores, draft)
    draft.replace(path)
    statuses = ", ".join(f"{name} {count:,}" for name, count in scores["status"].value_counts().sort_index().items())
    told = f"; {scored.ranked_by}" if scored.ranked_by else ""
    return f"scored {path}: {len(scores):,} pairs ({statuses}), model {scores['model_version'].iloc[0]}{told}"


def nightly_project(project: Project, as_of: dt.date, *, strict: bool = False, jobs: int, progress: Progress) -> str:
    """Check, score, rank and publish the lists of `as_of` under the project's lock.

    Parameters
    ----------
    project, as_of : the project and the date.
    strict : refuse lists that a baseline would rank because no model has passed the gate.
    jobs : processes and threads.
    progress : called with one line a step.

    Raises
    ------
    LockedError : another night works on this project.
    BundleError : there is no champion and no baseline, it was altered, or its features are not the project's.
    ContractError, FreshnessError : the sources cannot be used; the published list stays as it was.
    RefusedError : `strict` and no model has passed the gate, the counts do not balance, what was written does not
        verify, or the warehouse refuses the list (which is published then).
    """
    with sole_writer(project.var / "nightly.lock"):
        scored = score_date(project, as_of, strict=strict, jobs=jobs, progress=progress)
        progress("putting plays into words")
        content, night = build_content(scored)
        progress("writing lists")

        def write(draft: Path) -> dict[str, object]:
            said = write_list_files(draft, content, _provenance(scored))
            write_site(draft, build_site_data(night))
            return said

        folder = publish_lists(project.var / "lists", as_of, write)
        return _closing_words(folder, scored, content) + _sync_warehouse(project, folder, content)


def _sync_warehouse(project: Project, folder: Path, content: ListContent) -> str:
    """Bring the warehouse table to the state of the list that was just published, where one is wanted."""
    warehouse = project.settings.warehouse
    if warehouse.uri is None:
        return ""
    try:
        done = upsert_worklist(warehouse.uri, warehouse.table, content.plays)
    except RefusedError as error:
        raise RefusedError(f"{folder} is published, but {error}. Mend it and run `affinity nightly` again.") from None
    return (
        f"\n  warehouse table {warehouse.table}: {done.inserted:,} inserted, {done.updated:,} updated, "
        f"{done.unchanged:,} unchanged, {done.deactivated:,} deactivated"
    )


def score_date(project: Project, as_of: dt.date, *, strict: bool = False, jobs: int, progress: Progress) -> Scored:
    """Check the sources, score every pair of one date and decide what happens with it; nothing is published.

    Raises
    ------
    BundleError : there is no champion and no baseline, it was altered, or its features are not the project's.
    ContractError, FreshnessError : the sources cannot be used.
    RefusedError : `strict`, and no model has passed the gate.
    """
    bundle = ranker(project.var)
    if strict and isinstance(bundle, StandIn):
        raise RefusedError(
            f"--strict asks for a model, and this date would be {bundle.words}. "
            "See `affinity compare` for what refuses the challenger, or leave --strict out."
        )
    check_families(bundle, project)
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_table(prepared, [as_of], progress=progress)
    if SCORECARD in bundle.manifest.column_names:
        table = replace(table, rows=with_scorecard(prepared, table, progress=progress))
    progress(f"scoring {len(table.rows):,} pairs")
    earlier = published_before(project.var / "lists", as_of)
    valued = value_pairs(table, bundle, project)
    progress("asking gates, readiness and triggers")
    moved = move_pairs(prepared, table, valued, earlier)
    return Scored(bundle, prepared, table, moved, build_scores(prepared, table, moved.decided, bundle), earlier)


def build_content(scored: Scored) -> tuple[ListContent, Night]:
    """Build what the files of a list show, and what its page shows."""
    prepared, project, as_of = scored.prepared, scored.prepared.project, scored.prepared.as_of
    previous, outcomes = scored.previous, known_outcomes(prepared.facts, as_of)
    is_play = scored.decided["disposition"].isin(("listed", "campaign")).to_numpy()
    explained, shares = explain_rows(
        told_rows(scored.moved, prepared, scored.table.spine, np.flatnonzero(is_play)), scored.table, prepared,
        scored.bundle,
    )  # fmt: skip
    is_listed = explained["disposition"].eq("listed")
    named = _named(scored)
    plays = build_worklist(explained[is_listed], previous, as_of, outcomes)
    watchlist = build_watchlist(named[named["disposition"].eq("watchlist")])
    in_flight = build_in_flight(named[named["disposition"].eq("in_flight")], previous, as_of, outcomes)
    gone = find_gone(previous, plays, scored.scores, watchlist)
    content = ListContent(
        as_of=as_of,
        scores=scored.scores,
        plays=plays,
        watchlist=watchlist,
        in_flight=in_flight,
        gone=gone,
        track=build_track_record(
            project.var / "lists",
            as_of,
            first_paid_starts(prepared.facts, as_of),
            outcomes,
            maturity_days=project.settings.time.maturity_days,
        ),
        decided=scored.decided[["account_id", "product_id", "owner_id", "status", "disposition"]],
        campaign=build_worklist(explained[~is_listed], None, as_of),
        net_new=named.loc[named["disposition"].eq("net_new"), list(_NET_NEW_COLUMNS)],
        draws=_draws(scored),
        gate_titles=gate_titles(scored.moved),
        company=project.settings.project.name,
        currency=project.settings.project.currency,
        horizon_days=project.settings.time.horizon_days,
        model_version=scored.bundle.version,
        trained_as_of=str(scored.bundle.manifest.trained_as_of),
        ranked_by=scored.ranked_by,
        freshness=_freshness(prepared),
        problem_text_in_crm=project.settings.lists.problem_text_in_crm,
    )
    night = Night(
        project=project,
        facts=prepared.facts,
        as_of=as_of,
        model_version=scored.bundle.version,
        ranked_by=scored.ranked_by,
        spine=scored.table.spine,
        pairs=scored.table.pairs,
        scores=scored.scores,
        plays=plays,
        watchlist=watchlist,
        in_flight=in_flight,
        gone=gone,
        earlier=scored.earlier,
        asked=scored.decided[["account_id", "product_id"]],
        answers=[check.answer for check in scored.moved.decision.checks],
        shares=shares,
        predictions=_test_predictions(project, scored.bundle),
        affinity=learn_affinity(
            prepared.facts,
            project.catalog,
            load_affinity_reference(project.root / "playbook", project.catalog),
            as_of,
        ),
    )
    return content, night


def _test_predictions(project: Project, bundle: Ranker) -> pd.DataFrame | None:
    """Test predictions of what ranked: the champion's own, so that after a rollback the page is as it was."""
    judged = bundle.manifest.challenger if isinstance(bundle, StandIn) else bundle.version
    try:
        found = read_evidence(project.var, judged).predictions if has_evidence(project.var, judged) else None
    except BundleError:
        return None  # a figure of the page is missing then; what scores is verified elsewhere
    if found is None or not isinstance(bundle, StandIn):
        return found
    return found.assign(**{CHALLENGER: found[bundle.manifest.baseline]})


_NET_NEW_COLUMNS = (
    "account_id",
    "account_name",
    "product_id",
    "product_name",
    "owner_id",
    "owner_name",
    "propensity",
    "expected_arr_usd",
    "value_usd",
    "evidence",
)


def _named(scored: Scored) -> pd.DataFrame:
    names = {product.product_id: product.name for product in scored.prepared.project.catalog}
    decided = scored.decided
    named = decided.assign(account_name=decided["name"], product_name=decided["product_id"].map(names))
    # who took a play up keeps it, whoever owns the account today
    kept = named["disposition"].eq("in_flight") & named["taken_by"].notna()
    owners = (
        scored.table.spine.dropna(subset="owner_id").drop_duplicates("owner_id").set_index("owner_id")["owner_name"]
    )
    return named.assign(
        owner_id=named["owner_id"].mask(kept, named["taken_by"]),
        owner_name=named["owner_name"].mask(kept, named["taken_by"].map(owners).astype("str")),
    )


def _draws(scored: Scored) -> pd.DataFrame | None:
    is_off = scored.prepared.project.settings.measurement.mode == "off"
    return None if is_off else scored.moved.decision.draws


def _freshness(prepared: Prepared) -> tuple[tuple[str, str], ...]:
    """Say of every source table how new it is."""
    newest = prepared.report.newest
    return tuple((name, f"newest row {day}" if day else "no row yet") for name, day in newest.items())


def _provenance(scored: Scored) -> dict[str, object]:
    """Say in the manifest where a list comes from."""
    prepared, bundle = scored.prepared, scored.bundle
    return {
        "as_of": str(prepared.as_of),
        "project": prepared.project.settings.project.name,
        "horizon_days": prepared.project.settings.time.horizon_days,
        "model_version": bundle.version,
        "trained_as_of": str(bundle.manifest.trained_as_of),
        **_ranked_by(bundle),
        "sources": prepared.report.to_json(),
        "families": {family.family: family.fingerprint for family in prepared.project.families},
        "silent_triggers": dict(scored.moved.silent),
    }


def _ranked_by(bundle: Ranker) -> dict[str, object]:
    """Say in the manifest that a baseline ranked, and why this one."""
    if not isinstance(bundle, StandIn):
        return {}
    return {"ranked_by": {"baseline": bundle.manifest.baseline, "said": bundle.words, "why": bundle.manifest.why}}


def _closing_words(folder: Path, scored: Scored, content: ListContent) -> str:
    """Say what was published, where it is and what to open first."""
    worklist, watchlist = content.plays, content.watchlist
    unpriced = scored.decided.loc[scored.decided["expected_arr_usd"].isna(), "product_id"]
    lines = [
        f"published {folder}: {len(scored.scores):,} pairs, {len(scored.decided):,} scored, {len(worklist):,} listed "
        f"for {worklist['owner_id'].nunique()} owners, {len(watchlist):,} on the watchlist "
        f"(model {scored.bundle.version})",
        f"  open  {folder}/site/index.html  the page: overview, worklist, accounts; site/owners/ one an owner",
        f"        {folder}/owners/          a workbook an owner: what to work, why, who waits; worklist.xlsx all",
        f"        {folder}/digest.md        ten lines for a message; crm/ files to import; watchlist.csv who waits",
    ]
    if isinstance(scored.bundle, StandIn):
        lines.append(f"  note  {scored.ranked_by} ({scored.bundle.manifest.why}); --strict refuses such lists")
    for row in worklist.nlargest(1, "value_usd").itertuples():
        lines.append(
            f"  first {row.account_name} → {row.product_name}: one in {row.one_in} in the horizon, "
            f"worth {row.value_usd:,.0f} {scored.prepared.project.settings.project.currency}"
            + (f"; {row.reason_1}" if isinstance(row.reason_1, str) else "")
        )
    if worklist["owner_id"].isna().any():
        lines.append(
            f"  note  {int(worklist['owner_id'].isna().sum()):,} rows have no owner: they share one file and one "
            "capacity ([capacity] plays_per_owner); map owner_id of accounts"
        )
    if scored.moved.silent:
        said = "; ".join(f"{code} {why}" for code, why in scored.moved.silent.items())
        lines.append(f"  note  triggers that can fire for nobody: {said}")
    if len(unpriced):
        lines.append(
            f"  note  {len(unpriced):,} pairs have no known price and cannot be listed: give list_arr_usd of "
            f"{', '.join(sorted(unpriced.unique()))} in models/catalog.yml, or arr_usd in subscriptions"
        )
    return "\n".join(lines)
