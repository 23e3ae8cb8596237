"""The `affinity` command. Heavy modules are imported inside the commands so that `--help` answers at once."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from product_affinity.errors import AffinityError, UsageError

if TYPE_CHECKING:
    from product_affinity.project import Project

app = typer.Typer(
    name="affinity",
    help="Which of our customers should be offered which of our other products, now, and why.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProjectOption = Annotated[Path, typer.Option("--project", help="Project folder, the one with affinity.toml.")]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", help="As-of date, YYYY-MM-DD: only facts before it are used. Default: today."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
JobsOption = Annotated[int, typer.Option("--jobs", min=1, help="Processes and threads to use.")]


def main() -> None:
    """Run the command line; an error a user can act on becomes one line and its exit code."""
    try:
        app(standalone_mode=False)
    except AffinityError as error:
        print(f"affinity: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own usage errors know how to show themselves
            raise
        print(f"affinity: {error.format_message()} (see `affinity --help`)", file=sys.stderr)
        sys.exit(getattr(error, "exit_code", 2))


def parse_as_of(text: str | None, option: str = "--as-of") -> dt.date:
    """Return the date of an option, today where none was given.

    Raises
    ------
    UsageError : `text` is no date.
    """
    if text is None:
        return dt.date.today()
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise UsageError(f"{option} {text}: not a date like 2026-06-30") from None


def _open(folder: Path) -> Project:
    from product_affinity.project import load_project

    return load_project(folder)


def _progress(sentence: str) -> None:
    if sys.stderr.isatty():
        print(f"  … {sentence}", file=sys.stderr)


def _show(report: Any, as_json: bool = False, content: Any = None) -> None:
    if as_json:
        print(json.dumps(content, indent=2, sort_keys=True, default=str))
    elif isinstance(report, str):
        print(report)
    else:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 150).print(report)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Folder to make; must be empty or new.")]) -> None:
    """Make a new project from the shipped settings, features, models and playbook."""
    from product_affinity.pipeline.template import copy_template

    copy_template(folder)
    _show(f"project made in {folder}: set [sources] path in {folder}/affinity.toml, then run `affinity check`")


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
        progress=_progress,
    )
    _show(summary)


@app.command()
def check(project: ProjectOption = Path(), as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Check the source tables; quarantine what breaks its contract."""
    from product_affinity.pipeline.check import check_sources

    report = check_sources(_open(project), parse_as_of(as_of))
    _show(report.render(), as_json, report.to_json())
    report.raise_if_broken()


@app.command()
def features(
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
    audit: Annotated[bool, typer.Option("--audit", help="Prove that forgetting the future changes nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the features at one as-of date and show their coverage."""
    from product_affinity.pipeline.features import audit_features, describe_features

    if audit:
        report = audit_features(_open(project), parse_as_of(as_of), progress=_progress)
        _show(report.render(), as_json, report.to_json())
        report.raise_if_broken()
    else:
        summary = describe_features(_open(project), parse_as_of(as_of), progress=_progress)
        _show(summary.render(), as_json, summary.to_json())


@app.command()
def backtest(
    project: ProjectOption = Path(),
    as_of: AsOfOption = None,
    jobs: JobsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Compare models and baselines on rolling, purged folds."""
    from product_affinity.pipeline.backtest import backtest_project

    outcome = backtest_project(_open(project), parse_as_of(as_of), jobs=jobs, progress=_progress)
    _show(outcome.render(), as_json, outcome.to_json())


@app.command()
def train(project: ProjectOption = Path(), as_of: AsOfOption = None, jobs: JobsOption = 2) -> None:
    """Train on every closed horizon, track the run and write a bundle."""
    from product_affinity.pipeline.train import train_project

    _show(train_project(_open(project), parse_as_of(as_of), jobs=jobs, progress=_progress))


@app.command()
def promote(project: ProjectOption = Path(), as_of: AsOfOption = None) -> None:
    """Make the newest bundle the champion that scores."""
    from product_affinity.pipeline.train import promote_project

    _show(promote_project(_open(project), parse_as_of(as_of)))


@app.command()
def score(project: ProjectOption = Path(), as_of: AsOfOption = None, jobs: JobsOption = 2) -> None:
    """Score every account × product with the champion, without touching what is published."""
    from product_affinity.pipeline.nightly import score_project

    _show(score_project(_open(project), parse_as_of(as_of), jobs=jobs, progress=_progress))


@app.command()
def nightly(project: ProjectOption = Path(), as_of: AsOfOption = None, jobs: JobsOption = 2) -> None:
    """Check, score, rank and publish the lists, under a lock: what a scheduler calls."""
    from product_affinity.pipeline.nightly import nightly_project

    _show(nightly_project(_open(project), parse_as_of(as_of), jobs=jobs, progress=_progress))
