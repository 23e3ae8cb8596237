"""The commercial record: opportunities, past plays and their outcomes, implementations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo import words
from product_affinity.demo.clock import NEVER
from product_affinity.demo.people import Contacts
from product_affinity.demo.population import Floats, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import (
    FIRST,
    LOST_TO_CONFLICT,
    LOST_WITH_ACCOUNT,
    PLAY,
    History,
)
from product_affinity.demo.subscriptions import Subscriptions, list_arr
from product_affinity.demo.writing import Columns, Words, dates, instants, numbered, take

KINDS = ("cross_sell", "upsell", "new")
CROSS_SELL, UPSELL, NEW = 0, 1, 2
STAGES = ("identification", "qualification", "proposal", "negotiation", "closed_won", "closed_lost")
STAGE_DAYS = (0, 8, 20, 38)
"""Age at which an open opportunity reaches a stage, whatever becomes of it."""
UPSELL_WITH_DEAL_SHARE = 0.5
OPEN_UPSELL_SHARE = 0.01
LOST_REASON_SHARES = (0.32, 0.3, 0.2, 0.18)
STATUSES = ("accepted", "contacted", "meeting", "not_now", "not_a_fit", "lost", "won")
ACCEPTED, CONTACTED, MEETING, NOT_NOW, NOT_A_FIT, PLAY_LOST, PLAY_WON = range(7)


@dataclass(frozen=True)
class _Deals:
    account: Integers
    product: Integers
    kind: Integers
    created: Integers
    closed: Integers
    won: NDArray[np.bool_]
    why: Integers
    """Position in `LOST_REASONS`, -1 where not lost."""


def opportunity_rows(history: History, subscriptions: Subscriptions, contacts: Contacts) -> Columns:
    """Rows of `opportunities.parquet`: a version at creation, at each stage reached and at the close."""
    rng = stream(history.seed, "opportunities")
    deals, until = _all_deals(history, subscriptions, rng), history.clock.until
    count = len(deals.account)
    index, day, stage = _stages(deals)
    order = np.lexsort((stage, day, index))
    index, day, stage = index[order], day[order], stage[order]
    known = day < until
    index, day, stage = index[known], day[known], stage[known]
    closing = stage >= 4
    lost = closing & ~deals.won[index]
    arr = np.round(list_arr(history, deals.account, deals.product) * rng.lognormal(0.0, 0.15, count), -1)
    arr *= np.where(deals.kind == UPSELL, 0.2, 1.0)
    stakeholder = np.where(rng.random(count) < 0.65, contacts.any_of(deals.account, rng.random(count)), -1)
    discount = np.where(rng.random(count) < 0.3, np.round(rng.uniform(0.05, 0.25, count), 2), 0.0)
    follow_up = np.where(deals.why == 1, deals.closed + rng.integers(60, 200, count), NEVER)
    return {
        "opportunity_id": Words(index, numbered("O", count)),
        "account_id": Words(deals.account[index], numbered("A", len(history.population))),
        "product_id": Words(deals.product[index], history.products.ids),
        "kind": Words(deals.kind[index], KINDS),
        "created_on": dates(deals.created[index]),
        "closed_on": dates(np.where(closing, deals.closed[index], NEVER)),
        "stage": Words(stage, STAGES),
        "result": Words(np.where(closing, np.where(lost, 1, 0), -1), ("won", "lost")),
        "arr_usd": np.where(arr > 0, arr, np.nan)[index],
        "lost_reason": Words(np.where(lost, deals.why[index], -1), words.LOST_REASONS),
        "stakeholder_id": Words(stakeholder[index], numbered("C", len(contacts.account))),
        "discount": discount[index],
        "follow_up_on": dates(np.where(lost, follow_up[index], NEVER)),
        "known_at": instants(day, 10 * 3600 + 600 * stage),
    }


def _all_deals(history: History, subscriptions: Subscriptions, rng: np.random.Generator) -> _Deals:
    pieces = [_cross_sells(history, rng), _first_sales(history, rng), _upsells(history, subscriptions, rng)]
    account, product, kind, created, closed, won, why = (
        np.concatenate([piece[n] for piece in pieces]) for n in range(7)
    )
    order = np.lexsort((kind, product, account, created))
    won = won.astype(bool)
    columns = (account, product, kind, created, closed, won, why)
    return _Deals(*(column[order] for column in columns))


Piece = tuple[Integers, Integers, Integers, Integers, Integers, Integers, Integers]


def _cross_sells(history: History, rng: np.random.Generator) -> Piece:
    deals = history.deals
    drawn = rng.choice(4, len(deals["won"]), p=LOST_REASON_SHARES)
    why = np.select([deals["why"] == LOST_TO_CONFLICT, deals["why"] == LOST_WITH_ACCOUNT], [4, 5], drawn)
    why = np.where((deals["won"] == 1) | (deals["closed"] >= NEVER), -1, why)
    kind = np.full(len(why), CROSS_SELL)
    return deals["account"], deals["product"], kind, deals["created"], deals["closed"], deals["won"], why


def _first_sales(history: History, rng: np.random.Generator) -> Piece:
    adoptions = history.adoptions
    first = (adoptions["via"] == FIRST) & (adoptions["day"] >= history.clock.first)
    account, product, day = (adoptions[name][first] for name in ("account", "product", "day"))
    count = len(day)
    created = np.maximum(day - rng.integers(15, 90, count), history.population.created[account])
    return (
        account,
        product,
        np.full(count, NEW),
        created,
        day,
        np.ones(count, dtype=np.int64),
        np.full(count, -1),
    )


def _upsells(history: History, subs: Subscriptions, rng: np.random.Generator) -> Piece:
    index, period = np.nonzero(subs.growth > 0)
    day = subs.growth_day[index, period]
    kept = rng.random(len(index)) < UPSELL_WITH_DEAL_SHARE
    index, day = index[kept], day[kept]
    created = np.maximum(day - rng.integers(7, 40, len(day)), subs.start[index])
    running = np.flatnonzero((subs.end >= NEVER) & ~subs.trial & (subs.arr > 0))
    opened = running[rng.random(len(running)) < OPEN_UPSELL_SHARE]
    recent = np.maximum(history.clock.until - rng.integers(1, 30, len(opened)), subs.start[opened])
    index, created = np.concatenate([index, opened]), np.concatenate([created, recent])
    closed = np.concatenate([day, np.full(len(opened), NEVER)])
    won = (closed < NEVER).astype(np.int64)
    count = len(index)
    return (
        subs.account[index],
        subs.product[index],
        np.full(count, UPSELL),
        created,
        closed,
        won,
        np.full(count, -1),
    )


def _stages(deals: _Deals) -> tuple[Integers, Integers, Integers]:
    everything = np.arange(len(deals.account))
    pieces = []
    for number, age in enumerate(STAGE_DAYS):
        reached = everything[(deals.created + age < deals.closed) | (number == 0)]
        pieces.append((reached, deals.created[reached] + age, np.full(len(reached), number)))
    closed = everything[deals.closed < NEVER]
    pieces.append((closed, deals.closed[closed], np.where(deals.won[closed], 4, 5)))
    index, day, stage = (np.concatenate([piece[n] for piece in pieces]) for n in range(3))
    return index, day, stage


def outreach_rows(history: History) -> Columns:
    """Rows of `outreach.parquet`: plays with the arm each was given and that arm's probability."""
    plays, people = history.plays, history.population
    chance, count = history.effects.arm_probability, len(history.plays["account"])
    rng = stream(history.seed, "outreach")
    treated = plays["treated"] == 1
    return {
        "play_id": Words(np.arange(count), numbered("P", count)),
        "account_id": Words(plays["account"], numbered("A", len(people))),
        "product_id": Words(plays["product"], history.products.ids),
        "decided_at": instants(history.clock.starts[plays["period"]], 10 * 3600),
        "arm": Words(np.where(treated, 0, 1), ("treated", "held_back")),
        "arm_probability": np.where(treated, chance, 1.0 - chance),
        "owner_id": Words(
            people.owner[plays["account"]],
            [f"U-{number:03d}" for number in range(1, int(people.owner.max(initial=0)) + 2)],
        ),
        "channel": Words(np.where(treated, rng.integers(0, 3, count), -1), ("call", "e-mail", "review meeting")),
    }


