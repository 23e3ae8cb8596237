"""What a check found in a table, in words that name table, column, count and first example."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One kind of fault in one column.

    Attributes
    ----------
    table, column : where.
    rows, of : rows that have it, of all rows of the table.
    what : what is wrong.
    first : the first row that has it, in the words of its key.
    """

    table: str
    column: str
    rows: int
    of: int
    what: str
    first: str

    def __str__(self) -> str:
        """One line of the report.

        >>> print(Violation("usage", "active_users", 1204, 1600000, "negative", "A-0017, 2026-02-03"))
        usage.active_users  1,204 of 1,600,000 rows negative (first: A-0017, 2026-02-03)
        """
        return f"{self.table}.{self.column}  {self.rows:,} of {self.of:,} rows {self.what} (first: {self.first})"


@dataclass(frozen=True)
class TableReport:
    """What became of one source table.

    Attributes
    ----------
    name, origin : our name, and the file or query it came from.
    rows_in, used, quarantined : counts of rows; `rows_in = used + quarantined`.
    violations : every kind of fault found.
    notes : what is legal but should be known: ignored columns, static attributes, rows after the as-of date.
    fingerprint : SHA-256 of everything this table's facts depend on.
    """

    name: str
    origin: str
    rows_in: int
    used: int
    quarantined: int
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]
    fingerprint: str

    @property
    def quarantined_share(self) -> float:
        """Share of the rows that are quarantined, 0 to 1."""
        return self.quarantined / self.rows_in if self.rows_in else 0.0

    def __str__(self) -> str:
        """One line: counts that balance."""
        return f"{self.name}: used {self.used:,} of {self.rows_in:,} rows of {self.origin}" + (
            f", {self.quarantined:,} quarantined ({self.quarantined_share:.2%})" if self.quarantined else ""
        )
