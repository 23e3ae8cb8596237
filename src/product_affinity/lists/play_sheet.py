"""The worklist in the order a person reads: who, what, how strong, why, why now, whom, careful, what to do, status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from product_affinity.lists.sheets import Cell, Column, is_unknown
from product_affinity.lists.worklist import owner_key

TIER_FILLS = {1: "#BFE3C6", 2: "#FFE9A8", 3: "#E3E7EB"}
STATUS_RANGE, REASON_RANGE = "=Choices!$A$1:$A$7", "=Choices!$B$1:$B$12"
OUTCOME_REASONS = (
    "no need",
    "no budget",
    "bad timing",
    "not ready for more",
    "low use of what they own",
    "wrong contact",
    "account at risk",
    "chose a competitor",
    "price",
    "no capacity to implement",
    "already talking to sales",
    "other",
)
_MIDDLE = {"align": "center"}
_TO_FILL = {"bg_color": "#FFFBE6"}
_PLAYS = {"pitch": "Pitch", "discover": "Discover", "campaign": "Campaign"}
_ROUTES = {"csm": "CSM", "ae": "AE", "specialist": "specialist"}
_SOURCES = {"qbr": "QBR", "ticket": "ticket", "check_in": "check-in"}
_DAYS = '0 "d"'


def money_format(currency: str) -> str:
    """Return the number format of an amount.

    >>> money_format("USD"), money_format("EUR")
    ('$#,##0_)', '#,##0 "EUR"_)')
    """
    return "$#,##0_)" if currency == "USD" else f'#,##0 "{currency}"_)'


def feedback_columns() -> list[Column]:
    """Return the three columns a team fills in."""
    return [
        Column(
            "Status",
            12,
            "What became of it; choose from the list.",
            look=_TO_FILL,
            choices=STATUS_RANGE,
            only_choices=True,
        ),
        Column("Reason", 18, "Why, above all for not_now, not_a_fit and lost.", look=_TO_FILL, choices=REASON_RANGE),
        Column("Note", 26, "Anything else, in your own words.", look=_TO_FILL),
    ]


def key_columns() -> list[Column]:
    """Return the hidden columns by which a filled-in row finds its play again."""
    return [Column(name, 12, hidden=True) for name in ("play_id", "owner", "account_id", "product_id")]


def play_columns(currency: str, horizon_days: int, *, own: bool) -> list[Column]:
    """Return the columns of the worklist sheet; the owner's own workbook leaves the owner out."""
    money = money_format(currency)
    owner = [] if own else [Column("Owner", 14, "Whose list the row is on.")]
    return [
        Column("Rank", 6, "Place on the owner's list, by worth.", "0", _MIDDLE),
        Column("Account", 24, "Opens the account in the CRM.", look={"bold": True}),
        *owner,
        Column("Tier", 5, "Tier of the account by ARR; 1 is the largest.", "0", _MIDDLE),
        Column("Account ARR", 11, f"What the account pays a year, in {currency}.", money),
        Column("Renewal in", 9, "Days until the next renewal.", _DAYS, _MIDDLE),
        Column("Health", 9, "Health score of 100, ▲ up or ▼ down over 90 days. Internal.", "0", _MIDDLE),
        Column("Owns", 20, "Products the account pays for."),
        Column("Offer", 18, "The product to talk about.", look={"bold": True}),
        Column("Chance", 8, f"Chance that they buy it within {horizon_days} days. Not readiness.", "0.0%", _MIDDLE),
        Column("If bought", 11, f"ARR if they buy, in {currency}.", money),
        Column(
            "Why", 42, "What speaks for it, against the average customer. (internal) is not for the customer's ears."
        ),
        Column("Why now", 36, "What happened lately; a documented problem with its source and date."),
        Column("Talk to", 20, "Who is responsible for the problem's area."),
        Column("Careful", 26, "Open P1/P2 tickets and what speaks against it."),
        Column("Next step", 36, "Kind of play, who acts, until when, and what to do."),
        Column("On list", 8, "Days on the list; new, ▲ up, ▼ down or = same rank since the last one.", _DAYS, _MIDDLE),
        *feedback_columns(),
        *key_columns(),
    ]


def play_row(play: Mapping[str, object], *, own: bool) -> list[object]:
    """Return the cells of one play, in the order of `play_columns`.

    Parameters
    ----------
    play : a row of plays by column name.
    own : whether it is for the owner alone; only then is the contact named.
    """
    owner = [] if own else [play["owner_name"] if _said(play["owner_name"]) else play["owner_id"]]
    tier = play["tier"]
    return [
        play["rank"],
        Cell(play["account_name"] if _said(play["account_name"]) else play["account_id"], link=play["crm_url"]),
        *owner,
        Cell(tier, fill=TIER_FILLS.get(int(str(tier))) if not is_unknown(tier) else None),
        play["account_arr_usd"],
        _days_until(play["renewal_on"], play["as_of"]),
        _health(play),
        play["owned_products"],
        play["product_name"],
        play["propensity"],
        play["expected_arr_usd"],
        _why(play),
        _why_now(play),
        _talk_to(play, own=own),
        _careful(play),
        _next_step(play),
        _on_list(play),
        *(play[name] for name in ("status", "outcome_reason", "outcome_note")),
        *play_keys(play),
    ]


