"""Outcomes a team typed: shown again beside the play they belong to, as long as it is open."""

from __future__ import annotations

import pandas as pd

_SHOWN = {"status": "status", "reason": "outcome_reason", "note": "outcome_note"}


def keep_outcomes(plays: pd.DataFrame, outcomes: pd.DataFrame | None) -> pd.DataFrame:
    """Fill status, outcome_reason and outcome_note of plays from the newest outcome that came back for them.

    Parameters
    ----------
    plays : rows with `play_id`, null where the work did not begin on a list.
    outcomes : the outcomes table: play_id, status, noted_at and, where known, reason and note; or None.

    Returns
    -------
    DataFrame
        `plays` with the three columns as text, empty where nothing came back. Of two outcomes noted at the same
        instant the later row of the table counts.
    """
    kept = plays.copy()
    if outcomes is None or outcomes.empty:
        newest = pd.DataFrame(columns=["play_id"], dtype="str").set_index("play_id")
    else:
        known = outcomes[outcomes["play_id"].notna()].sort_values("noted_at", kind="stable")
        newest = known.drop_duplicates("play_id", keep="last").set_index("play_id")
    for source, name in _SHOWN.items():
        found = plays["play_id"].map(newest[source].astype("str")) if source in newest else None
        kept[name] = pd.Series("", index=plays.index, dtype="str") if found is None else found.astype("str").fillna("")
    return kept
