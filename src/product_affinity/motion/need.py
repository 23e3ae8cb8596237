"""Steps 8 and 9: readiness with what a request waives, and the play a ready row becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.motion.alignment import Flags
from product_affinity.motion.checks import READINESS, Check
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.rules.criteria import NOT_ASKED, Readiness


@dataclass(frozen=True)
class Need:
    """What is known of a row's need.

    Attributes
    ----------
    is_request : an explicit request for the product.
    has_problem, has_stakeholder : documented unsolved problem, named stakeholder.
    """

    is_request: Flags
    has_problem: Flags
    has_stakeholder: Flags

    @property
    def is_complete(self) -> Flags:
        """Rows with both problem and stakeholder."""
        return self.has_problem & self.has_stakeholder


def read_need(evidence: pd.DataFrame, readiness: Readiness | None) -> Need:
    """Read the need of each row; what is missing is not there.

    Parameters
    ----------
    evidence : request_on, and without readiness problem_id and stakeholder_id.
    readiness : the answers of the rule sets, or None where none is asked.
    """
    if readiness is None:
        return Need(_known(evidence, "request_on"), _known(evidence, "problem_id"), _known(evidence, "stakeholder_id"))
    return Need(_known(evidence, "request_on"), readiness.has_problem, readiness.has_stakeholder)


def _known(evidence: pd.DataFrame, name: str) -> Flags:
    if name not in evidence:
        return np.zeros(len(evidence), dtype=bool)
    return evidence[name].notna().to_numpy()


def check_readiness(readiness: Readiness | None, is_request: Flags) -> list[Check]:
    """Ask the criteria of each row's rule set; a request waives those that can be waived.

    A waived criterion counts as not asked of the row, so it neither blocks nor is shown as missing.
    """
    if readiness is None:
        return []
    checks = []
    for answer, can_waive in zip(readiness.answers, readiness.waivable, strict=True):
        waived = answer.blocks & is_request & can_waive
        state = np.where(waived, NOT_ASKED, answer.state).astype(np.int8) if waived.any() else answer.state
        checks.append(Check(READINESS, replace(answer, state=state)))
    return checks


def choose_play_type(
    rows: pd.DataFrame, need: Need, discovery_only: Flags, sequencing: Sequencing
) -> npt.NDArray[np.object_]:
    """Return campaign for tiers reached by campaigns, pitch with problem and stakeholder, else discover.

    Parameters
    ----------
    rows : tier; null where unknown, which is worked in person.
    need : problem and stakeholder of each row.
    discovery_only : rows whose quarter plan allows no pitch yet.
    sequencing : the tiers reached by campaigns.
    """
    is_campaign = rows["tier"].isin(sequencing.campaign_tiers).to_numpy()
    is_pitch = need.is_complete & ~discovery_only
    return np.select([is_campaign, is_pitch], ["campaign", "pitch"], "discover").astype(object)