def outcome_rows(history: History) -> Columns:
    """Rows of `outcomes.parquet`: what owners noted about treated plays.

    Only `won` depends on whether the account adopted, and it is noted on the day it did.
    """
    plays, clock = history.plays, history.clock
    rng = stream(history.seed, "outcomes")
    count = len(plays["account"])
    decided = clock.starts[plays["period"]]
    treated = (plays["treated"] == 1) & (rng.random(count) < 0.9)
    final = rng.choice([MEETING, NOT_NOW, NOT_A_FIT, PLAY_LOST, -1], count, p=[0.2, 0.35, 0.1, 0.1, 0.25])
    won = _won_day(history)
    steps = [
        (np.full(count, ACCEPTED), decided + rng.integers(0, 4, count), treated),
        (
            np.full(count, CONTACTED),
            decided + rng.integers(4, 14, count),
            treated & (rng.random(count) < 0.75),
        ),
        (final, decided + rng.integers(15, 50, count), treated & (final >= 0)),
        (np.full(count, PLAY_WON), won, (plays["treated"] == 1) & (won < NEVER)),
    ]
    status, day, kept = (np.concatenate([step[n] for step in steps]) for n in range(3))
    play = np.tile(np.arange(count), len(steps))
    kept &= (day < clock.until) & ((status == PLAY_WON) | (day < np.tile(won, len(steps))))
    kept &= day < history.left[plays["account"]][play]
    rows = np.flatnonzero(kept)
    rows = rows[np.lexsort((status[rows], day[rows], play[rows]))]
    return _outcome_columns(history, play[rows], status[rows], day[rows], rng)


