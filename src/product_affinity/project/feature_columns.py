"""A feature column: its derived name and everything a reader, a model and a list need to know of it."""

from __future__ import annotations

import math
import string
from dataclasses import dataclass
from typing import Literal

from product_affinity.errors import did_you_mean

Grain = Literal["account", "pair"]
Direction = Literal["up", "down", "none"]
Role = Literal["feature", "offset"]
Side = Literal["for", "against", "both"]

MONOTONE: dict[str, int] = {"up": 1, "down": -1, "none": 0}
# What an operation's values are measured in; the others keep the signal's own unit.
UNIT_OF_OPERATION = {
    "trend": "log ratio",
    "change": "relative change",
    "days_since": "days",
    "days_until": "days",
    "age": "days",
}
_PLACEHOLDERS = ("value", "window", "product", "best", "change", "share")


@dataclass(frozen=True)
class FeatureColumn:
    """One column of the feature tables.

    Attributes
    ----------
    name : `<family>_<signal>_<op>[_<w>d]`.
    family, signal, op, window : what the name is made of; window in days, None without one.
    grain : `account` (account × as-of) or `pair` (account × target product × as-of).
    kind : `number` (float64, NaN where missing) or `category` (text, null where missing).
    unit : of the values.
    missing : what a missing value means, in words.
    direction : expected effect on propensity with everything else equal.
    reason : template of a sentence a customer-success manager could say, None where it is never said.
    said : whether its words may speak for a row, against it, or both.
    role : `offset` marks a base rate in log-odds, every other column is a `feature`.
    definition : how the value is computed, in words.
    """

    name: str
    family: str
    signal: str
    op: str
    window: int | None
    grain: Grain
    kind: Literal["number", "category"]
    unit: str
    missing: str
    direction: Direction
    reason: str | None
    said: Side
    role: Role
    definition: str

    @property
    def monotone(self) -> int:
        """`direction` as a constraint: 1, -1 or 0."""
        return MONOTONE[self.direction]

    def say(self, value: float | str, *, product: str, best: str = "what they own") -> str | None:
        """Put a value into words, or None where the column is never said; `(s)` becomes a plural where it is due.

        Parameters
        ----------
        value : the column's value, not missing.
        product : name of the target product.
        best : name of the owned product behind an affinity.

        >>> users = column("usage", "users", "mean", 28, reason="{value:.0f} users a day over {window} days")
        >>> users.say(3.6, product="CRM")
        '4 users a day over 28 days'
        >>> column("x", "y", "count", reason="{value:.0f} open ticket(s)").say(1.0, product="CRM")
        '1 open ticket'
        """
        if self.reason is None:
            return None
        words: dict[str, object] = {"value": value, "window": self.window, "product": product, "best": best}
        words[self.op] = value
        if not isinstance(value, str):
            words["change"] = math.exp(value) - 1 if self.op == "trend" else value
            words["share"] = 1 / (1 + math.exp(-value)) if self.unit == "log-odds" else value
        said = self.reason.format(**words)
        return said.replace("(s)", "" if f"{value:.0f}" == "1" else "s") if "(s)" in said else said


def column_name(family: str, signal: str, op: str | None = None, window: int | None = None) -> str:
    """Derive a column's name.

    >>> column_name("usage", "active_users", "mean", 28)
    'usage_active_users_mean_28d'
    >>> column_name("usage", "seats_used_share")
    'usage_seats_used_share'
    """
    parts = [family, signal, op, None if window is None else f"{window}d"]
    return "_".join(part for part in parts if part)


def column(
    family: str,
    signal: str,
    op: str = "",
    window: int | None = None,
    *,
    grain: Grain = "account",
    unit: str = "",
    missing: str = "",
    direction: Direction = "none",
    reason: str | None = None,
    said: Side = "both",
    role: Role = "feature",
    definition: str = "",
) -> FeatureColumn:
    """Make a column whose name, kind and unit follow from its parts; unit `category` makes a text column."""
    return FeatureColumn(
        name=column_name(family, signal, op, window),
        family=family,
        signal=signal,
        op=op,
        window=window,
        grain=grain,
        kind="category" if unit == "category" else "number",
        unit=f"{unit} a day" if op == "slope" else UNIT_OF_OPERATION.get(op, unit),
        missing=missing,
        direction=direction,
        reason=reason,
        said=said,
        role=role,
        definition=definition,
    )


def check_reasons(reason: str | dict[str, str], ops: tuple[str, ...]) -> None:
    """Check the sentence, or the sentences per operation, of a signal.

    Raises
    ------
    ValueError : an operation or a placeholder is unknown, or the braces do not match.

    >>> check_reasons("{valeu} users", ("mean",))
    Traceback (most recent call last):
    ...
    ValueError: reason: unknown placeholder {valeu} (known: value, window, product, best, change, share, mean)
    """
    sentences = reason if isinstance(reason, dict) else {"": reason}
    for op, template in sentences.items():
        if op and op not in ops:
            raise ValueError(f"reason: {op} is none of the operations{did_you_mean(op, ops)}")
        _check_placeholders(template, (*_PLACEHOLDERS, *ops))


def _check_placeholders(template: str, known: tuple[str, ...]) -> None:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ValueError(f"reason: {error} in {template!r}") from None
    for name in fields:
        if name not in known:
            raise ValueError(f"reason: unknown placeholder {{{name}}} (known: {', '.join(known)})")
    try:
        template.format(**dict.fromkeys(known, 1.5))
    except ValueError as error:
        raise ValueError(f"reason: {error} in {template!r}") from None


def reason_for(template: str | dict[str, str], op: str, ops: tuple[str, ...]) -> str | None:
    """Choose the words of one operation of a signal.

    A sentence that names another operation of the signal (`{days_since}`) is said by that column alone, and
    one about levels does not fit a trend, which therefore speaks only where it has words of its own.

    >>> reason_for("declined {days_since} days ago", "count", ("count", "days_since")) is None
    True
    """
    if isinstance(template, dict):
        template = template.get(op, "none")
    elif op in ("trend", "slope", "change") and "change" not in template and len(ops) > 1:
        return None
    named = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    if template == "none" or (named & set(ops)) - {op}:
        return None
    return template
