"""`affinity train` and `affinity promote`: from closed horizons to the champion that scores."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from product_affinity.errors import ContractError
from product_affinity.models.assembly import build_classifier, model_frame, recalibrate_recent
from product_affinity.pipeline.backtest import backtest_metrics
from product_affinity.pipeline.card import model_card
from product_affinity.pipeline.check import CheckReport
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.table import (
    PairTable,
    build_training_table,
    label_column,
)
from product_affinity.project import Project
from product_affinity.registry.champion import install, latest_challenger, write_challenger
from product_affinity.registry.provenance import read_git_state
from product_affinity.registry.tracking import TrackingError, alias_champion, log_training, tracking_store

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier
    from product_affinity.registry.bundle import Bundle

EXPLAINED_ROWS_A_PRODUCT = 200


def train_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> str:
    """Train one classifier a horizon, write the bundle as challenger and track the run.

    Raises
    ------
    ContractError : no closed horizon holds an adoption to learn from.
    """
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_training_table(prepared, progress=progress)
    time = project.settings.time
    horizons = sorted({time.horizon_days, *time.more_horizons_days})
    classifiers = {days: fit_horizon(project, table, days, as_of, jobs=jobs, progress=progress) for days in horizons}
    manifest = describe_training(prepared, table, classifiers)
    metrics = backtest_metrics(prepared)
    bundle = write_challenger(
        project.var,
        classifiers=classifiers,
        manifest=manifest,
        metrics=metrics,
        card=model_card(project, manifest, metrics),
    )
    progress("tracking the run in MLflow")
    tracked = track(project, bundle, params=training_params(project, table), report=prepared.report, metrics=metrics)
    learnt = table.rows[label_column(time.horizon_days)]
    return (
        f"trained {bundle.version}: {int(learnt.notna().sum()):,} pairs, {int(learnt.sum()):,} adoptions, "
        f"{len(table.columns)} features, horizons {', '.join(map(str, horizons))} days; challenger in "
        f"{bundle.folder}; {tracked}"
    )


def track(
    project: Project,
    bundle: Bundle,
    *,
    params: Mapping[str, object],
    report: CheckReport,
    metrics: Mapping[str, Any],
) -> str:
    """Log the training to MLflow and say where; the bundle is safe whatever becomes of the store."""
    try:
        run = log_training(
            tracking_store(project.var, project.settings.tracking.uri),
            bundle,
            params=params,
            metrics=tracked_metrics(metrics),
            dataset_fingerprint=report.fingerprint,
            git=read_git_state(project.root),
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


def fit_horizon(
    project: Project, table: PairTable, horizon_days: int, as_of: dt.date, *, jobs: int, progress: Progress
) -> PropensityClassifier:
    """Fit one horizon on its closed rows and set its level from the last three months.

    Raises
    ------
    ContractError : no adoption lies in a closed horizon.
    """
    time, rows = project.settings.time, table.rows
    label = rows[label_column(horizon_days)]
    closed = rows[label.notna()]
    if not label.sum():
        raise ContractError(
            f"no adoption in a closed horizon of {horizon_days} days: more history, or a later --as-of, is needed"
        )
    progress(f"fitting {horizon_days} days on {len(closed):,} pairs, {int(label.sum()):,} adoptions")
    classifier = build_classifier(
        project.model_spec.estimator,
        table.columns,
        horizon_days=horizon_days,
        gap_days=horizon_days + time.maturity_days,
        n_jobs=jobs,
    )
    classifier.fit(
        model_frame(closed, table.columns),
        label[closed.index].astype(int).to_numpy(),
        product=closed["product_id"],
        account=closed["account_id"],
        as_of=closed["as_of"],
    )
    # how many jobs fitted it is no property of a model: the bundle is the same bytes on any number
    classifier.set_params(n_jobs=1)
    return recalibrate_recent(
        classifier,
        rows,
        table.columns,
        observed_until=pd.Timestamp(as_of),
        maturity_days=time.maturity_days,
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
        "average_contributions": average_contributions(table, classifiers[time.horizon_days]),
    }


def average_contributions(table: PairTable, classifier: PropensityClassifier) -> dict[str, dict[str, float]]:
    """Return each product's mean contribution of each column over rows of the last date, the reasons' reference."""
    last = table.rows[table.rows["as_of"].eq(table.rows["as_of"].max())]
    count = last.groupby("product_id")["product_id"].transform("size")
    # evenly spaced over the accounts: the first ones would be the oldest customers
    every = np.ceil(count / EXPLAINED_ROWS_A_PRODUCT)
    sample = last[last.groupby("product_id").cumcount() % every == 0]
    shares = classifier.contributions(model_frame(sample, table.columns), product=sample["product_id"])
    means = shares.drop(columns="baseline").groupby(sample["product_id"].to_numpy()).mean()
    return {str(product): {str(k): float(v) for k, v in row.items()} for product, row in means.iterrows()}


def promote_project(project: Project, as_of: dt.date) -> str:
    """Install the newest bundle as champion.

    Raises
    ------
    BundleError : there is no challenger, or it was altered.
    """
    challenger = latest_challenger(project.var)
    why = f"first install: bundle {challenger.version}, trained as of {challenger.manifest.trained_as_of}"
    bundle = install(project.var, challenger.folder, why=why, at=str(as_of))
    try:
        alias_champion(tracking_store(project.var, project.settings.tracking.uri), bundle.version)
    except TrackingError as error:
        return f"champion is {bundle.version}; its alias in MLflow was NOT moved: {error}"
    return f"champion is {bundle.version}, trained as of {bundle.manifest.trained_as_of}; in {project.var}/champion"
