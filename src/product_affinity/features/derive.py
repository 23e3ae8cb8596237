"""Evaluate derived signals on whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from product_affinity.project.expressions import NameNode, Node, NumberNode
from product_affinity.project.families import Derivation

Lookup = Callable[[str], np.ndarray]


def derive(
    steps: Sequence[Derivation],
    columns: dict[str, np.ndarray],
    spine_row: np.ndarray,
    grains: Mapping[str, str],
) -> None:
    """Add the derived columns to `columns`, in their order.

    Parameters
    ----------
    steps : derivations, each after what it refers to.
    columns : values by column name; changed in place.
    spine_row : position of each pair's account row, which is where account columns are read for a pair.
    grains : grain of each column.
    """
    for step in steps:

        def look_up(name: str, step: Derivation = step) -> np.ndarray:
            source = step.names[name]
            values = columns[source]
            lifted = step.column.grain == "pair" and grains[source] == "account"
            return values[spine_row] if lifted else values

        columns[step.column.name] = _derived(step, look_up)


def _derived(step: Derivation, look_up: Lookup) -> np.ndarray:
    derived = step.derived
    value, *others = [evaluate(node, look_up, derived.zero_denominator) for node in derived.expressions]
    for other in others:
        value = np.where(np.isnan(value), other, value)
    for name, minimum in derived.needs.items():
        value = np.where(look_up(name) >= minimum, value, np.nan)
    return np.clip(value, *derived.clip) if derived.clip else value


def evaluate(node: Node, look_up: Lookup, zero_denominator: str) -> np.ndarray:
    """Evaluate an expression on columns; a missing operand makes the result missing.

    >>> from product_affinity.project.expressions import parse
    >>> columns = {"a": np.array([1.0, 1.0]), "b": np.array([2.0, 0.0])}
    >>> evaluate(parse("a / b"), columns.__getitem__, "missing")
    array([0.5, nan])
    """
    if isinstance(node, NumberNode):
        return np.asarray(node.value)
    if isinstance(node, NameNode):
        return look_up(node.name)
    left, right = (evaluate(side, look_up, zero_denominator) for side in (node.left, node.right))
    if node.operator == "+":
        return np.asarray(left + right)
    if node.operator == "-":
        return np.asarray(left - right)
    if node.operator == "*":
        return np.asarray(left * right)
    instead = np.where(np.isnan(left), np.nan, 0.0 if zero_denominator == "zero" else np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(right == 0, instead, left / right)
