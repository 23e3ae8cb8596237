"""`affinity explain ACCOUNT PRODUCT`: the whole story of a pair, on the list or not, in plain words."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.lists.changes import NOT_PROPOSED
from product_affinity.lists.privacy import protect_plays
from product_affinity.pipeline.motion import told_rows
from product_affinity.pipeline.nightly import Scored, score_date
from product_affinity.pipeline.prepare import Progress
from product_affinity.pipeline.scoring import explain_rows
from product_affinity.project import Project
from product_affinity.rules import FAIL, NOT_ASKED, PASS, UNKNOWN

KEYS = ["account_id", "product_id"]
_STANDS = {
    "listed": "on the list",
    "in_flight": "in flight: somebody already works on it",
    "watchlist": "on the watchlist",
    "net_new": "not for customer success: the quadrant asks for a new-logo motion of sales",
    "other_play": "another product goes first at this account",
    "below_value": "not listed: it is worth less than a play costs",
    "campaign": "in the digital campaign, which uses nobody's slot",
    "beyond_capacity": NOT_PROPOSED,
    "held_back": NOT_PROPOSED,
}
_WHY_NOT = {
    "not_launched": "the product is not launched yet",
    "sunset": "the product is no longer sold",
    "segment": "the product is not sold to companies of this size",
    "region": "the product is not sold in this region",
    "industry": "the product is not sold to this industry",
    "prerequisite": "a product it needs is not owned",
    "conflict": "a product it conflicts with is owned",
    "recently_dropped": "it was dropped not long ago",
    "won_pending": "it was won and is about to start",
}
_STATES = {PASS: "pass", FAIL: "fail", UNKNOWN: "unknown"}


@dataclass(frozen=True)
class Story:
    """The story of a pair.

    Attributes
    ----------
    title : account, product and date.
    sections : headings, each with its lines, in reading order.
    facts : the same for machines.
    """

    title: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    facts: dict[str, Any]

    def render(self) -> str:
        """Return the story in plain words."""
        parts = [self.title]
        for heading, lines in self.sections:
            parts += ["", heading, *(f"  {line}" for line in lines)]
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return the story as JSON values."""
        return self.facts


def explain_pair(
    project: Project,
    as_of: dt.date,
    account: str,
    product: str,
    *,
    reveal_arm: bool,
    jobs: int,
    progress: Progress,
) -> Story:
    """Tell everything about a pair at one date: score, reasons, gates, triggers, route, rank, earlier lists.

    Parameters
    ----------
    project, as_of : the project and the date; the lists of that date need not exist.
    account, product : ids, or names where they are unique.
    reveal_arm : whether to say that the pair was held back for measurement; else it reads as not proposed.
    jobs, progress : as in a night.

    Raises
    ------
    UsageError : no such account or product, with the closest match; or a name that several share.
    BundleError, ContractError, FreshnessError : as in a night.
    """
    product_id = _find_product(project, product)
    scored = score_date(project, as_of, jobs=jobs, progress=progress)
    account_id, name = _find_account(scored, account)
    names = {line.product_id: line.name for line in project.catalog}
    title = f"{name} ({account_id}) → {names[product_id]}, as of {as_of}, model {scored.bundle.version}"
    found = scored.scores[(scored.scores["account_id"] == account_id) & (scored.scores["product_id"] == product_id)]
    position = np.flatnonzero(
        (scored.decided["account_id"] == account_id) & (scored.decided["product_id"] == product_id)
    )
    head = {"account_id": account_id, "product_id": product_id, "as_of": str(as_of), **_plain(found.iloc[0])}
    if scored.ranked_by:
        head["ranked_by"] = scored.ranked_by
    if not len(position):
        why = _why_no_score(scored, account_id, product_id)
        return Story(title, (("Where it stands", (why,)),), {**head, "why_not": why})
    return _told(scored, int(position[0]), title, head, reveal_arm=reveal_arm)


