"""A random company with every source table: late and corrected rows, closings, histories, the future."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.project.catalog import Catalog
from tests.company import catalog

FIRST, DAYS = pd.Timestamp("2025-01-01"), 540
ACCOUNTS = [f"A-{number:02}" for number in range(14)]
PRODUCTS = ["crm", "chat", "desk", "data"]
FEATURES = ["export", "import", "macro", "alert"]
TAGS = ["slow", "loud", "dear"]
AS_OFS = ["2025-12-31", "2026-02-28", "2026-04-30"]


def small_catalog() -> Catalog:
    beside = {"icp_overlap": "high", "workflow_integration": "high"}
    return catalog(
        *PRODUCTS,
        crm={
            "category": "sales",
            "list_arr_usd": 900,
            "core_features": ["export", "import"],
            "adjacent_features": ["macro"],
            "solves": ["slow"],
        },
        chat={
            "category": "service",
            "core_features": ["macro", "alert", "import"],
            "adjacent_features": ["export", "alert"],
            "adjacency": {"crm": beside},
        },
        desk={"category": "service", "solves": ["loud", "slow"], "adjacency": {"chat": beside}},
        data={"launched_on": "2025-09-01", "prerequisites": ["crm"], "adjacent_features": ["export"]},
    )


class _Dice:
    """Random columns of one length."""

    def __init__(self, seed: int, size: int) -> None:
        self.rng, self.size = np.random.default_rng(seed), size

    def one_of(self, options: list) -> np.ndarray:
        return self.rng.choice(np.array(options, dtype=object), self.size)

    def day(self, first: int = 0, last: int = DAYS) -> pd.Series:
        return pd.Series(FIRST + pd.to_timedelta(self.rng.integers(first, last, self.size), unit="D"))

    def instant(self) -> pd.Series:
        return pd.Series(FIRST + pd.to_timedelta(self.rng.integers(0, DAYS * 24, self.size), unit="h"))

    def later(self, days: pd.Series, most: int, unit: str = "D", share: float = 1.0) -> pd.Series:
        later = days + pd.to_timedelta(self.rng.integers(1, most, self.size), unit=unit)
        return later.where(self.rng.random(self.size) < share)

    def number(self, most: int) -> np.ndarray:
        return self.rng.integers(0, most, self.size).astype(float)

    def flag(self, share: float = 0.5) -> np.ndarray:
        return self.rng.random(self.size) < share


def _versions(frame: pd.DataFrame, opened: str, changed: str, dice: _Dice) -> pd.DataFrame:
    """Each row as it arrived and, for half of them, as it was corrected later."""
    first = frame.assign(known_at=frame[opened] + pd.to_timedelta(dice.rng.integers(1, 200, dice.size), unit="h"))
    again = first.assign(known_at=first["known_at"] + pd.to_timedelta(dice.rng.integers(1, 90, dice.size), unit="D"))
    again[changed] = dice.rng.permutation(again[changed].to_numpy())
    return pd.concat([first, again[dice.flag()]], ignore_index=True)


def small_frames(seed: int = 5) -> dict[str, pd.DataFrame]:
    """Typed frames of every source table, unique keys, some rows known long after they happened."""
    d = _Dice(seed, 60)
    subscriptions = pd.DataFrame(
        {
            "account_id": d.one_of(ACCOUNTS),
            "product_id": d.one_of(PRODUCTS),
            "start_on": d.day(-200),
            "arr_usd": d.number(50) * 100,
            "seats": d.number(40),
            "is_trial": d.flag(0.15),
            "plan": "x",
        }
    ).drop_duplicates(["account_id", "product_id", "start_on"], ignore_index=True)
    s = _Dice(seed + 1, len(subscriptions))
    subscriptions["end_on"] = s.later(subscriptions["start_on"], 500, share=0.5)
    subscriptions["renewal_on"] = s.later(subscriptions["start_on"], 700)
    subscriptions = _versions(subscriptions, "start_on", "seats", s)

    u = _Dice(seed + 2, 2500)
    usage = pd.DataFrame(
        {
            "account_id": u.one_of(ACCOUNTS),
            "product_id": u.one_of(PRODUCTS),
            "date": u.day(),
            "active_users": u.number(30),
            "events": u.number(300),
            "limit_share": u.number(11) / 10,
        }
    ).drop_duplicates(["account_id", "product_id", "date"], ignore_index=True)
    usage = _versions(usage, "date", "active_users", _Dice(seed + 3, len(usage)))
    f = _Dice(seed + 4, 1500)
    feature_usage = pd.DataFrame(
        {
            "account_id": f.one_of(ACCOUNTS),
            "product_id": f.one_of(PRODUCTS),
            "feature": f.one_of(FEATURES),
            "date": f.day(),
            "uses": f.number(9),
        }
    ).drop_duplicates(["account_id", "product_id", "feature", "date"], ignore_index=True)
    return {
        "accounts": _accounts(seed + 5),
        "subscriptions": subscriptions,
        "usage": usage,
        "feature_usage": feature_usage,
        **_people(seed + 6),
        **_deals(seed + 7),
    }


def _accounts(seed: int) -> pd.DataFrame:
    d = _Dice(seed, 3 * len(ACCOUNTS))
    frame = pd.DataFrame(
        {
            "account_id": ACCOUNTS * 3,
            "name": "n",
            "valid_from": d.day(-300),
            "employees": d.number(900).astype("int64"),
            "industry": d.one_of(["media", "retail", None]),
            "country": d.one_of(["NO", "DE"]),
            "region": "EU",
        }
    ).drop_duplicates(["account_id", "valid_from"], ignore_index=True)
    return frame.assign(known_at=_Dice(seed + 1, len(frame)).later(frame["valid_from"], 2000, "h"))


def _people(seed: int) -> dict[str, pd.DataFrame]:
    d = _Dice(seed, 150)
    opened, noted, said = d.instant(), d.instant(), d.instant()
    tickets = pd.DataFrame(
        {
            "ticket_id": [f"t{k}" for k in range(150)],
            "account_id": d.one_of(ACCOUNTS),
            "opened_at": opened,
            "closed_at": d.later(opened, 900, "h", 0.8),
            "priority": d.one_of(["P1", "P2", "P3"]),
            "escalated": d.flag(),
        }
    )
    surveys = pd.DataFrame({"account_id": d.one_of(ACCOUNTS), "responded_at": said, "score": d.number(11).astype(int)})
    health = pd.DataFrame(
        {
            "account_id": d.one_of(ACCOUNTS),
            "date": d.day(),
            "score": d.number(101),
            "product_id": d.one_of([None, None, *PRODUCTS]),
        }
    ).drop_duplicates(["account_id", "product_id", "date"], ignore_index=True)
    contacts = pd.DataFrame(
        {
            "contact_id": [f"c{k}" for k in range(150)],
            "account_id": d.one_of(ACCOUNTS),
            "role": "cto",
            "area": d.one_of(["it", "sales", None]),
            "is_champion": d.flag(),
            "is_sponsor": d.flag(),
            "from_on": d.day(-200),
            "last_touch_at": d.instant(),
        }
    )
    contacts["to_on"] = d.later(contacts["from_on"], 500, share=0.4)
    signals = pd.DataFrame(
        {
            "account_id": d.one_of(ACCOUNTS),
            "kind": d.one_of(["funding", "hiring", "request", "milestone", "launch"]),
            "happened_on": d.day(),
            "product_id": d.one_of([None, *PRODUCTS]),
            "amount": d.number(9) * 1000,
        }
    ).drop_duplicates(["account_id", "kind", "happened_on"], ignore_index=True)
    problems = pd.DataFrame(
        {
            "problem_id": [f"p{k}" for k in range(150)],
            "account_id": d.one_of(ACCOUNTS),
            "tag": d.one_of(TAGS),
            "statement": "s",
            "noted_at": noted,
            "source": "qbr",
            "solved_at": d.later(noted, 3000, "h", 0.6),
        }
    )
    return {
        "tickets": _versions(tickets, "opened_at", "escalated", _Dice(seed + 2, len(tickets))),
        "surveys": surveys.drop_duplicates(["account_id", "responded_at"], ignore_index=True),
        "health": _versions(health, "date", "score", _Dice(seed + 1, len(health))),
        "contacts": _versions(contacts, "from_on", "is_champion", _Dice(seed + 3, len(contacts))),
        "signals": signals,
        "problems": problems,
    }


def _deals(seed: int) -> dict[str, pd.DataFrame]:
    d = _Dice(seed, 120)
    created = d.day()
    opportunities = pd.DataFrame(
        {
            "opportunity_id": [f"o{k}" for k in range(120)],
            "account_id": d.one_of(ACCOUNTS),
            "product_id": d.one_of([None, *PRODUCTS]),
            "kind": d.one_of(["cross_sell", "upsell", "new"]),
            "created_on": created,
            "closed_on": d.later(created, 200, share=0.7),
            "stage": d.one_of(["a", "b"]),
        }
    )
    closed = opportunities["closed_on"].notna()
    opportunities["result"] = np.where(closed, d.one_of(["won", "lost"]), None)
    decided = d.instant()
    outreach = pd.DataFrame(
        {
            "play_id": [f"y{k}" for k in range(120)],
            "account_id": d.one_of(ACCOUNTS),
            "product_id": d.one_of(PRODUCTS),
            "decided_at": decided,
            "arm": d.one_of(["treated", "held_back"]),
            "arm_probability": 0.5,
        }
    )
    outcomes = pd.DataFrame(
        {
            "play_id": outreach["play_id"],
            "status": d.one_of(["accepted", "not_now", "meeting", "lost"]),
            "noted_at": d.later(decided, 900, "h"),
        }
    )
    later = _Dice(seed + 2, 120)
    outcomes["follow_up_on"] = later.later(outcomes["noted_at"].dt.normalize(), 200, share=0.7)
    implementations = pd.DataFrame(
        {"account_id": d.one_of(ACCOUNTS), "product_id": d.one_of(PRODUCTS), "start_on": d.day()}
    ).drop_duplicates(ignore_index=True)
    i = _Dice(seed + 1, len(implementations))
    return {
        "opportunities": _versions(opportunities, "created_on", "stage", d),
        "outreach": outreach,
        "outcomes": outcomes[d.flag(0.8)].reset_index(drop=True),
        "implementations": implementations.assign(end_on=i.later(implementations["start_on"], 200, share=0.7)),
    }


def small_facts(frames: dict[str, pd.DataFrame], timezone: str = "America/New_York") -> Facts:
    """Facts of a company west of Greenwich whose feature usage arrives late."""
    return Facts.from_frames(frames, timezone=timezone, lag_days={"feature_usage": 2})
