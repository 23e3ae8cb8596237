"""Which columns of a server's table are needed: what nobody reads stays where it is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from product_affinity.schema import KNOWN_AT, Table

REASON = "_reason"
TYPO_SIMILARITY = 0.8
_NUMBERS = ("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE")


def needed_columns(table: Table, columns: Mapping[str, str], types: Mapping[str, str]) -> dict[str, str]:
    """Engine type of each column that is read, in the order of `types`; ids and texts as text, as they are written.

    Needed is what is mapped, `_reason`, what the table carries beyond our columns (measures, firmographic columns),
    and what looks like a misspelt name of ours, so that the check can say so. While a required column is missing all
    are needed: one of them may be it.

    Parameters
    ----------
    table : definition of our table.
    columns : our column name to the raw column name.
    types : raw column name to the engine's type.

    >>> from product_affinity.schema import TABLES
    >>> have = {"account_id": "BIGINT", "name": "VARCHAR", "phone": "VARCHAR"}
    >>> needed_columns(TABLES["accounts"], {"account_id": "account_id", "name": "name"}, have)
    {'account_id': 'VARCHAR', 'name': 'VARCHAR', 'phone': 'VARCHAR'}
    >>> have = {"account_id": "BIGINT", "product_id": "BIGINT", "start_on": "DATE", "note": "VARCHAR"}
    >>> needed_columns(TABLES["subscriptions"], {name: name for name in list(have)[:3]}, have)
    {'account_id': 'VARCHAR', 'product_id': 'VARCHAR', 'start_on': 'DATE'}
    """
    mapped = {theirs: ours for ours, theirs in columns.items()}
    absent = [name for name in table.names if name not in columns]
    everything = table.extras == "any" or any(c.required and c.name in absent for c in table.columns)

    def is_needed(name: str) -> bool:
        if everything or name in mapped or name == REASON:
            return True
        near = difflib.get_close_matches(name.lower(), absent, n=1, cutoff=TYPO_SIMILARITY)
        return bool(near) or (table.extras == "number" and types[name] in _NUMBERS)

    return {
        name: "VARCHAR" if _is_text(table, mapped.get(name)) else kind
        for name, kind in types.items()
        if is_needed(name)
    }


def _is_text(table: Table, ours: str | None) -> bool:
    column = table.column(ours) if ours is not None and ours != KNOWN_AT else None
    return column is not None and column.kind in ("id", "text")
