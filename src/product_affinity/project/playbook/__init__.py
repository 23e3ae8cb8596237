"""The motion as data: what `playbook/` says, read strictly. One module a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.gates import Gates, load_gate_rules
from product_affinity.project.playbook.readiness import ReadinessSpec, load_readiness
from product_affinity.project.playbook.routing import Routing, load_routing
from product_affinity.project.playbook.sequencing import Sequencing, load_sequencing
from product_affinity.project.playbook.talk_tracks import TalkTracks, load_talk_tracks
from product_affinity.project.playbook.triggers import Triggers, load_triggers

__all__ = ["Playbook", "load_playbook"]


@dataclass(frozen=True)
class Playbook:
    """Everything `playbook/` says of the motion; a file that is absent asks for nothing.

    Attributes
    ----------
    gates : `gates.yml`: what holds a play back.
    readiness : `readiness.yml`: the three rule sets and which is chosen for whom.
    triggers : `triggers.yml`: why now.
    sequencing : `sequencing.yml`: gaps, cool-downs, upsell first, value floor.
    routing : `routing.yml`: who acts.
    talk_tracks : `talk_tracks.yml`: what to say.
    """

    gates: Gates
    readiness: ReadinessSpec
    triggers: Triggers
    sequencing: Sequencing
    routing: Routing
    talk_tracks: TalkTracks


def load_playbook(folder: Path, catalog: Catalog) -> Playbook:
    """Read the project's `playbook/`.

    Raises
    ------
    UsageError : a typo, or the name of a product, tag or column that does not exist; with the closest match.
    """
    return Playbook(
        gates=load_gate_rules(folder, catalog.product_ids),
        readiness=load_readiness(folder, catalog.product_ids),
        triggers=load_triggers(folder, catalog),
        sequencing=load_sequencing(folder, catalog.product_ids),
        routing=load_routing(folder, catalog.product_ids),
        talk_tracks=load_talk_tracks(folder, catalog),
    )
