"""Step 6: cool-downs after an outcome, and the gap between two motions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from product_affinity.motion.alignment import Alignment, Days, Flags, Positions, plus_days, taken_days
from product_affinity.motion.checks import WAITING, Check, RowWords, make_check
from product_affinity.motion.history import History
from product_affinity.project.playbook.sequencing import Sequencing

_RESTS = (
    ("C01", "not_now", "not now"),
    ("C02", "not_a_fit", "not a fit"),
    ("C03", "lost", "lost lately"),
)


def check_waiting(
    rows: pd.DataFrame,
    at: Alignment,
    history: History,
    sequencing: Sequencing,
    names: Mapping[str, str],
    fired: pd.DataFrame | None,
) -> list[Check]:
    """Ask whether the pair rests after an outcome, and whether the last motion on the account is long enough ago.

    Parameters
    ----------
    rows : account_id, product_id, segment.
    at : alignment of the rows.
    history : endings and closes.
    sequencing : the waiting times.
    names : product_id to name.
    fired : triggers that fired (account_id, product_id, kind, fired_on), or None.
    """
    checks = [_check_rest(rows, at, history, sequencing, rest, fired) for rest in _RESTS]
    return [*checks, _check_gap(rows, at, history, sequencing, names)]


def _check_rest(
    rows: pd.DataFrame,
    at: Alignment,
    history: History,
    sequencing: Sequencing,
    rest: tuple[str, str, str],
    fired: pd.DataFrame | None,
) -> Check:
    code, status, title = rest
    endings = history.endings[history.endings["status"].eq(status)]
    line = at.pair_lines(endings)
    noted = taken_days(endings["noted_on"], line)
    follow_up = taken_days(endings["follow_up_on"], line)
    bound = getattr(sequencing, f"{status}_days").per_row(rows["segment"], rows["product_id"])
    until = plus_days(noted, bound)
    if status == "not_now":
        # a day somebody agreed on says more than a rule of thumb; a rule that is off asks for neither
        until = np.where(np.isnat(follow_up) | np.isnan(bound), until, follow_up)
    blocks = until > at.as_of
    remedy = "the rest is over"
    if status == "not_a_fit" and sequencing.new_triggers:
        blocks &= ~_newly_triggered(at, fired, sequencing.new_triggers, noted)
        remedy = "the rest is over, or a new trigger fires"

    def said(row: int) -> str:
        return f"{title} on {noted[row]}, rests until {until[row]}" if line[row] >= 0 else "no such answer"

    return make_check(WAITING, code, title, "pair", blocks, RowWords(said, lambda row: remedy, until))


def _newly_triggered(at: Alignment, fired: pd.DataFrame | None, kinds: tuple[str, ...], noted: Days) -> Flags:
    if fired is None or fired.empty:
        return np.zeros(at.size, dtype=bool)
    counted = fired[fired["kind"].isin(kinds)]
    newest = counted.groupby(["account_id", "product_id"])["fired_on"].max().reset_index()
    since: Flags = taken_days(newest["fired_on"], at.pair_lines(newest)) > noted
    return since


def _check_gap(
    rows: pd.DataFrame, at: Alignment, history: History, sequencing: Sequencing, names: Mapping[str, str]
) -> Check:
    closes = history.closes
    line: Positions = at.lines(closes)
    closed = taken_days(closes["closed_on"], line)
    gap = sequencing.gap_days.per_row(rows["segment"], rows["product_id"])
    until = plus_days(closed, gap)
    blocks = until > at.as_of
    products, statuses = closes["product_id"].map(names, na_action="ignore").tolist(), closes["status"].tolist()

    def said(row: int) -> str:
        last = line[row]
        if last < 0:
            return "no motion closed before"
        what = "the last motion" if pd.isna(products[last]) else f"the motion on {products[last]}"
        since = (at.as_of - closed[row]).astype(int)
        wanted = "" if np.isnan(gap[row]) else f", {gap[row]:.0f} days between motions"
        return f"{what} closed {since} days ago ({statuses[last].replace('_', ' ')}){wanted}"

    words = RowWords(said, lambda row: "the gap between two motions passes", until)
    return make_check(WAITING, "C04", "gap between motions", "account", blocks, words)
