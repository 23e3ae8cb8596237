"""What gates and readiness criteria may ask about: the columns of the evidence, in one list.

`rules.build_evidence` computes them; a name used in `playbook/gates.yml` or `playbook/readiness.yml` must be here.
A missing value is *unknown*. Counts are 0 where it is known that there are none; "days ago" is infinite where it is
known that it never happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Clock = Literal["first_purchase", "implementation_end", "proven_value"]
CLOCKS: dict[Clock, tuple[str, str]] = {
    "first_purchase": ("tenure_months", "the first purchase"),
    "implementation_end": ("implemented_months", "the last implementation"),
    "proven_value": ("proven_months", "the first proof of value"),
}


@dataclass(frozen=True)
class EvidenceColumn:
    """One column of the evidence.

    Attributes
    ----------
    name : its name in conditions and templates.
    grain : account, or pair (account × target product).
    meaning : what it is, with unit and window.
    tables : the source tables it rests on; absent when all of them are. Without any it comes from the project's own
        files, and a missing value is no unknown but a known none.
    missing : why a value is unknown although its tables are there.
    shown : format of a value in words.
    since : the date column whose age it is, for columns that grow with time alone; else None.
    unit : unit of that age.
    expires : whether old values are forgotten: missing in every row then means that the feed has stopped, not that
        the company has none.
    """

    name: str
    grain: Literal["account", "pair"]
    meaning: str
    tables: tuple[str, ...]
    missing: str
    shown: str = ".0f"
    since: str | None = None
    unit: Literal["days", "months"] = "days"
    expires: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it can be compared with a bound; else it is a text or a date."""
        return self.shown not in ("text", "date")


Unit = Literal["days", "months"]
_EXPIRING = ("account_health", "anchor_health")


def _account(
    name: str,
    meaning: str,
    tables: str,
    missing: str,
    shown: str = ".0f",
    since: str | None = None,
    unit: Unit = "days",
) -> EvidenceColumn:
    return EvidenceColumn(
        name, "account", meaning, tuple(tables.split()), missing, shown, since, unit, name in _EXPIRING
    )


def _pair(name: str, meaning: str, tables: str, missing: str, shown: str = ".0f") -> EvidenceColumn:
    return EvidenceColumn(name, "pair", meaning, tuple(tables.split()), missing, shown, expires=name in _EXPIRING)


_NEVER_BOUGHT, _NO_RENEWAL = "no purchase known", "no renewal date ahead"
_NONE_RUNNING = "no implementation running"

ACCOUNT_COLUMNS: tuple[EvidenceColumn, ...] = (
    _account("segment", "smb, mid_market or enterprise", "accounts", "employees unknown", "text"),
    _account("tier", "account tier 1 to 3 by ARR", "subscriptions", "no prices known"),
    _account("rule_set", "readiness rule set chosen for the account", "", "", "text"),
    _account("customer_since_on", "first paid start", "subscriptions", _NEVER_BOUGHT, "date"),
    _account("tenure_days", "days since it", "subscriptions", _NEVER_BOUGHT, since="customer_since_on"),
    _account(
        "tenure_months",
        "calendar months since it, with the fraction of the running month",
        "subscriptions",
        _NEVER_BOUGHT,
        "months",
        since="customer_since_on",
        unit="months",
    ),
    _account("implementation_running", "implementations running", "implementations", "the record begins later"),
    _account("implementation_since_on", "start of the oldest of them", "implementations", _NONE_RUNNING, "date"),
    _account("implementation_product_id", "product of the oldest of them", "implementations", _NONE_RUNNING, "text"),
    _account(
        "last_implementation_ended_on", "end of the last one finished", "implementations", "none finished", "date"
    ),
    _account(
        "implemented_months",
        "calendar months since it",
        "implementations",
        "no finished implementation",
        "months",
        since="last_implementation_ended_on",
        unit="months",
    ),
    _account("onboarding_done_on", "last signal onboarding_done", "signals", "never noted", "date"),
    _account(
        "onboardings",
        "implementations finished and onboarding_done signals so far",
        "implementations signals",
        "the record begins later",
    ),
    _account("milestone_on", "first signal milestone: value was proven", "signals", "none recorded", "date"),
    _account("milestones", "milestone signals so far", "signals", "the feed begins later"),
    _account(
        "proven_months",
        "calendar months since the first milestone",
        "signals",
        "no milestone recorded",
        "months",
        since="milestone_on",
        unit="months",
    ),
    _account("open_urgent", "open P1 and P2 tickets", "tickets", "the feed begins later"),
    _account("open_urgent_oldest_days", "age of the oldest of them", "tickets", "none open"),
    _account("open_urgent_priorities", "their priorities, such as P1/P2", "tickets", "none open", "text"),
    _account("escalated_on", "opening day of the last escalated ticket", "tickets", "no escalation", "date"),
    _account(
        "escalated_days_ago",
        "days since it; infinite: none in the look-back",
        "tickets",
        "escalations not recorded, or the feed begins within the look-back",
        since="escalated_on",
    ),
    _account("renewal_on", "next renewal of what runs", "subscriptions", _NO_RENEWAL, "date"),
    _account("renewal_in_days", "days until it", "subscriptions", _NO_RENEWAL),
    _account("renewal_in_months", "calendar months until it", "subscriptions", _NO_RENEWAL, "months"),
    _account(
        "account_health",
        "last score of the account, 0 to 100, else of its product with the highest ARR",
        "health usage",
        "no recent health score",
    ),
    _account(
        "account_health_change", "points since the score before it", "health", "no health score to compare with", "+.0f"
    ),
    _account("nps", "promoters minus detractors per 100 answers", "surveys", "too few survey answers"),
    _account("nps_answers", "answers it rests on", "surveys", "the feed begins later"),
    _account(
        "tickets_per_100_users",
        "tickets per 100 active users",
        "tickets",
        "no active users known, or the ticket feed begins within the look-back",
        ".1f",
    ),
    _account(
        "tickets_percentile",
        "share of the customers with fewer tickets per 100 active users, in percent",
        "tickets",
        "no active users known, or the ticket feed begins within the look-back",
    ),
    _account("growth_signals", "growth signals in the look-back", "signals", "the feed begins within the look-back"),
    _account("growth_signal", "kind of the last of them", "signals", "none", "text"),
    _account("growth_signal_on", "day of the last of them", "signals", "none", "date"),
    _account("seats_growth", "change of paid seats over the look-back", "subscriptions", "seats unknown then", "+.0%"),
    _account(
        "employees_growth", "change of employees over the look-back", "accounts", "no history of employees", "+.0%"
    ),
    _account("champion_count", "current contacts flagged as champion", "contacts", "the list begins later"),
)

