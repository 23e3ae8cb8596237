"""What one condition of a trigger may say: rows of one table, a window, a comparison, and words for what was seen."""

from __future__ import annotations

import re
import string
from typing import Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.reading import StrictModel
from product_affinity.project.signal_sources import check_choices
from product_affinity.project.signals import RUNNING_UNTIL, VIRTUAL_COLUMNS, Bound, Wanted
from product_affinity.schema import TABLES, Table

Op = Literal["count", "sum", "mean", "max", "last", "share", "weeks"]
OPS_OF_A_COLUMN = ("sum", "mean", "max", "last", "share")
COMPUTED = ("value", "total", "date", "days", "weeks", "window_days", "threshold", "product")
NUMBERS = ("value", "total", "threshold")
_FORMAT = re.compile(r"(?P<comma>,?)\.(?P<digits>\d)(?P<type>[f%])")


class Condition(StrictModel):
    """Rows of one source table, put to one comparison, for each account (and what leads from it to products).

    Attributes
    ----------
    table : source table.
    where : column to the value, list of values or bound (`{above: 0}`) of a row; null is a missing value;
        `paid` on subscriptions means no trial and not free, or bought once.
    running : only what had started and not ended at the as-of date.
    date : column the window is about, where it is not the table's own.
    yearly : the date's latest return before the as-of date, at least a year later, takes its place.
    window_days : look-back `[as_of − w, as_of)`; without one the condition is a standing one and dates nothing.
    next_days : look-ahead `[as_of, as_of + n)` instead, for plans such as renewals.
    op : `count` of rows, `sum`, `mean`, `max` or `last` of a column, `share` = sum of `of` ÷ sum of `per`,
        `weeks` = number of the window's weeks with a row.
    of, per : columns operated on.
    holds : bound the result must keep; a count must be at least 1 unless told otherwise.
    evidence : words for what was seen. Placeholders: any column of the table (its value in the row that counts:
        the largest for `max`, else the newest), `{value}`, `{total}` (sum of `of`, or rows), `{date}`, `{days}` (since
        then), `{weeks}`, `{window_days}`, `{threshold}`, `{product}` (name of the product the row is about).
        Numbers take `:.2f`, `:,.0f` or `:.0%`.
    """

    table: str
    where: dict[str, Wanted] = Field(default={})
    running: bool = False
    date: str | None = None
    yearly: bool = False
    window_days: PositiveInt | None = None
    next_days: PositiveInt | None = None
    op: Op = "count"
    of: str | None = None
    per: str | None = None
    holds: Bound = Bound(at_least=1)
    evidence: str = Field(min_length=1)

    @property
    def source(self) -> Table:
        """Definition of its table."""
        return TABLES[self.table]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns it reads, each once, in order; not the virtual ones."""
        named = [self.of, self.per, self.date, *self.where, *self.shown]
        virtual = VIRTUAL_COLUMNS.get(self.table, ())
        return tuple(dict.fromkeys(name for name in named if name is not None and name not in virtual))

    @property
    def shown(self) -> tuple[str, ...]:
        """Columns whose values the evidence shows, each once, in order."""
        names = (name for _, name, _, _ in string.Formatter().parse(self.evidence) if name is not None)
        return tuple(dict.fromkeys(name for name in names if name not in COMPUTED))

    def wanted_texts(self, column: str) -> list[str]:
        """Texts that `where` asks of a column.

        >>> asked = Condition(table="signals", where={"kind": ["hiring", "funding"]}, evidence="{kind}")
        >>> asked.wanted_texts("kind"), asked.wanted_texts("amount")
        (['hiring', 'funding'], [])
        """
        wanted = self.where.get(column)
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        return [value for value in values if isinstance(value, str)]

    @field_validator("table")
    @classmethod
    def _known_table(cls, value: str) -> str:
        if value not in TABLES:
            raise ValueError(f"{value} is no source table{did_you_mean(value, TABLES)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Condition:
        self._check_columns()
        self._check_values()
        self._check_dates()
        self._check_op()
        self._check_words()
        return self

    def _check_columns(self) -> None:
        known = [*(column.name for column in self.source.columns), *VIRTUAL_COLUMNS.get(self.table, ())]
        named = [("of", self.of), ("per", self.per), ("date", self.date), *(("where", name) for name in self.where)]
        for key, name in named:
            free = self.source.extras != "none" and key != "date"
            if name is not None and name not in known and not free:
                raise ValueError(f"{key}: {self.table} has no column {name}{did_you_mean(name, known)}")
        for key, name in (("of", self.of), ("per", self.per)):
            column = self.source.column(name) if name else None
            if column is not None and column.kind not in ("integer", "number"):
                raise ValueError(f"{key}: {self.table}.{name} is no number")
        day = self.source.column(self.date) if self.date else None
        if day is not None and day.kind not in ("date", "timestamp"):
            raise ValueError(f"date: {self.table}.{self.date} is no date")

    def _check_values(self) -> None:
        for name in self.where:
            column = self.source.column(name)
            if column is None:
                continue
            if name == RUNNING_UNTIL.get(self.table) and self.where[name] is None:
                raise ValueError(f"where: {name} is empty while a row runs; say `running: true` without it")
            check_choices({name: self.where[name]}, self.source)

    def _check_dates(self) -> None:
        if self.running and self.table not in RUNNING_UNTIL:
            raise ValueError(f"running: {self.table} has no end{did_you_mean(self.table, RUNNING_UNTIL)}")
        if self.window_days is not None and self.next_days is not None:
            raise ValueError("give window_days or next_days, not both")
        if self.yearly and self.window_days is None:
            raise ValueError("yearly: needs window_days, the days after its return in which it counts")
        if self.next_days is not None and self.date is None:
            raise ValueError("next_days: needs `date: <column>`; what happened lies behind")

    def _check_op(self) -> None:
        if (self.op in OPS_OF_A_COLUMN and self.of is None) or (self.op == "count" and self.of is not None):
            raise ValueError(f"op: {self.op} {'takes no' if self.of else 'needs'} `of: <column>`")
        if (self.op == "share") != (self.per is not None):
            raise ValueError("per: belongs to op: share, and it needs one")
        if self.op == "weeks" and (self.window_days is None or self.window_days % 7):
            raise ValueError("op: weeks needs window_days of whole weeks (28, say)")
        if self.op != "count" and "holds" not in self.model_fields_set:
            raise ValueError(f"op: {self.op} needs `holds`, the bound its result must keep")

    def _check_words(self) -> None:
        try:
            parts = list(string.Formatter().parse(self.evidence))
        except ValueError as error:
            raise ValueError(f"evidence: {error}") from None
        known = [*COMPUTED, *(column.name for column in self.source.columns)]
        for _, name, form, conversion in parts:
            if name is None:
                continue
            if name not in known and not (self.source.extras != "none" and name.isidentifier()):
                raise ValueError(f"evidence: unknown placeholder {{{name}}}{did_you_mean(name, known)}")
            if conversion or (form and not _FORMAT.fullmatch(form)):
                raise ValueError(f"evidence: {{{name}}} takes no form but :.2f, :,.0f and :.0%")
            if form and not self.is_number(name):
                raise ValueError(f"evidence: {{{name}}} is no number and takes no form")
            if name == "product" and self.source.column("product_id") is None:
                raise ValueError(f"evidence: {{product}} needs a product_id, which {self.table} has none of")
            if name == "weeks" and self.op != "weeks":
                raise ValueError("evidence: {weeks} belongs to op: weeks")
            if name in ("window_days",) and self.window_days is None:
                raise ValueError("evidence: {window_days} needs window_days")

    def is_number(self, placeholder: str) -> bool:
        """Whether a placeholder of the evidence stands for a number."""
        column = self.source.column(placeholder)
        return placeholder in NUMBERS or (column is not None and column.kind in ("integer", "number"))


def parse_form(form: str) -> tuple[bool, int, bool]:
    """Read a number's form: thousands separated, decimals, percent.

    >>> parse_form(",.0f"), parse_form(".1%")
    ((True, 0, False), (False, 1, True))
    """
    found = _FORMAT.fullmatch(form)
    if found is None:
        raise ValueError(f"{form} is no form of a number")
    return bool(found["comma"]), int(found["digits"]), found["type"] == "%"
