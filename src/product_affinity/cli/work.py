"""Commands of data scientists and of the nightly batch: sources, features, models, lists.

Heavy modules are imported inside the commands so that `--help` answers at once.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import typer

from product_affinity.cli.base import (
    AsOfOption,
    JobsOption,
    JsonOption,
    ProjectOption,
    StrictOption,
    app,
    open_project,
    parse_as_of,
    progress,
    show,
)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to make; must be empty or new.")]) -> None:
    """Make a new project from the shipped settings, features, models and playbook."""
    from product_affinity.pipeline.template import copy_template

    copy_template(folder)
    show(f"project made in {folder}: set [sources] path in {folder}/affinity.toml, then run `affinity check`")


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to write the demo company to.")],
    accounts: Annotated[int, typer.Option(min=50, help="Accounts to simulate.")] = 2500,
    months: Annotated[int, typer.Option(min=12, help="Months of history.")] = 30,
    until: Annotated[str, typer.Option(help="Last day of the history, YYYY-MM-DD.")] = "2026-06-30",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 7,
    world: Annotated[
        Literal["shared", "specific"],
        typer.Option(help="What drives adoption: need (shared) or product by product."),
    ] = "shared",
    traps: Annotated[bool, typer.Option("--traps", help="Plant leaks to be caught.")] = False,
) -> None:
    """Make the demo company: a project with data of a made-up software vendor, and the truth beside it."""
    from product_affinity.pipeline.demo import make_demo

    summary = make_demo(
        folder,
        accounts=accounts,
        months=months,
        until=parse_as_of(until, "--until"),
        seed=seed,
        world=world,
        traps=traps,
        progress=progress,
    )
    show(summary)


@app.command()
def check(project: ProjectOption = Path(), as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Check the source tables; quarantine what breaks its contract."""
    from product_affinity.pipeline.check import check_sources

    report = check_sources(open_project(project), parse_as_of(as_of))
    show(report.render(), as_json, report.to_json())
    report.raise_if_broken()


@app.command()
def features(
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
    audit: Annotated[bool, typer.Option("--audit", help="Prove that forgetting the future changes nothing.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Show one column: its definition, query, coverage and distribution."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build the features at one as-of date and show their coverage."""
    from product_affinity.pipeline.describe import describe_column
    from product_affinity.pipeline.features import audit_features, describe_features

    if explain is not None:
        column = describe_column(open_project(project), parse_as_of(as_of), explain, progress=progress)
        show(column.render(), as_json, column.to_json())
    elif audit:
        report = audit_features(open_project(project), parse_as_of(as_of), progress=progress)
        show(report.render(), as_json, report.to_json())
        report.raise_if_broken()
    else:
        summary = describe_features(open_project(project), parse_as_of(as_of), progress=progress)
        show(summary.render(), as_json, summary.to_json())


@app.command()
def backtest(
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
    jobs: JobsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Compare models and baselines on rolling, purged folds."""
    from product_affinity.pipeline.backtest import backtest_project

    outcome = backtest_project(open_project(project), parse_as_of(as_of), jobs=jobs, progress=progress)
    show(outcome.render(), as_json, outcome.to_json())


@app.command()
def train(project: ProjectOption = Path(), as_of: AsOfOption = None, jobs: JobsOption = 2) -> None:
    """Train on every closed horizon, track the run and write a bundle."""
    from product_affinity.pipeline.train import train_project

    show(train_project(open_project(project), parse_as_of(as_of), jobs=jobs, progress=progress))


@app.command()
def compare(project: ProjectOption = Path(), as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Judge the newest bundle against the champion and the baselines; nothing changes."""
    from product_affinity.pipeline.promotion import compare_project

    report = compare_project(open_project(project), parse_as_of(as_of))
    show(report.render(), as_json, report.to_json())


@app.command()
def promote(project: ProjectOption = Path(), as_of: AsOfOption = None) -> None:
    """Make the newest bundle the champion that scores."""
    from product_affinity.pipeline.promotion import promote_project

    show(promote_project(open_project(project), parse_as_of(as_of)))


@app.command()
def rollback(
    why: Annotated[str, typer.Option(help="The reason, for the log.")],
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
) -> None:
    """Make the champion before this one the champion again."""
    from product_affinity.pipeline.promotion import rollback_project

    show(rollback_project(open_project(project), parse_as_of(as_of), why=why))


@app.command()
def score(
    project: ProjectOption = Path(), as_of: AsOfOption = None, strict: StrictOption = False, jobs: JobsOption = 2
) -> None:
    """Score every account × product, without touching what is published."""
    from product_affinity.pipeline.nightly import score_project

    show(score_project(open_project(project), parse_as_of(as_of), strict=strict, jobs=jobs, progress=progress))


@app.command()
def nightly(
    project: ProjectOption = Path(), as_of: AsOfOption = None, strict: StrictOption = False, jobs: JobsOption = 2
) -> None:
    """Check, score, rank and publish the lists, under a lock: what a scheduler calls."""
    from product_affinity.pipeline.nightly import nightly_project

    show(nightly_project(open_project(project), parse_as_of(as_of), strict=strict, jobs=jobs, progress=progress))


@app.command()
def doctor(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """Look at environment, project, sources, bundles, locks and tracking; close runs that were killed."""
    from product_affinity.pipeline.doctor import diagnose

    found = diagnose(project, dt.datetime.now(tz=dt.UTC))
    show(found.render(), as_json, found.to_json())
    if found.exit_code:
        raise typer.Exit(found.exit_code)
