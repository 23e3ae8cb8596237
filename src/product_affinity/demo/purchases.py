"""What new customers start with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from product_affinity.demo.population import Floats, Integers
from product_affinity.demo.products import Products

POPULARITY_DECAY = 0.4
SECOND_PRODUCT_CHANCE = 0.06
TASTE = 0.8


def first_baskets(
    rng: np.random.Generator, products: Products, segment: Integers, need: Floats, days: Integers, rounds: int
) -> NDArray[np.int64]:
    """Choose the products new customers start with: one recurring one, and with falling chance further ones.

    Parameters
    ----------
    rng : source of randomness.
    products : the catalogue; products earlier in it are the more popular beginnings.
    segment : per customer, position in `SEGMENTS`.
    need : customers × products, standardised.
    days : per customer, the day before which a product must have been launched.
    rounds : most products a customer may start with, at least 1.

    Returns
    -------
    Customers × rounds, position of the product bought, -1 for none.
    """
    customers, count = need.shape
    popularity = -POPULARITY_DECAY * np.arange(count) + np.where(products.one_time, -0.5, 0.0)
    owned = np.zeros((customers, count), dtype=bool)
    bought = np.full((customers, rounds), -1)
    launched = products.launched <= days[:, None]
    for number in range(rounds):
        allowed = products.allowed(owned, segment, int(days.max(initial=0))) & launched
        if number == 0:
            allowed &= ~products.one_time & ~products.requires.any(axis=1)
        taste = popularity + TASTE * need + rng.gumbel(size=need.shape)
        choice = np.where(allowed, taste, -np.inf).argmax(axis=1)
        buys = allowed.any(axis=1) & (rng.random(customers) < (1.0 if number == 0 else SECOND_PRODUCT_CHANCE))
        buys &= (number == 0) | (bought[:, number - 1] >= 0)
        rows = np.flatnonzero(buys)
        bought[rows, number] = choice[rows]
        owned[rows, choice[rows]] = True
    return bought
