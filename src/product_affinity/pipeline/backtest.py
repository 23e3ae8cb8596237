"""`affinity backtest`: models against baselines on rolling, purged folds."""

from __future__ import annotations

import datetime as dt

from product_affinity.backtest import BacktestResult, plan_folds, run_backtest
from product_affinity.pipeline.prepare import Progress, prepare
from product_affinity.pipeline.table import PairTable, build_training_table
from product_affinity.project import Project


def backtest_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> BacktestResult:
    """Run the backtest of a project and keep its predictions under `var/backtest/`."""
    table = build_training_table(prepare(project, as_of, jobs=jobs, progress=progress), progress=progress)
    result = backtest_table(project, table, as_of, jobs=jobs, progress=progress)
    folder = project.var / "backtest" / str(as_of)
    folder.mkdir(parents=True, exist_ok=True)
    result.write(folder)
    return result


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
        n_jobs=jobs,
        progress=progress,
    )
