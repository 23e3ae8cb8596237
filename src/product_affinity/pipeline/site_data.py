"""Gather what the page shows beside the lists: histories of the accounts on it, and figures of the products."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.explain.reasons import BASELINE
from product_affinity.lists.changes import NOT_PROPOSED
from product_affinity.lists.previous import PublishedList
from product_affinity.lists.site import ACCOUNT_TABLES, SiteData, SiteHead
from product_affinity.pipeline.site_history import account_histories
from product_affinity.pipeline.site_products import product_tables
from product_affinity.project import Project
from product_affinity.rules import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer

KEYS = ["account_id", "product_id"]
# Watchlist accounts an owner may want to look into; the others are rows without a history.
WATCHED_PER_OWNER = 25
MOST_LISTS = 12
_ANSWERS = {PASS: "pass", FAIL: "fail", UNKNOWN: "unknown"}
_STATE_WORDS = {
    "listed": "on the list",
    "in_flight": "in flight",
    "watchlist": "waiting",
    "net_new": "net-new motion, for sales",
    "campaign": "campaign",
    "below_value": "worth less than a play costs",
}


@dataclass(frozen=True)
class Night:
    """What a night knows when its lists are ready to be shown.

    Attributes
    ----------
    project, facts, as_of : the project, its checked tables, and the date.
    model_version : what scored.
    spine, pairs : active customers and every account × product at `as_of`.
    scores : as published (`SCORE_COLUMNS`).
    plays, watchlist, in_flight, gone : as in `SiteData`; the watchlist needs no expected_arr_usd.
    earlier : lists published before, any order; the newest `MOST_LISTS` are shown.
    asked, answers : the scored pairs and every gate and criterion answered for them, row by row.
    shares : `explain.family_shares` of the listed rows; their baseline is not drawn.
    predictions : of the newest backtest, or None.
    affinity : `reports.affinity.learn_affinity` at `as_of`, or None.
    ranked_by : what every reader must know of who ranked; empty where a champion did.
    """

    project: Project
    facts: Facts
    as_of: dt.date
    model_version: str
    spine: pd.DataFrame
    pairs: pd.DataFrame
    scores: pd.DataFrame
    plays: pd.DataFrame
    watchlist: pd.DataFrame
    in_flight: pd.DataFrame
    gone: pd.DataFrame
    earlier: Sequence[PublishedList] = ()
    asked: pd.DataFrame | None = None
    answers: Sequence[Answer] = ()
    shares: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    affinity: pd.DataFrame | None = None
    ranked_by: str = ""


def build_site_data(night: Night) -> SiteData:
    """Return what `write_site` shows.

    Histories are gathered for the accounts that are listed, in flight, or among an owner's `WATCHED_PER_OWNER`
    most valuable ones on the watchlist. No arm of a hold-back is in them: plays that were held back are left out,
    and a pair that merely lost a choice reads "not proposed this period", without chance and value where its
    account has no play.

    Parameters
    ----------
    night : what the night knows.
    """
    worth = night.scores[[*KEYS, "expected_arr_usd"]]
    watchlist = night.watchlist.drop(columns="expected_arr_usd", errors="ignore").merge(
        worth, on=KEYS, how="left", validate="1:1"
    )
    accounts = _accounts_of(night)
    facts = night.facts
    tables = account_histories(facts, accounts, night.as_of) | {
        "accounts": _attributes(night, accounts),
        "white_space": _white_space(night, accounts),
        "checks": _checks(night, accounts),
        "earlier_ranks": _earlier_ranks(night, accounts),
    }
    if night.shares is not None:
        # what every company starts from would dwarf what sets this one apart
        tables["shares"] = night.shares.loc[night.shares["family"].ne(BASELINE), list(ACCOUNT_TABLES["shares"])]
    return SiteData(
        head=_head(night),
        plays=night.plays,
        watchlist=watchlist,
        in_flight=night.in_flight,
        gone=night.gone,
        accounts=tables,
        products=product_tables(
            night.project.catalog, night.spine, night.pairs, affinity=night.affinity, predictions=night.predictions
        ),
    )


def _head(night: Night) -> SiteHead:
    settings = night.project.settings
    counts = night.scores["disposition"].value_counts().sort_index()
    return SiteHead(
        project=settings.project.name,
        as_of=night.as_of,
        previous_as_of=max((one.as_of for one in night.earlier if one.as_of < night.as_of), default=None),
        horizon_days=settings.time.horizon_days,
        currency=settings.project.currency,
        model_version=night.model_version,
        dispositions={str(name): int(count) for name, count in counts.items()},
        gate_titles={answer.code: answer.title for answer in night.answers},
        ranked_by=night.ranked_by,
    )


def _accounts_of(night: Night) -> list[str]:
    """Accounts whose history is shown, in the order of their ids."""
    watched = night.watchlist.drop_duplicates("account_id").groupby("owner_id", dropna=False).head(WATCHED_PER_OWNER)
    ids = pd.concat([night.plays["account_id"], night.in_flight["account_id"], watched["account_id"]])
    return sorted(ids.drop_duplicates())


def _attributes(night: Night, accounts: Sequence[str]) -> pd.DataFrame:
    rows = night.spine[night.spine["account_id"].isin(accounts)].sort_values("account_id", ignore_index=True)
    links = night.plays.drop_duplicates("account_id").set_index("account_id")["crm_url"]
    rows = rows.assign(crm_url=rows["account_id"].map(links).astype("str"))
    return rows[list(ACCOUNT_TABLES["accounts"])]


def _white_space(night: Night, accounts: Sequence[str]) -> pd.DataFrame:
    """Not-owned pairs with what became of them in words that tell no arm."""
    rows = night.scores[night.scores["account_id"].isin(accounts) & night.scores["status"].ne("owned")].copy()
    states = rows["disposition"].map(_STATE_WORDS).fillna(NOT_PROPOSED)
    waits = rows["disposition"].eq("watchlist") & rows["first_gate"].notna()
    states = states.mask(waits, "waiting: " + rows["first_gate"].fillna(""))
    rows["state"] = states.mask(rows["status"].eq("not_eligible"), "cannot buy it now")
    busy = set(night.plays["account_id"]) | set(night.in_flight["account_id"])
    # a chance above those that are listed would tell that the pair was held back
    silent = rows["state"].eq(NOT_PROPOSED) & ~rows["account_id"].isin(busy)
    rows[["propensity", "value_usd"]] = rows[["propensity", "value_usd"]].mask(silent)
    return rows.sort_values(KEYS, ignore_index=True)[list(ACCOUNT_TABLES["white_space"])]


def _checks(night: Night, accounts: Sequence[str]) -> pd.DataFrame:
    """Every answer for the pairs a reader sees: the plays, what is in flight, and an account's best watched pair."""
    columns = list(ACCOUNT_TABLES["checks"])
    if night.asked is None or not night.answers:
        return pd.DataFrame(columns=columns, dtype="str")
    best = night.watchlist[night.watchlist["account_id"].isin(accounts)].drop_duplicates("account_id")
    shown = pd.concat([night.plays[KEYS], night.in_flight[KEYS], best[KEYS]]).drop_duplicates()
    placed = night.asked[KEYS].reset_index(drop=True).reset_index(names="position")
    rows = shown.merge(placed, on=KEYS, how="inner", validate="1:1").sort_values(KEYS, ignore_index=True)
    positions = rows["position"].to_numpy()
    parts = [_answered(answer, order, rows[KEYS], positions) for order, answer in enumerate(night.answers)]
    told = pd.concat(parts).sort_values([*KEYS, "order"], kind="stable", ignore_index=True)
    return told[columns]


def _answered(answer: Answer, order: int, keys: pd.DataFrame, positions: np.ndarray) -> pd.DataFrame:
    asked = answer.state[positions] != NOT_ASKED
    rows = positions[asked]
    states = [_ANSWERS[state] for state in answer.state[rows].tolist()]
    told: pd.DataFrame = keys[asked]
    return told.assign(
        code=answer.code,
        title=answer.title,
        state=np.where(answer.confirm[rows], "confirm", states),
        evidence=answer.evidence(rows),
        order=order,
    )


def _earlier_ranks(night: Night, accounts: Sequence[str]) -> pd.DataFrame:
    columns = list(ACCOUNT_TABLES["earlier_ranks"])
    before = sorted((one for one in night.earlier if one.as_of < night.as_of), key=lambda one: one.as_of)
    parts = [
        one.worklist.loc[one.worklist["account_id"].isin(accounts), [*KEYS, "rank"]].assign(as_of=str(one.as_of))
        for one in before[-MOST_LISTS:]
    ]
    if not parts:
        return pd.DataFrame(columns=columns, dtype="str")
    return pd.concat(parts).sort_values([*KEYS, "as_of"], kind="stable", ignore_index=True)[columns]
