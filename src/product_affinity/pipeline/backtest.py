"""`affinity backtest`: models against baselines on rolling, purged folds."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

from product_affinity.backtest import BacktestResult, plan_folds, run_backtest
from product_affinity.pipeline.prepare import Prepared, Progress, prepare
from product_affinity.pipeline.table import PairTable, build_training_table
from product_affinity.project import Project

INPUTS = "inputs.json"


def backtest_project(project: Project, as_of: dt.date, *, jobs: int, progress: Progress) -> BacktestResult:
    """Run the backtest of a project and keep its predictions under `var/backtest/`."""
    prepared = prepare(project, as_of, jobs=jobs, progress=progress)
    table = build_training_table(prepared, progress=progress)
    result = backtest_table(project, table, as_of, jobs=jobs, progress=progress)
    folder = _folder(project, as_of)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INPUTS).unlink(missing_ok=True)
    result.write(folder)
    # written last: figures without it are of a backtest that did not finish
    (folder / INPUTS).write_text(json.dumps(inputs(prepared), indent=1, sort_keys=True), "utf-8")
    return result


def inputs(prepared: Prepared) -> dict[str, object]:
    """Return what a backtest's figures depend on: sources, definitions, specification, times."""
    project = prepared.project
    return {
        "sources": prepared.report.fingerprint,
        "families": {family.family: family.fingerprint for family in project.families},
        "spec": project.model_spec.model_dump(mode="json"),
        "time": project.settings.time.model_dump(mode="json"),
    }


def backtest_metrics(prepared: Prepared) -> dict[str, Any]:
    """Return the figures of a finished backtest of the same inputs and date, empty where there is none."""
    folder = _folder(prepared.project, prepared.as_of)
    written = folder / INPUTS
    if not written.exists() or json.loads(written.read_text("utf-8")) != inputs(prepared):
        return {}
    return dict(json.loads((folder / "metrics.json").read_text("utf-8")))


def _folder(project: Project, as_of: dt.date) -> Path:
    return project.var / "backtest" / str(as_of)


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
