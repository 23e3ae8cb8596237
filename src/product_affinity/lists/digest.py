"""The digest: ten lines with numbers that the head of customer success pastes into a message.

Names of products, owners and gates only: no account, no contact, no word of a customer's problem.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from product_affinity.lists.changes import WHY, count_changes
from product_affinity.lists.content import ListContent, published_dispositions
from product_affinity.lists.track import EVERYBODY, OPEN
from product_affinity.lists.writers import clean_text, cut_text

UNTOUCHED_DAYS = 14
_NAME_LIMIT = 40


def digest_lines(content: ListContent) -> list[str]:
    """Return exactly ten lines of Markdown, each with its numbers."""
    return [
        _headline(content),
        _expected(content),
        _products(content),
        _owners(content),
        _changed(content),
        _gone(content),
        _flying(content),
        _held(content),
        _elsewhere(content),
        _record(content),
    ]


def _headline(content: ListContent) -> str:
    plays = content.plays
    kinds = _counted(plays["play_type"].value_counts())
    company = f" {_plain(content.company)}" if content.company else ""
    return (
        f"**Cross-sell{company}, {content.as_of}**: {len(plays):,} plays"
        + (f" ({kinds})" if kinds else "")
        + f" for {plays['owner_id'].nunique():,} owners, {int(plays['owner_id'].isna().sum()):,} without an owner"
        + (f"; **{content.ranked_by}**" if content.ranked_by else "")
    )


def _expected(content: ListContent) -> str:
    plays = content.plays
    arr = float((plays["propensity"] * plays["expected_arr_usd"]).sum())
    return (
        f"- Expected within {content.horizon_days} days: {plays['propensity'].sum():,.1f} adoptions worth "
        f"{arr:,.0f} {content.currency} of ARR, at the average rate {plays['base_rate'].sum():,.1f}"
    )


def _products(content: ListContent) -> str:
    return f"- By product, expected ARR: {_leading(content.plays, 'product_name', content.currency)}"


def _owners(content: ListContent) -> str:
    owned = content.plays[content.plays["owner_id"].notna()]
    named = owned.assign(owner_name=owned["owner_name"].fillna(owned["owner_id"]))
    return f"- By owner, expected ARR: {_leading(named, 'owner_name', content.currency)}"


def _changed(content: ListContent) -> str:
    changes = count_changes(content.plays, content.gone)
    waiting = content.plays["days_on_list"].ge(UNTOUCHED_DAYS) & content.plays["status"].fillna("").eq("")
    return (
        f"- Since the last list: {changes['new']:,} new, {changes['up']:,} up, {changes['down']:,} down, "
        f"{changes['same']:,} as before; {int(waiting.sum()):,} untouched for {UNTOUCHED_DAYS} days"
    )


def _gone(content: ListContent) -> str:
    reasons = _counted(content.gone["why"].map(WHY).value_counts())
    return f"- Gone: {len(content.gone):,}" + (f" ({reasons})" if reasons else "")


def _flying(content: ListContent) -> str:
    flying = content.in_flight
    return f"- In flight: {len(flying):,} pairs of {flying['account_id'].nunique():,} accounts keep owner and slot"


def _held(content: ListContent) -> str:
    held = content.watchlist
    worth = float(held["value_usd"].clip(lower=0).sum())
    gates = held["gate"].value_counts()
    words = _counted(pd.Series({_plain(content.gate_words(str(code))): n for code, n in gates.head(4).items()}))
    return f"- Blocked by a gate: {len(held):,} pairs worth {worth:,.0f} {content.currency}" + (
        f" ({words})" if words else ""
    )


def _elsewhere(content: ListContent) -> str:
    found = published_dispositions(content.scores)
    shown = (WHY["in_flight"], WHY["watchlist"])
    words = _counted(pd.Series({name: n for name, n in found.items() if name not in shown}, dtype="int64"))
    return f"- Not listed: {words}" if words else f"- Not listed for other reasons: 0 of {len(content.scores):,} pairs"


def _record(content: ListContent) -> str:
    rows = content.track[content.track["owner_key"].eq(EVERYBODY)]
    if rows.empty:
        return "- Track record: 0 lists are 30 days old"
    row = rows.sort_values(["closes_on", "listed_on"], kind="stable").iloc[0]
    state = "still open" if row["state"] == OPEN else str(row["state"])
    listed_on = pd.Timestamp(row["listed_on"]).date()
    return (
        f"- Track record, list of {listed_on}: {row['observed']:,.0f} of {row['plays']:,.0f} bought within "
        f"{row['window_days']:.0f} days, predicted {row['predicted']:,.1f} ({row['predicted_low']:,.0f} to "
        f"{row['predicted_high']:,.0f}), {row['outcomes']:,.0f} answered; window {state}"
    )


def _leading(plays: pd.DataFrame, name: str, currency: str) -> str:
    arr = (plays["propensity"] * plays["expected_arr_usd"]).groupby(plays[name]).sum()
    ordered = sorted(arr.items(), key=lambda item: (-item[1], str(item[0])))
    parts = [f"{_plain(str(label))} {value:,.0f}" for label, value in ordered[:3]]
    rest = sum(value for _, value in ordered[3:])
    if len(ordered) > 3:
        parts.append(f"the other {len(ordered) - 3}: {rest:,.0f}")
    return (", ".join(parts) or "0") + f" {currency}"


def _counted(counts: pd.Series | Mapping[str, int]) -> str:
    return ", ".join(f"{int(n):,} {name}" for name, n in counts.items())


def _plain(name: str) -> str:
    """Return a name that is no Markdown, no mention and no line of its own."""
    plain = cut_text(clean_text(name).strip(), _NAME_LIMIT)
    return re.sub(r"([\\`*_\[\]()<>#|!~])", r"\\\1", plain).replace("@", "(at)").replace("://", ": ")
