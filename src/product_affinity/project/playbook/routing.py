"""`playbook/routing.yml`: who acts, and how many plays each of them can work."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import Field

from product_affinity.project.catalog import Quadrant
from product_affinity.project.playbook.thresholds import Threshold, unknown_products
from product_affinity.project.reading import StrictModel, read_spec, refuse_faults

PLACE = "playbook/routing.yml"


class Routing(StrictModel):
    """Who acts on a play: the first that holds of specialist, account executive, customer-success manager.

    Attributes
    ----------
    specialist_quadrants : quadrants whose demo and scoping are the specialist's.
    hand_off_above_usd : expected ARR above which the account executive takes over; null for never.
    new_economic_buyer_quadrants : quadrants in which the account executive takes over where none of the account's
        known sponsors sits in the area of the target product; empty for none.
    procurement_signals : kinds of signal that tell of formal procurement, which is the account executive's.
    procurement_days : look-back of those signals.
    ae_plays, specialist_plays : slots of all account executives and of all specialists; null for no limit.
    plays_per_implementation_slot : plays a month that one free implementation slot of a product allows.
    """

    specialist_quadrants: tuple[Quadrant, ...] = ()
    hand_off_above_usd: Threshold = Threshold()
    new_economic_buyer_quadrants: tuple[Quadrant, ...] = ()
    procurement_signals: tuple[str, ...] = ()
    procurement_days: int = Field(default=365, ge=1)
    ae_plays: int | None = Field(default=None, ge=0)
    specialist_plays: int | None = Field(default=None, ge=0)
    plays_per_implementation_slot: float = Field(default=1.0, gt=0)


def load_routing(folder: Path, product_ids: Collection[str]) -> Routing:
    """Read `playbook/routing.yml`; without the file every play is the customer-success manager's.

    Parameters
    ----------
    folder : the project's `playbook/`.
    product_ids : products of the catalogue, which overrides may name.

    Raises
    ------
    UsageError : a typo or an unknown product; every fault, with the closest match.
    """
    spec = read_spec(folder / "routing.yml", Routing, PLACE)
    refuse_faults(unknown_products(spec, product_ids), PLACE)
    return spec
