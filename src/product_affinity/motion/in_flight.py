"""Step 4: an open deal, or a play that was taken up, keeps owner and slot and blocks other motions on the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.motion.alignment import (
    Alignment,
    Days,
    Flags,
    days_of,
    plus_days,
    taken_days,
)
from product_affinity.motion.checks import IN_FLIGHT, Check, RowWords, make_check
from product_affinity.motion.history import History
from product_affinity.project.playbook.sequencing import Sequencing


@dataclass(frozen=True)
class InFlight:
    """What runs on the accounts of the rows.

    Attributes
    ----------
    checks : F01 open opportunity, F02 accepted play or meeting, F03 contacted and waiting.
    is_own : rows that are themselves what runs.
    owner_id : who took the row's play up, null where nobody did.
    """

    checks: list[Check]
    is_own: Flags
    owner_id: npt.NDArray[np.object_]


def check_in_flight(
    rows: pd.DataFrame, at: Alignment, history: History, sequencing: Sequencing, names: Mapping[str, str]
) -> InFlight:
    """Find what is in flight.

    Parameters
    ----------
    rows : account_id, product_id, status, segment.
    at : alignment of the rows.
    history : open deals and plays.
    sequencing : days without news for which a play still counts as open.
    names : product_id to name.
    """
    plays = history.plays.assign(until=_open_until(rows, at, history.plays, sequencing))
    is_open = np.isnat(days_of(plays["until"])) | (days_of(plays["until"]) > at.as_of)
    waits = plays["status"].eq("contacted").to_numpy()
    never_waits = waits & np.isnat(days_of(plays["until"]))
    plays = plays[is_open & ~never_waits]
    waits = plays["status"].eq("contacted").to_numpy()
    own_play = at.pair_lines(plays)
    is_deal = rows["status"].eq("in_pipeline").to_numpy() | (at.pair_lines(history.deals) >= 0)
    owners = np.array([*plays["owner_id"], None], dtype=object)[own_play]
    checks = [
        _check_deals(at, history.deals, is_deal, names),
        _check_plays(at, plays[~waits], "F02", "play taken up", names),
        _check_plays(at, plays[waits], "F03", "contacted, waiting for an answer", names),
    ]
    return InFlight(checks, is_deal | (own_play >= 0), owners)


def _open_until(rows: pd.DataFrame, at: Alignment, plays: pd.DataFrame, sequencing: Sequencing) -> Days:
    """Day on which each play without further news counts as closed; NaT: no such day is set."""
    row = at.first_row_of(plays)
    segment = rows["segment"].iloc[np.maximum(row, 0)] if at.size else pd.Series(index=range(len(plays)), dtype="str")
    segment = segment.reset_index(drop=True).mask(row < 0)
    days = np.full(len(plays), np.nan)
    for status in ("accepted", "meeting", "contacted"):
        threshold = getattr(sequencing, f"{status}_days")
        has_status = plays["status"].eq(status).to_numpy()
        days[has_status] = threshold.per_row(segment, plays["product_id"].reset_index(drop=True))[has_status]
    return plus_days(days_of(plays["since_on"]), days)


def _check_deals(at: Alignment, deals: pd.DataFrame, is_deal: Flags, names: Mapping[str, str]) -> Check:
    per_account = _joined(deals.assign(what=_named(deals["product_id"], names)))
    line = at.lines(per_account)
    blocks = (line >= 0) | at.any_of_account(is_deal)
    what, since = per_account["what"].tolist(), days_of(per_account["since_on"]).tolist()
    own_line, own_since = at.pair_lines(deals), days_of(deals["since_on"]).tolist()
    own_name = _named(deals["product_id"], names).tolist()

    def said(row: int) -> str:
        own = own_line[row]
        if own >= 0:  # of what the account has open, the pair's own deal speaks for it
            return f"open opportunity on {own_name[own]} since {own_since[own]}"
        if line[row] < 0:
            return "open opportunity" if blocks[row] else "no open opportunity"
        return f"open opportunity on {what[line[row]]} since {since[line[row]]}"

    words = RowWords(said, lambda row: "the opportunity closes, won or lost")
    return make_check(IN_FLIGHT, "F01", "open opportunity", "account", blocks, words)


def _check_plays(at: Alignment, plays: pd.DataFrame, code: str, title: str, names: Mapping[str, str]) -> Check:
    said_on = plays["since_on"].dt.strftime("%Y-%m-%d")
    what = "play on " + _named(plays["product_id"], names) + ": " + plays["status"] + " on " + said_on
    per_account = _joined(plays.assign(what=what))
    line = at.lines(per_account)
    happened, own_line, own_words = per_account["what"].tolist(), at.pair_lines(plays), what.tolist()

    def said(row: int) -> str:
        own = own_line[row]
        if own >= 0:
            return str(own_words[own])
        return happened[line[row]] if line[row] >= 0 else "none"

    until = taken_days(per_account["until"], line)
    words = RowWords(said, lambda row: "the play closes, or nothing is noted of it for long", until)
    return make_check(IN_FLIGHT, code, title, "account", line >= 0, words)


def _named(products: pd.Series, names: Mapping[str, str]) -> pd.Series:
    return products.map(lambda product: names.get(product, product), na_action="ignore").fillna("an unnamed product")


def _joined(motions: pd.DataFrame) -> pd.DataFrame:
    """One line an account: what runs, since when at the earliest, until when at the latest."""
    if "until" not in motions:
        motions = motions.assign(until=np.datetime64("NaT", "us"))
    grouped = motions.sort_values(["account_id", "what"], kind="stable").groupby("account_id", sort=True)
    return grouped.agg(what=("what", ", ".join), since_on=("since_on", "min"), until=("until", "max")).reset_index()
