"""Who the demo company's customers are, and the hidden states that drive what they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.clock import NEVER, Clock
from product_affinity.demo.randomness import stream
from product_affinity.project.settings import SegmentSettings

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INDUSTRIES = (
    "software",
    "retail",
    "manufacturing",
    "healthcare",
    "finance",
    "media",
    "logistics",
    "education",
)
INDUSTRY_SHARES = (0.2, 0.16, 0.15, 0.12, 0.12, 0.09, 0.09, 0.07)
COUNTRIES = ("US", "CA", "BR", "GB", "DE", "FR", "NL", "NO", "SE", "AU", "JP", "SG", "NA")
COUNTRY_SHARES = (0.36, 0.06, 0.03, 0.13, 0.12, 0.08, 0.05, 0.03, 0.03, 0.05, 0.03, 0.02, 0.01)
REGIONS = ("Americas", "EMEA", "APAC")
REGION_OF_COUNTRY = np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 1])
FACTORS = 3
PERSISTENCE = 0.92
"""What is left of a state's deviation after one period, for all states alike."""
ACCOUNTS_PER_OWNER = 80
LONGEST_TENURE_DAYS = 1500


@dataclass(frozen=True)
class Population:
    """All accounts the company ever had, one entry each.

    Attributes
    ----------
    employees : head count at the start; it grows, but never into another segment, so that who may buy what is
        fixed.
    segment, industry, country, region : positions in `SEGMENTS`, `INDUSTRIES`, `COUNTRIES`, `REGIONS`.
    owner : position of the owner, -1 for nobody.
    parent : position of the parent account, -1 for none.
    do_not_contact : nobody may reach out.
    joined : day of the first purchase; `NEVER` for prospects.
    created : day the account entered the CRM, before `joined`.
    factors : accounts × 3, what kinds of work the company does: products that need the same kind go together.
    health_mean, utilisation, core_adoption, support_load, receptive : standardised lasting traits.
    """

    employees: Integers
    segment: Integers
    industry: Integers
    country: Integers
    region: Integers
    owner: Integers
    parent: Integers
    do_not_contact: NDArray[np.bool_]
    joined: Integers
    created: Integers
    factors: Floats
    health_mean: Floats
    utilisation: Floats
    core_adoption: Floats
    support_load: Floats
    receptive: Floats

    def __len__(self) -> int:
        return len(self.employees)

    @property
    def seniority(self) -> Floats:
        """How early the account became a customer, -1 to 1.5, 0 for the median account; prospects -1."""
        return np.clip((np.median(self.joined) - self.joined) / 600.0, -1.0, 1.5)

    @property
    def log_employees(self) -> Floats:
        """Standardised logarithm of the head count."""
        standard: Floats = (np.log(self.employees) - np.log(150.0)) / 1.25
        return standard


def draw_population(accounts: int, clock: Clock, seed: int) -> Population:
    """Draw the accounts.

    Parameters
    ----------
    accounts : how many, prospects and churned customers included.
    clock, seed : of the demo company.
    """
    rng = stream(seed, "population")
    employees = np.maximum(5, rng.lognormal(np.log(150.0), 1.25, accounts)).astype(np.int64)
    industry = rng.choice(len(INDUSTRIES), accounts, p=INDUSTRY_SHARES)
    country = rng.choice(len(COUNTRIES), accounts, p=COUNTRY_SHARES)
    kinds = rng.normal(0.0, 0.55, (len(INDUSTRIES), FACTORS))
    joined = _draw_joining(rng, accounts, clock)
    factors = kinds[industry] + rng.normal(0.0, 0.85, (accounts, FACTORS))
    owners = max(1, round(accounts / ACCOUNTS_PER_OWNER))
    positions = np.arange(accounts)
    has_parent = (rng.random(accounts) < 0.04) & (positions > 20)
    return Population(
        employees=employees,
        segment=segment_of(employees),
        industry=industry,
        country=country,
        region=REGION_OF_COUNTRY[country],
        owner=np.where(rng.random(accounts) < 0.015, -1, rng.integers(0, owners, accounts)),
        parent=np.where(has_parent, rng.integers(0, np.maximum(positions, 1)), -1),
        do_not_contact=rng.random(accounts) < 0.01,
        joined=joined,
        created=np.minimum(joined, clock.until) - rng.integers(20, 200, accounts),
        factors=factors,
        health_mean=rng.normal(0.0, 0.6, accounts),
        utilisation=rng.normal(0.0, 1.0, accounts),
        core_adoption=rng.normal(0.0, 1.0, accounts),
        support_load=rng.normal(0.0, 1.0, accounts),
        receptive=rng.normal(0.0, 1.0, accounts),
    )