def _won_day(history: History) -> Integers:
    """Day on which the play's own effect led to an adoption, else `NEVER`."""
    plays, adoptions, clock = history.plays, history.adoptions, history.clock
    by_play = adoptions["via"] == PLAY
    width = len(history.products)
    pair = plays["account"] * width + plays["product"]
    order = np.lexsort((plays["period"], pair))
    won = np.full(len(pair), NEVER)
    keys = pair[order] * 1000 + plays["period"][order]
    period = np.searchsorted(clock.starts, adoptions["day"][by_play], side="right") - 1
    wanted = (adoptions["account"][by_play] * width + adoptions["product"][by_play]) * 1000 + period
    place = order[np.searchsorted(keys, wanted, side="right") - 1]
    won[place] = adoptions["day"][by_play]
    return won


def _outcome_columns(
    history: History, play: Integers, status: Integers, day: Integers, rng: np.random.Generator
) -> Columns:
    plays, people, count = history.plays, history.population, len(play)
    account, product = plays["account"][play], plays["product"][play]
    not_now = status == NOT_NOW
    arr: Floats = np.where(status == PLAY_WON, np.round(list_arr(history, account, product), -1), np.nan)
    return {
        "play_id": Words(play, numbered("P", len(plays["account"]))),
        "account_id": Words(account, numbered("A", len(people))),
        "product_id": Words(product, history.products.ids),
        "as_of": dates(history.clock.starts[plays["period"][play]]),
        "status": Words(status, STATUSES),
        "reason": Words(np.where(not_now, rng.integers(0, 4, count), -1), words.NOT_NOW_REASONS),
        "noted_at": instants(day, 12 * 3600 + 60 * status),
        "noted_by": Words(
            people.owner[account],
            [f"U-{number:03d}" for number in range(1, int(people.owner.max(initial=0)) + 2)],
        ),
        "arr_usd": np.where(arr > 0, arr, np.nan),
        "follow_up_on": dates(np.where(not_now, day + rng.integers(30, 150, count), NEVER)),
    }


def implementation_rows(history: History, subscriptions: Subscriptions) -> Columns:
    """Rows of `implementations.parquet`: the roll-out that follows most purchases."""
    rng = stream(history.seed, "implementations")
    subs, until = subscriptions, history.clock.until
    count = len(subs)
    start = subs.start + rng.integers(2, 11, count)
    end = start + np.clip(rng.lognormal(3.6, 0.5, count), 10, 160).astype(np.int64)
    size = history.population.segment[subs.account]
    end = np.minimum(end + 15 * size, subs.end)
    kept = ~subs.trial & (rng.random(count) < 0.9) & (start < until) & (start < subs.end)
    columns: Columns = {
        "account_id": Words(subs.account, numbered("A", len(history.population))),
        "product_id": Words(subs.product, history.products.ids),
        "start_on": dates(start),
        "end_on": dates(np.where(end < until, end, NEVER)),
    }
    return take(columns, kept)
