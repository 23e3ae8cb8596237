"""Plan the reading: which columns of which tables are read once, for which feature columns.

A usable row counts for a *contiguous* run of as-of dates: from the first one after its event and its arrival
to the last one before it is superseded, ended or older than the window. So a scan aggregates its rows once,
to tiles of (account, product, stretch between two window starts, run of dates), and windows combine tiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from product_affinity.contracts.facts import SQL_TYPES, Facts, day_column
from product_affinity.errors import UsageError, did_you_mean
from product_affinity.features.overwritten import reads_withheld
from product_affinity.project.families import FeatureFamily
from product_affinity.project.feature_columns import column_name
from product_affinity.project.signals import RUNNING_UNTIL, Bound, Signal, Wanted
from product_affinity.schema import KNOWN_AT, TABLES
from product_affinity.schema.sql import quote_text
from product_affinity.spine.accounts import PAID

Role = Literal["account", "owned", "target", "match"]
REACHES = (64, 256, 1024)
ACCOUNT_ROLES = ("account", "owned")
ValueType = Literal["integer", "decimal", "date", "text"]

_INTEGERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "BOOLEAN",
)
_VALUE_SQL = {
    "integer": "cast({} as bigint)",
    # Sums of scaled integers do not depend on the order of rows; 6 decimals hold cents and shares alike.
    "decimal": "cast({} as decimal(18, 6))",
    "date": "cast({} as date)",
    "text": "cast({} as varchar)",
}


@dataclass(frozen=True)
class Value:
    """What is aggregated: an SQL expression that is null where a row does not count."""

    sql: str
    type: ValueType


@dataclass(frozen=True)
class Measure:
    """One feature column, or one of the two dates that a `change` compares, computed by a scan.

    Attributes
    ----------
    name, op, window : of the column.
    value : what is aggregated.
    across : how owned products reach the account.
    columns : optional columns it rests on; while no usable row of the source fills them it is missing.
    empty_is_zero : whether nothing to aggregate is a 0: nothing happened, as against nothing is known.
    """

    name: str
    op: str
    window: int | None
    value: Value
    across: Literal["sum", "max", "core"] | None
    columns: tuple[str, ...]
    empty_is_zero: bool

    @property
    def reach_days(self) -> int | None:
        """Days looked back, None for all that is known; a trend looks back over two windows."""
        if self.window is None:
            return None
        return 2 * self.window if self.op == "trend" else self.window


@dataclass(frozen=True)
class Reading:
    """What rows a scan reads and for which dates each counts; measures with equal readings share a scan.

    Attributes
    ----------
    source : source table.
    role : how rows reach a feature row: by account, by owned product, by target product, or by a match.
    event : SQL of the local day that windows are about; `moment` orders rows of one day.
    known_from : SQL of further days (closing dates, the arrival of what is overwritten) before which the row does not
        count; where one is null it never does.
    until : SQL of days after which it no longer counts.
    match : column and catalogue list it must be on.
    shift_days : how long before the as-of date we stand, for the earlier side of a `change`.
    longest_days : bound on the measures' windows (`REACHES`), None where they look at all that is known.
        Short and long windows are scanned apart, as their cut points would split each other's tiles; at a single
        as-of date there are few cut points, and reading once is cheaper.
    distinct : SQL of the value whose distinct values are counted.
    """

    source: str
    role: Role
    event: str
    moment: str
    known_from: tuple[str, ...]
    until: tuple[str, ...]
    match: tuple[str, str] | None
    shift_days: int
    longest_days: int | None
    distinct: str | None


@dataclass
class Scan:
    """A reading and everything measured in it."""

    reading: Reading
    measures: list[Measure] = field(default_factory=list)

    @property
    def values(self) -> tuple[Value, ...]:
        """The distinct values its measures aggregate, in order of first use."""
        return tuple(dict.fromkeys(measure.value for measure in self.measures))


@dataclass(frozen=True)
class Change:
    """A column that compares a measure now with the same measure `window` days ago."""

    name: str
    now: str
    then: str
    source: str
    window: int
    role: Role


def plan_scans(
    families: Iterable[FeatureFamily], facts: Facts, *, one_date: bool = False
) -> tuple[tuple[Scan, ...], tuple[Change, ...]]:
    """Group the signals of all families that read a present source table into scans.

    Parameters
    ----------
    families : declared signals.
    facts : checked source tables.
    one_date : whether the features of a single as-of date are built; it changes the reading, never a value.

    Raises
    ------
    UsageError : a signal names a column the table does not have; with the closest match.
    """
    scans: dict[Reading, Scan] = {}
    changes = []
    for family in families:
        for name, signal in family.resolved():
            if signal.source not in TABLES or not facts.has(str(signal.source)):
                continue
            reader = _SignalReader(family.family, name, signal, facts, (max(REACHES),) if one_date else REACHES)
            for reading, measure in reader.measures():
                scans.setdefault(reading, Scan(reading)).measures.append(measure)
            changes += reader.changes()
    return tuple(scans.values()), tuple(changes)


class _SignalReader:
    """Turn one signal into readings and measures."""

    def __init__(self, family: str, name: str, signal: Signal, facts: Facts, reaches: tuple[int, ...]) -> None:
        self.family, self.name, self.signal, self.reaches = family, name, signal, reaches
        self.source = str(signal.source)
        self.types = column_types(facts, self.source)

    def measures(self) -> Iterable[tuple[Reading, Measure]]:
        """Yield each column's measure with the reading it belongs to."""
        for op in self.signal.ops:
            for window in self.signal.windows or (None,):
                name = column_name(self.family, self.name, op, window)
                if op == "change":
                    base = self._changed_op()
                    yield self._reading(base, None, 0), self._measure(f"{name}:now", base, None)
                    yield self._reading(base, None, window or 0), self._measure(f"{name}:then", base, None)
                else:
                    yield self._reading(op, window, 0), self._measure(name, op, window)

    def _measure(self, name: str, op: str, window: int | None) -> Measure:
        return Measure(
            name=name,
            op=op,
            window=window,
            value=self._value(),
            across=self.signal.across,
            columns=self._optional_columns(),
            empty_is_zero=op == "count" or (op == "sum" and not self.signal.running),
        )

    def _optional_columns(self) -> tuple[str, ...]:
        """Columns a source may lack and this signal cannot do without; an unclosed row is no lack."""
        asked = [name for name, wanted in self.signal.where.items() if wanted is not None]
        needed = [KNOWN_AT] if reads_withheld(self.source, self._read()) else []
        for name in dict.fromkeys([*([self.signal.of] if self.signal.of else []), *asked]):
            definition = TABLES[self.source].column(name)
            closing = definition is not None and definition.closed_by is not None
            if name in self.types and not closing and not (definition is not None and definition.required):
                needed.append(name)
        return tuple(needed)

    def changes(self) -> list[Change]:
        """Return the comparisons of the signal's `change` columns."""
        if "change" not in self.signal.ops:
            return []
        names = [(column_name(self.family, self.name, "change", w), w) for w in self.signal.windows]
        return [
            Change(name, f"{name}:now", f"{name}:then", self.source, window, self._role()) for name, window in names
        ]

    def _changed_op(self) -> str:
        if self.signal.running:
            return "sum" if self.signal.of else "count"
        return "last"

    def _reading(self, op: str, window: int | None, shift_days: int) -> Reading:
        signal, table = self.signal, TABLES[self.source]
        event = self._day(signal.event) if signal.event else "f._event_on"
        moment = signal.event or table.event
        until = [self._day(RUNNING_UNTIL[self.source])] if signal.running else []
        if op == "days_until":
            until.append(self._day(str(signal.of)))
        return Reading(
            source=self.source,
            role=self._role(),
            event=event,
            moment=f'f."{moment}"' if moment else "f._event_on",
            known_from=tuple(sorted(self._closing_days())),
            until=tuple(until),
            match=next(((name, target.removeprefix("target.")) for name, target in signal.match.items()), None),
            shift_days=shift_days,
            longest_days=_reach_class(op, window, self.reaches),
            distinct=self._value().sql if op == "distinct" else None,
        )

    def _role(self) -> Role:
        if self.signal.grain == "pair":
            return "match" if self.signal.match else "target"
        return "owned" if self.signal.across else "account"

    def _closing_days(self) -> set[str]:
        """Days before which a value this signal reads was not yet known."""
        days = set()
        for name in self._read():
            definition = TABLES[self.source].column(name)
            if definition is not None and definition.closed_by is not None:
                days.add(f'f."{day_column(definition.closed_by)}"')
        if reads_withheld(self.source, self._read()):
            days.add(f"case when f.{KNOWN_AT} is not null then f._known_on end")
        return days

    def _read(self) -> tuple[str, ...]:
        """Columns whose values the signal reads."""
        return tuple(name for name in (self.signal.event, self.signal.of, *self.signal.where) if name)

    def _day(self, name: str) -> str:
        return f'f."{day_column(name)}"'

    def _value(self) -> Value:
        conditions = [self._condition(name, value) for name, value in self.signal.where.items()]
        where = " and ".join(conditions)
        if self.signal.of is None:
            return Value(f"case when {where} then 1 end" if where else "1", "integer")
        kind = self._value_type(self.signal.of)
        sql = _VALUE_SQL[kind].format(self._column(self.signal.of))
        return Value(f"case when {where} then {sql} end" if where else sql, kind)

    def _value_type(self, name: str) -> ValueType:
        sql_type = self.types.get(name, "BOOLEAN")
        if self.signal.ops == ("days_until",):
            return "date"
        if sql_type in _INTEGERS and self.signal.unit != "category":
            return "integer"
        is_text = sql_type == "VARCHAR" or self.signal.unit == "category"
        if is_text and not set(self.signal.ops) <= {"last", "distinct"}:
            raise UsageError(
                f"features/{self.family}.yml: signals.{self.name}: of: {self.source}.{name} is a text; "
                "it takes the operations last and distinct"
            )
        if is_text and "last" in self.signal.ops and self.signal.unit != "category":
            raise UsageError(
                f"features/{self.family}.yml: signals.{self.name}: {self.source}.{name} is a text; say unit: category"
            )
        return "text" if is_text else "decimal"

    def _column(self, name: str) -> str:
        if self.source == "subscriptions" and name == "paid":
            return PAID.replace("sub.", "f.")
        if name not in self.types:
            raise UsageError(
                f"features/{self.family}.yml: signals.{self.name}: {self.source} has no column {name}"
                f"{did_you_mean(name, self.types)}"
            )
        return f'f."{name}"'

    def _condition(self, name: str, wanted: Wanted) -> str:
        if isinstance(wanted, Bound):
            return " and ".join(f"{self._column(name)} {sign} {value!r}" for sign, value in wanted.tests)
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        known = [_literal(value) for value in values if value is not None]
        tests = [f"{self._column(name)} in ({', '.join(known)})"] if known else []
        if None in values:
            tests.append(f"{self._column(name)} is null")
        return f"({' or '.join(tests)})"


def _reach_class(op: str, window: int | None, reaches: tuple[int, ...]) -> int | None:
    if window is None:
        return None
    reach = 2 * window if op == "trend" else window
    return next((longest for longest in reaches if reach <= longest), max(reaches))


def column_types(facts: Facts, table: str) -> Mapping[str, str]:
    """SQL types of a fact table's columns, by name, without the derived dates."""
    rows = facts.connection.execute(f"describe facts.{table}").fetchall()
    names = {c.name for c in TABLES[table].columns} | {*facts.extras[table]}
    types = {name: kind for name, kind, *_ in rows if name in names}
    # What the schema knows and a source lacks is a typed null, so the two agree on the type.
    declared = {c.name: SQL_TYPES[c.kind].upper() for c in TABLES[table].columns}
    return {**declared, **types}


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return quote_text(str(value))