def play_keys(play: Mapping[str, object]) -> list[object]:
    """Return the values of `key_columns`."""
    owner = play["owner_id"]
    key = owner_key(owner if isinstance(owner, str) else None)
    return [play["play_id"], key, play["account_id"], play["product_id"]]


def preparation_columns() -> list[Column]:
    """Return the columns of the sheet one reads before the call."""
    return [
        Column("Account", 24, look={"bold": True}),
        Column("Offer", 18, look={"bold": True}),
        Column("Opening", 56),
        Column("Questions", 46),
        Column("Objections and answers", 46),
        Column("Readiness", 26),
        Column("Who acts and why", 32),
    ]


def preparation_row(play: Mapping[str, object]) -> list[object]:
    """Return the cells of one play, in the order of `preparation_columns`."""
    route = _ROUTES.get(str(play["route"]), "")
    names = ("account_name", "product_name", "talk_track", "discovery_questions", "objections", "readiness")
    return [*(play[name] for name in names), _joined([route, play["route_reason"]], ": ")]


def _why(play: Mapping[str, object]) -> str:
    lines = [
        f"• {play[f'reason_{k}']}" + ("" if play[f"reason_{k}_sayable"] else " (internal)")
        for k in (1, 2, 3)
        if _said(play[f"reason_{k}"])
    ]
    return "\n".join(lines)


def _why_now(play: Mapping[str, object]) -> str:
    trigger = _joined([play["trigger"], play["trigger_evidence"]], ": ")
    if not _said(play["problem_statement"]):
        return trigger
    statement = str(play["problem_statement"])
    origin = _joined([_SOURCES.get(str(play["problem_source"]), ""), _day(play["problem_noted_on"])], ", ")
    quoted = "" if statement in trigger else f"“{statement}”"
    return _joined([trigger, _joined([quoted, f"({origin})" if origin else ""], " ")], "\n")


def _talk_to(play: Mapping[str, object], *, own: bool) -> str:
    role, name = play["stakeholder_role"], play["stakeholder_name"]
    if own and _said(name):
        return f"{name}, {role}" if _said(role) else str(name)
    return str(role) if _said(role) else "to be found"


def _careful(play: Mapping[str, object]) -> str:
    urgent, oldest = play["open_urgent"], play["open_urgent_oldest_days"]
    lines = ["open tickets unknown"]
    if not is_unknown(urgent):
        count = int(float(str(urgent)))
        age = f", oldest {float(str(oldest)):.0f} days" if not is_unknown(oldest) else ""
        lines = [f"{count} open P1/P2{age}" if count else "no open P1/P2"]
    if _said(play["caution"]):
        lines.append(str(play["caution"]) + ("" if play["caution_sayable"] else " (internal)"))
    if play["winback"]:
        lines.append("owned it before")
    if play["launch_estimate"]:
        lines.append("new product: chance estimated from similar ones")
    return "\n".join(lines)


def _next_step(play: Mapping[str, object]) -> str:
    by = _day(play["best_by"])
    head = [_PLAYS.get(str(play["play_type"]), ""), _ROUTES.get(str(play["route"]), ""), f"by {by}" if by else ""]
    return _joined([_joined(head, " · "), play["next_step"]], "\n")


def _health(play: Mapping[str, object]) -> Cell:
    change = play["health_change"]
    if is_unknown(change):
        return Cell(play["health"])
    points = round(float(str(change)))
    sign = f'"▲ {points}"' if points > 0 else f'"▼ {-points}"' if points < 0 else '"="'
    return Cell(play["health"], number_format=f"0 {sign}")


def _on_list(play: Mapping[str, object]) -> Cell:
    if play["change"] == "new" and play["days_on_list"] == 0:
        return Cell(play["days_on_list"], number_format='"new"')
    mark = {"new": "new", "up": "▲", "down": "▼", "same": "="}.get(str(play["change"]), "")
    return Cell(play["days_on_list"], number_format=f'0 "d {mark}"')


def _days_until(day: object, as_of: object) -> int | None:
    return (pd.Timestamp(str(day)) - pd.Timestamp(str(as_of))).days if not is_unknown(day) else None


def _day(day: object) -> str:
    return str(pd.Timestamp(str(day)).date()) if not is_unknown(day) else ""


def _joined(parts: Sequence[object], between: str) -> str:
    return between.join(str(part) for part in parts if _said(part))


def _said(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
