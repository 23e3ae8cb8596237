"""The motion of one night: from scored pairs to what happens with each, and the words of every play."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts, usable
from product_affinity.lists import PublishedList
from product_affinity.lists.files import MEASUREMENT
from product_affinity.motion import Decision, History, build_history, decide
from product_affinity.motion.words import tell_plays
from product_affinity.pipeline.prepare import Prepared
from product_affinity.pipeline.table import PairTable
from product_affinity.rules import Answer, Readiness, answer_gates, answer_readiness, build_evidence
from product_affinity.rules.triggers import fire_triggers, leading_trigger, silent_triggers
from product_affinity.spine.accounts import PAID

KEYS = ["account_id", "product_id"]
_FROM_EVIDENCE = {
    "renewal_on": "renewal_on",
    "account_health": "health",
    "account_health_change": "health_change",
    "open_urgent": "open_urgent",
    "open_urgent_oldest_days": "open_urgent_oldest_days",
    "problem_tag": "problem_tag",
    "problem_statement": "problem_statement",
    "problem_source": "problem_source",
    "problem_noted_on": "problem_noted_on",
    "stakeholder_id": "stakeholder_id",
    "stakeholder_name": "stakeholder_name",
    "stakeholder_role": "stakeholder_role",
    "anchor_product_id": "anchor_product_id",
    "rule_set": "rule_set",
}


@dataclass(frozen=True)
class Moved:
    """What the motion made of a night's scored pairs; all parts have the pairs' rows in the same order.

    Attributes
    ----------
    decision : disposition of every pair, draws and every question asked.
    evidence : what gates and criteria were asked about.
    gates, readiness : their answers.
    fired : every trigger that fired: account_id, product_id, code, evidence, …
    silent : triggers that can fire for nobody, and why.
    history : what was already done with the accounts.
    """

    decision: Decision
    evidence: pd.DataFrame
    gates: Sequence[Answer]
    readiness: Readiness
    fired: pd.DataFrame
    silent: Mapping[str, str]
    history: History

    @property
    def decided(self) -> pd.DataFrame:
        """The pairs with their disposition."""
        return self.decision.decided


def move_pairs(prepared: Prepared, table: PairTable, valued: pd.DataFrame, earlier: Sequence[PublishedList]) -> Moved:
    """Decide what happens to every scored pair of one date, by the project's playbook.

    Parameters
    ----------
    prepared : project, facts and date.
    table : the date's spine and pairs.
    valued : scored pairs with propensity, value and owner.
    earlier : lists published before the date; the newest one's rows are the incumbents.
    """
    project, facts, as_of = prepared.project, prepared.facts, prepared.as_of
    playbook, rows = project.playbook, valued.reset_index(drop=True)
    evidence = build_evidence(facts, project.catalog, playbook.readiness, table.spine, rows)
    gates = answer_gates(playbook.gates, evidence, tables=facts.present)
    readiness = answer_readiness(playbook.readiness, evidence, tables=facts.present)
    fired = fire_triggers(facts, project.catalog, playbook.triggers, rows)
    history = build_history(facts, playbook.sequencing, playbook.routing, as_of)
    decision = decide(
        rows,
        evidence=evidence,
        gates=gates,
        readiness=readiness,
        history=history,
        catalog=project.catalog,
        sequencing=playbook.sequencing,
        routing=playbook.routing,
        capacity=project.settings.capacity,
        measurement=project.settings.measurement,
        as_of=as_of,
        fired=fired,
        previous=earlier[-1].worklist if earlier else None,
        drawn=_drawn_before(earlier),
    )
    return Moved(decision, evidence, gates, readiness, fired, silent_triggers(facts, playbook.triggers), history)


def _drawn_before(earlier: Sequence[PublishedList]) -> pd.DataFrame | None:
    """Draws that earlier lists logged, so that an account keeps its arm."""
    logs = [one.folder / MEASUREMENT for one in earlier if one.folder is not None]
    frames = [pd.read_parquet(path) for path in logs if path.exists()]
    return pd.concat(frames, ignore_index=True) if frames else None


def told_rows(moved: Moved, prepared: Prepared, spine: pd.DataFrame, chosen: np.ndarray) -> pd.DataFrame:
    """Return pairs with everything the motion says of a play.

    Parameters
    ----------
    moved : the night's motion.
    prepared : project, facts and date.
    spine : the date's active customers.
    chosen : positions of the pairs; words are made for these alone.

    Returns
    -------
    DataFrame
        The pairs' columns and readiness, trigger, trigger_evidence, the context columns that rest on evidence, and
        next_step, talk_track, discovery_questions, objections and best_by; index 0 to n − 1.
    """
    project = prepared.project
    rows = moved.decided.iloc[chosen].reset_index(drop=True)
    evidence = moved.evidence.iloc[chosen].reset_index(drop=True)
    rows = rows.drop(columns=list(_FROM_EVIDENCE.values()), errors="ignore").join(
        evidence[list(_FROM_EVIDENCE)].rename(columns=_FROM_EVIDENCE)
    )
    lead = leading_trigger(moved.fired).drop(columns="as_of")
    rows = rows.merge(lead, on=KEYS, how="left", validate="1:1")
    rows = rows.merge(
        spine[["account_id", "arr_usd"]].rename(columns={"arr_usd": "account_arr_usd"}),
        on="account_id",
        how="left",
        validate="m:1",
    )
    rows = rows.merge(_crm_of(prepared.facts, prepared.as_of), on="account_id", how="left", validate="m:1")
    names = {product.product_id: product.name for product in project.catalog}
    told = tell_plays(rows, project.playbook.talk_tracks, names)
    return rows.assign(
        readiness=pd.Series(moved.readiness.described(chosen), dtype="str"),
        account_name=rows["name"],
        product_name=rows["product_id"].map(names),
        winback=rows["is_winback"],
    ).join(told)


def gate_titles(moved: Moved) -> dict[str, str]:
    """Return words for every code of the night's gates and criteria."""
    return {check.answer.code: check.answer.title for check in moved.decision.checks}


def first_paid_starts(facts: Facts, as_of: dt.date) -> pd.DataFrame:
    """Return account_id, product_id and adopted_on of first paid starts known at `as_of`."""
    return facts.connection.execute(
        f"""
        -- grain: account × product ever paid for
        select account_id, product_id, min(start_on)::timestamp as adopted_on
        from facts.subscriptions as sub
        where {usable("sub", "$as_of")} and {PAID}
        group by all order by all
        """,
        {"as_of": as_of},
    ).df()


def known_outcomes(facts: Facts, as_of: dt.date) -> pd.DataFrame | None:
    """Return the outcomes known at `as_of`, or None where none ever came back."""
    if not facts.has("outcomes"):
        return None
    return facts.connection.execute(
        f"""
        select play_id, account_id, product_id, status, reason, note, noted_at
        from facts.outcomes as outcome
        where {usable("outcome", "$as_of")} order by noted_at, play_id
        """,
        {"as_of": as_of},
    ).df()


def _crm_of(facts: Facts, as_of: dt.date) -> pd.DataFrame:
    return facts.connection.execute(
        f"select account_id, crm_id, crm_url from facts.accounts as account where {usable('account', '$as_of')}",
        {"as_of": as_of},
    ).df()
