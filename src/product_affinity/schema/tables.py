"""The source tables others rely on: their columns, keys, types, ranges and references.

One home for every column name of a source table. `lists.py` beside this file holds the columns of what we publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "date", "timestamp", "integer", "number", "boolean"]

PRIORITIES = ("P1", "P2", "P3", "P4")
OPPORTUNITY_KINDS = ("cross_sell", "upsell", "new")
RESULTS = ("won", "lost")
ARMS = ("treated", "held_back", "outside")
OUTCOME_STATUSES = ("accepted", "not_now", "not_a_fit", "contacted", "meeting", "won", "lost")
PROBLEM_SOURCES = ("qbr", "ticket", "check_in")


@dataclass(frozen=True)
class Column:
    """One column of a source table.

    Attributes
    ----------
    name : our name of the column.
    kind : its type; ids and texts are kept as written (`00012`, `NA`), timestamps are UTC, dates are local days.
    required : whether the column must be there and filled.
    closed_by : the column whose date must lie before the as-of date for this value to be known, or None.
    minimum, maximum : inclusive range of a number, or None.
    choices : the only values allowed, or empty for any.
    references : table whose key the value must be found in, or None.
    future : whether a date after the as-of date is a plan and not a fault.
    """

    name: str
    kind: Kind
    required: bool = False
    closed_by: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    references: str | None = None
    future: bool = False


@dataclass(frozen=True)
class Table:
    """One source table.

    Attributes
    ----------
    name : our name of the table.
    key : columns that identify a row; with `known_at` the key of a *version* is (key, known_at).
    event : the column whose date says when the row's fact happened, or None where attributes are static.
    columns : the columns we know.
    extras : what further columns may hold: numbers (usage measures), any firmographic value, or nothing (ignored).
    required : whether a project cannot run without the table.
    closing_order : pairs of columns (opening, closing) of which the closing one may not come first.
    """

    name: str
    key: tuple[str, ...]
    event: str | None
    columns: tuple[Column, ...]
    extras: Literal["none", "number", "any"] = "none"
    required: bool = False
    closing_order: tuple[tuple[str, str], ...] = ()

    def column(self, name: str) -> Column | None:
        """Return the column called `name`, or None."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns we know, in order, `known_at` last."""
        return (*(column.name for column in self.columns), KNOWN_AT)


KNOWN_AT = "known_at"


def _id(name: str, references: str | None = None, required: bool = True) -> Column:
    return Column(name, "id", required=required, references=references)


