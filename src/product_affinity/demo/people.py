"""Accounts, as a history of what the CRM knew about them, and the contacts at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo import words
from product_affinity.demo.clock import NEVER
from product_affinity.demo.population import COUNTRIES, INDUSTRIES, REGIONS, Integers
from product_affinity.demo.randomness import stream
from product_affinity.demo.simulation import History
from product_affinity.demo.writing import Columns, Words, dates, instants, numbered

CHANGE_SHARE = 0.1
"""The CRM takes over a new head count once it differs by a tenth."""
MONTHS_BETWEEN_CHECKS = 3
LATE_ENRICHMENT_SHARE = 0.2


def account_names(count: int) -> list[str]:
    """Made-up company names, different for every account.

    >>> account_names(3)
    ['Alder Analytics', 'Amber Apparel', 'Anchor Bank']
    """
    first, last, forms = words.COMPANY_FIRST, words.COMPANY_LAST, words.COMPANY_FORMS
    names = []
    for number in range(count):
        again, place = divmod(number, len(first) * len(last))
        row, column = place % len(first), (place % len(first) + place // len(first)) % len(last)
        form = f" {forms[(again - 1) % len(forms)]}" if again else ""
        further = f" {again // len(forms) + 1}" if again > len(forms) else ""
        names.append(f"{first[row]} {last[column]}{form}{further}")
    return names


def owner_names(count: int) -> list[str]:
    """Names of the customer-success managers."""
    given, family = words.GIVEN_NAMES, words.FAMILY_NAMES
    return [f"{given[n % len(given)]} {family[(n * 5 + n // len(given)) % len(family)]}" for n in range(count)]


def account_rows(history: History) -> Columns:
    """Rows of `accounts.parquet`: a version at creation and at each noticed change."""
    people, clock = history.population, history.clock
    rng = stream(history.seed, "accounts")
    account, day, employees, owner = _versions(history, rng)
    late = (rng.random(len(account)) < LATE_ENRICHMENT_SHARE) & (day > people.created[account])
    known = day + np.where(late, rng.integers(1, 21, len(account)), 0)
    kept = (day < clock.until) & (known < clock.until)
    account, day, employees, owner, known = (column[kept] for column in (account, day, employees, owner, known))
    ids, count = numbered("A", len(people)), int(people.owner.max(initial=0)) + 1
    industry = np.where(rng.random(len(people)) < 0.02, -1, people.industry)
    return {
        "account_id": Words(account, ids),
        "name": Words(account, account_names(len(people))),
        "valid_from": dates(day),
        "industry": Words(industry[account], INDUSTRIES),
        "employees": employees,
        "country": Words(people.country[account], COUNTRIES),
        "region": Words(people.region[account], REGIONS),
        "owner_id": Words(owner, [f"U-{number:03d}" for number in range(1, count + 1)]),
        "owner_name": Words(owner, owner_names(count)),
        "created_on": dates(people.created[account]),
        "parent_id": Words(people.parent[account], ids),
        "crm_id": Words(account, [f"0015g{number:010d}" for number in range(1, len(people) + 1)]),
        "crm_url": Words(account, [f"https://crm.example.com/accounts/{name}" for name in ids]),
        "do_not_contact": people.do_not_contact[account],
        "known_at": instants(known, 10 * 3600),
    }


def _versions(history: History, rng: np.random.Generator) -> tuple[Integers, Integers, Integers, Integers]:
    """Versions as (account, day, employees, owner), sorted by account and day."""
    people, clock = history.population, history.clock
    everyone, head_count = np.arange(len(people)), history.latent.head_count
    seen, owner = head_count[0].copy(), people.owner.copy()
    owners = int(people.owner.max(initial=0)) + 1
    pieces = [(everyone, people.created, seen.copy(), owner.copy())]
    for period in range(1, clock.periods):
        checks = period % MONTHS_BETWEEN_CHECKS == 0
        differs = np.abs(head_count[period] - seen) > CHANGE_SHARE * seen
        moves = rng.random(len(people)) < 0.003
        changed = (moves | (checks & differs)) & (people.created < clock.starts[period])
        owner = np.where(moves & changed & (owner >= 0), rng.integers(0, owners, len(people)), owner)
        seen = np.where(changed & checks & differs, head_count[period], seen)
        rows = np.flatnonzero(changed)
        day = clock.starts[period] + rng.integers(1, 20, len(rows))
        pieces.append((rows, day, seen[rows], owner[rows]))
    account, day, employees, owners_of = (np.concatenate([piece[n] for piece in pieces]) for n in range(4))
    order = np.lexsort((day, account))
    return account[order], day[order], employees[order], owners_of[order]


@dataclass(frozen=True)
class Contacts:
    """People at accounts; the contacts of account a are the positions ``first[a] … first[a + 1] - 1``."""

    account: Integers
    first: Integers

    def any_of(self, accounts: Integers, share: NDArray[np.float64]) -> Integers:
        """Position of one contact of each account, picked by a share from 0 to 1 (exclusive)."""
        count = self.first[accounts + 1] - self.first[accounts]
        return self.first[accounts] + (share * count).astype(np.int64)


def draw_contacts(history: History) -> Contacts:
    """Two to six people an account."""
    count = stream(history.seed, "contact counts").integers(2, 7, len(history.population))
    return Contacts(np.repeat(np.arange(len(count)), count), np.concatenate([[0], np.cumsum(count)]))


def contact_rows(history: History, contacts: Contacts) -> Columns:
    """Rows of `contacts.parquet`: a version when a person is met and one at every later touch."""
    people, clock = history.population, history.clock
    rng = stream(history.seed, "contacts")
    account, count = contacts.account, len(contacts.account)
    since = np.maximum(people.created[account], clock.first - 900) + rng.integers(0, 400, count)
    until = np.where(rng.random(count) < 0.1, since + rng.integers(200, 900, count), NEVER)
    role = rng.integers(0, len(words.ROLES), count)
    person, day = _touches(history, rng, account, since, until)
    kept = day < clock.until
    person, day = person[kept], day[kept]
    touched = day > since[person]
    gone = (until[person] < NEVER) & (day >= until[person])
    names = [f"{given} {family}" for given in words.GIVEN_NAMES for family in words.FAMILY_NAMES]
    champion = (rng.random(count) < 0.22 + 0.08 * np.tanh(people.health_mean[account]))[person]
    return {
        "contact_id": Words(person, numbered("C", count)),
        "account_id": Words(account[person], numbered("A", len(people))),
        "name": Words(rng.integers(0, len(names), count)[person], names),
        "role": Words(role[person], [name for name, _ in words.ROLES]),
        "area": Words(role[person], [area for _, area in words.ROLES]),
        "seniority": Words(rng.integers(0, 4, count)[person], words.SENIORITIES),
        "is_champion": champion,
        "is_sponsor": (rng.random(count) < 0.15)[person],
        "from_on": dates(since[person]),
        "to_on": dates(np.where(gone, until[person], NEVER)),
        "last_touch_at": instants(np.where(touched, day, NEVER), 9 * 3600),
        "opted_out": (rng.random(count) < 0.02)[person],
        "known_at": instants(day, 10 * 3600 + np.where(gone, 3600, 0)),
    }


def _touches(
    history: History, rng: np.random.Generator, account: Integers, since: Integers, until: Integers
) -> tuple[Integers, Integers]:
    """Days on which the record of a person changes, as (person, day), sorted and without repeats."""
    clock, people = history.clock, history.population
    everyone = np.arange(len(account))
    pieces = [(everyone, since), (everyone[until < NEVER], until[until < NEVER])]
    pace = 0.22 * np.exp(0.3 * people.health_mean[account])
    for period in range(clock.periods):
        customer = (people.joined[account] <= clock.starts[period]) & (history.left[account] > clock.starts[period])
        met = np.flatnonzero((rng.random(len(account)) < pace) & customer)
        day = clock.starts[period] + rng.integers(0, clock.days(period), len(met))
        within = (day > since[met]) & (day < until[met])
        pieces.append((met[within], day[within]))
    person, day = (np.concatenate([piece[n] for piece in pieces]) for n in range(2))
    key = np.unique(person * NEVER + day)
    return key // NEVER, key % NEVER
