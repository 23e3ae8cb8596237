"""What makes an account adopt, churn and answer to outreach: the two worlds of the demo company.

Daily *interest* of an account in a product it does not own is

    interest = exp(intercept + season + lasting + b_health * health + b_growth * growth + b_need * need
                   + winback * owned_before),

capped at `MAX_INTEREST`. In the world ``shared`` the lasting part is a need that many products share through
common factors, and everything shows in signals of the *pair* (use of adjacent features, problems, what else
is owned). In the world ``specific`` each product has its own random coefficients on signals of the *account*
and pair signals say nothing about adoption.

Each day, an idle pair adopts by itself with chance ``direct * interest``; an opportunity opens with chance
``(1 - direct) * interest / win_share``; an open opportunity closes with chance ``1 / cycle_days`` and is won
with `win_share`; a lost one silences the pair for half a year; a treated play adds `play_chance` for three
periods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.clock import Clock, to_date
from product_affinity.demo.population import (
    FACTORS,
    INDUSTRIES,
    REGIONS,
    Floats,
    Integers,
    Latent,
    Population,
)
from product_affinity.demo.products import SEGMENTS, Products
from product_affinity.demo.randomness import stream

Rows = slice | Integers
World = Literal["shared", "specific"]

MAX_INTEREST = 0.004
WINBACK_WEIGHT = 1.1
"""Log of how much more often a product is taken up again than taken up first."""
DAYS_OF_TARGET = 90.0
SEASON_BY_MONTH = np.log([1.0, 1.0, 1.05, 1.0, 1.0, 1.0, 0.9, 0.85, 1.05, 1.1, 1.1, 0.95])
CHURN_CHANCE = 0.00036
CHURN_AT_RENEWAL = 3.0
MAX_CHURN = 0.02
DROP_CHANCE = 0.0006
PLAY_SELECTION = 0.009
"""Chance that an idle pair of a reachable account enters a play at an as-of date; plays a pair are rare."""
ARM_PROBABILITY = 0.7
UPLIFT_TARGET = 0.045


@dataclass(frozen=True)
class Effects:
    """Parameters of the world; chances are per day.

    Attributes
    ----------
    intercept, health, growth : per product.
    need : weight of the moving need, the same for all products.
    lasting : accounts × products.
    season : per period start of the clock, added to the intercept.
    direct : per product, share of adoptions without an opportunity.
    win_share : accounts × products, share of opportunities won.
    cycle_days : per product, mean days from opening to closing.
    play_chance : accounts × products, added daily chance during a treated play.
    selection : per account, chance that an idle pair enters a play at an as-of date.
    arm_probability : share of plays that are treated.
    shown : accounts × products, lasting part of the need that pair signals show.
    churn_traits, churn_season : per account, and periods × 12 renewal months: factors of the chance to churn.
    """

    intercept: Floats
    health: Floats
    growth: Floats
    need: float
    lasting: Floats
    season: Floats
    direct: Floats
    win_share: Floats
    cycle_days: Floats
    play_chance: Floats
    selection: Floats
    arm_probability: float
    shown: Floats
    churn_traits: Floats
    churn_season: Floats

    def with_arm_probability(self, probability: float) -> Effects:
        """Return the same world with another share of treated plays."""
        return replace(self, arm_probability=probability)

    def interest(
        self,
        point: int,
        rows: Rows,
        health: Floats,
        growth: Floats,
        need: Floats,
        returning: NDArray[np.bool_],
    ) -> Floats:
        """Daily interest of accounts × products.

        Parameters
        ----------
        point : period start.
        rows : accounts asked for.
        health, growth, need : their states, of those accounts and accounts × products.
        returning : accounts × products, whether the product was owned before.
        """
        moving = health[:, None] * self.health + growth[:, None] * self.growth + self.need * need
        moving += WINBACK_WEIGHT * returning
        interest: Floats = np.exp(self.intercept + self.season[point] + self.lasting[rows] + moving)
        return np.minimum(interest, MAX_INTEREST)

    def opening(self, interest: Floats, rows: Rows) -> Floats:
        """Daily chance that an opportunity opens."""
        opening: Floats = (1.0 - self.direct) * interest / self.win_share[rows]
        return opening

    def churn(self, point: int, rows: Rows, health: Floats, renewal_month: NDArray[np.int64]) -> Floats:
        """Daily chance that an account leaves; it falls with health and rises in the month of the renewal."""
        season: Floats = self.churn_season[point, renewal_month[rows]]
        return np.minimum(self.churn_traits[rows] * np.exp(-0.7 * health) * season, MAX_CHURN)


def draw_effects(
    population: Population, latent: Latent, products: Products, clock: Clock, seed: int, world: World
) -> Effects:
    """Draw a world and set its intercepts so that products reach their intended rates.

    Parameters
    ----------
    population, latent, products, clock, seed : of the demo company.
    world : ``"shared"`` or ``"specific"``, see the module's text.
    """
    rng = stream(seed, f"effects {world}")
    accounts, count = len(population), len(products)
    shown = _shared_need(rng, population, products)
    health, growth, need = np.full(count, 0.22), np.full(count, 0.18), 0.85
    lasting = 0.85 * shown
    if world == "specific":
        lasting, health, growth, need = _own_coefficients(rng, population, count)
    signal = lasting + latent.health[0][:, None] * health + latent.growth[0][:, None] * growth
    level = np.exp(signal + need * latent.need[0]).mean(axis=0)
    heat = 0.5 * population.receptive[:, None] + 0.35 * _standard(lasting)
    uplift = UPLIFT_TARGET * np.exp(heat - heat.var() / 2) * rng.uniform(0.6, 1.4, count)
    return Effects(
        intercept=np.log(target_rates(products, clock) / DAYS_OF_TARGET) - np.log(level),
        health=health,
        growth=growth,
        need=need,
        lasting=lasting,
        season=SEASON_BY_MONTH[[to_date(day).month % 12 for day in clock.starts]],
        direct=np.where(products.one_time, 0.7, rng.uniform(0.35, 0.55, count)),
        win_share=_win_share(rng, population, count),
        cycle_days=np.clip(22 + products.price / 1000, 22, 45).astype(np.float64),
        play_chance=np.minimum(uplift, 0.3) / DAYS_OF_TARGET,
        selection=PLAY_SELECTION
        * np.where(population.segment > 0, 1.5, 1.0)
        * ~(population.do_not_contact | (population.owner < 0)),
        arm_probability=ARM_PROBABILITY,
        shown=shown,
        churn_traits=CHURN_CHANCE * np.exp(0.2 * rng.normal(size=accounts)),
        churn_season=_churn_season(clock),
    )


def target_rates(products: Products, clock: Clock) -> Floats:
    """Intended share of idle pairs interested within 90 days: 2.5 % to 1.2 % by price, the dearest .12 %.

    A product launched within the history starts in demand.
    """
    rank = np.argsort(np.argsort(products.price, kind="stable"), kind="stable")
    rates = np.interp(rank, [0, len(products) - 1], [0.025, 0.012])
    if len(products) > 1:
        rates[np.argmax(products.price)] = 0.0012
    return np.where(products.launched > clock.first, rates * 1.8, rates)


def _shared_need(rng: np.random.Generator, population: Population, products: Products) -> Floats:
    """Lasting need: products of a category load on the same factors."""
    categories = sorted({product.category for product in products.catalog})
    of_category = rng.normal(size=(len(categories), FACTORS))
    own = rng.normal(size=(len(products), FACTORS))
    position = [categories.index(product.category) for product in products.catalog]
    loadings = of_category[position] + 0.7 * own
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    by_segment = rng.normal(0.0, 0.3, (len(SEGMENTS), len(products)))
    by_industry = rng.normal(0.0, 0.3, (len(INDUSTRIES), len(products)))
    fit = by_segment[population.segment] + by_industry[population.industry]
    need: Floats = population.factors @ loadings.T + fit
    return need


def _own_coefficients(
    rng: np.random.Generator, population: Population, count: int
) -> tuple[Floats, Floats, Floats, float]:
    """Lasting effects, health and growth coefficients per product; the moving need has none.

    Signs differ between products, except for health, growth and the use of seats, which never harm.
    """
    traits = np.column_stack([population.log_employees, population.seniority])
    coefficients = rng.uniform(0.5, 1.0, (2, count)) * rng.choice([-1.0, 1.0], (2, count))
    by_region = rng.normal(0.0, 0.4, (len(REGIONS), count))
    by_industry = rng.normal(0.0, 0.2, (len(INDUSTRIES), count))
    seats_used, health, growth = rng.uniform(0.0, 1.0, (3, count)) * np.array([[1.0], [0.9], [0.4]])
    lasting = traits @ coefficients + by_region[population.region] + by_industry[population.industry]
    return lasting + population.utilisation[:, None] * seats_used, health, growth, 0.0


def _standard(values: Floats) -> Floats:
    standard: Floats = (values - values.mean(axis=0)) / values.std(axis=0)
    return standard


def _churn_season(clock: Clock) -> Floats:
    season = np.full((len(clock.starts), 12), 0.8)
    for point, day in enumerate(clock.starts):
        season[point, to_date(day).month % 12] = CHURN_AT_RENEWAL
    return season


def _win_share(rng: np.random.Generator, population: Population, count: int) -> Floats:
    score = 0.3 * rng.normal(size=count) + 0.4 * population.receptive[:, None] - 0.4
    return np.clip(1.0 / (1.0 + np.exp(-score)), 0.25, 0.7)
