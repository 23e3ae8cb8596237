"""What became of a returned file, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_SHOWN = 20


@dataclass(frozen=True)
class Line:
    """One row of a file and its fate.

    Attributes
    ----------
    place : where the row stands.
    fate : applied, unchanged or rejected.
    play_id, account_id, product_id : whom it is about, None where it does not say.
    status : what it says; empty where that could not be read.
    why : why it is unchanged or rejected; empty for applied rows.
    """

    place: str
    fate: str
    play_id: str | None
    account_id: str | None
    product_id: str | None
    status: str
    why: str


@dataclass(frozen=True)
class OutcomeReport:
    """What became of a file: ``rows_in = applied + unchanged + rejected``.

    Attributes
    ----------
    file : its name.
    sha256 : of its bytes.
    kind : workbook, opportunities or outcomes.
    owner_key : whose workbook it is, or None.
    lines : every row that says something, in the order of the file.
    blank : rows of plays without a word about them, not counted in rows_in.
    seen_before : whether the very same file was read before.
    rejected_file : where the rejected rows lie, below `var/outcomes`; None without any.
    """

    file: str
    sha256: str
    kind: str
    owner_key: str | None
    lines: tuple[Line, ...]
    blank: int
    seen_before: bool
    rejected_file: str | None

    def count(self, fate: str) -> int:
        """How many rows met this fate."""
        return sum(line.fate == fate for line in self.lines)

    @property
    def rows_in(self) -> int:
        """Rows that say something."""
        return len(self.lines)

    @property
    def conflicts(self) -> tuple[Line, ...]:
        """Rejected rows that contradict another row or what is recorded."""
        return tuple(line for line in self.lines if line.fate == "rejected" and line.why.startswith("conflict: "))

    def counts(self) -> dict[str, int]:
        """The balance of rows, and how many of the rejected ones are conflicts."""
        fates = {fate: self.count(fate) for fate in ("applied", "unchanged", "rejected")}
        return {"rows_in": self.rows_in, **fates, "conflicts": len(self.conflicts), "blank": self.blank}

    def render(self) -> str:
        """The report in plain words: the balance, what was applied by status, then why rows were not."""
        counts = self.counts()
        owner = f" of {self.owner_key}" if self.owner_key else ""
        again = "; this very file was read before" if self.seen_before else ""
        said = [
            f"{self.file} ({self.kind}{owner}): {counts['rows_in']:,} rows in = {counts['applied']:,} applied + "
            f"{counts['unchanged']:,} unchanged + {counts['rejected']:,} rejected "
            f"(conflicts {counts['conflicts']:,}); {counts['blank']:,} without a word{again}"
        ]
        statuses = Counter(line.status for line in self.lines if line.fate == "applied")
        if statuses:
            said.append("  applied: " + ", ".join(f"{status} {n:,}" for status, n in sorted(statuses.items())))
        for fate in ("rejected", "unchanged"):
            said += _some(fate, [line for line in self.lines if line.fate == fate])
        if self.rejected_file:
            said.append(f"  rejected rows lie in var/outcomes/{self.rejected_file}")
        return "\n".join(said)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "lines": [asdict(line) for line in self.lines], "counts": self.counts()}


def _some(fate: str, lines: Sequence[Line]) -> list[str]:
    shown = [f"  {fate}: {line.place}: {line.why}" for line in lines[:MOST_SHOWN]]
    more = len(lines) - MOST_SHOWN
    return [*shown, f"  {fate}: … {more:,} more"] if more > 0 else shown
