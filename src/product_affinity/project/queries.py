"""The one SQL query a family may have: checked to read nothing but what is known at its as-of date.

A query names relations without a schema. Which rows and values they hold is decided when it runs
(features/queries.py); here it is made sure that it has no other way to anything: no other relation, no file, no
clock, no dice. So point in time holds by construction, as it does for declared signals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

from product_affinity.errors import did_you_mean
from product_affinity.schema import TABLES

#: what a query may read beside the source tables
RELATIONS = ("rows", "owned", "products", "adjacency")
#: the only parameter it may use
AS_OF = "as_of"
TABLE_FUNCTIONS = ("unnest", "range", "generate_series")
#: they answer differently from call to call, or tell of the engine and not of the facts
REFUSED_FUNCTIONS = frozenset({
    "ago", "current_catalog", "current_connection_id", "current_database", "current_date", "current_localtime",
    "current_localtimestamp", "current_query", "current_query_id", "current_role", "current_schema", "current_schemas",
    "current_setting", "current_time", "current_timestamp", "current_transaction_id", "current_user", "currval",
    "error", "gen_random_uuid", "get_current_time", "get_current_timestamp", "getenv", "getvariable", "in_search_path",
    "localtime", "localtimestamp", "nextval", "now", "random", "session_user", "set_config", "setseed", "setval",
    "sleep_ms", "stats", "today", "transaction_timestamp", "txid_current", "user", "uuid", "uuidv4", "uuidv7",
    "vector_type", "write_log",
})  # fmt: skip


@cache
def tables_read(query: str) -> tuple[str, ...]:
    """Return the source tables and other relations a query reads, sorted.

    Raises
    ------
    ValueError : it is no single SELECT, or reads or calls what it may not; with the closest match.

    >>> tables_read("with late as (from tickets) select account_id, as_of, 1 as n from rows, late")
    ('rows', 'tickets')
    """
    parsed = _parsed(query)
    nodes = list(_nodes(parsed))
    for node in nodes:
        _check(node)
    named = sorted(set(_from_outside(parsed, frozenset())))
    own = {entry["key"] for node in nodes if "cte_map" in node for entry in node["cte_map"]["map"]}
    for name in named:
        if name not in TABLES and name not in RELATIONS:
            options = (*TABLES, *RELATIONS, *sorted(own - {name}))
            raise ValueError(f"relation {name} is unknown{did_you_mean(name, options)}")
    return tuple(named)


def uses_as_of(query: str) -> bool:
    """Whether the query names the parameter `$as_of`.

    >>> uses_as_of("select $as_of - 28"), uses_as_of("select 1")
    (True, False)
    """
    return any(node.get("class") == "PARAMETER" for node in _nodes(_parsed(query)))


@cache
def _parsed(query: str) -> Any:
    with duckdb.connect() as connection:
        found = connection.execute("select json_serialize_sql(?)", [query]).fetchone()
    parsed = json.loads(found[0] if found else "{}")
    if parsed["error"]:
        raise ValueError(f"not a query that can be run: {parsed['error_message']}")
    if len(parsed["statements"]) != 1:
        raise ValueError(f"{len(parsed['statements'])} statements found; a family has one query")
    return parsed


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _nodes(branch)


def _from_outside(tree: Any, own: frozenset[str]) -> Iterator[str]:
    """Yield the relations that a branch reads and that are no part (`with`) of the query where they are read.

    A part is seen by the parts after it and by the select they belong to, and nowhere else; by itself only in the
    repeated half of a recursion. Whatever else bears its name is looked for outside, in files too.
    """
    if isinstance(tree, list):
        for branch in tree:
            yield from _from_outside(branch, own)
    if not isinstance(tree, dict):
        return
    if tree.get("type") == "BASE_TABLE" and tree["table_name"].lower() not in own:
        yield tree["table_name"]
    for part in tree.get("cte_map", {"map": []})["map"]:
        yield from _from_outside(part["value"], own)
        own |= {part["key"].lower()}
    for key, branch in tree.items():
        repeated = key == "right" and tree.get("type") == "RECURSIVE_CTE_NODE"
        if key != "cte_map":
            yield from _from_outside(branch, own | {tree["cte_name"].lower()} if repeated else own)


def _check(node: dict[str, Any]) -> None:
    """Refuse what could see more than the relations, or another thing each time."""
    kind = node.get("type")
    if kind == "BASE_TABLE" and (node["schema_name"] or node["catalog_name"]):
        whole = ".".join(filter(None, (node["catalog_name"], node["schema_name"], node["table_name"])))
        raise ValueError(f"relation {whole}: name it without a schema, {node['table_name']}, as known at the date")
    if kind == "SHOW_REF":
        raise ValueError("show and describe tell of the engine; read a relation")
    if kind == "TABLE_FUNCTION" and node["function"]["function_name"] not in TABLE_FUNCTIONS:
        name = node["function"]["function_name"]
        raise ValueError(f"table function {name} is not allowed{did_you_mean(name, TABLE_FUNCTIONS)}")
    if node.get("sample"):
        raise ValueError("a sample differs from run to run; leave tablesample out")
    _check_call(node)


def _check_call(node: dict[str, Any]) -> None:
    called = node.get("function_name", "")
    # the clock may be asked without parentheses, which looks like a column
    names = node.get("column_names", ())
    asked = called or (names[0] if len(names) == 1 else "")
    if asked.lower() in REFUSED_FUNCTIONS or (called == "age" and len(node["arguments"]) == 1):
        raise ValueError(f"{asked} is not allowed: a query answers the same at any time; the date is ${AS_OF}")
    if node.get("class") == "PARAMETER" and node["identifier"] != AS_OF:
        raise ValueError(f"parameter ${node['identifier']} is unknown (did you mean ${AS_OF}?)")
