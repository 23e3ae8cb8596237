"""`playbook/gates.yml`: what holds a play back, in words and thresholds anyone may edit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from product_affinity.project.playbook.conditions import (
    EvidenceCondition,
    Question,
    RuleSet,
    Template,
    check_products,
    check_template,
)
from product_affinity.project.reading import StrictModel, read_spec, refuse_faults

DO_NOT_CONTACT = "G01"  # asked of every project, whatever its playbook says
PLACE = "playbook/gates.yml"


class GateRule(Question):
    """A reason why not now.

    Attributes
    ----------
    code : `G` or `D` and two digits, unique.
    title, evidence, unblocked_by : as for every question; `evidence` is said where it blocks.
    blocks_when : conditions that must all hold for it to block. One of account grain only stops the whole
        account; with one of pair grain, or a bound by product, the next product may compete.
    clear : what is said where it does not block.
    rule_sets : only rows of these readiness rule sets are asked; empty for all.
    """

    code: str = Field(pattern=r"^[GD]\d\d$")
    blocks_when: tuple[EvidenceCondition, ...] = Field(min_length=1)
    clear: Template
    rule_sets: tuple[RuleSet, ...] = ()

    @field_validator("clear")
    @classmethod
    def _clear_is_sayable(cls, value: str) -> str:
        return check_template(value)


class Gates(StrictModel):
    """All gates.

    Attributes
    ----------
    safety : never overridden, not even by an explicit request (step 5 of the order of precedence).
    decline : reasons to decline although nothing is unsafe (step 8).
    """

    safety: tuple[GateRule, ...] = ()
    decline: tuple[GateRule, ...] = ()

    @model_validator(mode="after")
    def _unique_codes(self) -> Gates:
        codes = [gate.code for gate in (*self.safety, *self.decline)]
        for code in codes:
            if codes.count(code) > 1 or code == DO_NOT_CONTACT:
                raise ValueError(f"code {code} is used twice or reserved ({DO_NOT_CONTACT}: do not contact)")
        return self


def load_gate_rules(folder: Path, product_ids: Collection[str]) -> Gates:
    """Read `playbook/gates.yml`; without the file nothing is held back.

    Parameters
    ----------
    folder : the project's `playbook/`.
    product_ids : products of the catalogue, which overrides may name.

    Raises
    ------
    UsageError : a typo, an unknown column or an unknown product; every fault, with the closest match.
    """
    gates = read_spec(folder / "gates.yml", Gates, PLACE)
    refuse_faults(check_products(_conditions(gates), product_ids), PLACE)
    return gates


def _conditions(gates: Gates) -> Iterator[tuple[str, EvidenceCondition]]:
    for gate in (*gates.safety, *gates.decline):
        for condition in gate.blocks_when:
            yield f"{gate.code}.blocks_when", condition
