"""Conditions on evidence, and the templates that put it into words: shared by gates and readiness criteria."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from pydantic import field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.catalog import Segment
from product_affinity.project.playbook.evidence_columns import CLOCKS, EVIDENCE_COLUMNS, Clock
from product_affinity.project.reading import StrictModel

RuleSet = Literal["scorecard", "playbook", "motion"]
Comparison = Literal["above", "at_least", "below", "at_most"]
COMPARISONS: tuple[Comparison, ...] = ("above", "at_least", "below", "at_most")
# Besides the columns, a template may say these of its first condition: its bound for the row, the day time alone
# answers it, and for clocks the months and since when they are counted.
SPOKEN = ("bound", "on", "months", "clock")
PLACEHOLDER = re.compile(r"\{([a-z_0-9]+)(?::([^{}]*))?\}")


class Override(StrictModel):
    """Another bound for some rows; everything that is given must match, and the last match counts.

    Attributes
    ----------
    segment, product, rule_set : which rows.
    bound : the bound for them.
    """

    segment: Segment | None = None
    product: str | None = None
    rule_set: RuleSet | None = None
    bound: float

    @model_validator(mode="after")
    def _for_something(self) -> Override:
        if self.segment is None and self.product is None and self.rule_set is None:
            raise ValueError("give segment, product or rule_set; for all rows change the bound itself")
        return self


class EvidenceCondition(StrictModel):
    """One condition on a column of the evidence, or on a clock.

    Attributes
    ----------
    column : a column of the evidence; or
    clock : months since first_purchase, implementation_end or proven_value; of several the first one known.
    above, at_least, below, at_most : the bound in the column's unit; `above` and `below` are strict.
    one_of : texts, for a column of text.
    overrides : other bounds for segments, products or rule sets.
    """

    column: str | None = None
    clock: tuple[Clock, ...] = ()
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()

    @field_validator("clock", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("column")
    @classmethod
    def _known_column(cls, value: str | None) -> str | None:
        if value is not None and value not in EVIDENCE_COLUMNS:
            raise ValueError(f"{value} is no column of the evidence{did_you_mean(value, EVIDENCE_COLUMNS)}")
        return value

    @model_validator(mode="after")
    def _one_question(self) -> EvidenceCondition:
        if (self.column is None) == (not self.clock):
            raise ValueError("give either a column or a clock")
        bounds = sum(getattr(self, name) is not None for name in COMPARISONS)
        if bounds + bool(self.one_of) != 1:
            raise ValueError(f"give exactly one of {', '.join(COMPARISONS)} and one_of")
        if self.one_of and self.overrides:
            raise ValueError("overrides change a bound; one_of has none")
        if self.one_of and self.is_number:
            raise ValueError(f"{self.column} is a number: compare it with above, at_least, below or at_most")
        if not self.one_of and not self.is_number:
            raise ValueError(f"{self.column} is no number: use one_of")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, in the order of preference."""
        return (self.column,) if self.column is not None else tuple(CLOCKS[clock][0] for clock in self.clock)

    @property
    def is_number(self) -> bool:
        """Whether it compares a number."""
        return EVIDENCE_COLUMNS[self.columns[0]].is_number

    @property
    def comparison(self) -> Comparison:
        """Name of the bound that is given; only for numbers."""
        return next(name for name in COMPARISONS if getattr(self, name) is not None)

    @property
    def bound(self) -> float:
        """The bound for rows without an override; only for numbers."""
        return float(getattr(self, self.comparison))


def check_template(text: str) -> str:
    """Return the template if it can be said.

    A placeholder is ``{column}``, ``{column:.1f}`` or ``{column:one|many}``, which chooses the word by the number;
    columns of the evidence and ``{bound}``, ``{on}``, ``{months}``, ``{clock}`` may be named.

    Raises
    ------
    ValueError : an unknown name, an unknown format or a stray brace; with the closest match.
    """
    for name, shown in PLACEHOLDER.findall(text):
        if name not in EVIDENCE_COLUMNS and name not in SPOKEN:
            raise ValueError(f"{{{name}}} is unknown{did_you_mean(name, (*EVIDENCE_COLUMNS, *SPOKEN))}")
        if shown and "|" not in shown:
            try:
                format(1.0, shown)
            except ValueError:
                raise ValueError(f"{{{name}:{shown}}} has no number format such as .1f or .0%, nor one|many") from None
    if re.search(r"[{}]", PLACEHOLDER.sub("", text)):
        raise ValueError("a brace that is no placeholder: write {column}")
    return text


def check_products(conditions: Iterable[tuple[str, EvidenceCondition]], product_ids: Collection[str]) -> Iterator[str]:
    """Yield a fault for every override that names an unknown product.

    Parameters
    ----------
    conditions : place in the file and condition.
    product_ids : products of the catalogue.
    """
    for place, condition in conditions:
        for override in condition.overrides:
            if override.product is not None and override.product not in product_ids:
                closest = did_you_mean(override.product, product_ids)
                yield f"{place}.overrides: {override.product} is not in the catalogue{closest}"


Template = str


class Question(StrictModel):
    """What gates and criteria share.

    Attributes
    ----------
    code : unique; lists and counts name it.
    title : what it is about, in a few words.
    evidence : what is said of a row, `{column}` by its value.
    unblocked_by : what would let the row pass.
    """

    code: str
    title: str
    evidence: Template
    unblocked_by: Template

    @field_validator("evidence", "unblocked_by")
    @classmethod
    def _sayable(cls, value: str) -> str:
        return check_template(value)
