"""`playbook/readiness.yml`: the three readiness rule sets, their definitions, and which rows ask which."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from product_affinity.errors import did_you_mean
from product_affinity.project.catalog import Segment
from product_affinity.project.playbook.conditions import (
    EvidenceCondition,
    Question,
    RuleSet,
    Template,
    check_products,
    check_template,
)
from product_affinity.project.reading import StrictModel, read_spec, refuse_faults

PLACE = "playbook/readiness.yml"
SCORECARD_CODE = "S00"
FULL_POINTS = 100


class Definitions(StrictModel):
    """Look-backs and words behind the columns of the evidence.

    Attributes
    ----------
    health_days : a health score older than this is unknown.
    health_change_days : the score compared with is the last one at least so old.
    nps_days, nps_min_answers : look-back of the account's NPS, and answers it needs.
    usage_days : look-back of licence use.
    active_weeks : weeks of which each must have a user for "active weekly".
    feature_days : look-back of core and adjacent features.
    ticket_days : look-back of tickets per 100 users and of escalations.
    growth_days, growth_signals : look-back of growth, and the kinds of signal that count.
    request_days : an explicit request is forgotten after so many days.
    problem_areas : problem tag to the contacts' area that owns it; default: the category of the product.
    """

    health_days: int = Field(default=90, ge=1)
    health_change_days: int = Field(default=90, ge=1)
    nps_days: int = Field(default=365, ge=1)
    nps_min_answers: int = Field(default=3, ge=1)
    usage_days: int = Field(default=28, ge=1)
    active_weeks: int = Field(default=4, ge=1, le=52)
    feature_days: int = Field(default=28, ge=1)
    ticket_days: int = Field(default=90, ge=1)
    growth_days: int = Field(default=180, ge=1)
    growth_signals: tuple[str, ...] = ("hiring", "funding")
    request_days: int = Field(default=180, ge=1)
    problem_areas: dict[str, str] = {}


class Criterion(Question):
    """One criterion of a rule set.

    Attributes
    ----------
    code : `R` or `S` and two digits, unique.
    title, evidence, unblocked_by : as for every question.
    needs : conditions that must all hold; or
    needs_any : conditions of which one must hold.
    advisory : shown, never blocks.
    is_need : need of the play, not readiness: a row that lacks it is a discover play.
    waived_by_request : whether an explicit request makes up for it.
    clear : what is said where it passes, if not the evidence.
    """

    code: str = Field(pattern=r"^[RS]\d\d$")
    needs: tuple[EvidenceCondition, ...] = ()
    needs_any: tuple[EvidenceCondition, ...] = ()
    advisory: bool = False
    is_need: bool = False
    waived_by_request: bool = False
    clear: Template | None = None

    @field_validator("clear")
    @classmethod
    def _clear_is_sayable(cls, value: str | None) -> str | None:
        return check_template(value) if value is not None else None

    @model_validator(mode="after")
    def _one_way(self) -> Criterion:
        if bool(self.needs) == bool(self.needs_any):
            raise ValueError("give either needs (all must hold) or needs_any (one must)")
        return self

    @property
    def conditions(self) -> tuple[EvidenceCondition, ...]:
        """Its conditions, whichever way they are joined."""
        return self.needs or self.needs_any


class ScoredCriterion(Criterion):
    """A criterion worth points.

    Attributes
    ----------
    points : what it adds to the scorecard, 0 to 100.
    """

    points: float = Field(ge=0, le=FULL_POINTS)


class Scorecard(StrictModel):
    """Points to 100; qualified strictly above a bound.

    Attributes
    ----------
    qualified_above : points a row needs more than.
    waived_by_request : whether an explicit request makes up for missing points.
    criteria : their points add up to 100.
    """

    qualified_above: float = Field(default=60, ge=0, le=FULL_POINTS)
    waived_by_request: bool = True
    criteria: tuple[ScoredCriterion, ...] = ()

    @model_validator(mode="after")
    def _full_points(self) -> Scorecard:
        total = sum(criterion.points for criterion in self.criteria)
        if self.criteria and abs(total - FULL_POINTS) > 1e-9:
            raise ValueError(f"the points add up to {total:g}, not to {FULL_POINTS}")
        return self


class RequiredCriteria(StrictModel):
    """A rule set whose criteria must all hold."""

    criteria: tuple[Criterion, ...] = ()


class Timing(StrictModel):
    """Criteria of timing, asked beside those of the rule sets.

    Attributes
    ----------
    rule_sets : the rule sets that ask them.
    criteria : they must all hold.
    """

    rule_sets: tuple[RuleSet, ...] = ()
    criteria: tuple[Criterion, ...] = ()


class Choice(StrictModel):
    """Which rule set some rows ask.

    Attributes
    ----------
    rule_set : the rule set.
    segment, tier : which rows; empty for any.
    advisory : codes of criteria that these rows are only advised of.
    """

    rule_set: RuleSet
    segment: tuple[Segment, ...] = ()
    tier: tuple[int, ...] = ()
    advisory: tuple[str, ...] = ()


class ReadinessSpec(StrictModel):
    """The readiness rules of a project.

    Attributes
    ----------
    choose : the first choice that matches a row counts; the last one must match every row.
    definitions : look-backs and words.
    scorecard, playbook, motion : the rule sets.
    timing : criteria of timing.
    """

    choose: tuple[Choice, ...] = ()
    definitions: Definitions = Definitions()
    scorecard: Scorecard = Scorecard()
    playbook: RequiredCriteria = RequiredCriteria()
    motion: RequiredCriteria = RequiredCriteria()
    timing: Timing = Timing()

    @model_validator(mode="after")
    def _consistent(self) -> ReadinessSpec:
        codes = [criterion.code for criterion in self.criteria]
        for code in codes:
            if codes.count(code) > 1 or code == SCORECARD_CODE:
                raise ValueError(f"code {code} is used twice or reserved ({SCORECARD_CODE})")
        for choice in self.choose:
            for code in choice.advisory:
                if code not in codes:
                    raise ValueError(f"choose: advisory {code} is no criterion{did_you_mean(code, codes)}")
        if self.choose and (self.choose[-1].segment or self.choose[-1].tier):
            raise ValueError("choose: the last entry must hold for every row, without segment or tier")
        return self

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """Every criterion, in the order of the file."""
        return (
            *self.scorecard.criteria,
            *self.playbook.criteria,
            *self.motion.criteria,
            *self.timing.criteria,
        )


def load_readiness(folder: Path, product_ids: Collection[str]) -> ReadinessSpec:
    """Read `playbook/readiness.yml`; without the file no readiness is asked.

    Parameters
    ----------
    folder : the project's `playbook/`.
    product_ids : products of the catalogue, which overrides may name.

    Raises
    ------
    UsageError : a typo, an unknown column, code or product; every fault, with the closest match.
    """
    spec = read_spec(folder / "readiness.yml", ReadinessSpec, PLACE)
    refuse_faults(check_products(_conditions(spec), product_ids), PLACE)
    return spec


def _conditions(spec: ReadinessSpec) -> Iterator[tuple[str, EvidenceCondition]]:
    for criterion in spec.criteria:
        for condition in criterion.conditions:
            yield f"{criterion.code}.{'needs' if criterion.needs else 'needs_any'}", condition
