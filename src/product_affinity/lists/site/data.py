"""What the page is made from: the lists, and the tables behind an account's and a product's page.

The column names here are the contract between whoever gathers the data and the page's scripts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.schema.lists import CONTEXT_COLUMNS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS

PLAY_COLUMNS = (*WORKLIST_COLUMNS, *CONTEXT_COLUMNS)
NAMES = ("account_name", "product_name", "owner_name")
WATCH_COLUMNS = (*WATCHLIST_COLUMNS, *NAMES, "expected_arr_usd")
FLIGHT_COLUMNS = ("account_id", "product_id", "owner_id", *NAMES, "evidence")
GONE_COLUMNS = ("account_id", "product_id", "owner_id", "account_name", "product_name", "detail")
LIST_COLUMNS = {
    "plays": PLAY_COLUMNS,
    "watchlist": WATCH_COLUMNS,
    "in_flight": FLIGHT_COLUMNS,
    "gone": GONE_COLUMNS,
}

# One row or more an account; `weekly` and `monthly` hold lists of numbers, oldest first.
ACCOUNT_TABLES: dict[str, tuple[str, ...]] = {
    "accounts": (
        "account_id",
        "name",
        "segment",
        "tier",
        "industry",
        "region",
        "country",
        "employees",
        "arr_usd",
        "tenure_days",
        "owner_name",
        "crm_url",
    ),
    "owned": ("account_id", "product_id", "start_on", "plan", "seats", "arr_usd", "renewal_on"),
    "white_space": ("account_id", "product_id", "state", "propensity", "value_usd"),
    "usage": ("account_id", "product_id", "weekly"),
    "health": ("account_id", "product_id", "monthly"),
    "problems": ("account_id", "tag", "statement", "source", "noted_on", "solved_on"),
    "tickets": ("account_id", "product_id", "priority", "escalated", "opened_on", "closed_on"),
    "checks": ("account_id", "product_id", "code", "title", "state", "evidence"),
    "shares": ("account_id", "product_id", "family", "share"),
    "events": ("account_id", "product_id", "happened_on", "what", "detail"),
    "earlier_ranks": ("account_id", "product_id", "as_of", "rank"),
}
PRODUCT_TABLES: dict[str, tuple[str, ...]] = {
    "products": ("product_id", "name", "category", "list_arr_usd", "owners", "customers"),
    "attach": ("product_id", "segment", "customers", "owners"),
    "affinity": ("owned_product_id", "product_id", "owners", "both", "conversion", "opportunities", "median_days"),
    "reliability": ("product_id", "predicted", "observed", "low", "high", "pairs"),
    "lift": ("product_id", "share", "lift", "pairs", "adoptions"),
}


@dataclass(frozen=True)
class SiteHead:
    """What a reader must know of a list before reading it.

    Attributes
    ----------
    project : name of the company.
    as_of : date of the list.
    previous_as_of : date of the list it is compared with, None for the first one.
    horizon_days : days within which a chance is meant.
    currency : ISO code of all money.
    model_version : what scored the list.
    dispositions : pairs by what became of them, as in the manifest; arms of a hold-back are folded on the page.
    gate_titles : words for the codes of gates.
    weeks, months : length of the usage and health series.
    ranked_by : what every reader must know of who ranked; empty where a champion did.
    """

    project: str
    as_of: dt.date
    previous_as_of: dt.date | None
    horizon_days: int
    currency: str
    model_version: str
    dispositions: Mapping[str, int]
    gate_titles: Mapping[str, str] = field(default_factory=dict)
    weeks: int = 52
    months: int = 13
    ranked_by: str = ""


@dataclass(frozen=True)
class SiteData:
    """Everything the page shows. Tables that are not given are empty, and the page says so.

    Attributes
    ----------
    head : what the list is.
    plays : `PLAY_COLUMNS`, one row a listed play; problem statements already redacted.
    watchlist : `WATCH_COLUMNS`; most valuable first.
    in_flight : `FLIGHT_COLUMNS`.
    gone : `GONE_COLUMNS`, plays of the previous list that are no longer on this one; `detail` says why.
    accounts : tables of `ACCOUNT_TABLES`.
    products : tables of `PRODUCT_TABLES`.

    Raises
    ------
    UsageError : a column or a table is missing or unknown; the message names it.
    """

    head: SiteHead
    plays: pd.DataFrame
    watchlist: pd.DataFrame
    in_flight: pd.DataFrame
    gone: pd.DataFrame
    accounts: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    products: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, columns in LIST_COLUMNS.items():
            _check_columns(name, getattr(self, name), columns)
        for known, given in ((ACCOUNT_TABLES, self.accounts), (PRODUCT_TABLES, self.products)):
            for name, frame in given.items():
                if name not in known:
                    raise UsageError(f"site: {name} is no table of the page{did_you_mean(name, known)}")
                _check_columns(name, frame, known[name])


def _check_columns(name: str, frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise UsageError(f"site: {name} has no column {missing[0]}{did_you_mean(missing[0], map(str, frame.columns))}")
