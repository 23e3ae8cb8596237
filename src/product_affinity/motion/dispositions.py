"""Decide what happens to every pair, in the field's order of precedence; nothing disappears.

Order: do not contact → in flight → gates of the playbook → value floor → one product an account → capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import pandas as pd

from product_affinity.project.playbook import DO_NOT_CONTACT, IN_FLIGHT, Gate
from product_affinity.rules import GateAnswers, answer_gate
from product_affinity.value import fill_capacity

DISPOSITIONS = ("listed", "in_flight", "watchlist", "other_play", "below_value", "beyond_capacity")
_HELD_TEXTS = ("disposition", "first_gate", "evidence", "unblocked_by")


def decide(
    pairs: pd.DataFrame, gates: Sequence[Gate], *, tables: Collection[str], plays_per_owner: int
) -> pd.DataFrame:
    """Add the disposition of every white-space and in-pipeline pair.

    Parameters
    ----------
    pairs : account_id, product_id, status (white_space or in_pipeline), value_usd, owner_key, do_not_contact,
        open_deals (what the account's open opportunities are about, null without any) and the feature columns
        the gates name.
    gates : the playbook's gates in their order.
    tables : source tables the company has. A gate on an absent table, or on a column without a single value,
        cautions where the answer is unknown: nobody could ever pass it.
    plays_per_owner : slots an owner has; open opportunities use them first.

    Returns
    -------
    DataFrame
        `pairs` with disposition (one of `DISPOSITIONS`), first_gate, evidence, unblocked_by (null unless on the
        watchlist) and confirm_first (what could not be checked, else null).
    """
    decided = _apply_gates(pairs, gates, tables)
    open_rows = decided["disposition"].isna()
    decided.loc[open_rows & ~(decided["value_usd"] > 0), "disposition"] = "below_value"

    contenders = decided[decided["disposition"].isna()].sort_values(
        ["account_id", "value_usd", "product_id"], ascending=[True, False, True], kind="stable"
    )
    is_best = ~contenders.duplicated("account_id")
    decided.loc[contenders.index[~is_best], "disposition"] = "other_play"

    best = contenders[is_best]
    busy = decided[decided["open_deals"].notna() & decided["first_gate"].ne(DO_NOT_CONTACT)]
    used = busy.drop_duplicates("account_id")["owner_key"].value_counts()
    owners = pd.Index(decided["owner_key"].unique())
    slots = (plays_per_owner - used.reindex(owners).fillna(0)).clip(lower=0)
    is_listed = fill_capacity(best, slots=slots)
    decided.loc[best.index[is_listed], "disposition"] = "listed"
    decided.loc[best.index[~is_listed], "disposition"] = "beyond_capacity"
    return decided


def _apply_gates(pairs: pd.DataFrame, gates: Sequence[Gate], tables: Collection[str]) -> pd.DataFrame:
    """Apply what blocks a whole account; the first blocking reason stays with the row."""
    nothing = pd.Series(None, index=pairs.index, dtype="str")
    held = pairs.assign(**dict.fromkeys((*_HELD_TEXTS, "confirm_first"), nothing))
    marked = held["do_not_contact"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    _block(
        held,
        marked,
        DO_NOT_CONTACT,
        lambda rows: "account is marked do not contact",
        "the mark in the CRM is removed",
    )
    in_pipeline = held["status"].eq("in_pipeline")
    held.loc[held["disposition"].isna() & in_pipeline, "disposition"] = "in_flight"
    _block(
        held,
        held["open_deals"].notna().to_numpy(),
        IN_FLIGHT,
        lambda rows: "open opportunity: " + held.loc[rows, "open_deals"],
        "the opportunity closes, won or lost",
    )
    for gate in gates:
        answers = answer_gate(gate, held)
        _block(held, answers.fails, gate.code, _words(gate, answers), gate.unblocked_by)
        if gate.table in tables and all(held[condition.column].notna().any() for condition in gate.blocks_when):
            _block(held, answers.unknown, gate.code, _words(gate, answers), gate.unblocked_by)
        else:
            open_rows = held["disposition"].isna() & answers.unknown
            so_far = (held["confirm_first"] + "; ").fillna("")
            held.loc[open_rows, "confirm_first"] = so_far[open_rows] + gate.title
    return held


def _words(gate: Gate, answers: GateAnswers) -> Callable[[pd.Series], list[str]]:
    def words(rows: pd.Series) -> list[str]:
        chosen = zip(answers.value[rows], answers.unknown[rows], strict=True)
        return [f"{gate.title}: unknown" if unknown else gate.evidence.format(value=value) for value, unknown in chosen]

    return words


def _block(
    held: pd.DataFrame,
    blocks: np.ndarray,
    code: str,
    evidence: Callable[[pd.Series], str | list[str] | pd.Series],
    unblocked_by: str,
) -> None:
    """Put the rows that are still free on the watchlist; evidence is put into words for those rows only."""
    rows = held["disposition"].isna() & blocks
    held.loc[rows, "evidence"] = evidence(rows)
    held.loc[rows, ["disposition", "first_gate", "unblocked_by"]] = ["watchlist", code, unblocked_by]
