"""What every command shares: the application, its options, and how it opens, reports and shows."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from product_affinity.errors import UsageError

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
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse (exit 12) what a baseline ranks because no model has passed the gate.")
]


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


def open_project(folder: Path) -> Project:
    """Read the project of a folder."""
    from product_affinity.project import load_project

    return load_project(folder)


def progress(sentence: str) -> None:
    """Say on a terminal what is being done."""
    if sys.stderr.isatty():
        print(f"  … {sentence}", file=sys.stderr)


def show(report: Any, as_json: bool = False, content: Any = None) -> None:
    """Print a report, or its content as JSON."""
    if as_json:
        print(json.dumps(content, indent=2, sort_keys=True, default=str))
    elif isinstance(report, str):
        print(report)
    else:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 150).print(report)