def _told(scored: Scored, position: int, title: str, head: dict[str, Any], *, reveal_arm: bool) -> Story:
    row = scored.decided.iloc[position]
    said, shares = _explained(scored, position)
    checks = _checks(scored, position)
    pair = (scored.moved.fired[KEYS] == row[KEYS].tolist()).all(axis=1)
    triggers = [f"{t.code} {t.title}: {t.evidence}" for t in scored.moved.fired[pair].itertuples()]
    earlier = _earlier(scored, row["account_id"], row["product_id"])
    stands = _standing(scored, row, said, reveal_arm=reveal_arm)
    sections = (
        ("Where it stands", stands),
        ("Score", _score_lines(scored, row, said)),
        ("Why this score, in log-odds against the product's average customer", _reason_lines(said, shares)),
        ("Gates, readiness and sequence", tuple(f"{c['code']} {c['state']:<7} {c['said']}" for c in checks)),
        ("Readiness", (str(said["readiness"]), f"quadrant {_or(row['quadrant'])}, rule set {_or(said['rule_set'])}")),
        ("Why now", tuple(triggers) or ("no trigger fired",)),
        ("Who acts", _route_lines(row, said)),
        ("Earlier lists", earlier or ("on none",)),
    )
    if not reveal_arm and head.get("disposition") == "held_back":
        head = {**head, "disposition": "beyond_capacity"}
    facts = {
        **head,
        "standing": list(stands),
        "reasons": {str(k): _value(said[k]) for k in ("reason_1", "reason_2", "reason_3", "caution")},
        "shares": {family: round(share, 4) for family, share in shares.items()},
        "checks": checks,
        "readiness": said["readiness"],
        "triggers": triggers,
        "earlier_lists": list(earlier),
    }
    return Story(title, sections, facts)


def _explained(scored: Scored, position: int) -> tuple[pd.Series, dict[str, float]]:
    """Return words and shares of the pair's score, and everything the motion says of it."""
    told = told_rows(scored.moved, scored.prepared, scored.table.spine, np.array([position]))
    explained, shares = explain_rows(told, scored.table, scored.prepared, scored.bundle)
    ordered = shares.set_index("family")["share"].sort_values(ascending=False, kind="stable")
    return protect_plays(explained).iloc[0], {str(family): float(share) for family, share in ordered.items()}


def _standing(scored: Scored, row: pd.Series, said: pd.Series, *, reveal_arm: bool) -> tuple[str, ...]:
    """Say what became of the pair, and what would change it."""
    disposition = str(row["disposition"])
    words = _STANDS[disposition]
    if disposition == "held_back" and reveal_arm:
        words = "held back at random, to measure what the lists do"
    lines = [words]
    if disposition == "watchlist":
        lines.append(f"first reason: {row['first_gate']} {row['evidence']}")
        lines.append(f"it opens when: {row['unblocked_by']}")
        if row["all_gates"] != row["first_gate"]:
            lines.append(f"all that hold it back: {row['all_gates']}")
    elif disposition == "other_play":
        lines += _goes_first(scored, str(row["account_id"]))
    elif disposition == "in_flight":
        lines.append(str(row["evidence"]))
    elif disposition in ("listed", "campaign"):
        lines.append(f"{said['play_type']}: {said['next_step']}")
    return tuple(lines)


def _goes_first(scored: Scored, account_id: str) -> list[str]:
    plays = scored.decided[scored.decided["account_id"].eq(account_id)]
    first = plays[plays["disposition"].isin(("listed", "in_flight", "campaign"))]
    return [f"{product} goes first" for product in first["product_id"]] or [NOT_PROPOSED]


def _score_lines(scored: Scored, row: pd.Series, said: pd.Series) -> tuple[str, ...]:
    settings = scored.prepared.project.settings
    currency, horizon = settings.project.currency, settings.time.horizon_days
    own = scored.scores[(scored.scores[KEYS] == row[KEYS].tolist()).all(axis=1)].iloc[0]
    of = int(scored.scores.loc[scored.scores["product_id"].eq(row["product_id"]), "rank"].notna().sum())
    lift = row["propensity"] / said["base_rate"]
    lines = [
        f"chance to buy within {horizon} days {row['propensity']:.1%} (one in {np.ceil(1 / row['propensity']):.0f}), "
        f"{lift:.1f} times the product's base rate of {said['base_rate']:.1%}",
        f"rank {own['rank']:,} of {of:,} accounts for this product",
        f"expected ARR {row['expected_arr_usd']:,.0f} {currency}, value of a play {row['value_usd']:,.0f} {currency}"
        if pd.notna(row["value_usd"])
        else "no price known, so a play has no value",
    ]
    if scored.ranked_by:
        lines.append(scored.ranked_by)
    if said["launch_estimate"]:
        lines.append("launch estimate: the product has too few adoptions to learn from by itself")
    if row["is_winback"]:
        lines.append("win-back: the account had it before")
    return tuple(lines)


