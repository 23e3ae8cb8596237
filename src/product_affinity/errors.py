"""Errors a user can act on: one line that names the place, the value, the closest match and the next step.

Every error carries the exit code documented in the README; the command line turns it into that line and code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 12


class AffinityError(Exception):
    """Base of all errors that are shown to the user as one line, without a traceback."""

    exit_code = 1


class UsageError(AffinityError):
    """The command, a setting or a specification cannot be understood (exit 2)."""

    exit_code = 2


class ContractError(AffinityError):
    """The data breaks its contract, or too little of it is left to work with (exit 10)."""

    exit_code = 10


class FreshnessError(AffinityError):
    """The data ends too long before the as-of date (exit 11)."""

    exit_code = 11


class RefusedError(AffinityError):
    """A promotion or a publication was refused (exit 12)."""

    exit_code = 12


class BundleError(AffinityError):
    """The model bundle is missing, altered or not loadable (exit 13)."""

    exit_code = 13


class LockedError(AffinityError):
    """Another process works on the same project; try again (exit 75)."""

    exit_code = 75


class LeakageError(AffinityError):
    """A fold or a feature would see facts from after its as-of date."""

    exit_code = 1


def closest(name: str, options: Iterable[str]) -> str | None:
    """Return the option most like `name`, or None when nothing is near.

    >>> closest("horizon_day", ["horizon_days", "maturity_days"])
    'horizon_days'
    >>> closest("zebra", ["horizon_days"]) is None
    True
    """
    lowered = {option.lower(): option for option in options}
    matches = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.5)
    return lowered[matches[0]] if matches else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the closest option, else the list of options, ready to append.

    >>> did_you_mean("horizon_day", ["horizon_days", "maturity_days"])
    ' (did you mean horizon_days?)'
    >>> did_you_mean("zebra", ["a", "b"])
    ' (known: a, b)'
    """
    known = list(options)
    match = closest(name, known)
    if match:
        return f" (did you mean {match}?)"
    more = f", … {len(known) - MOST_SHOWN} more" if len(known) > MOST_SHOWN else ""
    return f" (known: {', '.join(known[:MOST_SHOWN])}{more})"
