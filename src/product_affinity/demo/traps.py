"""Leaks planted on purpose (`--traps`), each described with the guard that ought to catch it.

A trap adds rows or columns that look like good signals and know of adoptions before they happened. They stand
beside the real data; the truth is the same with and without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from product_affinity.demo.clock import NEVER
from product_affinity.demo.population import Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import DEAL, FIRST, LEFT, History
from product_affinity.demo.subscriptions import Subscriptions
from product_affinity.demo.writing import Column, Columns, Words, dates, instants, numbered, take

DELETED_SHARE = 0.08
RESTATED_DAYS = 60


@dataclass(frozen=True)
class Trap:
    """One planted leak.

    Attributes
    ----------
    name : as in the list of traps every feature pipeline should survive.
    table, column : where it is.
    what : what was planted.
    guard : what catches it.
    """

    name: str
    table: str
    column: str
    what: str
    guard: str


TRAPS = (
    Trap(
        "current_state",
        "accounts",
        "products_in_use",
        "products owned at the end of the history, written on every version of the account",
        "named before training, being the same on every version; refused by P09 above 25 % of the gain",
    ),
    Trap(
        "full_history_encoding",
        "accounts",
        "adoption_rate",
        "the account's share of products adopted over the whole history, future included",
        "named before training, being the same on every version; refused by P09 above 25 % of the gain",
    ),
    Trap(
        "enrichment_after_sale",
        "accounts",
        "technologies",
        "a vendor's data, refreshed after each sale but dated back before it; known_at tells",
        "time rules (known_at), proven by the replay audit",
    ),
    Trap(
        "backdated_opportunities",
        "opportunities",
        "created_on",
        "won opportunities entered after the purchase with a creation date weeks before it; known_at tells",
        "time rules (known_at), proven by the replay audit",
    ),
    Trap(
        "provisioning_before_billing",
        "usage",
        "active_users",
        "use of a product in the days before its first paid start",
        "contract: the check counts use before a product's first start; signals that read it are named",
    ),
    Trap(
        "restated_health",
        "health",
        "score",
        "scores of the weeks before a purchase raised after it; known_at tells",
        "time rules (known_at), proven by the replay audit",
    ),
    Trap(
        "off_by_one_dates",
        "signals",
        "happened_on",
        "an order_form signal dated on the day of the purchase: a closed window sees it on that day",
        "half-open windows, proven by the replay audit",
    ),
    Trap(
        "deleted_churned_accounts",
        "accounts",
        "account_id",
        "some former customers are missing from accounts, as if a clean-up had deleted them",
        "contract: their rows elsewhere are quarantined as not in accounts",
    ),
)


def describe() -> list[dict[str, str]]:
    """The planted traps as they are written to `truth/traps.json`."""
    return [asdict(trap) for trap in TRAPS]


def plant(tables: dict[str, Columns], history: History) -> dict[str, Columns]:
    """Return the tables with all traps but the one in `usage`.

    Parameters
    ----------
    tables : table name to columns, without `usage`.
    history : of the demo company.
    """
    rng = stream(history.seed, "traps")
    return tables | {
        "accounts": _delete_churned(_enrich(_with_account_columns(tables["accounts"], history), history), history, rng),
        "opportunities": _backdate(tables["opportunities"], history, rng),
        "health": _restate(tables["health"], history),
        "signals": _order_forms(tables["signals"], history),
    }


def _words(column: Column) -> Words:
    if not isinstance(column, Words):
        raise TypeError("a text column was expected")
    return column


def _days(column: Column) -> Integers:
    if isinstance(column, Words):
        raise TypeError("a date column was expected")
    return column.astype("datetime64[D]").astype(np.int64)


def _appended(columns: Columns, more: Columns) -> dict[str, Column]:
    """Append rows; text columns share their vocabulary, missing columns are missing values."""
    result: dict[str, Column] = {}
    for name, column in columns.items():
        extra = more[name]
        if isinstance(column, Words) and isinstance(extra, Words):
            result[name] = Words(np.concatenate([column.codes, extra.codes]), extra.vocabulary)
        elif not isinstance(column, Words) and not isinstance(extra, Words):
            result[name] = np.concatenate([column, extra])
    return result


def _purchases(history: History) -> tuple[Integers, Integers, Integers]:
    """Account, product and day of adoptions within the history."""
    later = history.adoptions["via"] != FIRST
    account, product, day = (history.adoptions[name][later] for name in ("account", "product", "day"))
    return account, product, day


def _with_account_columns(accounts: Columns, history: History) -> dict[str, Column]:
    account = _words(accounts["account_id"]).codes
    owned = (history.status[-1] == 3).sum(axis=1)
    adopted = np.bincount(_purchases(history)[0], minlength=len(history.population))
    return dict(accounts) | {
        "products_in_use": owned[account],
        "adoption_rate": np.round(adopted / len(history.products), 3)[account],
        "technologies": 10 + history.population.industry[account],
    }


def _enrich(accounts: Columns, history: History) -> dict[str, Column]:
    """Copy the version in force before each first purchase, enriched and known only after the sale."""
    account, valid = _words(accounts["account_id"]).codes, _days(accounts["valid_from"])
    buyer, _, day = _purchases(history)
    first = np.full(len(history.population), NEVER)
    np.minimum.at(first, buyer, day)
    before = np.flatnonzero((valid < first[account]) & (first[account] + 5 < history.clock.until))
    latest = np.full(len(first), -1)
    latest[account[before]] = before
    copies = take(accounts, latest[latest >= 0])
    sold = first[_words(copies["account_id"]).codes]
    copies["technologies"] = 14 + history.population.industry[_words(copies["account_id"]).codes]
    copies["known_at"] = instants(sold + 5, 11 * 3600)
    return _appended(accounts, copies)


def _delete_churned(accounts: Columns, history: History, rng: np.random.Generator) -> dict[str, Column]:
    left = np.unique(history.ends["account"][history.ends["why"] == LEFT])
    deleted = left[rng.random(len(left)) < DELETED_SHARE]
    return take(accounts, ~np.isin(_words(accounts["account_id"]).codes, deleted))


def _backdate(opportunities: Columns, history: History, rng: np.random.Generator) -> dict[str, Column]:
    """Enter won opportunities for purchases that had none, after the fact and dated back."""
    bought = (history.adoptions["via"] != FIRST) & (history.adoptions["via"] != DEAL)
    bought &= history.adoptions["day"] + 3 < history.clock.until
    account, product, day = (history.adoptions[name][bought] for name in ("account", "product", "day"))
    count = len(day)
    ids = _words(opportunities["opportunity_id"])
    row = take(opportunities, np.zeros(count, dtype=np.int64))
    won = _words(opportunities["stage"]).vocabulary.index("closed_won")
    zeros = np.zeros(count, dtype=np.int64)
    row |= {
        "opportunity_id": Words(len(ids.vocabulary) + np.arange(count), [*ids.vocabulary, *numbered("OB", count)]),
        "account_id": Words(account, _words(opportunities["account_id"]).vocabulary),
        "product_id": Words(product, history.products.ids),
        "kind": Words(zeros, _words(opportunities["kind"]).vocabulary),
        "created_on": dates(day - rng.integers(20, 45, count)),
        "closed_on": dates(day),
        "stage": Words(zeros + won, _words(opportunities["stage"]).vocabulary),
        "result": Words(zeros, ("won", "lost")),
        "arr_usd": np.full(count, np.nan),
        "lost_reason": Words(zeros - 1, _words(opportunities["lost_reason"]).vocabulary),
        "stakeholder_id": Words(zeros - 1, _words(opportunities["stakeholder_id"]).vocabulary),
        "discount": np.zeros(count),
        "follow_up_on": dates(zeros + NEVER),
        "known_at": instants(day + 3, 10 * 3600),
    }
    return _appended(opportunities, row)


def _restate(health: Columns, history: History) -> dict[str, Column]:
    """Give every score the instant it was known, and raise those before a purchase a week after it."""
    account, day = _words(health["account_id"]).codes, _days(health["date"])
    versions = dict(health) | {"known_at": instants(day, 11 * 3600)}
    buyer, _, sold = _purchases(history)
    first = np.full(len(history.population), NEVER)
    np.minimum.at(first, buyer, sold)
    near = (day < first[account]) & (day >= first[account] - RESTATED_DAYS)
    near &= first[account] + 7 < history.clock.until
    restated = take(versions, near)
    scores = restated["score"]
    if isinstance(scores, Words):
        raise TypeError("scores are numbers")
    restated["score"] = np.minimum(scores + 15.0, 100.0)
    restated["known_at"] = instants(first[account[near]] + 7, 11 * 3600)
    return _appended(versions, restated)


def _order_forms(signals: Columns, history: History) -> dict[str, Column]:
    account, product, day = _purchases(history)
    kinds = _words(signals["kind"]).vocabulary
    order = np.lexsort((product, day, account))
    key = np.column_stack([account[order], day[order]])
    _, first = np.unique(key, axis=0, return_index=True)
    account, product, day = account[order][first], product[order][first], day[order][first]
    return _appended(
        signals,
        {
            "account_id": Words(account, _words(signals["account_id"]).vocabulary),
            "kind": Words(np.full(len(day), len(kinds)), [*kinds, "order_form"]),
            "happened_on": dates(day),
            "product_id": Words(product, history.products.ids),
            "amount": np.full(len(day), np.nan),
        },
    )


def provisioned(history: History, subscriptions: Subscriptions) -> Iterator[Columns]:
    """Usage rows of the days before a product's first paid start, one piece in all."""
    rng = stream(history.seed, "provisioning")
    subs = subscriptions
    bought = np.flatnonzero(
        (subs.via > FIRST)
        & (subs.via != DEAL)
        & ~history.products.one_time[subs.product]
        & (rng.random(len(subs)) < 0.7)
    )
    pair = subs.account * len(history.products) + subs.product
    _, position = np.unique(pair[~subs.trial], return_index=True)
    bought = np.intersect1d(bought, np.flatnonzero(~subs.trial)[position])
    lead = rng.integers(3, 15, len(bought))
    index = np.repeat(bought, lead)
    before = np.concatenate([np.arange(1, days + 1) for days in lead]) if len(lead) else np.empty(0, dtype=np.int64)
    day = subs.start[index] - before
    users = rng.integers(1, 4, len(index))
    yield {
        "account_id": Words(subs.account[index], numbered("A", len(history.population))),
        "product_id": Words(subs.product[index], history.products.ids),
        "date": dates(day),
        "active_users": users,
        "events": users * rng.integers(2, 9, len(index)),
        "limit_share": np.round(rng.uniform(0.0, 0.1, len(index)), 2),
        "known_at": instants(day, 20 * 3600),
    }
