"""What the company notices about its customers: health, surveys, tickets, problems and signals.

Every row is drawn from the state of its period, never from what happens later, so that the truth at an as-of
date holds whatever was noticed before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo import words
from product_affinity.demo.clock import NEVER
from product_affinity.demo.population import Floats, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import IDLE, OPEN, OWNED, History
from product_affinity.demo.writing import Columns, Words, dates, instants, numbered, take, working_seconds

PRIORITIES = ("P1", "P2", "P3", "P4")
PRIORITY_SHARES = np.array([0.04, 0.12, 0.44, 0.40])
DAYS_TO_CLOSE = np.array([4.0, 10.0, 10.0, 14.0])
ESCALATED_SHARES = np.array([0.3, 0.1, 0.01, 0.0])
SIGNALS = (
    ("funding", 0.008, 0.4),
    ("hiring", 0.030, 0.5),
    ("acquisition", 0.002, 0.1),
    ("executive_change", 0.008, 0.0),
    ("launch", 0.006, 0.2),
    ("department_growth", 0.020, 0.4),
    ("milestone", 0.09, 0.3),
)
"""Kind, chance per account and period, weight of growth."""
PAIR_SIGNALS = (("request", 0.0012), ("substitute", 0.0015))
"""Kind, chance per pair and period at mean need."""
PROBLEM_CHANCE, PROBLEM_WEIGHT = 0.010, 0.9
NEED_WEIGHT = 0.9


def shown_need(history: History, period: int) -> Floats:
    """Need as pair signals show it at a period's start, accounts × products, roughly standardised."""
    need: Floats = 0.7 * history.effects.shown + 0.7 * history.latent.need[period]
    return need


def health_rows(history: History) -> Columns:
    """Rows of `health.parquet`: a weekly score per account, a monthly one per product in use."""
    clock, latent = history.clock, history.latent
    rng = stream(history.seed, "health scores")
    pieces: list[tuple[Integers, Integers, Integers, Floats]] = []
    for period in range(clock.periods):
        accounts = np.flatnonzero(history.active[period])
        start, length = int(clock.starts[period]), clock.days(period)
        first_monday = (4 - start) % 7
        for offset in range(first_monday, length, 7):
            here = accounts[history.left[accounts] > start + offset]
            share = offset / length
            state = (1 - share) * latent.health[period, here] + share * latent.health[period + 1, here]
            pieces.append((here, np.full(len(here), -1), np.full(len(here), start + offset), state))
        rows, products = np.nonzero((history.status[period, accounts] == OWNED) & ~history.products.one_time)
        here = accounts[rows]
        staying = history.left[here] > start + 2
        here, products = here[staying], products[staying]
        state = latent.health[period, here] + rng.normal(0.0, 0.3, len(here))
        pieces.append((here, products, np.full(len(here), start + 2), state))
    account, product, day, state = (np.concatenate([piece[n] for piece in pieces]) for n in range(4))
    score = np.clip(np.round(72.0 + 15.0 * state + rng.normal(0.0, 4.0, len(state))), 0, 100)
    order = np.lexsort((product, day, account))
    rows_: Columns = {
        "account_id": Words(account, numbered("A", len(history.population))),
        "date": dates(day),
        "score": score,
        "product_id": Words(product, history.products.ids),
    }
    return take(rows_, order[day[order] < clock.until])


def survey_rows(history: History) -> Columns:
    """Rows of `surveys.parquet`: answers from 0 to 10; unhappy accounts score lower and answer less."""
    rng = stream(history.seed, "surveys")
    account, day, state = _events(history, rng, 0.28, 0.15)
    score = np.clip(np.round(7.4 + 1.3 * state + rng.normal(0.0, 1.5, len(state))), 0, 10).astype(np.int64)
    return {
        "account_id": Words(account, numbered("A", len(history.population))),
        "responded_at": instants(day, _distinct_seconds(rng, len(day))),
        "score": score,
        "kind": Words(np.zeros(len(day), dtype=np.int64), ("nps",)),
    }


