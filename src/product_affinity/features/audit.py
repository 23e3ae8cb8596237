"""The replay audit: forgetting the future, or scrambling it, changes nothing that is known at a date.

What one as-of date knows (customers, pairs, features, evidence) is built three times: from the facts as they are,
from logs truncated at the as-of instant, and from logs in which everything that reached us after it is scrambled. All
three must agree. A column that a source overwrites has no log to replay; `unproven` names what rests on it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import (
    SQL_TYPES,
    Facts,
    dated_select,
    day_column,
    open_engine,
)
from product_affinity.errors import LeakageError
from product_affinity.features.build import build_features
from product_affinity.features.unproven import Unproven
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily
from product_affinity.schema import KNOWN_AT, TABLES, Table

RELATIVE_TOLERANCE = 1e-12
KEYS = ("account_id", "product_id", "as_of", "code")

Frames = Mapping[str, pd.DataFrame]
Build = Callable[[Facts], Frames]


@dataclass(frozen=True)
class Difference:
    """The first row in which a column depends on the future.

    Attributes
    ----------
    column : the column, or that there are rows in one build only.
    key : what identifies the row, such as account_id and product_id.
    replay : `truncated` or `scrambled`.
    built, replayed : the two values.
    rows : how many rows of the column differ.
    """

    column: str
    key: tuple[str, ...]
    replay: str
    built: object
    replayed: object
    rows: int

    def __str__(self) -> str:
        where = " × ".join(self.key)
        return (
            f"{self.column}: {self.rows} rows depend on what came after the date (first: {where}, "
            f"{self.built} became {self.replayed} with the future {self.replay})"
        )


@dataclass(frozen=True)
class AuditReport:
    """Result of an audit at one as-of date; it passed if there are no differences.

    Attributes
    ----------
    as_of : the date.
    columns, rows : how many were compared.
    differences : the first row of each column that depends on the future, per replay.
    unproven : source columns without a history, with the feature columns that rest on them.
    """

    as_of: dt.date
    columns: int
    rows: int
    differences: tuple[Difference, ...]
    unproven: tuple[Unproven, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no column depends on the future."""
        return not self.differences

    def render(self) -> str:
        """Return the result as a sentence, or one line per column that depends on the future."""
        lines = [str(difference) for difference in self.differences]
        if self.passed:
            lines.append(
                f"audit as of {self.as_of}: {self.columns} columns over {self.rows:,} rows stay the same "
                "with the future forgotten and with the future scrambled"
            )
        lines += map(str, self.unproven)
        return "\n".join(lines)

    def to_json(self) -> dict[str, object]:
        """Return the result for machines."""
        return {
            "as_of": str(self.as_of),
            "columns": self.columns,
            "rows": self.rows,
            "passed": self.passed,
            "unproven": {found.source: list(found.columns) for found in self.unproven if not found.withheld},
            "left_out": {found.source: list(found.columns) for found in self.unproven if found.withheld},
            "differences": [
                {"column": d.column, "key": list(d.key), "replay": d.replay, "rows": d.rows} for d in self.differences
            ],
        }

    def raise_if_broken(self) -> None:
        """Do nothing if the audit passed.

        Raises
        ------
        LeakageError : a column depends on the future.
        """
        if not self.passed:
            raise LeakageError(self.render())


def audit(
    facts: Facts,
    catalog: Catalog,
    families: tuple[FeatureFamily, ...],
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    as_of: dt.date,
) -> AuditReport:
    """Build the features of one date with and without its future and compare them.

    Integers must be equal, other numbers within a relative 1e-12, and the same values missing.

    Parameters
    ----------
    facts : checked source tables, reaching beyond `as_of` for the audit to mean anything.
    catalog, families, spine, pairs : as for `build_features`; rows of other dates are left out.
    as_of : the date to audit.
    """
    day = pd.Timestamp(as_of)
    spine, pairs = spine[spine["as_of"] == day], pairs[pairs["as_of"] == day]

    def build(replayed: Facts) -> Frames:
        tables = build_features(replayed, catalog, families, spine, pairs)
        return {"account": tables.account, "pair": tables.pair}

    return replay(facts, as_of, build)


def replay(facts: Facts, as_of: dt.date, build: Build) -> AuditReport:
    """Build anything with and without the future of a date and compare.

    Parameters
    ----------
    facts : checked source tables, reaching beyond `as_of` for the audit to mean anything.
    as_of : the date to audit.
    build : from facts to frames; each has one row for what its columns among account_id, product_id, as_of and code
        name.
    """
    built = build(facts)
    differences: list[Difference] = []
    for name, select in (("truncated", _truncated), ("scrambled", _scrambled)):
        again = rebuild(facts, as_of, select)
        try:
            replayed = build(again)
        finally:
            again.connection.close()
        for frame in built:
            differences += compare(built[frame], replayed[frame], name)
    columns = {column for frame in built.values() for column in frame.columns if column not in KEYS}
    return AuditReport(as_of, len(columns), sum(map(len, built.values())), tuple(differences))