def _reason_lines(said: pd.Series, shares: dict[str, float]) -> tuple[str, ...]:
    words = [f"for: {said[f'reason_{k}']}" for k in (1, 2, 3) if pd.notna(said[f"reason_{k}"])]
    if pd.notna(said["caution"]):
        words.append(f"against: {said['caution']}")
    parts = ", ".join(f"{family} {share:+.2f}" for family, share in shares.items())
    return (*words, parts)


def _checks(scored: Scored, position: int) -> list[dict[str, Any]]:
    rows = np.array([position])
    found = []
    for check in scored.moved.decision.checks:
        state = int(check.answer.state[position])
        if state == NOT_ASKED:
            continue
        found.append(
            {
                "step": check.step,
                "code": check.answer.code,
                "title": check.answer.title,
                "state": "confirm" if check.answer.confirm[position] else _STATES[state],
                "said": f"{check.answer.title}: {check.answer.evidence(rows)[0]}",
            }
        )
    return found


def _route_lines(row: pd.Series, said: pd.Series) -> tuple[str, ...]:
    lines = [f"{_or(row['route'])}: {_or(row['route_reason'])}"]
    if pd.notna(said["stakeholder_role"]):
        lines.append(f"talk to: {said['stakeholder_role']}")
    return tuple(lines)


def _earlier(scored: Scored, account_id: str, product_id: str) -> tuple[str, ...]:
    """Ranks on earlier lists, newest first, runs of lists without the pair left out."""
    lines = []
    for one in reversed(scored.earlier):
        rows = one.worklist[(one.worklist["account_id"] == account_id) & (one.worklist["product_id"] == product_id)]
        lines += [
            f"{one.as_of}: rank {row.rank} of {_or(row.owner_name)}, {row.days_on_list} days on the list"
            for row in rows.itertuples()
        ]
    return tuple(lines)


def _why_no_score(scored: Scored, account_id: str, product_id: str) -> str:
    pairs = scored.table.pairs
    pair = pairs[(pairs["account_id"] == account_id) & (pairs["product_id"] == product_id)]
    if pair.empty:
        return "no active customer: nothing paid runs at this date"
    if pair["status"].iloc[0] == "owned":
        return "owned already"
    why = pair["why_not"].iloc[0]
    return f"not eligible: {_WHY_NOT.get(why, why)}"


def _find_product(project: Project, wanted: str) -> str:
    names = {line.product_id: line.name for line in project.catalog}
    if wanted in names:
        return wanted
    matches = [product_id for product_id, name in names.items() if name.casefold() == wanted.casefold()]
    if len(matches) != 1:
        raise UsageError(
            f"product {wanted}: not in models/catalog.yml{did_you_mean(wanted, (*names, *names.values()))}"
        )
    return matches[0]


def _find_account(scored: Scored, wanted: str) -> tuple[str, str]:
    """Return id and name of the account that is called so."""
    known = scored.prepared.facts.connection.execute(
        "select account_id, arg_max(name, _known_on) as name from facts.accounts "
        "where _event_on < $as_of and _known_on < $as_of group by all order by all",
        {"as_of": scored.prepared.as_of},
    ).df()
    same = known[known["account_id"].eq(wanted)]
    if same.empty:
        same = known[known["name"].str.casefold().eq(wanted.casefold())]
    if len(same) > 1:
        raise UsageError(f"account {wanted}: {len(same)} accounts have this name; give one's id: {_listed(same)}")
    if same.empty:
        raise UsageError(f"account {wanted}: not known{did_you_mean(wanted, (*known['account_id'], *known['name']))}")
    return str(same["account_id"].iloc[0]), str(same["name"].iloc[0])


def _listed(accounts: pd.DataFrame) -> str:
    return ", ".join(accounts["account_id"].head(5))


def _or(value: object, otherwise: str = "unknown") -> str:
    return otherwise if value is None or value != value or value is pd.NA else str(value)


def _value(value: object) -> object:
    return None if value is None or value is pd.NA or value != value else value


def _plain(row: pd.Series) -> dict[str, Any]:
    """A row as JSON values."""
    return {
        str(name): _value(value.item() if isinstance(value, np.generic) else value)
        for name, value in row.drop([*KEYS, "as_of"]).items()
    }