def _distinct_seconds(rng: np.random.Generator, size: int) -> Integers:
    # Two answers of one account on one day keep different instants: their positions differ modulo 19,997.
    return 10 * 3600 + (np.arange(size) + int(rng.integers(0, 1000))) % 19_997


def ticket_rows(history: History) -> Columns:
    """Rows of `tickets.parquet`; tickets not closed before the end of the history stay open."""
    rng = stream(history.seed, "tickets")
    people = history.population
    account, day, _ = _events(history, rng, 0.28, -0.3, np.exp(0.4 * people.support_load))
    count = len(account)
    priority = np.searchsorted(np.cumsum(PRIORITY_SHARES), rng.random(count) * PRIORITY_SHARES.sum(), side="right")
    seconds = working_seconds(rng, count)
    duration = (DAYS_TO_CLOSE[priority] * rng.lognormal(-0.2, 0.8, count)).astype(np.int64)
    closed = np.where(day + duration < history.clock.until, day + duration, NEVER)
    point = np.searchsorted(history.clock.starts, day, side="right") - 1
    owned = history.status[point, account] == OWNED
    product = np.where(owned, rng.random(owned.shape), -1.0).argmax(axis=1)
    return {
        "ticket_id": Words(np.arange(count), numbered("T", count)),
        "account_id": Words(account, numbered("A", len(people))),
        "product_id": Words(np.where(rng.random(count) < 0.1, -1, product), history.products.ids),
        "opened_at": instants(day, seconds),
        "closed_at": instants(closed, np.maximum(seconds, 16 * 3600)),
        "priority": Words(priority, PRIORITIES),
        "escalated": rng.random(count) < ESCALATED_SHARES[priority],
    }


def _events(
    history: History, rng: np.random.Generator, chance: float, weight: float, factor: Floats | None = None
) -> tuple[Integers, Integers, Floats]:
    """Draw events of active accounts as (account, day, health), in order of day and account.

    Parameters
    ----------
    history, rng : of the demo company.
    chance : mean number per account and period at mean health.
    weight : of health, in logs.
    factor : per account.
    """
    clock, latent = history.clock, history.latent
    pieces = []
    for period in range(clock.periods):
        accounts = np.flatnonzero(history.active[period])
        mean = chance * np.exp(weight * latent.health[period, accounts])
        number = rng.poisson(mean if factor is None else mean * factor[accounts])
        account = np.repeat(accounts, number)
        day = clock.starts[period] + rng.integers(0, clock.days(period), len(account))
        staying = day < history.left[account]
        account, day = account[staying], day[staying]
        order = np.lexsort((account, day))
        pieces.append((account[order], day[order], latent.health[period, account[order]]))
    account, day, state = (np.concatenate([piece[n] for piece in pieces]) for n in range(3))
    return account, day, state


def problem_rows(history: History) -> Columns:
    """Rows of `problems.parquet`: the greater the need for what solves a problem, the likelier its note."""
    rng = stream(history.seed, "problems")
    account, product, day = _pair_events(history, rng, PROBLEM_CHANCE, PROBLEM_WEIGHT)
    catalog = history.products.catalog
    solving = [position for position, item in enumerate(catalog) if item.solves]
    kept = np.isin(product, solving)
    account, product, day = account[kept], product[kept], day[kept]
    tags = sorted({tag for item in catalog for tag in item.solves})
    longest = max((len(item.solves) for item in catalog), default=0)
    solves = np.array([[tags.index(t) for t in _cycled(item.solves, longest)] for item in catalog], dtype=np.int64)
    count = len(account)
    tag = solves[product, rng.integers(0, max(longest, 1), count)] if longest else np.empty(0, dtype=np.int64)
    statements = [text.format(tag=name.replace("_", " ")) for name in tags for text in words.STATEMENTS]
    statements = [text[0].upper() + text[1:] for text in statements]
    solved = day + (rng.lognormal(5.5, 0.8, count)).astype(np.int64)
    solved = np.where(solved < history.clock.until, solved, NEVER)
    seconds = working_seconds(rng, count)
    return {
        "problem_id": Words(np.arange(count), numbered("N", count)),
        "account_id": Words(account, numbered("A", len(history.population))),
        "tag": Words(tag, tags),
        "statement": Words(tag * len(words.STATEMENTS) + rng.integers(0, len(words.STATEMENTS), count), statements),
        "noted_at": instants(day, seconds),
        "source": Words(rng.integers(0, 3, count), words.PROBLEM_SOURCES),
        "solved_at": instants(solved, 16 * 3600),
    }


