"""Check a LightGBM text model before it is loaded.

LightGBM trusts its text: an edited child or feature index makes it read outside its arrays and
crash the process. Here the text is parsed, every number and index is checked, and a canonical text
is written from the checked parts only, so nothing unchecked reaches the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?(\d{1,40}(\.\d{0,40})?([eE][+-]?\d{1,3})?|inf|nan)")
_HEADER = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx",
    "objective", "feature_names", "feature_infos", "tree_sizes",
)  # fmt: skip
_OPTIONAL_HEADER = ("monotone_constraints",)
_NODE_INTEGERS = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_NODE_NUMBERS = ("split_gain", "threshold", "internal_value", "internal_weight")
_LEAF_NUMBERS = ("leaf_value", "leaf_weight", "leaf_count")
_OBJECTIVE = "binary sigmoid:1"
_MAX_LEAVES = 1 << 16


def canonical_text(text: str, column_count: int) -> str:
    """The model text rebuilt from its checked parts, without parameters and other trailers.

    Parameters
    ----------
    text : str
        A LightGBM text model of one binary objective.
    column_count : int
        Number of columns the model must have been trained on.

    Returns
    -------
    str
        Text that scores exactly like the input.

    Raises
    ------
    ValueError
        If the structure is broken, naming tree and field.

    """
    header, *trees = _blocks(text)
    lines = _checked_header(header, column_count)
    bodies = [_checked_tree(tree, index, column_count) for index, tree in enumerate(trees)]
    sizes = " ".join(str(len(body.encode())) for body in bodies)
    return "\n".join([*lines, f"tree_sizes={sizes}", "", ""]) + "".join(bodies) + "end of trees\n"


def _blocks(text: str) -> list[dict[str, str]]:
    head, end, _ = text.partition("\nend of trees")
    if not end or not head.startswith("tree\n"):
        raise ValueError("booster text: it does not run from 'tree' to 'end of trees'.")
    return [_fields(block, at - 1) for at, block in enumerate(re.split(r"\n(?=Tree=)", head[5:]))]


def _fields(block: str, tree: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        if not line:
            continue
        key, equals, value = line.partition("=")
        if not equals or key in fields:
            raise ValueError(f"booster text, {_place(tree)}: unreadable or repeated line {line[:40]!r}.")
        fields[key] = value
    return fields


def _place(tree: int) -> str:
    return "header" if tree < 0 else f"tree {tree}"


def _checked_header(header: Mapping[str, str], column_count: int) -> list[str]:
    _check_keys(header, required=_HEADER, optional=_OPTIONAL_HEADER, tree=-1)
    expected = {
        "version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0",
        "max_feature_idx": str(column_count - 1), "objective": _OBJECTIVE,
        "feature_names": " ".join(f"Column_{at}" for at in range(column_count)),
    }  # fmt: skip
    for key, value in expected.items():
        if header[key] != value:
            raise ValueError(f"booster text, header: {key} is {header[key][:40]!r}, not {value[:40]!r}.")
    # ranges of the training columns play no part in scoring
    infos = " ".join(["none"] * column_count)
    return ["tree", *(f"{key}={value}" for key, value in expected.items()), f"feature_infos={infos}"]


def _check_keys(fields: Mapping[str, str], required: Sequence[str], optional: Sequence[str], tree: int) -> None:
    lacking = [key for key in required if key not in fields]
    unknown = [key for key in fields if key not in (*required, *optional)]
    if lacking or unknown:
        what = f"missing {lacking[0]}" if lacking else f"unknown field {unknown[0][:40]!r}"
        raise ValueError(f"booster text, {_place(tree)}: {what}.")


def _checked_tree(fields: Mapping[str, str], index: int, column_count: int) -> str:
    if fields.get("Tree") != str(index):
        raise ValueError(f"booster text, tree {index}: it is numbered {fields.get('Tree')!r}.")
    leaves = _integers(fields, "num_leaves", 1, index)[0]
    categories = _integers(fields, "num_cat", 1, index)[0]
    if not (1 <= leaves <= _MAX_LEAVES and 0 <= categories < leaves):
        raise ValueError(f"booster text, tree {index}: {leaves} leaves and {categories} category splits.")
    keys = _tree_keys(leaves, categories)
    _check_keys(fields, required=keys, optional=_trivial_keys(leaves), tree=index)
    _check_arrays(fields, leaves, index)
    if leaves > 1:
        _check_nodes(fields, leaves, categories, column_count, index)
    if fields["is_linear"] != "0":
        raise ValueError(f"booster text, tree {index}: linear leaves are not supported.")
    _numbers(fields, "shrinkage", 1, index)
    return "\n".join(f"{key}={fields[key]}" for key in keys) + "\n\n\n"


def _tree_keys(leaves: int, categories: int) -> list[str]:
    nodes = ["split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child"]
    leaf = ["leaf_value", "leaf_weight", "leaf_count"]
    inner = ["internal_value", "internal_weight", "internal_count"]
    sets = ["cat_boundaries", "cat_threshold"] if categories else []
    arrays = [*nodes, *leaf, *inner, *sets] if leaves > 1 else ["leaf_value"]
    return ["Tree", "num_leaves", "num_cat", *arrays, "is_linear", "shrinkage"]


def _trivial_keys(leaves: int) -> tuple[str, ...]:
    return (*_NODE_INTEGERS, *_NODE_NUMBERS, *_LEAF_NUMBERS) if leaves == 1 else ()


def _check_arrays(fields: Mapping[str, str], leaves: int, tree: int) -> None:
    if leaves == 1:
        _numbers(fields, "leaf_value", 1, tree)
        return
    for key in _NODE_INTEGERS:
        _integers(fields, key, leaves - 1, tree)
    for key in _NODE_NUMBERS:
        _numbers(fields, key, leaves - 1, tree)
    for key in _LEAF_NUMBERS:
        _numbers(fields, key, leaves, tree)


def _check_nodes(fields: Mapping[str, str], leaves: int, categories: int, column_count: int, tree: int) -> None:
    inner = leaves - 1
    features = _integers(fields, "split_feature", inner, tree)
    if not all(0 <= feature < column_count for feature in features):
        raise ValueError(f"booster text, tree {tree}: split_feature outside the {column_count} columns.")
    decisions = _integers(fields, "decision_type", inner, tree)
    if not all(0 <= decision <= 11 and decision >> 2 <= 2 for decision in decisions):
        raise ValueError(f"booster text, tree {tree}: unknown decision_type.")
    _check_children(fields, leaves, tree)
    _check_categories(fields, decisions, categories, tree)


def _check_children(fields: Mapping[str, str], leaves: int, tree: int) -> None:
    left = _integers(fields, "left_child", leaves - 1, tree)
    right = _integers(fields, "right_child", leaves - 1, tree)
    children = sorted([*left, *right])
    # each leaf (~0 … ~(leaves-1)) and each node but the root exactly once, and every child after
    # its parent: that is a tree, without cycles and within bounds
    if children != [*range(-leaves, 0), *range(1, leaves - 1)]:
        raise ValueError(f"booster text, tree {tree}: children are out of range or named twice.")
    for node, (one, other) in enumerate(zip(left, right, strict=True)):
        if 0 <= one <= node or 0 <= other <= node:
            raise ValueError(f"booster text, tree {tree}: node {node} points back to a parent.")


def _check_categories(fields: Mapping[str, str], decisions: Sequence[int], categories: int, tree: int) -> None:
    uses = [at for at, decision in enumerate(decisions) if decision & 1]
    if len(uses) != categories:
        raise ValueError(f"booster text, tree {tree}: {categories} category splits, {len(uses)} used.")
    if not categories:
        return
    bounds = _integers(fields, "cat_boundaries", categories + 1, tree)
    if bounds[0] != 0 or any(low >= high for low, high in pairwise(bounds)):
        raise ValueError(f"booster text, tree {tree}: cat_boundaries do not increase from 0.")
    words = _integers(fields, "cat_threshold", bounds[-1], tree)
    if not all(0 <= word < 1 << 32 for word in words):
        raise ValueError(f"booster text, tree {tree}: cat_threshold is no 32-bit word.")
    thresholds = fields["threshold"].split(" ")
    if sorted(thresholds[at] for at in uses) != sorted(str(at) for at in range(categories)):
        raise ValueError(f"booster text, tree {tree}: thresholds of category splits are out of range.")


def _tokens(fields: Mapping[str, str], key: str, count: int, tree: int, pattern: re.Pattern[str]) -> list[str]:
    tokens = fields.get(key, "").split(" ")
    if len(tokens) != count:
        raise ValueError(f"booster text, tree {tree}: {key} has {len(tokens)} values, not {count}.")
    wrong = next((token for token in tokens if not pattern.fullmatch(token)), None)
    if wrong is not None:
        raise ValueError(f"booster text, tree {tree}: {key} holds {wrong[:40]!r}.")
    return tokens


def _integers(fields: Mapping[str, str], key: str, count: int, tree: int) -> list[int]:
    return [int(token) for token in _tokens(fields, key, count, tree, _INTEGER)]


def _numbers(fields: Mapping[str, str], key: str, count: int, tree: int) -> list[float]:
    return [float(token) for token in _tokens(fields, key, count, tree, _NUMBER)]
