"""`affinity train`: from closed horizons to a challenger, its evidence and its run in MLflow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from product_affinity.backtest.horizons import label_column
from product_affinity.errors import ContractError
from product_affinity.models.assembly import model_frame
from product_affinity.pipeline.backtest import backtest_prepared
from product_affinity.pipeline.backtest_files import KeptBacktest, kept_backtest
from product_affinity.pipeline.card import model_card
from product_affinity.pipeline.evidence import Trial, gather_evidence
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.recipe import Recipe, further_horizons
from product_affinity.pipeline.scoring import average_contributions
from product_affinity.pipeline.stand_in import keep_stand_in
from product_affinity.pipeline.table import (
    PairTable,
    build_training_table,
)
from product_affinity.project import Project
from product_affinity.registry.champion import intact_champion, write_challenger
from product_affinity.registry.evidence import write_evidence
from product_affinity.registry.plots import backtest_plots
from product_affinity.registry.provenance import read_git_state
from product_affinity.registry.tracking import TrackingError, log_training, tracking_store

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier
    from product_affinity.registry.bundle import Bundle


def train_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Test the recipe, train one classifier a horizon, write the bundle as challenger and track the run.

    The backtest is the one of `affinity backtest` where inputs and date are the same, else it is run here.

    Raises
    ------
    ContractError : no closed horizon holds an adoption to learn from.
    """
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_training_table(prepared, progress=progress)
    tested, untested = try_recipe(prepared, table, jobs=jobs, progress=progress)
    classifiers = fit_horizons(prepared, table, jobs=jobs, progress=progress)
    manifest = describe_training(prepared, table, classifiers)
    metrics = tested.metrics if tested else {}
    bundle = write_challenger(
        project.var,
        classifiers=classifiers,
        manifest=manifest,
        metrics=metrics,
        card=model_card(project, manifest, metrics, table.unproven),
    )
    if tested:
        keep_evidence(prepared, table, bundle, tested, jobs=jobs, progress=progress)
    ranks = keep_stand_in(prepared, table, bundle, metrics, progress=progress)
    progress("tracking the run in MLflow")
    tracked = track(prepared, bundle, params=training_params(project, table), tested=tested)
    learnt = table.rows[label_column(project.settings.time.horizon_days)]
    return (
        f"trained {bundle.version}: {int(learnt.notna().sum()):,} pairs, {int(learnt.sum()):,} adoptions, "
        f"{len(table.columns)} features, horizons {', '.join(map(str, classifiers))} days; challenger in "
        f"{bundle.folder}; {untested or 'tested, see `affinity compare`'}; {tracked}{ranks}"
    )


def fit_horizons(
    prepared: Prepared, table: PairTable, *, jobs: int, progress: Progress
) -> dict[int, PropensityClassifier]:
    """Fit the main horizon on its closed rows, bring it to the further ones, and return all by days, ascending.

    Raises
    ------
    ContractError : the main horizon holds no closed adoption.
    """
    project, time = prepared.project, prepared.project.settings.time
    label = table.rows[label_column(time.horizon_days)]
    progress(f"fitting {time.horizon_days} days on {int(label.notna().sum()):,} pairs, {int(label.sum()):,} adoptions")
    recipe = recipe_of(project, table, time.horizon_days)
    main = recipe.fit(table.rows, prepared.as_of, jobs=jobs)
    further = {days: recipe.at_horizon(main, table.rows, prepared.as_of, days) for days in further_horizons(time)}
    return dict(sorted(({time.horizon_days: main} | further).items()))


def try_recipe(
    prepared: Prepared, table: PairTable, *, jobs: int, progress: Progress
) -> tuple[KeptBacktest | None, str]:
    """Return the backtest, run where there is none of these inputs and rows, and why it cannot be run, or nothing."""
    tested = kept_backtest(prepared)
    if tested and tested.rests_on(table.rows):
        return tested, ""
    try:
        backtest_prepared(prepared, table, jobs=jobs, progress=progress)
    except ContractError as error:
        return None, f"NOT tested, so it cannot be promoted: {error}"
    tested = kept_backtest(prepared)
    return tested, "" if tested else "NOT tested, so it cannot be promoted: another command replaced the backtest"