def _cycled(tags: tuple[str, ...], length: int) -> tuple[str, ...]:
    filled = tags or ("",)
    return tuple(filled[number % len(filled)] for number in range(length)) if tags else ()


def _pair_events(
    history: History, rng: np.random.Generator, chance: float, weight: float
) -> tuple[Integers, Integers, Integers]:
    """Draw events of pairs not owned as (account, product, day), in order of day."""
    clock = history.clock
    pieces = []
    for period in range(clock.periods):
        wanted = (history.status[period] == IDLE) | (history.status[period] == OPEN)
        mean = np.minimum(chance * np.exp(weight * shown_need(history, period)), 0.5)
        account, product = np.nonzero(wanted & (rng.random(mean.shape) < mean))
        day = clock.starts[period] + rng.integers(0, clock.days(period), len(account))
        staying = day < history.left[account]
        account, product, day = account[staying], product[staying], day[staying]
        order = np.lexsort((product, account, day))
        pieces.append((account[order], product[order], day[order]))
    account, product, day = (np.concatenate([piece[n] for piece in pieces]) for n in range(3))
    return account, product, day


def signal_rows(history: History, live: tuple[Integers, Integers, Integers]) -> Columns:
    """Rows of `signals.parquet`.

    Parameters
    ----------
    history : of the demo company.
    live : account, product and day of each finished implementation, reported as `onboarding_done`.
    """
    rng = stream(history.seed, "signals")
    kinds = [name for name, *_ in (*SIGNALS, *PAIR_SIGNALS)] + ["onboarding_done"]
    pieces = []
    for number, (_, chance, weight) in enumerate(SIGNALS):
        account, day = _growth_events(history, rng, chance, weight)
        pieces.append((np.full(len(day), number), account, np.full(len(day), -1), day))
    for number, (_, chance) in enumerate(PAIR_SIGNALS, start=len(SIGNALS)):
        account, product, day = _pair_events(history, rng, chance, 1.0)
        pieces.append((np.full(len(day), number), account, product, day))
    pieces.append((np.full(len(live[0]), len(kinds) - 1), *live))
    kind, account, product, day = (np.concatenate([piece[n] for piece in pieces]) for n in range(4))
    order = np.lexsort((product, kind, account, day))
    kind, account, product, day = kind[order], account[order], product[order], day[order]
    _, first = np.unique(np.column_stack([account, kind, day]), axis=0, return_index=True)
    rows = np.sort(first)
    amount = np.round(rng.lognormal(15.5, 0.8, len(rows)), -4)
    return {
        "account_id": Words(account[rows], numbered("A", len(history.population))),
        "kind": Words(kind[rows], kinds),
        "happened_on": dates(day[rows]),
        "product_id": Words(product[rows], history.products.ids),
        "amount": np.where(kind[rows] == 0, amount, np.nan),
    }


def _growth_events(
    history: History, rng: np.random.Generator, chance: float, weight: float
) -> tuple[Integers, Integers]:
    clock = history.clock
    pieces: list[tuple[Integers, NDArray[np.int64]]] = []
    for period in range(clock.periods):
        mean = chance * np.exp(weight * history.latent.growth[period])
        account = np.flatnonzero((rng.random(len(mean)) < mean) & history.active[period])
        pieces.append((account, clock.starts[period] + rng.integers(0, clock.days(period), len(account))))
    return np.concatenate([piece[0] for piece in pieces]), np.concatenate([piece[1] for piece in pieces])
