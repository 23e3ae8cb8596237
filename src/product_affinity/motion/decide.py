"""Decide what happens to every scored pair, in the one order of precedence; nothing disappears."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.motion.alignment import Alignment, Flags
from product_affinity.motion.checks import IN_FLIGHT, NET_NEW, Check
from product_affinity.motion.contact import check_contact, check_net_new
from product_affinity.motion.history import History
from product_affinity.motion.holdback import fill_and_hold
from product_affinity.motion.in_flight import InFlight, check_in_flight
from product_affinity.motion.need import Need, check_readiness, choose_play_type, read_need
from product_affinity.motion.precedence import NOTHING_BLOCKS, Verdict, judge, put_into_words
from product_affinity.motion.routing import Routes, choose_routes
from product_affinity.motion.sequence import check_quarter_plan, check_upsell, is_discovery_only
from product_affinity.motion.slots import free_slots, product_caps
from product_affinity.motion.waiting import check_waiting
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.project.settings import CapacitySettings, MeasurementSettings
from product_affinity.rules.criteria import Answer, Readiness

ROUTED = ("listed", "campaign", "in_flight", "beyond_capacity", "held_back")


@dataclass(frozen=True)
class Decision:
    """A night's decision.

    Attributes
    ----------
    decided : the rows with disposition, first_gate, evidence, unblocked_by, unblocked_on, all_gates, confirm_first,
        play_type, quadrant, route, route_reason, slot_owner, incumbent, is_request, taken_by (owner_id of who took
        the play up, null where nobody did).
    draws : arms of new rows: account_id, product_id, epoch, arm, arm_probability; empty without measurement. Kept
        apart, so that nothing owners see can reveal an arm.
    checks : every question asked, in the order of precedence, answered for every row: the whole story of a pair.
    """

    decided: pd.DataFrame
    draws: pd.DataFrame
    checks: Sequence[Check]


def decide(
    rows: pd.DataFrame,
    *,
    evidence: pd.DataFrame,
    gates: Sequence[Answer],
    readiness: Readiness | None,
    history: History,
    catalog: Catalog,
    sequencing: Sequencing,
    routing: Routing,
    capacity: CapacitySettings,
    measurement: MeasurementSettings,
    as_of: dt.date,
    fired: pd.DataFrame | None = None,
    previous: pd.DataFrame | None = None,
    drawn: pd.DataFrame | None = None,
) -> Decision:
    """Give every scored pair exactly one disposition.

    Parameters
    ----------
    rows : scored pairs of one as-of date: account_id, product_id, status, segment, tier, owner_key, do_not_contact,
        expected_arr_usd, value_usd, and optionally name, owner_id.
    evidence, gates, readiness : of the same rows by position; without readiness no rule set is asked.
    history : what was done with the accounts.
    catalog, sequencing, routing, capacity, measurement : the rules.
    as_of : date of the list.
    fired : triggers that fired: account_id, product_id, kind, fired_on.
    previous : rows of the last published list (account_id, product_id): incumbents.
    drawn : arms of earlier nights: account_id, epoch, arm.

    Raises
    ------
    ValueError : a pair appears twice, or evidence is not of the same rows.
    """
    if len(evidence) != len(rows):
        raise ValueError(f"evidence has {len(evidence)} rows, the pairs {len(rows)}: build it from the same pairs")
    at = Alignment(rows, as_of)
    evidence = evidence.reset_index(drop=True)
    names = {product.product_id: product.name for product in catalog}
    need = read_need(evidence, readiness)
    flight = check_in_flight(rows, at, history, sequencing, names)
    checks = [
        *check_contact(rows),
        check_net_new(_text(evidence, "quadrant"), _text(evidence, "anchor_product_id"), names),
        *flight.checks,
        *(Check(answer.step, answer) for answer in gates),
        *check_waiting(rows, at, history, sequencing, names, fired),
        *check_upsell(rows, at, history, sequencing, names, need.is_complete),
        *check_readiness(readiness, need.is_request),
        check_quarter_plan(rows, evidence, sequencing.quarter_plan),
    ]
    # gates of two steps come in one list; within a step the order of the playbook stays
    checks.sort(key=lambda check: check.step)
    verdict = judge(checks, len(rows))
    routes = choose_routes(rows, at, evidence, history, routing)
    discovery_only = is_discovery_only(rows, evidence, sequencing.quarter_plan)
    night = _night(rows, at, need, routes, flight, capacity, sequencing, previous)
    night["play_type"] = choose_play_type(rows, need, discovery_only, sequencing)
    night["disposition"] = _before_capacity(night, verdict, flight)
    # whoever closes it later, the first conversation is the customer-success manager's
    is_first_talk = night["play_type"].eq("discover") & night["disposition"].isna()
    night["slot_owner"] = night["slot_owner"].mask(is_first_talk, night["owner_key"])
    caps = product_caps(catalog, history.starts, routing.plays_per_implementation_slot)
    slots = free_slots(night["owner_key"], _running(night, verdict, flight, at), routing, capacity.plays_per_owner)
    draws = _allocate(night, slots, caps, measurement, as_of, drawn)
    decided = _published(rows, night, verdict, put_into_words(checks, verdict), routes, evidence).assign(
        taken_by=pd.Series(flight.owner_id, dtype="str").to_numpy()
    )
    return Decision(decided, draws, checks)


def _text(evidence: pd.DataFrame, name: str) -> pd.Series:
    return evidence[name] if name in evidence else pd.Series(None, index=evidence.index, dtype="str")


def _night(
    rows: pd.DataFrame,
    at: Alignment,
    need: Need,
    routes: Routes,
    flight: InFlight,
    capacity: CapacitySettings,
    sequencing: Sequencing,
    previous: pd.DataFrame | None,
) -> pd.DataFrame:
    """What competes: keys, value with and without the bonus of incumbents, floor, request, route; by position."""
    night = rows[["account_id", "product_id", "owner_key", "value_usd"]].reset_index(drop=True)
    listed_before = at.pair_lines(previous) >= 0 if previous is not None else np.zeros(at.size, dtype=bool)
    floor = sequencing.value_floor_usd.per_row(rows["segment"], rows["product_id"])
    value = night["value_usd"].to_numpy(dtype=float, na_value=np.nan)
    return night.assign(
        is_worth_it=value > np.nan_to_num(floor, nan=-np.inf),
        value_usd=np.where(listed_before, value + capacity.incumbent_bonus * np.abs(value), value),
        incumbent=listed_before,
        is_request=need.is_request,
        slot_owner=_slot_owner(rows, routes, flight),
    )


def _slot_owner(rows: pd.DataFrame, routes: Routes, flight: InFlight) -> np.ndarray:
    """Whose slot a row uses; a play that was taken up keeps the customer-success manager who did."""
    slot_owner = routes.slot_owner.copy()
    if "owner_id" in rows:
        keys = rows.drop_duplicates("owner_id").set_index("owner_id")["owner_key"].to_dict()
        for row in np.flatnonzero((routes.route == "csm") & pd.notna(flight.owner_id)):
            slot_owner[row] = keys.get(flight.owner_id[row], slot_owner[row])
    return slot_owner


def _before_capacity(night: pd.DataFrame, verdict: Verdict, flight: InFlight) -> np.ndarray:
    """Dispositions up to the value floor; None for the rows that compete."""
    free = verdict.step == NOTHING_BLOCKS
    found = np.full(len(night), None, dtype=object)
    found[~free] = "watchlist"
    found[verdict.step == NET_NEW] = "net_new"
    found[(verdict.step == IN_FLIGHT) & flight.is_own] = "in_flight"
    found[free & ~night["is_worth_it"].to_numpy()] = "below_value"
    return found


def _running(night: pd.DataFrame, verdict: Verdict, flight: InFlight, at: Alignment) -> pd.DataFrame:
    """Slots in use: those of the rows in flight, and their owner's where what runs is no row of ours."""
    rows_held = (night["disposition"] == "in_flight").to_numpy(dtype=bool)
    elsewhere = (verdict.step == IN_FLIGHT) & ~at.any_of_account(flight.is_own)
    others = night.loc[elsewhere, ["account_id", "owner_key"]].rename(columns={"owner_key": "slot_owner"})
    running: pd.DataFrame = pd.concat([night.loc[rows_held, ["account_id", "slot_owner"]], others])
    return running


