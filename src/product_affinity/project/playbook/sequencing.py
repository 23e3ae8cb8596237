"""`playbook/sequencing.yml`: what comes first, how long we wait, and which tiers are worked how."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import Field, model_validator

from product_affinity.project.playbook.thresholds import Threshold, unknown_products
from product_affinity.project.reading import StrictModel, read_spec, refuse_faults

PLACE = "playbook/sequencing.yml"
TRIGGER_KINDS = ("problem", "usage", "event")


class QuarterPlan(StrictModel):
    """Adoption only, then discovery, then portfolio expansion, counted from the first purchase.

    Attributes
    ----------
    tiers : tiers that follow the plan; empty for none.
    adoption_months : months in which nothing new is proposed.
    discovery_months : months until which problems are surfaced and nothing is pitched.
    """

    tiers: tuple[int, ...] = ()
    adoption_months: float = Field(default=6, ge=0)
    discovery_months: float = Field(default=12, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> QuarterPlan:
        if self.discovery_months < self.adoption_months:
            raise ValueError("discovery_months: ends before adoption_months does")
        return self


class Sequencing(StrictModel):
    """The rules of sequence and timing; one that is not given is not asked.

    Attributes
    ----------
    upsell_first_from : share of a plan limit (reached within `limit_days`) from which the upsell comes first.
    upsell_waits_to : share up to which the upsell can wait; between the two a cross-sell needs a documented
        problem and a named stakeholder.
    limit_days : look-back of the limit share.
    gap_days : days between one motion's close and the next one's start.
    not_now_days, not_a_fit_days, lost_days : days a pair rests after such an outcome; a follow-up date that was
        noted with "not now" or "lost" counts instead.
    new_triggers : kinds of trigger that, fired since, end the rest of a "not a fit".
    accepted_days, meeting_days, contacted_days : days without news for which such a play still counts as open; null
        for accepted_days and meeting_days: until it closes, for contacted_days: not at all.
    value_floor_usd : value a play must exceed; null for none.
    campaign_tiers : tiers reached by campaigns, which use no slot.
    quarter_plan : what a young customer is offered when.
    """

    upsell_first_from: Threshold = Threshold()
    upsell_waits_to: Threshold = Threshold()
    limit_days: int = Field(default=28, ge=1)
    gap_days: Threshold = Threshold()
    not_now_days: Threshold = Threshold()
    not_a_fit_days: Threshold = Threshold()
    lost_days: Threshold = Threshold()
    new_triggers: tuple[str, ...] = ()
    accepted_days: Threshold = Threshold()
    meeting_days: Threshold = Threshold()
    contacted_days: Threshold = Threshold()
    value_floor_usd: Threshold = Threshold(bound=0)
    campaign_tiers: tuple[int, ...] = ()
    quarter_plan: QuarterPlan = QuarterPlan()

    @model_validator(mode="after")
    def _consistent(self) -> Sequencing:
        low, high = self.upsell_waits_to.bound, self.upsell_first_from.bound
        if low is not None and high is not None and low > high:
            raise ValueError(f"upsell_waits_to: {low:g} lies above upsell_first_from ({high:g})")
        for kind in self.new_triggers:
            if kind not in TRIGGER_KINDS:
                raise ValueError(f"new_triggers: {kind} is none of {', '.join(TRIGGER_KINDS)}")
        return self


def load_sequencing(folder: Path, product_ids: Collection[str]) -> Sequencing:
    """Read `playbook/sequencing.yml`; without the file no rule of sequence is asked.

    Parameters
    ----------
    folder : the project's `playbook/`.
    product_ids : products of the catalogue, which overrides may name.

    Raises
    ------
    UsageError : a typo or an unknown product; every fault, with the closest match.
    """
    spec = read_spec(folder / "sequencing.yml", Sequencing, PLACE)
    refuse_faults(unknown_products(spec, product_ids), PLACE)
    return spec
