"""`affinity backtest`: models against baselines on rolling, purged folds."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pandas as pd

from product_affinity.backtest import BacktestResult, plan_folds, run_backtest
from product_affinity.backtest.baselines import SCORECARD
from product_affinity.pipeline.backtest_files import inputs, keep_backtest
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.recipe import further_horizons
from product_affinity.pipeline.table import PairTable, build_training_table
from product_affinity.project import Project
from product_affinity.rules import build_evidence, scorecard_points


def backtest_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> BacktestResult:
    """Run the backtest of a project and keep its predictions under `var/backtest/`."""
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    return backtest_prepared(prepared, build_training_table(prepared, progress=progress), jobs=jobs, progress=progress)


def backtest_prepared(prepared: Prepared, table: PairTable, *, jobs: int, progress: Progress) -> BacktestResult:
    """Run the backtest on a training table and keep its figures and predictions.

    Raises
    ------
    ContractError : history is too short for a single fold.
    """
    rests_on = inputs(prepared)  # now: code may be edited while it runs
    scored = replace(table, rows=with_scorecard(prepared, table, progress=progress))
    result = backtest_table(prepared.project, scored, prepared.as_of, jobs=jobs, progress=progress)
    keep_backtest(prepared, result, rests_on)
    return result


def with_scorecard(prepared: Prepared, table: PairTable, *, progress: Progress) -> pd.DataFrame:
    """Return the rows of a table with the readiness scorecard's points (0 to 100), where the playbook has one."""
    readiness = prepared.project.playbook.readiness
    if not readiness.scorecard.criteria:
        return table.rows
    progress("answering the scorecard at every date")
    facts, catalog = prepared.facts, prepared.project.catalog
    evidence = build_evidence(facts, catalog, readiness, table.spine, table.rows, for_learning=True)
    points = scorecard_points(readiness, evidence)
    return table.rows.assign(**{SCORECARD: points.to_numpy()})


def backtest_table(
    project: Project, table: PairTable, as_of: dt.date, *, jobs: int, progress: Progress
) -> BacktestResult:
    """Plan the folds and run them.

    Raises
    ------
    ContractError : history is too short for a single fold.
    """
    time = project.settings.time
    folds = plan_folds(
        [day.date() for day in sorted(table.rows["as_of"].unique())],
        horizon_days=time.horizon_days,
        maturity_days=time.maturity_days,
        observed_until=as_of,
        folds=time.folds,
        step_days=time.fold_step_days or time.horizon_days,
    )
    return run_backtest(
        table.rows,
        table.columns,
        spec=project.model_spec,
        folds=folds,
        plays_per_owner=project.settings.capacity.plays_per_owner,
        more_horizons_days=further_horizons(time),
        n_jobs=jobs,
        progress=progress,
    )