def keep_evidence(
    prepared: Prepared, table: PairTable, bundle: Bundle, tested: KeptBacktest, *, jobs: int, progress: Progress
) -> None:
    """Put the challenger's test predictions beside the champion's, for `affinity compare` and `promote`."""
    project = prepared.project
    evidence = gather_evidence(
        recipe_of(project, table, project.settings.time.horizon_days),
        table,
        Trial(tested.predictions, tested.baselines),
        bundle,
        intact_champion(project.var),
        min_adoptions=project.model_spec.gate.min_adoptions,
        jobs=jobs,
        progress=progress,
    )
    write_evidence(project.var, evidence)


def track(prepared: Prepared, bundle: Bundle, *, params: Mapping[str, object], tested: KeptBacktest | None) -> str:
    """Log the training to MLflow and say where; the bundle is safe whatever becomes of the store."""
    project = prepared.project
    families = {f"features/{family.family}.yml": family.fingerprint for family in project.families}
    plots = backtest_plots(tested.predictions, ("blend", *tested.baselines)) if tested else {}
    try:
        run = log_training(
            tracking_store(project.var, project.settings.tracking.uri),
            bundle,
            params=params,
            metrics=tracked_metrics(tested.metrics if tested else {}),
            fingerprints={"sources": prepared.report.fingerprint, **families},
            git=read_git_state(project.root),
            plots=plots,
        )
    except TrackingError as error:
        return f"NOT tracked: {error}"
    return f"MLflow run {run.run_id}, version {run.model_version}"


def training_params(project: Project, table: PairTable) -> dict[str, object]:
    """Return what the run was asked to do, for MLflow."""
    return {
        **project.model_spec.estimator.model_dump(),
        **project.settings.time.model_dump(exclude={"as_ofs"}),
        "as_ofs": table.rows["as_of"].nunique(),
        "features": len(table.columns),
    }


def tracked_metrics(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Return the backtest's figures of the blend as rows product_id, fold (its number), metric, value; null = all."""
    number = {fold["origin"]: k for k, fold in enumerate(metrics.get("folds", []))}
    rows = [
        {"product_id": None, "fold": None, "metric": row["metric"], "value": row["value"]}
        for row in metrics.get("overall", [])
        if row["model"] == "blend" and row["population"] == "first_time"
    ]
    for row in metrics.get("groups", []):
        if row["model"] == "blend" and row["grouping"] in ("product", "fold"):
            is_fold = row["grouping"] == "fold"
            rows.append(
                {
                    "product_id": None if is_fold else row["group"],
                    "fold": number[row["group"]] if is_fold else None,
                    "metric": row["metric"],
                    "value": row["value"],
                }
            )
    frame = pd.DataFrame(rows, columns=["product_id", "fold", "metric", "value"])
    return frame.astype({"product_id": "str", "fold": "Int64", "value": "float64"})


def recipe_of(project: Project, table: PairTable, horizon_days: int) -> Recipe:
    """Return how the project's classifiers of a horizon are made."""
    return Recipe(
        project.model_spec.estimator,
        table.columns,
        horizon_days=horizon_days,
        maturity_days=project.settings.time.maturity_days,
    )


def describe_training(
    prepared: Prepared, table: PairTable, classifiers: Mapping[int, PropensityClassifier]
) -> dict[str, Any]:
    """Return the bundle's manifest: products, columns, definitions, base rates, average contributions."""
    project, rows = prepared.project, table.rows
    time = project.settings.time
    label = rows[label_column(time.horizon_days)]
    closed = rows.assign(adopted=label.astype("Float64"))[label.notna()]
    by_product = closed.groupby("product_id")["adopted"]
    positives = by_product.sum().reindex(project.catalog.product_ids).fillna(0)
    overall = float(closed["adopted"].mean())
    base_rates = by_product.mean().reindex(project.catalog.product_ids)
    features = model_frame(rows.head(0), table.columns)
    kinds = {column.name: column for column in table.columns}
    return {
        "product_ids": project.catalog.product_ids,
        "columns": [
            {
                "name": name,
                "kind": kinds[name].kind if name in kinds else "number",
                "family": kinds[name].family if name in kinds else None,
            }
            for name in features.columns
        ],
        "families": {family.family: family.fingerprint for family in project.families},
        "trained_as_of": prepared.as_of,
        "horizons_days": sorted(classifiers),
        # a product that never had an adopter borrows the average rate, so that its lift can be stated
        "base_rates": {name: float(rate) for name, rate in base_rates.replace(0, np.nan).fillna(overall).items()},
        "launch_estimates": sorted(positives[positives < project.model_spec.min_test_positives].index),
        "estimator": project.model_spec.estimator.model_dump(mode="json"),
        "average_contributions": average_contributions(
            classifiers[time.horizon_days], rows, table.columns, features.columns
        ),
    }