def _allocate(
    night: pd.DataFrame,
    slots: pd.Series,
    caps: pd.Series,
    measurement: MeasurementSettings,
    as_of: dt.date,
    drawn: pd.DataFrame | None,
) -> pd.DataFrame:
    """Fill campaign and slots, set the dispositions that are still open, and return the draws."""
    open_rows = night["disposition"].isna().to_numpy(dtype=bool)
    is_campaign = (night["play_type"] == "campaign").to_numpy(dtype=bool)
    campaign = night[open_rows & is_campaign]
    night.loc[campaign.index, "disposition"] = np.where(_is_best(campaign), "campaign", "other_play")
    night.loc[open_rows & is_campaign, "slot_owner"] = None

    contenders = night[open_rows & ~is_campaign]
    is_listed, is_held, draws = fill_and_hold(contenders, slots, caps, measurement, as_of, drawn)
    has_play = contenders["account_id"].isin(contenders.loc[is_listed | is_held, "account_id"]).to_numpy()
    night.loc[contenders.index, "disposition"] = np.select(
        [is_listed, is_held, ~has_play & _is_best(contenders)],
        ["listed", "held_back", "beyond_capacity"],
        "other_play",
    )
    return draws


def _is_best(contenders: pd.DataFrame) -> Flags:
    """The account's first choice: a request, then value, then product_id."""
    order = contenders.sort_values(
        ["account_id", "is_request", "value_usd", "product_id"], ascending=[True, False, False, True], kind="stable"
    )
    best: Flags = (~order.duplicated("account_id")).reindex(contenders.index).to_numpy()
    return best


def _published(
    rows: pd.DataFrame,
    night: pd.DataFrame,
    verdict: Verdict,
    words: pd.DataFrame,
    routes: Routes,
    evidence: pd.DataFrame,
) -> pd.DataFrame:
    """Put the decision beside the rows, in their order and with their index."""
    is_routed = night["disposition"].isin(ROUTED).to_numpy()
    reason = np.full(len(night), None, dtype=object)
    shown = np.flatnonzero(is_routed)
    reason[shown] = routes.reasons(shown)
    hands_over = np.flatnonzero(is_routed & night["play_type"].eq("discover").to_numpy() & (routes.route != "csm"))
    reason[hands_over] = [f"the CSM confirms problem and owner, then: {why}" for why in reason[hands_over]]
    texts = {
        "disposition": night["disposition"],
        "all_gates": verdict.all_gates,
        "confirm_first": verdict.confirm_first,
        "play_type": night["play_type"].where(night["disposition"].isin(("listed", "campaign", "held_back")), None),
        "quadrant": _text(evidence, "quadrant"),
        "route": routes.route,
        "route_reason": reason,
        "slot_owner": night["slot_owner"],
    }
    columns = {name: pd.Series(column).astype("str").to_numpy() for name, column in texts.items()}
    said = {str(name): words[name].to_numpy() for name in words}
    flags = {name: night[name].to_numpy() for name in ("incumbent", "is_request")}
    return rows.assign(**said, **columns, **flags)
