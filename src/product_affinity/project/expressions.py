"""A tiny arithmetic language for derived signals: names, numbers, ``+ - * /``, parentheses; never executed.

>>> parse("usage.events_sum_28d / (seats + 1)")
BinaryNode(operator='/', left=NameNode(name='usage.events_sum_28d'), right=BinaryNode(operator='+', \
left=NameNode(name='seats'), right=NumberNode(value=1.0)))
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Operator = Literal["+", "-", "*", "/"]
_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}


@dataclass(frozen=True)
class NumberNode:
    """A number as written."""

    value: float


@dataclass(frozen=True)
class NameNode:
    """A column of the same family (`seats`) or of another one (`usage.events_sum_28d`)."""

    name: str


@dataclass(frozen=True)
class BinaryNode:
    """Two expressions and the operation between them."""

    operator: Operator
    left: Node
    right: Node


Node = NumberNode | NameNode | BinaryNode


def parse(text: str) -> Node:
    """Parse an expression.

    Raises
    ------
    ValueError : it holds anything but names, numbers, ``+ - * /`` and parentheses.

    >>> parse("open('x')")
    Traceback (most recent call last):
    ...
    ValueError: open('x'): only names, numbers, + - * / and parentheses are allowed
    """
    try:
        return _node(ast.parse(text, mode="eval").body)
    except (SyntaxError, TypeError, RecursionError):
        raise ValueError(f"{text}: only names, numbers, + - * / and parentheses are allowed") from None


def names_in(node: Node) -> Iterator[str]:
    """Yield the names an expression refers to, left to right.

    >>> list(names_in(parse("a / (b + 2)")))
    ['a', 'b']
    """
    if isinstance(node, NameNode):
        yield node.name
    elif isinstance(node, BinaryNode):
        yield from names_in(node.left)
        yield from names_in(node.right)


def _node(tree: ast.expr) -> Node:
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        return NumberNode(float(tree.value))  # type: ignore[arg-type]  # the line above excludes everything else
    if isinstance(tree, ast.Name):
        return NameNode(tree.id)
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name):
        return NameNode(f"{tree.value.id}.{tree.attr}")
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return BinaryNode(_OPERATORS[type(tree.op)], _node(tree.left), _node(tree.right))
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return BinaryNode("-", NumberNode(0.0), _node(tree.operand))
    raise TypeError(type(tree).__name__)