def compare(built: pd.DataFrame, replayed: pd.DataFrame, replay: str) -> Iterator[Difference]:
    """Yield the first difference of each column of two builds of a frame, or of their rows."""
    keys = [name for name in KEYS if name in built.columns]
    both = built[keys].merge(replayed[keys], on=keys, how="outer", indicator="found_in")
    alone = both[both["found_in"] != "both"]
    if len(alone):
        first = alone.iloc[0]
        sides = ("a row", "none") if first["found_in"] == "left_only" else ("no row", "one")
        yield Difference("rows", tuple(str(first[k]) for k in keys if k != "as_of"), replay, *sides, len(alone))
        return
    one, other = (frame.sort_values(keys, kind="stable", ignore_index=True) for frame in (built, replayed))
    for column in one.columns:
        differs = _differs(one[column], other[column])
        if differs.any():
            at = int(np.argmax(differs))
            key = tuple(str(one[k].iloc[at]) for k in keys if k != "as_of")
            yield Difference(column, key, replay, one[column].iloc[at], other[column].iloc[at], int(differs.sum()))


def _differs(one: pd.Series, other: pd.Series) -> np.ndarray:
    if one.dtype != np.float64:
        return ((one != other) & ~(one.isna() & other.isna())).fillna(True).to_numpy(dtype=bool)
    return ~np.isclose(one, other, rtol=RELATIVE_TOLERANCE, atol=0, equal_nan=True)


Select = Callable[[Table, "tuple[str, ...]", str], str]


def rebuild(facts: Facts, as_of: dt.date, select: Select) -> Facts:
    """Make facts anew from changed logs, with days, versions and lags computed again.

    Parameters
    ----------
    facts : where the logs are read.
    as_of : the instant they are changed at.
    select : SQL of a changed log, given the table, its further columns and the date in SQL.
    """
    connection = open_engine(threads=1)
    connection.execute("create schema facts")
    for name, table in TABLES.items():
        log = facts.connection.sql(select(table, facts.extras[name], f"date '{as_of}'")).to_arrow_table()
        connection.register("log", log)
        columns = set(log.column_names)
        versioned, lag = _versions(facts, name)
        if not versioned:
            columns.discard(KNOWN_AT)
        query = dated_select(table, "log", columns, timezone=facts.timezone, lag_days=lag, extras=facts.extras[name])
        connection.execute(f"create table facts.{name} as {query}")
        connection.unregister("log")
    return Facts(connection, facts.timezone, facts.present, facts.extras)


def _versions(facts: Facts, table: str) -> tuple[bool, int]:
    """Whether rows say when they were known, and otherwise the days they took to arrive."""
    versioned, lag = facts.connection.execute(
        f"select coalesce(bool_or(known_at is not null), false), "
        f"coalesce(min(_known_on - _event_on) filter (where known_at is null), 0) from facts.{table}"
    ).fetchall()[0]
    return bool(versioned), int(lag)


def _truncated(table: Table, extras: tuple[str, ...], as_of: str) -> str:
    """The log as it was at the instant: later arrivals absent, what had not closed open."""
    columns = [f'"{name}"' for name in (*extras, KNOWN_AT)]
    for column in table.columns:
        if column.closed_by is None:
            columns.append(column.name)
        else:
            columns.append(
                f"case when {day_column(column.closed_by)} < {as_of} then {column.name} end as {column.name}"
            )
    return f"select {', '.join(columns)} from facts.{table.name} where _known_on < {as_of}"


def _scrambled(table: Table, extras: tuple[str, ...], as_of: str) -> str:
    """The log with all that came after the instant changed: other accounts and numbers, later days."""
    late = f"(_known_on >= {as_of})"
    columns = [
        f'case when {late} or _event_on >= {as_of} then {_noise(name)} else "{name}" end as "{name}"' for name in extras
    ]
    columns.append(f"case when {late} then known_at + to_days({_days('known_at')}) else known_at end as known_at")
    for column in table.columns:
        changed = _changed(column.name, column.kind)
        when = late
        if column.name not in table.key and column.kind in ("number", "boolean"):
            when = f"({late} or _event_on >= {as_of})"
        if column.closed_by is not None:
            when = f"({late} or {day_column(column.closed_by)} >= {as_of})"
        columns.append(f"case when {when} then {changed} else {column.name} end as {column.name}")
    return f"select {', '.join(columns)} from (select *, row_number() over () as _row from facts.{table.name})"


def _days(salt: str) -> str:
    """A number of days from 1 to 100 that differs between rows."""
    return f"cast(1 + hash(_row, '{salt}') % 100 as integer)"


def _noise(name: str) -> str:
    return f'lag("{name}", 3) over (order by hash(_row, {len(name)}))'


def _changed(name: str, kind: str) -> str:
    """Another value of the column: dates only move on, so that what lay ahead still does."""
    if kind == "date":
        return f"{name} + {_days(name)}"
    if kind == "timestamp":
        return f"{name} + to_days({_days(name)})"
    if kind in ("integer", "number"):
        return f"cast(coalesce({name}, 1) * (2 + hash(_row, '{name}') % 9) as {SQL_TYPES[kind]})"
    if kind == "boolean":
        return f"not coalesce({name}, false)"
    return f"coalesce({_noise(name)}, {name})"
