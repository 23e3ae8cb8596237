"""The `affinity` command: one error boundary around all commands."""

from __future__ import annotations

import sys

import typer

from product_affinity.cli import team, work
from product_affinity.cli.base import app, parse_as_of
from product_affinity.errors import AffinityError

__all__ = ["app", "main", "parse_as_of", "team", "work"]


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
