"""Step 12: who acts on a play, and why; the route decides whose slots it uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.motion.alignment import Alignment, Days, Flags, Positions, taken_days
from product_affinity.motion.history import History
from product_affinity.project.playbook.routing import Routing

AE_POOL, SPECIALIST_POOL = "_ae", "_specialist"
_CSM_REASONS = {
    "primary": "primary quadrant: the CSM opens and closes",
    "problem_first": "problem-first: the CSM confirms the problem, then closes",
}
_PLAIN_CSM = "no adjacency in the catalogue to what they own: the CSM opens, and checks the fit first"


@dataclass(frozen=True)
class Routes:
    """The route of each row.

    Attributes
    ----------
    route : csm, ae or specialist.
    slot_owner : whose slots the row uses: an owner_key, `AE_POOL` or `SPECIALIST_POOL`.
    """

    route: npt.NDArray[np.object_]
    slot_owner: npt.NDArray[np.object_]
    _rule: npt.NDArray[np.int64]
    _reasons: tuple[npt.NDArray[np.object_], npt.NDArray[np.float64], npt.NDArray[np.float64], Days]

    def reasons(self, rows: Positions) -> list[str]:
        """Say why for these row positions."""
        quadrant, arr, hand_off, procurement = self._reasons
        said = []
        for row in rows.tolist():
            said.append(
                {
                    0: "specialist quadrant: the CSM spots it, the specialist demonstrates and scopes",
                    1: f"formal procurement (signal of {procurement[row]}): the AE takes over",
                    2: f"expected ARR ${arr[row]:,.0f} above ${hand_off[row]:,.0f}: the AE takes over",
                    3: "new economic buyer, no known sponsor in the product's area: the AE takes over",
                }.get(int(self._rule[row]), _CSM_REASONS.get(quadrant[row], _PLAIN_CSM))
            )
        return said


def choose_routes(
    rows: pd.DataFrame, at: Alignment, evidence: pd.DataFrame, history: History, routing: Routing
) -> Routes:
    """Choose who acts on each row; the first rule that holds counts.

    Parameters
    ----------
    rows : segment, product_id, expected_arr_usd (dollars a year, null where unknown), owner_key.
    at : alignment of the rows.
    evidence : quadrant, stakeholder_area.
    history : sponsors and signals of procurement.
    routing : the rules.
    """
    quadrant = _column(evidence, "quadrant")
    line = at.lines(history.buyers)
    procurement = taken_days(history.buyers["procurement_on"], line)
    arr = rows["expected_arr_usd"].to_numpy(dtype=float, na_value=np.nan)
    hand_off = routing.hand_off_above_usd.per_row(rows["segment"], rows["product_id"])
    is_new_buyer = np.zeros(at.size, dtype=bool)
    if routing.new_economic_buyer_quadrants:
        asked = np.isin(quadrant.astype(str), routing.new_economic_buyer_quadrants)
        is_new_buyer = asked & _has_new_buyer(_column(evidence, "stakeholder_area"), history.buyers, line)
    holds = [
        np.isin(quadrant.astype(str), routing.specialist_quadrants),
        ~np.isnat(procurement),
        arr > hand_off,
        is_new_buyer,
    ]
    rule = np.select(holds, range(len(holds)), len(holds)).astype(np.int64)
    route = np.array(["specialist", "ae", "ae", "ae", "csm"], dtype=object)[rule]
    owner = rows["owner_key"].astype(object).to_numpy()
    slot_owner = np.select([route == "specialist", route == "ae"], [SPECIALIST_POOL, AE_POOL], owner)
    return Routes(route, slot_owner.astype(object), rule, (quadrant, arr, hand_off, procurement))


def _column(evidence: pd.DataFrame, name: str) -> npt.NDArray[np.object_]:
    if name not in evidence:
        return np.full(len(evidence), None, dtype=object)
    found: npt.NDArray[np.object_] = evidence[name].astype(object).to_numpy()
    return found


def _has_new_buyer(area: npt.NDArray[np.object_], buyers: pd.DataFrame, line: Positions) -> Flags:
    """Rows whose account has sponsors, none of them in the target's area; unknown on either side is no."""
    areas = buyers["sponsor_areas"].astype(object).to_numpy()
    known = np.flatnonzero((line >= 0) & pd.notna(area))
    sponsors: Mapping[int, set[str]] = {k: set(text.split("\n")) for k, text in enumerate(areas) if pd.notna(text)}
    is_new = np.zeros(len(area), dtype=bool)
    asked = [str(name).strip().lower() for name in area[known]]
    is_new[known] = [k in sponsors and a not in sponsors[k] for k, a in zip(line[known], asked, strict=True)]
    return is_new
