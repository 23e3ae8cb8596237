"""Data of the web page, made by hand: the plays of `tests.plays` with a history behind every account."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd

from product_affinity.lists.site import SiteData, SiteHead
from tests import plays as made

FAMILIES = ("usage", "health", "firmographic", "ownership", "engagement", "commercial", "fit")
CHECKS = (
    ("G02", "No open P1 or P2 ticket", "pass", "0 open P1/P2 tickets"),
    ("G05", "Renewal not at risk", "unknown", "unknown: no renewal date"),
    ("R10", "Health above 70", "fail", "health 64, threshold above 70"),
)
HEAD = SiteHead(
    project="Test company",
    as_of=made.AS_OF,
    previous_as_of=made.AS_OF - dt.timedelta(days=1),
    horizon_days=90,
    currency="USD",
    model_version="0123456789ab",
    dispositions={"listed": 12, "watchlist": 8, "in_flight": 3, "beyond_capacity": 5, "held_back": 2},
)


def gone(n: int = 2) -> pd.DataFrame:
    rows = made.watchlist(n)[["account_id", "product_id", "owner_id", "account_name", "product_name"]]
    return rows.assign(detail="held back: 2 open P1 tickets")


def histories(plays: pd.DataFrame, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return every table of an account's page for the accounts of `plays`."""
    ids, rng = plays["account_id"], np.random.default_rng(seed)
    n = len(ids)

    def each(**columns: object) -> pd.DataFrame:
        return pd.DataFrame({"account_id": ids.to_numpy(), **columns})

    weekly = np.round(rng.uniform(5, 60, (n, 52)), 1)
    weekly[:, 10:12] = np.nan
    return {
        "accounts": each(
            name=plays["account_name"].to_numpy(), segment="smb", tier=plays["tier"].to_numpy(), industry="media",
            region="EMEA", country="PL", employees=120, arr_usd=64_000.0, tenure_days=730,
            owner_name=plays["owner_name"].to_numpy(), crm_url=plays["crm_url"].to_numpy(),
        ),
        "owned": each(product_id="email_marketing", start_on=pd.Timestamp("2024-05-01"), plan="team", seats=60.0,
                      arr_usd=12_000.0, renewal_on=pd.Timestamp("2026-10-15")),
        "white_space": each(product_id=plays["product_id"].to_numpy(), state="on the list",
                            propensity=plays["propensity"].to_numpy(), value_usd=plays["value_usd"].to_numpy()),
        "usage": each(product_id="email_marketing", weekly=pd.Series(weekly.tolist(), dtype=object)),
        "health": each(product_id=None, monthly=pd.Series(rng.integers(40, 95, (n, 13)).tolist(), dtype=object)),
        "problems": each(tag="scattered_contacts", statement="Contacts are merged by hand every Monday", source="qbr",
                         noted_on="2026-06-11", solved_on=None),
        "tickets": each(product_id="email_marketing", priority="P1", escalated=True, opened_on="2026-06-18",
                        closed_on=None),
        "checks": pd.concat(
            [each(product_id=plays["product_id"].to_numpy(), code=c, title=t, state=s, evidence=e)
             for c, t, s, e in CHECKS * 5]
        ).sort_values("account_id", kind="stable", ignore_index=True),
        "shares": pd.concat(
            [each(product_id=plays["product_id"].to_numpy(), family=family, share=rng.normal(0, 0.4, n))
             for family in FAMILIES]
        ).sort_values("account_id", kind="stable", ignore_index=True),
        "events": pd.concat(
            [each(product_id="sales_crm", happened_on=day, what=what, detail=detail)
             for day, what, detail in (("2026-03-02", "cross-sell deal lost", "budget"),
                                       ("2026-01-15", "not now", "busy quarter"))]
        ).sort_values("account_id", kind="stable", ignore_index=True),
        "earlier_ranks": each(product_id=plays["product_id"].to_numpy(), as_of="2026-06-29", rank=4),
    }  # fmt: skip


def products() -> dict[str, pd.DataFrame]:
    names = dict(made.PRODUCTS)
    first, second = list(names)[:2]
    return {
        "products": pd.DataFrame(
            {"product_id": list(names), "name": list(names.values()), "category": "sales", "list_arr_usd": 12_000.0,
             "owners": 40, "customers": 200}
        ),
        "attach": pd.DataFrame({"product_id": first, "segment": ["smb", "enterprise"], "customers": [100, 50],
                                "owners": [20, 30]}),
        "affinity": pd.DataFrame({"owned_product_id": [second, first], "product_id": [first, second],
                                  "owners": [40, 40], "both": [10, 10], "conversion": [0.35, np.nan],
                                  "opportunities": [20, np.nan], "median_days": [45, np.nan]}),
        "reliability": pd.DataFrame({"product_id": first, "predicted": [0.01, 0.05], "observed": [0.012, 0.04],
                                     "low": [0.006, 0.02], "high": [0.02, 0.07], "pairs": [400, 400]}),
        "lift": pd.DataFrame({"product_id": first, "share": [0.05, 0.5], "lift": [4.2, 1.6], "pairs": [40, 400],
                              "adoptions": [8, 30]}),
    }  # fmt: skip


def site_data(n: int = 12, watched: int = 8, flying: int = 3, **changes: object) -> SiteData:
    """Return the page's data with `n` plays; `changes` set columns of the plays."""
    plays = made.plays(n, **changes)
    watchlist = made.watchlist(watched).assign(expected_arr_usd=10_000.0)
    return SiteData(HEAD, plays, watchlist, made.in_flight(flying), gone(), histories(plays), products())


def empty_site() -> SiteData:
    data = site_data(0, 0, 0)
    head = replace(HEAD, dispositions={"beyond_capacity": 5, "held_back": 2, "below_value": 40})
    return replace(data, head=head, gone=gone(0))
