"""`playbook/triggers.yml`: what makes now the moment, as data anyone may edit (form: docs/triggers.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.trigger_conditions import Condition
from product_affinity.project.reading import StrictModel, read_spec, refuse_faults
from product_affinity.schema import TABLES

PLACE = "playbook/triggers.yml"
TriggerKind = Literal["problem", "usage", "event"]
# The field's order of what opens a conversation best: a need in their own words, then behaviour, then news.
ORDER_OF_KIND: dict[str, int] = {"problem": 20, "usage": 30, "event": 40}
# How a fact reaches products, and the column of its table that it needs for that.
LINKS: dict[str, str | None] = {
    "any": None,
    "same_product": "product_id",
    "adjacent_product": "product_id",
    "solved_by_tag": "tag",
    "adjacent_feature": "feature",
}
_MAY_NAME: dict[str, tuple[str, Callable[[Catalog], list[str]]]] = {
    "product_id": ("product", lambda catalog: list(catalog.product_ids)),
    "tag": ("tag", lambda catalog: sorted({tag for product in catalog for tag in product.solves})),
}


class Trigger(StrictModel):
    """A reason why now.

    Attributes
    ----------
    code : `T` and two digits, unique; lists and counts name it.
    title : what it is about, in a few words; it continues "why now:".
    kind : `problem`, `usage` or `event`; it chooses the words of the talk track.
    order : place among the triggers of a pair, the lowest is shown with the row; default problem 20, usage 30,
        event 40.
    months : months of the year (1 to 12) in which it may fire, for seasons; none for all.
    when : conditions that must all hold. The first one says which products the trigger points to.
    points_to : product ids, or `any`; or what leads from the fact to products: `same_product` (the one the fact is
        about), `adjacent_product` (those that share a workflow with it: primary and specialist quadrant),
        `solved_by_tag` (those that solve the problem), `adjacent_feature` (those beside which the feature is used).
    say : a sentence the customer may hear, without placeholders.
    """

    code: str = Field(pattern=r"^T\d\d$")
    title: str = Field(min_length=1)
    kind: TriggerKind
    order: int | None = Field(default=None, ge=0, le=999)
    months: tuple[int, ...] = ()
    when: tuple[Condition, ...]
    points_to: str | tuple[str, ...]
    say: str = Field(min_length=1)

    @property
    def precedence(self) -> int:
        """`order`, or the one of its kind."""
        return ORDER_OF_KIND[self.kind] if self.order is None else self.order

    @property
    def link(self) -> str | None:
        """Column of the first condition's table that leads to products; None where all facts of an account count."""
        return LINKS[self.points_to] if isinstance(self.points_to, str) else None

    @field_validator("months")
    @classmethod
    def _months_of_the_year(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        for month in value:
            if not 1 <= month <= 12:
                raise ValueError(f"{month} is no month from 1 to 12")
        return value

    @field_validator("when")
    @classmethod
    def _not_empty(cls, value: tuple[Condition, ...]) -> tuple[Condition, ...]:
        if not value:
            raise ValueError("give at least one condition")
        return value

    @field_validator("say")
    @classmethod
    def _plain(cls, value: str) -> str:
        if "{" in value or "}" in value:
            raise ValueError("takes no placeholders; the talk track adds names")
        return value

    @model_validator(mode="after")
    def _reaches_products(self) -> Trigger:
        if isinstance(self.points_to, tuple):
            if not self.points_to:
                raise ValueError("points_to: name at least one product")
            return self
        if self.points_to not in LINKS:
            raise ValueError(f"points_to: {self.points_to} is unknown{did_you_mean(self.points_to, LINKS)}")
        table = self.when[0].table
        if self.link is not None and TABLES[table].column(self.link) is None:
            raise ValueError(f"points_to: {self.points_to} needs a {self.link}, which {table} has none of")
        return self


class Triggers(StrictModel):
    """All triggers of a project; codes are unique."""

    triggers: tuple[Trigger, ...] = ()

    def __iter__(self) -> Iterator[Trigger]:  # type: ignore[override]  # iterating triggers, not pydantic's fields
        return iter(self.triggers)

    def __len__(self) -> int:
        return len(self.triggers)

    @model_validator(mode="after")
    def _unique_codes(self) -> Triggers:
        codes = [trigger.code for trigger in self.triggers]
        for code in codes:
            if codes.count(code) > 1:
                raise ValueError(f"code {code} is used twice")
        return self


def load_triggers(folder: Path, catalog: Catalog) -> Triggers:
    """Read `playbook/triggers.yml`; every product and problem tag it names must be in the catalogue.

    Parameters
    ----------
    folder : the project's `playbook/`; without the file there are no triggers.
    catalog : the products.

    Raises
    ------
    UsageError : the file has a typo or names an unknown product or tag; all faults, with the closest match.
    """
    triggers = read_spec(folder / "triggers.yml", Triggers, PLACE)
    refuse_faults((fault for trigger in triggers for fault in _unknown_names(trigger, catalog)), PLACE)
    return triggers


def _unknown_names(trigger: Trigger, catalog: Catalog) -> Iterator[str]:
    ids = catalog.product_ids
    for product in trigger.points_to if isinstance(trigger.points_to, tuple) else ():
        if product not in ids:
            yield (
                f"{trigger.code}.points_to: {product} is not in models/catalog.yml{did_you_mean(product, ids)}; "
                "name one of yours, or remove the trigger"
            )
    for number, condition in enumerate(trigger.when):
        for column, (noun, known) in _MAY_NAME.items():
            for value in condition.wanted_texts(column):
                if value not in (options := known(catalog)):
                    yield (
                        f"{trigger.code}.when.{number}.where.{column}: no {noun} of models/catalog.yml is called "
                        f"{value}{did_you_mean(value, options)}"
                    )
