"""What one signal of `features/*.yml` may say, strictly validated (form: docs/features.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.expressions import Node, names_in, parse
from product_affinity.project.feature_columns import Direction, Grain, Role, Side
from product_affinity.project.reading import StrictModel
from product_affinity.project.sentences import check_reasons
from product_affinity.schema import TABLES

OPS = (
    "sum", "count", "mean", "max", "last", "distinct", "days_since",
    "trend", "slope", "change", "age", "days_until",
)  # fmt: skip
OPS_OF_A_COLUMN = ("sum", "mean", "max", "last", "distinct", "days_until")
OPS_WITH_WINDOW = ("trend", "slope", "change")
OPS_WITHOUT_WINDOW = ("age", "days_until")
# A change also reads the rows of an earlier date, days_until only those whose date is ahead.
OPS_ALONE = ("change", "days_until")
# Not source tables but what every build has: the spine tells of the account, the catalogue of the target.
SPINE_COLUMNS = ("segment", "industry", "region", "country", "arr_usd")
CATALOG_COLUMNS = {
    "list_arr_usd": "last",
    "category": "last",
    "launched_on": "days_since",
    "owned.primary": "count",
    "owned.specialist": "count",
    "owned.problem_first": "count",
    "owned.net_new": "count",
    "owned.same_category": "count",
    "owned.prerequisites": "count",
}
SOURCES = (*TABLES, "spine", "catalog")
TARGET_LISTS = ("adjacent_features", "core_features", "solves", "prerequisites", "conflicts")
VIRTUAL_COLUMNS = {"subscriptions": ("paid",)}
RUNNING_UNTIL = {
    "subscriptions": "end_on",
    "implementations": "end_on",
    "opportunities": "closed_on",
    "tickets": "closed_at",
    "problems": "solved_at",
    "contacts": "to_on",
}
Scalar = str | bool | int | float | None


class Bound(StrictModel):
    """A bound a number must keep; `above` and `below` are strict."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    @property
    def tests(self) -> tuple[tuple[str, float], ...]:
        """Comparison signs with their values.

        >>> Bound(above=0, at_most=9).tests
        (('>', 0.0), ('<=', 9.0))
        """
        signs = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
        return tuple((sign, getattr(self, key)) for key, sign in signs.items() if getattr(self, key) is not None)

    @model_validator(mode="after")
    def _not_empty(self) -> Bound:
        if not self.tests:
            raise ValueError("give above, at_least, below or at_most")
        return self


def _by_shape(value: object) -> object:
    """A mapping is a bound and nothing else, so that a misspelt one is told as a bound's misspelt key."""
    if isinstance(value, Mapping):
        return Bound.model_validate(value)
    listed = value if isinstance(value, list | tuple) else [value]
    if not isinstance(value, Bound) and not all(isinstance(one, Scalar) for one in listed):
        raise ValueError("give a text, a number, true, false or null, a list of these, or a bound ({above: 0})")
    return value


Wanted = Annotated[Scalar | tuple[Scalar, ...] | Bound, BeforeValidator(_by_shape)]


class Described(StrictModel):
    """What every signal must say of itself.

    Attributes
    ----------
    unit : of the values; `category` makes a text column.
    missing : what a missing value means.
    direction : expected effect, a monotone constraint where `up` or `down`.
    reason : sentence template, or one per operation; `none` is never said.
    said : whether its words may speak for a row, against it, both, or for it above what is typical and against below
        (`more`), or the other way round (`less`).
    sayable : whether its words may be said to the customer; false unless somebody decided so.
    """

    unit: str = Field(min_length=1)
    missing: str = Field(min_length=1)
    direction: Direction
    reason: str | dict[str, str]
    said: Side = "both"
    sayable: bool = False


