"""Step 7, upsell before cross-sell, and the quarter plan of step 9."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from product_affinity.motion.alignment import Alignment, Flags, days_of, plus_months, taken
from product_affinity.motion.checks import NEED, UPSELL, Check, RowWords, make_check
from product_affinity.motion.history import History
from product_affinity.project.playbook.sequencing import QuarterPlan, Sequencing


def check_upsell(
    rows: pd.DataFrame,
    at: Alignment,
    history: History,
    sequencing: Sequencing,
    names: Mapping[str, str],
    has_need: Flags,
) -> list[Check]:
    """Ask whether an upsell comes first (U01), and between the two limits for problem and stakeholder (U02).

    Parameters
    ----------
    rows : segment, product_id.
    at : alignment of the rows.
    history : open upsells and limit shares.
    sequencing : the two shares.
    names : product_id to name.
    has_need : rows with a documented problem and a named stakeholder.
    """
    first_from = sequencing.upsell_first_from.per_row(rows["segment"], rows["product_id"])
    waits_to = sequencing.upsell_waits_to.per_row(rows["segment"], rows["product_id"])
    line, open_line = at.lines(history.limits), at.lines(history.upsells)
    share = taken(history.limits["limit_share"], line)
    is_first = (open_line >= 0) | (share >= first_from)
    between = (share > waits_to) & ~(share >= first_from)
    limited = [str(names.get(product, product)) for product in history.limits["product_id"]]
    reached = days_of(history.limits["reached_on"]).tolist()
    opened = days_of(history.upsells["since_on"]).tolist()

    def said(row: int) -> str:
        if open_line[row] >= 0:
            return f"open upsell since {opened[open_line[row]]}"
        if line[row] < 0:
            return f"limit share unknown: none reported within {sequencing.limit_days} days"
        where = f"{share[row]:.0%} of the limit of {limited[line[row]]} on {reached[line[row]]}"
        return f"{where}; upsell first from {first_from[row]:.0%}, can wait up to {waits_to[row]:.0%}"

    unknown = (line < 0) & (open_line < 0) & ~np.isnan(first_from)
    upsell = RowWords(said, lambda row: "the upsell closes, or usage leaves the limit")
    need = RowWords(said, lambda row: "a documented problem and a named stakeholder, or usage leaves the limit")
    return [
        make_check(UPSELL, "U01", "upsell first", "account", is_first, upsell, unknown=unknown),
        make_check(UPSELL, "U02", "near a limit without a need", "pair", between & ~has_need, need, asked=line >= 0),
    ]


def check_quarter_plan(rows: pd.DataFrame, evidence: pd.DataFrame, plan: QuarterPlan) -> Check:
    """Ask whether the customer is still in the quarters of adoption (Q01).

    Parameters
    ----------
    rows : tier.
    evidence : tenure_months and customer_since_on, unknown where missing.
    plan : the tiers that follow it, and its months.
    """
    months = _number(evidence, "tenure_months")
    follows = rows["tier"].isin(plan.tiers).to_numpy()
    until = None
    if "customer_since_on" in evidence:
        until = plus_months(days_of(evidence["customer_since_on"]), plan.adoption_months)
    words = RowWords(
        lambda row: f"customer for {months[row]:.0f} months, adoption only until {plan.adoption_months:g}",
        lambda row: "the quarters of adoption pass",
        until,
    )
    blocks = months < plan.adoption_months
    return make_check(
        NEED, "Q01", "quarter plan", "account", blocks, words, unknown=np.isnan(months) & follows, asked=follows
    )


def is_discovery_only(rows: pd.DataFrame, evidence: pd.DataFrame, plan: QuarterPlan) -> Flags:
    """Rows whose quarter plan says: surface problems, pitch nothing."""
    follows: Flags = rows["tier"].isin(plan.tiers).to_numpy()
    return follows & (_number(evidence, "tenure_months") < plan.discovery_months)


def _number(evidence: pd.DataFrame, name: str) -> np.ndarray:
    if name not in evidence:
        return np.full(len(evidence), np.nan)
    return evidence[name].to_numpy(dtype=float, na_value=np.nan)
