"""What an as-of date makes of checked facts: how fresh they are, what lies after it, what before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from product_affinity.contracts.facts import FIRST_DAY, LINES, OVERWRITTEN, overwritten_query, usable, without_history
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
    without_history : filled columns that the source overwrites, where the table has no versions.
    premature : uses of a product before its first start in words, empty without one.
    """

    table: str
    newest: dt.date | None
    oldest: dt.date | None
    later: int
    rows: int
    first_later: str
    without_history: tuple[str, ...] = ()
    premature: str = ""

    def note(self, as_of: dt.date) -> str | None:
        """Say what should be known of the table; None where nothing is.

        That it holds nothing, that rows lie on or after the as-of date, that columns without a history say of the
        past what is true today, that products were used before they were bought.
        """
        if not self.rows:
            return "no rows, everything that needs it is unknown"
        said = []
        if self.later:
            said.append(
                f"{self.later:,} of {self.rows:,} rows have {TABLES[self.table].event} on or after {as_of} and are "
                f"not used (first: {self.first_later})"
            )
        if self.without_history:
            said.append(
                f"no known_at: {', '.join(self.without_history)} say of the past what is true today, "
                f"{'which is not point-in-time' if self.table in LINES else 'so no feature is made of them'}"
            )
        if self.premature:
            said.append(self.premature)
        return "; ".join(said) or None

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
    stateful = table.name in OVERWRITTEN
    answer = (
        connection.execute(overwritten_query(table.name, f"read_parquet({relation})")).fetchall() if stateful else []
    )
    timeless = without_history(table.name, answer[0]) if answer else ()
    early = _premature(connection, path) if table.name == "usage" else ""
    return Timeliness(table.name, newest, oldest, int(later), int(rows), first, timeless, early)


def _premature(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Say how much use lies before the product's first start: provisioned before billing, it tells of the sale."""
    subscriptions = path.with_name("subscriptions.parquet")
    if not subscriptions.exists():
        return ""
    early = (
        f"from read_parquet({quote_text(str(path))}) as used join (select account_id, product_id, min(start_on) as "
        f"first_on from read_parquet({quote_text(str(subscriptions))}) group by all) as bought "
        "using (account_id, product_id) where used.date < bought.first_on"
    )
    rows, pairs = connection.execute(
        f"select count(*), count(distinct (account_id, product_id)) {early}"
    ).fetchone() or (0, 0)
    if not rows:
        return ""
    example = connection.execute(
        f"select account_id, product_id, used.date, bought.first_on {early} order by all limit 1"
    ).fetchall()[0]
    account, product, day, first_on = example
    return (
        f"{rows:,} rows of {pairs:,} purchases lie before the product's first start (first: {account}, {product}, "
        f"{day}, started {first_on}): use before billing tells of the sale, so no signal should read it for a product "
        "not owned"
    )


def nothing_known(seen: Mapping[str, Timeliness], as_of: dt.date) -> str | None:
    """Say that the as-of date lies before all subscriptions; None where it does not."""
    subscriptions = seen.get("subscriptions")
    if subscriptions is None or subscriptions.newest is not None or not subscriptions.rows:
        return None
    return (
        f"as-of date {as_of}: nothing is known yet, subscriptions begin on {subscriptions.oldest}. "
        "Choose a later --as-of."
    )
