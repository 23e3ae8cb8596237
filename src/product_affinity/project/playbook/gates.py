"""`playbook/gates.yml`: what holds a play back, in words and thresholds anyone may edit."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.reading import StrictModel, read_yaml, validate
from product_affinity.schema import TABLES


class Condition(StrictModel):
    """One bound on a feature column; exactly one of the four comparisons is given.

    Attributes
    ----------
    column : a feature column of account grain.
    above, at_least, below, at_most : the bound in the column's unit; `above` and `below` are strict.
    """

    column: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Condition:
        if sum(bound is not None for bound in (self.above, self.at_least, self.below, self.at_most)) != 1:
            raise ValueError("give exactly one of above, at_least, below, at_most")
        return self


class Gate(StrictModel):
    """A reason why not now.

    Attributes
    ----------
    code : `G` and two digits, unique; lists and counts name it.
    title : what it is about, in a few words.
    table : the source table it rests on; where the company has none, rows are listed with a caution instead.
    blocks_when : conditions that must all hold for the gate to block.
    evidence : words shown with the row; `{value}` is the first condition's value.
    unblocked_by : what would open the gate.
    """

    code: str = Field(pattern=r"^G\d\d$")
    title: str
    table: str
    blocks_when: tuple[Condition, ...] = Field(min_length=1)
    evidence: str
    unblocked_by: str

    @field_validator("table")
    @classmethod
    def _known_table(cls, value: str) -> str:
        if value not in TABLES:
            raise ValueError(f"{value} is no source table{did_you_mean(value, TABLES)}")
        return value

    @field_validator("evidence")
    @classmethod
    def _sayable(cls, value: str) -> str:
        try:
            value.format(value=1.0)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"not a template of {{value}}: {error}") from None
        return value


class Gates(StrictModel):
    """All gates, in the order of precedence."""

    gates: tuple[Gate, ...] = ()

    @model_validator(mode="after")
    def _unique_codes(self) -> Gates:
        codes = [gate.code for gate in self.gates]
        for code in codes:
            if codes.count(code) > 1 or code in RESERVED_CODES:
                raise ValueError(f"code {code} is used twice or reserved ({', '.join(RESERVED_CODES)})")
        return self


DO_NOT_CONTACT, IN_FLIGHT = "G01", "G10"
RESERVED_CODES = (DO_NOT_CONTACT, IN_FLIGHT)


def load_gates(folder: Path, columns: Collection[str]) -> tuple[Gate, ...]:
    """Read `playbook/gates.yml`; every column it names must be a feature column.

    Parameters
    ----------
    folder : the project's `playbook/`.
    columns : names of the feature columns of account grain.

    Raises
    ------
    UsageError : the file is missing, has a typo, or names an unknown column; with the closest match.
    """
    place = "playbook/gates.yml"
    gates = validate(Gates, read_yaml(folder / "gates.yml"), place).gates
    for gate in gates:
        for condition in gate.blocks_when:
            if condition.column not in columns:
                raise UsageError(
                    f"{place}: {gate.code}.blocks_when: {condition.column}: no such feature column"
                    f"{did_you_mean(condition.column, columns)}"
                )
    return gates