def _draw_joining(rng: np.random.Generator, accounts: int, clock: Clock) -> Integers:
    fate = rng.random(accounts)
    before = clock.first - rng.integers(1, LONGEST_TENURE_DAYS, accounts)
    within = rng.integers(clock.first, clock.until, accounts)
    return np.where(fate < 0.70, before, np.where(fate < 0.97, within, NEVER))


def segment_of(employees: Integers) -> Integers:
    """Position in `SEGMENTS` of each head count, by the default bounds of `[segments]`.

    >>> segment_of(np.array([199, 200, 1000, 1001])).tolist()
    [0, 1, 1, 2]
    """
    bounds = SegmentSettings()
    mid, enterprise = bounds.mid_market_from_employees, bounds.enterprise_above_employees
    return (employees >= mid).astype(np.int64) + (employees > enterprise)


@dataclass(frozen=True)
class Latent:
    """Hidden states at each period start; what happens later never changes them.

    Attributes
    ----------
    health, growth : period starts × accounts; deviations with standard deviation .8 and 1 around
        `health_mean` and 0.
    need : period starts × accounts × products, the moving part of each need, standard deviation 1.
    activity : period starts × accounts, log level of use; it follows growth with delay.
    head_count : period starts × accounts, employees.
    """

    health: Floats
    growth: Floats
    need: NDArray[np.float32]
    activity: Floats
    head_count: Integers


HEALTH_SPREAD = 0.8


def draw_latent(population: Population, products: int, clock: Clock, seed: int) -> Latent:
    """Draw first-order autoregressions that start in their stationary distribution.

    Parameters
    ----------
    population : accounts; `health_mean` is where health returns to.
    products : how many.
    clock, seed : of the demo company.
    """
    points, accounts = clock.periods + 1, len(population)
    deviation = _autoregression(stream(seed, "health"), points, (accounts,)) * HEALTH_SPREAD
    growth = _autoregression(stream(seed, "growth"), points, (accounts,))
    activity = np.zeros((points, accounts))
    activity[0] = 0.55 * growth[0]
    for point in range(1, points):
        activity[point] = 0.75 * activity[point - 1] + 0.15 * growth[point]
    return Latent(
        health=population.health_mean + deviation,
        growth=growth,
        need=_autoregression(stream(seed, "need"), points, (accounts, products)).astype(np.float32),
        activity=activity,
        head_count=_head_count(population, growth),
    )


def _autoregression(rng: np.random.Generator, points: int, shape: tuple[int, ...]) -> Floats:
    state = np.empty((points, *shape))
    state[0] = rng.normal(size=shape)
    for point in range(1, points):
        state[point] = PERSISTENCE * state[point - 1] + np.sqrt(1 - PERSISTENCE**2) * rng.normal(size=shape)
    return state


def _head_count(population: Population, growth: Floats) -> Integers:
    bounds = SegmentSettings()
    low = np.array([1, bounds.mid_market_from_employees, bounds.enterprise_above_employees + 1])
    high = np.array([bounds.mid_market_from_employees - 1, bounds.enterprise_above_employees, NEVER])
    log_count = np.log(population.employees) + np.cumsum(0.004 + 0.012 * growth, axis=0)
    count: Integers = np.exp(log_count).astype(np.int64)
    return np.clip(count, low[population.segment], high[population.segment])