PAIR_COLUMNS: tuple[EvidenceColumn, ...] = (
    _pair("product_id", "the target product", "", "", "text"),
    _pair("anchor_product_id", "owned product most adjacent to the target", "subscriptions", "owns none", "text"),
    _pair("anchor_name", "its name", "subscriptions", "owns none", "text"),
    _pair(
        "quadrant",
        "primary, specialist, problem_first or net_new, of anchor and target; none where the catalogue says nothing",
        "",
        "",
        "text",
    ),
    _pair("anchor_health", "last score of the anchor, else of the account", "health usage", "no recent health score"),
    _pair(
        "licence_use",
        "mean active users of the anchor ÷ its seats",
        "usage",
        "seats unknown, or the product sends no usage",
        ".0%",
    ),
    _pair(
        "weekly_active_weeks",
        "of the last weeks, those with a user of the anchor",
        "usage",
        "usage of a whole week is missing, or the product sends none",
    ),
    _pair("core_features_used", "core features of the anchor in use", "feature_usage", "core features not tracked"),
    _pair("core_features_listed", "core features the catalogue lists for it", "", "none listed"),
    _pair("core_adoption", "the one ÷ the other", "feature_usage", "core features not tracked or not listed", ".0%"),
    _pair("adjacent_uses", "uses of features next to the target", "feature_usage", "no adjacent feature is tracked"),
    _pair("problems", "documented unsolved problems the target solves", "problems", "the record begins later"),
    _pair("problem_id", "the last noted of them", "problems", "none documented", "text"),
    _pair("problem_tag", "its tag", "problems", "none documented", "text"),
    _pair("problem_statement", "its statement", "problems", "none documented", "text"),
    _pair("problem_source", "where it was noted", "problems", "none documented", "text"),
    _pair("problem_noted_on", "when", "problems", "none documented", "date"),
    _pair("stakeholder_area", "area whose stakeholder is asked for", "", "the product has no category", "text"),
    _pair(
        "stakeholders",
        "named current contacts of that area",
        "contacts",
        "areas of contacts, or the product's area, unknown",
    ),
    _pair("stakeholder_id", "the one to speak to", "contacts", "none named", "text"),
    _pair("stakeholder_name", "name", "contacts", "none named", "text"),
    _pair("stakeholder_role", "role", "contacts", "none named", "text"),
    _pair("request_on", "last explicit request for the target in the look-back", "signals", "none", "date"),
)

EVIDENCE_COLUMNS: dict[str, EvidenceColumn] = {column.name: column for column in (*ACCOUNT_COLUMNS, *PAIR_COLUMNS)}
