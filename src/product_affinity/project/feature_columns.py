"""A feature column: its derived name and everything a reader, a model and a list need to know of it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from product_affinity.project.sentences import parse_sentence

Grain = Literal["account", "pair"]
Direction = Literal["up", "down", "none"]
Role = Literal["feature", "offset"]
Side = Literal["for", "against", "both", "more", "less"]

MONOTONE: dict[str, int] = {"up": 1, "down": -1, "none": 0}
# What an operation's values are measured in; the others keep the signal's own unit.
UNIT_OF_OPERATION = {
    "trend": "log ratio",
    "change": "relative change",
    "days_since": "days",
    "days_until": "days",
    "age": "days",
}
# Operations that count days back from the as-of date: their sentences may say the day itself.
DAYS_BACK = ("days_since", "age")


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
    reason : template of a sentence (project/sentences.py), columns by their full names; None where it is never said.
    said : whether its words may speak for a row, against it, or both; `more`: for it above what is typical of the
        companies that may still adopt the product, against it below; `less`: the other way round.
    sayable : whether its words may be said to the customer; else they are for ourselves alone.
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
    sayable: bool
    role: Role
    definition: str

    @property
    def monotone(self) -> int:
        """`direction` as a constraint: 1, -1 or 0."""
        return MONOTONE[self.direction]

    def say(self, value: float | str, *, product: str, words: Mapping[str, object] | None = None) -> str | None:
        """Put a value into words; None where the column is never said, or a word of its sentence is unknown.

        Parameters
        ----------
        value : the column's value, not missing.
        product : name of the target product.
        words : what else the sentence may name: other columns, comparisons (explain/comparisons.py), `since`,
            and `as_of`, from which the day of what lies some days back follows.

        >>> users = column("usage", "users", "mean", 28, reason="{value:.0f} users a day over {window} days")
        >>> users.say(3.6, product="CRM")
        '4 users a day over 28 days'
        >>> column("x", "y", "count", reason="{value:.0f} open ticket(s)").say(1.0, product="CRM")
        '1 open ticket'
        """
        if self.reason is None:
            return None
        known = {**(words or {}), self.name: value, "value": value, "window": self.window, "product": product}
        if isinstance(value, str):
            known["value"] = value.replace("_", " ")
        else:
            known["change"] = math.exp(value) - 1 if self.op == "trend" else value
            known["share"] = 1 / (1 + math.exp(-value)) if self.unit == "log-odds" else value
            if self.op in DAYS_BACK and isinstance(as_of := known.get("as_of"), dt.date):
                known["on"] = as_of - dt.timedelta(days=round(value))
        if self.op:
            known[self.op] = known["value"]
        return parse_sentence(self.reason).say(known)


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
    sayable: bool = False,
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
        sayable=sayable,
        role=role,
        definition=definition,
    )