_ACCOUNT = _id("account_id", references="accounts")
_PRODUCT = _id("product_id", references="catalog")
_ANY_PRODUCT = _id("product_id", references="catalog", required=False)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "accounts",
            key=("account_id",),
            event="valid_from",
            required=True,
            extras="any",
            columns=(
                _id("account_id"),
                Column("name", "text", required=True),
                Column("valid_from", "date"),
                Column("industry", "text"),
                Column("employees", "integer", minimum=0),
                Column("country", "text"),
                Column("region", "text"),
                Column("owner_id", "id"),
                Column("owner_name", "text"),
                Column("created_on", "date"),
                Column("parent_id", "id"),
                Column("crm_id", "id"),
                Column("crm_url", "text"),
                Column("do_not_contact", "boolean"),
            ),
        ),
        Table(
            "subscriptions",
            key=("account_id", "product_id", "start_on"),
            event="start_on",
            required=True,
            columns=(
                _ACCOUNT,
                _PRODUCT,
                Column("start_on", "date", required=True, future=True),
                Column("end_on", "date", closed_by="end_on", future=True),
                Column("arr_usd", "number", minimum=0),
                Column("seats", "integer", minimum=0),
                Column("renewal_on", "date", future=True),
                Column("plan", "text"),
                Column("is_trial", "boolean"),
                Column("one_time", "boolean"),
            ),
            closing_order=(("start_on", "end_on"),),
        ),
        Table(
            "usage",
            key=("account_id", "product_id", "date"),
            event="date",
            extras="number",
            columns=(
                _ACCOUNT,
                _PRODUCT,
                Column("date", "date", required=True),
                Column("active_users", "number", minimum=0),
                Column("events", "number", minimum=0),
                Column("limit_share", "number", minimum=0),
            ),
        ),
        Table(
            "feature_usage",
            key=("account_id", "product_id", "feature", "date"),
            event="date",
            columns=(
                _ACCOUNT,
                _PRODUCT,
                Column("feature", "id", required=True),
                Column("date", "date", required=True),
                Column("uses", "number", required=True, minimum=0),
            ),
        ),
        Table(
            "tickets",
            key=("ticket_id",),
            event="opened_at",
            columns=(
                _id("ticket_id"),
                _ACCOUNT,
                _ANY_PRODUCT,
                Column("opened_at", "timestamp", required=True),
                Column("closed_at", "timestamp", closed_by="closed_at"),
                Column("priority", "text", required=True, choices=PRIORITIES),
                Column("escalated", "boolean"),
            ),
            closing_order=(("opened_at", "closed_at"),),
        ),
        Table(
            "surveys",
            key=("account_id", "responded_at"),
            event="responded_at",
            columns=(
                _ACCOUNT,
                Column("responded_at", "timestamp", required=True),
                Column("score", "integer", required=True, minimum=0, maximum=10),
                Column("kind", "text"),
            ),
        ),
        Table(
            "health",
            key=("account_id", "product_id", "date"),
            event="date",
            columns=(
                _ACCOUNT,
                Column("date", "date", required=True),
                Column("score", "number", required=True, minimum=0, maximum=100),
                _ANY_PRODUCT,
            ),
        ),
        Table(
            "contacts",
            key=("contact_id",),
            event="from_on",
            columns=(
                _id("contact_id"),
                _ACCOUNT,
                Column("name", "text"),
                Column("role", "text", required=True),
                Column("area", "text"),
                Column("seniority", "text"),
                Column("is_champion", "boolean"),
                Column("is_sponsor", "boolean"),
                Column("from_on", "date"),
                Column("to_on", "date", closed_by="to_on", future=True),
                Column("last_touch_at", "timestamp", closed_by="last_touch_at"),
                Column("opted_out", "boolean"),
            ),
            closing_order=(("from_on", "to_on"),),
        ),
        Table(
            "signals",
            key=("account_id", "kind", "happened_on"),
            event="happened_on",
            columns=(
                _ACCOUNT,
                Column("kind", "text", required=True),
                Column("happened_on", "date", required=True),
                _ANY_PRODUCT,
                Column("amount", "number"),
            ),
        ),
        Table(
            "problems",
            key=("problem_id",),
            event="noted_at",
            columns=(
                _id("problem_id"),
                _ACCOUNT,
                Column("tag", "text", required=True),
                Column("statement", "text", required=True),
                Column("noted_at", "timestamp", required=True),
                Column("source", "text", required=True, choices=PROBLEM_SOURCES),
                Column("solved_at", "timestamp", closed_by="solved_at"),
            ),
            closing_order=(("noted_at", "solved_at"),),
        ),
        Table(
            "opportunities",
            key=("opportunity_id",),
            event="created_on",
            columns=(
                _id("opportunity_id"),
                _ACCOUNT,
                _ANY_PRODUCT,
                Column("kind", "text", required=True, choices=OPPORTUNITY_KINDS),
                Column("created_on", "date", required=True),
                Column("closed_on", "date", closed_by="closed_on", future=True),
                Column("stage", "text"),
                Column("result", "text", closed_by="closed_on", choices=RESULTS),
                Column("arr_usd", "number", minimum=0),
                Column("lost_reason", "text", closed_by="closed_on"),
                Column("stakeholder_id", "id"),
                Column("discount", "number", minimum=0, maximum=1),
                Column("follow_up_on", "date", closed_by="closed_on", future=True),
            ),
            closing_order=(("created_on", "closed_on"),),
        ),
        Table(
            "implementations",
            key=("account_id", "product_id", "start_on"),
            event="start_on",
            columns=(
                _ACCOUNT,
                _PRODUCT,
                Column("start_on", "date", required=True, future=True),
                Column("end_on", "date", closed_by="end_on", future=True),
            ),
            closing_order=(("start_on", "end_on"),),
        ),
        Table(
            "outreach",
            key=("play_id",),
            event="decided_at",
            columns=(
                _id("play_id"),
                _ACCOUNT,
                _PRODUCT,
                Column("decided_at", "timestamp", required=True),
                Column("arm", "text", required=True, choices=ARMS),
                Column("arm_probability", "number", required=True, minimum=0, maximum=1),
                Column("owner_id", "id"),
                Column("channel", "text"),
            ),
        ),
        Table(
            "outcomes",
            key=("play_id", "account_id", "product_id", "as_of", "noted_at"),
            event="noted_at",
            columns=(
                Column("play_id", "id"),
                _id("account_id", references="accounts", required=False),
                _ANY_PRODUCT,
                Column("as_of", "date"),
                Column("status", "text", required=True, choices=OUTCOME_STATUSES),
                Column("reason", "text"),
                Column("note", "text"),
                Column("noted_at", "timestamp", required=True),
                Column("noted_by", "text"),
                Column("arr_usd", "number", minimum=0),
                Column("follow_up_on", "date", future=True),
            ),
        ),
    )
}
