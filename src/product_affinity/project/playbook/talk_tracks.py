"""`playbook/talk_tracks.yml`: what people say and do, per product, trigger and play (form: docs/triggers.md)."""

from __future__ import annotations

import string
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.catalog import Catalog
from product_affinity.project.reading import StrictModel, read_yaml, validate

PLACE = "playbook/talk_tracks.yml"
PLACEHOLDERS = (
    "account",
    "product",
    "anchor",
    "problem",
    "source",
    "noted_on",
    "role",
    "trigger",
    "say",
    "max_discount",
)
PlayType = Literal["pitch", "discover", "campaign"]
Route = Literal["csm", "ae", "specialist"]
Opening = Literal["problem", "usage", "event", "none"]
Asset = Literal["playbook", "demo", "case_study", "roi_calculator"]


def _fillable(text: str) -> str:
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"not a text with placeholders: {error}") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS:
            raise ValueError(f"unknown placeholder {{{name}}}{did_you_mean(name, PLACEHOLDERS)}")
        if form or conversion:
            raise ValueError(f"{{{name}}} takes no form")
    return text


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1), AfterValidator(_fillable)]
# In order of preference: the first one whose placeholders all have a value is said.
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many)]


class Objection(StrictModel):
    """What they may say against it, and an honest answer."""

    they_say: Text
    answer: Text


class Track(StrictModel):
    """The words for one product, or for all.

    Attributes
    ----------
    openings : kind of the trigger that leads (`none` without one) and play to the first sentences, problem first.
    link : the success they already have, and how it leads here.
    answer : how the product answers the problem; not said in a discover play, which asks before it offers.
    discovery_questions, objections : shown line by line; those of `default` follow a product's own.
    assets : names of its playbook, demo, case study and ROI calculator.
    next_steps : play and route to what to do first.
    """

    openings: dict[Opening, dict[PlayType, Texts]] = {}
    link: Texts = ()
    answer: Texts = ()
    discovery_questions: tuple[Text, ...] = ()
    objections: tuple[Objection, ...] = ()
    assets: dict[Asset, Text] = {}
    next_steps: dict[PlayType, dict[Route, Texts]] = {}


class Incentives(StrictModel):
    """What may be offered to make a start easier; heavy discounting is a fault.

    Attributes
    ----------
    max_discount : highest discount (share, 0 to 0.4) that words may promise.
    kinds : name to words.
    allowed : play to the kinds that may be offered.
    """

    max_discount: float = Field(default=0.2, ge=0, le=0.4)
    kinds: dict[str, Text] = {}
    allowed: dict[PlayType, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _known_kinds(self) -> Incentives:
        for play, names in self.allowed.items():
            for name in names:
                if name not in self.kinds:
                    raise ValueError(f"allowed.{play}: {name} is none of kinds{did_you_mean(name, self.kinds)}")
        return self


class Engagement(StrictModel):
    """How a tier is worked: the name of the style, and what it means for the next step."""

    style: str
    say: Text


class BestBy(StrictModel):
    """When a play should have begun.

    Attributes
    ----------
    lead_days : days a play needs; a quarter that ends sooner no longer counts and the next one's end does.
    """

    lead_days: int = Field(default=14, ge=0, le=90)


_GENERIC = Track.model_validate(
    {
        "openings": {
            "none": {
                "pitch": "I would like to talk with you about where {product} could take work off your team.",
                "discover": "I would like to understand what gets in your team's way at the moment.",
                "campaign": "Here is how teams like yours use {product}.",
            }
        },
        "next_steps": {
            "pitch": {
                "csm": "Call {account} about {product}.",
                "ae": "Hand {account} over to the account executive for {product}.",
                "specialist": "Bring in the specialist for {product} at {account}.",
            },
            "discover": dict.fromkeys(
                ("csm", "ae", "specialist"), "Ask {account} what gets in their way, and who owns it."
            ),
            "campaign": dict.fromkeys(
                ("csm", "ae", "specialist"), "Add {account} to the digital campaign for {product}."
            ),
        },
    }
)


class TalkTracks(StrictModel):
    """Everything in `playbook/talk_tracks.yml`.

    Attributes
    ----------
    best_by, incentives : as their classes say.
    engagement : tier (1 to 3) to its style.
    outreach : play to its steps, in order.
    problems : problem tag to the words a person would use for it.
    default : words for every product.
    products : product to words that go before those of `default`.
    """

    best_by: BestBy = BestBy()
    incentives: Incentives = Incentives()
    engagement: dict[Annotated[int, Field(ge=1, le=3)], Engagement] = {}
    outreach: dict[PlayType, tuple[Text, ...]] = {}
    problems: dict[str, str] = {}
    default: Track = Track()
    products: dict[str, Track] = {}

    def tracks(self, product_id: str) -> tuple[Track, ...]:
        """Words for a product, most particular first; the last ones are always complete.

        >>> len(TalkTracks().tracks("crm"))
        2
        """
        own = self.products.get(product_id)
        return (self.default, _GENERIC) if own is None else (own, self.default, _GENERIC)


def load_talk_tracks(folder: Path, catalog: Catalog) -> TalkTracks:
    """Read `playbook/talk_tracks.yml`; products and problem tags must be in the catalogue.

    Parameters
    ----------
    folder : the project's `playbook/`; without the file the words are generic.
    catalog : the products.

    Raises
    ------
    UsageError : the file has a typo, an unknown placeholder, product or tag; all faults, with the closest match.
    """
    if not (folder / "talk_tracks.yml").exists():
        return TalkTracks()
    tracks = validate(TalkTracks, read_yaml(folder / "talk_tracks.yml"), PLACE)
    tags = sorted({tag for product in catalog for tag in product.solves})
    faults = [*_unknown("products", tracks.products, catalog.product_ids), *_unknown("problems", tracks.problems, tags)]
    if faults:
        raise UsageError("\n".join(faults))
    return tracks


def _unknown(key: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    options = list(known)
    return [
        f"{PLACE}: {key}.{name}: not in models/catalog.yml{did_you_mean(name, options)}"
        for name in names
        if name not in options
    ]