class Signal(Described):
    """Operations over the usable rows of one source.

    Attributes
    ----------
    of : column operated on; without it every row counts 1.
    grain, source, event : as in the family, where this signal differs.
    where : column to the value, list of values or bound (`{above: 0}`) of a row; null is a missing value.
    match : column to a list of the target product (`target.solves`): the row must be on it.
    across : how the rows of owned products reach the account; without it rows of all products are pooled.
    running : only intervals that have started and not ended at the as-of date.
    ops, windows : operations and look-backs in days; no windows means all that is known.
    """

    of: str | None = None
    grain: Grain | None = None
    source: str | None = None
    event: str | None = None
    where: dict[str, Wanted] = Field(default={})
    match: dict[str, str] = Field(default={}, max_length=1)
    across: Literal["sum", "max", "core"] | None = None
    running: bool = False
    ops: tuple[str, ...] = Field(min_length=1)
    windows: tuple[PositiveInt, ...] = ()

    @field_validator("ops")
    @classmethod
    def _known_ops(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for op in value:
            if op not in OPS:
                raise ValueError(f"unknown operation {op}{did_you_mean(op, OPS)}")
        if len(set(value)) != len(value):
            raise ValueError("an operation is named twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Signal:
        for op in self.ops:
            self._check_op(op)
        if self.running and self.windows and self.ops != ("change",):
            raise ValueError("running intervals are seen at the as-of date; only `change` takes windows")
        check_reasons(self.reason, self.ops, sayable=self.sayable)
        return self

    def _check_op(self, op: str) -> None:
        if op in OPS_OF_A_COLUMN and self.of is None:
            raise ValueError(f"operation {op} needs `of: <column>`")
        if op in OPS_WITH_WINDOW and not self.windows:
            raise ValueError(f"operation {op} needs `windows`")
        if op in OPS_WITHOUT_WINDOW and self.windows:
            raise ValueError(f"operation {op} has no windows; declare it as a signal of its own")
        if op == "slope" and min(self.windows) < 2:
            raise ValueError("slope needs windows of at least 2 days")
        if op in OPS_ALONE and len(self.ops) > 1:
            raise ValueError(f"operation {op} reads rows of its own; declare it as a signal of its own")

    def describe(self, op: str, window: int | None) -> str:
        """Say in words what one operation computes."""
        of = f"{self.source}.{self.of}" if self.of else f"rows of {self.source}"
        parts = [f"{op} of {of}"]
        if self.running:
            parts.append("over what runs at as_of")
        if window is not None:
            parts.append(_window_words(op, window))
        parts += [f"where {name} is {value_words(value)}" for name, value in self.where.items()]
        parts += [f"where {name} is in the product's {target[7:]}" for name, target in self.match.items()]
        if self.grain == "pair" and not self.match and self.source != "catalog":
            parts.append("of the target product")
        if self.event:
            parts.append(f"dated by {self.event}")
        if self.across:
            parts.append({"core": "of the core product"}.get(self.across, f"{self.across} over owned products"))
        return ", ".join(parts)


class Derived(Described):
    """Arithmetic on columns of this family (`seats_sum`) or of another (`ownership.seats`).

    Attributes
    ----------
    value : expression of names, numbers, ``+ - * /`` and parentheses.
    otherwise : expression used where `value` is missing.
    needs : smallest value of columns below which the result is missing.
    zero_denominator : result of a division by zero.
    clip : lower and upper bound of the result.
    """

    value: str
    otherwise: str | None = None
    needs: dict[str, float] = Field(default={})
    zero_denominator: Literal["missing", "zero"] = "missing"
    clip: tuple[float, float] | None = None

    @field_validator("clip")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] >= value[1]:
            raise ValueError(f"lower bound {value[0]:g} is not below upper bound {value[1]:g}")
        return value

    @field_validator("value", "otherwise")
    @classmethod
    def _parses(cls, value: str | None) -> str | None:
        if value is not None:
            parse(value)
        return value

    def describe(self) -> str:
        """Say in words what is computed."""
        parts = [self.value]
        if self.otherwise:
            parts.append(f"where missing {self.otherwise}")
        parts += [f"missing while {name} < {minimum:g}" for name, minimum in self.needs.items()]
        if self.clip:
            parts.append(f"kept within [{self.clip[0]:g}, {self.clip[1]:g}]")
        return ", ".join(parts)

    @property
    def expressions(self) -> tuple[Node, ...]:
        """`value` and, where given, `otherwise`, parsed."""
        return tuple(parse(text) for text in (self.value, self.otherwise) if text is not None)

    @property
    def references(self) -> tuple[str, ...]:
        """Names the expressions and `needs` refer to, in order, each once."""
        names = [name for node in self.expressions for name in names_in(node)]
        return tuple(dict.fromkeys([*names, *self.needs]))


class Encoding(Described):
    """A rate learnt at each as-of date from the facts known then (formulas: features/encodings.py).

    Attributes
    ----------
    rate_of : `adoption` (first paid start) or `ownership`.
    given : `owned_product`, `target_product`, or columns of the spine.
    lookback_days : days of history an adoption rate is learnt from.
    shrink_to : the rate that few observations are drawn to; `strength` is its weight in accounts.
    combine : how the rates of an account's owned products become one number.
    role : `offset` gives log-odds of the expected rate over the horizon.
    """

    rate_of: Literal["adoption", "ownership"]
    given: Literal["owned_product", "target_product"] | tuple[str, ...]
    lookback_days: PositiveInt | None = None
    shrink_to: Literal["target_product", "segment", "all_products"]
    strength: float = Field(gt=0)
    combine: tuple[Literal["max", "log_odds_sum"], ...] = ()
    role: Role = "feature"

    @property
    def form(self) -> Literal["affinity", "peers", "recent_rate"]:
        """Which of the three computations this is."""
        if self.given == "owned_product":
            return "affinity"
        return "recent_rate" if self.given == "target_product" else "peers"

    def describe(self, op: str) -> str:
        """Say in words what is computed."""
        given = self.given if isinstance(self.given, str) else " and ".join(self.given)
        lookback = f" over the last {self.lookback_days} days" if self.lookback_days else ""
        combined = f", {op} over owned products" if op else ""
        return f"rate of {self.rate_of} given {given}{lookback}, shrunk to {self.shrink_to}{combined}"

    @model_validator(mode="after")
    def _consistent(self) -> Encoding:
        expected = {
            "affinity": ("adoption", "target_product"),
            "recent_rate": ("adoption", "all_products"),
            "peers": ("ownership", "segment"),
        }[self.form]
        if (self.rate_of, self.shrink_to) != expected:
            raise ValueError(f"given {self.given} needs rate_of: {expected[0]} and shrink_to: {expected[1]}")
        if (self.form == "affinity") != bool(self.combine):
            raise ValueError("`combine` belongs to given: owned_product, and it needs one")
        if (self.form == "peers") != (self.lookback_days is None):
            raise ValueError("`lookback_days` belongs to rate_of: adoption, and it needs one")
        if (self.form == "recent_rate") != (self.role == "offset"):
            raise ValueError("role: offset belongs to given: target_product, and it needs it")
        if self.form == "peers":
            for name in self.given:
                if name not in SPINE_COLUMNS[:-1]:
                    raise ValueError(f"given: {name} is unknown{did_you_mean(name, SPINE_COLUMNS[:-1])}")
            if self.given[0] != "segment":
                raise ValueError("given: segment comes first, it is what few companies are shrunk to")
        return self


class QueryColumn(Described):
    """A column that the family's query computes.

    Attributes
    ----------
    needs : source tables without which it is missing: while they hold no usable row, nothing is known.
    """

    needs: tuple[str, ...] = ()

    @field_validator("needs")
    @classmethod
    def _known_tables(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in TABLES:
                raise ValueError(f"needs: {name} is unknown{did_you_mean(name, TABLES)}")
        return value

    @model_validator(mode="after")
    def _sayable(self) -> QueryColumn:
        check_reasons(self.reason, (), sayable=self.sayable)
        return self


def _window_words(op: str, window: int) -> str:
    if op == "trend":
        return f"over [as_of − {window} d, as_of) against the {window} days before"
    return f"against {window} days before" if op == "change" else f"over [as_of − {window} d, as_of)"


def value_words(wanted: Wanted) -> str:
    """Say what a row's value must be.

    >>> value_words(("won", None)), value_words(Bound(above=0, at_most=9))
    ('won or missing', '> 0 and <= 9')
    """
    if isinstance(wanted, Bound):
        return " and ".join(f"{sign} {value:g}" for sign, value in wanted.tests)
    values = wanted if isinstance(wanted, tuple) else (wanted,)
    return " or ".join("missing" if value is None else str(value) for value in values)
