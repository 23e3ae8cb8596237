"""What an as-of date makes of checked facts: how fresh they are, what lies after it, what before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from product_affinity.contracts.facts import FIRST_DAY, usable
from product_affinity.schema import TABLES, Table
from product_affinity.schema.sql import quote_text


@dataclass(frozen=True)
class Timeliness:
    """One table seen from an as-of date.

    Attributes
    ----------
    table : our name.
    newest : the newest day usable before the as-of date, None without one.
    oldest : the oldest day of all, None where rows carry none.
    later : rows whose fact happens on or after the as-of date; they are legal and not used.
    rows : rows of the table.
    first_later : the earliest of them in the words of its key, empty without one.
    """

    table: str
    newest: dt.date | None
    oldest: dt.date | None
    later: int
    rows: int
    first_later: str

    def note(self, as_of: dt.date) -> str | None:
        """Say that the table holds nothing, or rows on or after the as-of date; None where neither is so."""
        if not self.rows:
            return "no rows, everything that needs it is unknown"
        if not self.later:
            return None
        column = TABLES[self.table].event
        return (
            f"{self.later:,} of {self.rows:,} rows have {column} on or after {as_of} and are not used "
            f"(first: {self.first_later})"
        )

    def staleness(self, as_of: dt.date, within_days: int) -> str | None:
        """Say that the table ends too long before the as-of date; None where it does not.

        Parameters
        ----------
        as_of : as-of date.
        within_days : days that may lie between the newest row and the as-of date.
        """
        if self.newest is None:
            return f"{self.table}: nothing before {as_of}, wanted a row within {within_days} days"
        age = (as_of - self.newest).days
        if age <= within_days:
            return None
        return (
            f"{self.table}: newest row before {as_of} is of {self.newest}, {age} days old, "
            f"wanted within {within_days} days ([contracts.fresh_within_days] in affinity.toml)"
        )


def read_timeliness(connection: duckdb.DuckDBPyConnection, table: Table, path: Path, as_of: dt.date) -> Timeliness:
    """Read from a facts file what an as-of date makes of it.

    Parameters
    ----------
    connection : any engine that can read `path`.
    table : definition of the table.
    path : ``facts/<table>.parquet``.
    as_of : as-of date; its local midnight is the instant.
    """
    relation = quote_text(str(path))
    day = f"date '{as_of}'"
    happened = f"nullif(_event_on, {FIRST_DAY})" if table.event else f"nullif(_known_on, {FIRST_DAY})"
    newest, oldest, later, rows = connection.execute(
        f"select max({happened}) filter ({usable('facts', day)}), min({happened}), "
        f"count(*) filter (_event_on >= {day}), count(*) from read_parquet({relation}) facts"
    ).fetchone() or (None, None, 0, 0)
    first = ""
    if later:
        key = ", ".join(f"cast({name} as varchar)" for name in table.key)
        found = connection.execute(
            f"select concat_ws(', ', {key}) from read_parquet({relation}) "
            f"where _event_on >= {day} order by _event_on, {', '.join(table.key)} limit 1"
        ).fetchone()
        first = str(found[0]) if found else ""
    return Timeliness(table.name, newest, oldest, int(later), int(rows), first)


def nothing_known(seen: Mapping[str, Timeliness], as_of: dt.date) -> str | None:
    """Say that the as-of date lies before all subscriptions; None where it does not."""
    subscriptions = seen.get("subscriptions")
    if subscriptions is None or subscriptions.newest is not None or not subscriptions.rows:
        return None
    return (
        f"as-of date {as_of}: nothing is known yet, subscriptions begin on {subscriptions.oldest}. "
        "Choose a later --as-of."
    )
