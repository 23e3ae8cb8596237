"""(account, product, as-of) rows with a known truth, in a shared and a product-specific world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

Vector = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairWorld:
    """(account, product, as-of) rows with the true probability of each.

    Parameters
    ----------
    X : pd.DataFrame
        Features.
    y : ndarray
        Adoption within the horizon.
    truth : ndarray
        Its probability.
    product, account, as_of : ndarray
        Keys of each row; ``as_of`` in days.
    value : ndarray
        Expected yearly revenue of an adoption, USD.

    """

    X: pd.DataFrame
    y: npt.NDArray[np.int64]
    truth: Vector
    product: npt.NDArray[np.str_]
    account: npt.NDArray[np.int64]
    as_of: npt.NDArray[np.int64]
    value: Vector

    def rows(self, mask: npt.NDArray[np.bool_]) -> PairWorld:
        """The rows where the mask holds."""
        return PairWorld(
            self.X[mask].reset_index(drop=True), self.y[mask], self.truth[mask], self.product[mask],
            self.account[mask], self.as_of[mask], self.value[mask],
        )  # fmt: skip


@dataclass(frozen=True)
class Effects:
    """What drives adoption, drawn once per world.

    Parameters
    ----------
    rates, trends : ndarray of shape (products,)
        Base log-odds, and how far they swing over the months.
    account : ndarray of shape (products, columns)
        Effect of each account column.
    industry : ndarray of shape (8, products)
        Effect of each industry.
    need : float
        Effect of the latent need for a product; 0 where there is none.

    """

    rates: Vector
    trends: Vector
    account: Vector
    industry: Vector
    need: float


def pair_world(
    kind: str,
    seed: int,
    accounts: int = 2000,
    products: int = 12,
    months: int = 12,
    columns: int = 60,
    rarity: float = 0.0,
) -> PairWorld:
    """Simulate adoptions of products by accounts, month by month.

    Parameters
    ----------
    kind : {"shared", "specific"}
        "shared": a latent need drives adoption, seen through pair features whose effect is the
        same for every product. "specific": each product has its own effects of account features.
    seed : int
        Random seed.
    accounts, products, months, columns : int
        Size; of ``columns`` account features twenty have effects, the rest is noise.
    rarity : float
        What to take off every log-odds.

    """
    rng = np.random.default_rng(seed)
    effects = _effects(kind, rng, products, columns)
    price = rng.lognormal(9, 0.7, products)
    industry = rng.integers(0, 8, accounts)
    state = rng.normal(size=(accounts, columns))
    need = rng.normal(size=(accounts, products))
    owned = np.zeros((accounts, products), dtype=bool)
    parts = []
    for month in range(months):
        state = 0.9 * state + np.sqrt(1 - 0.9**2) * rng.normal(size=state.shape)
        need = 0.85 * need + np.sqrt(1 - 0.85**2) * rng.normal(size=need.shape)
        probability = expit(_margin(effects, month, state, need, industry) - rarity)
        adopted = rng.random(probability.shape) < probability
        open_pairs = np.nonzero(~owned)
        X = _features(rng, effects, month, state, need, open_pairs)
        X["industry"] = pd.Categorical.from_codes(industry[open_pairs[0]], [f"industry {at}" for at in range(8)])
        X["products_owned"] = owned.sum(axis=1)[open_pairs[0]]
        parts.append(_rows(X, adopted, probability, open_pairs, month, price))
        # thirty days of a ninety-day window have passed
        owned |= adopted & (rng.random(adopted.shape) < 1 / 3)
    return _joined(parts)


def _effects(kind: str, rng: np.random.Generator, products: int, columns: int) -> Effects:
    rates = logit(rng.uniform(0.004, 0.03, products))
    trends = rng.normal(0, 0.3, products)
    used = (np.arange(columns) < 20).astype(float)
    common = rng.normal(0, 0.25, columns) * used
    if kind == "shared":
        account = np.tile(common, (products, 1)) + rng.normal(0, 0.05, (products, columns)) * used
        return Effects(rates - 1.0, trends, account, np.zeros((8, products)), need=1.2)
    account = 0.3 * common + rng.normal(0, 0.35, (products, columns)) * used
    return Effects(rates, trends, account, rng.normal(0, 0.5, (8, products)), need=0.0)


def _margin(effects: Effects, month: int, state: Vector, need: Vector, industry: Codes) -> Vector:
    level = effects.rates + effects.trends * np.sin(month / 4)
    margin = level + np.tanh(state) @ effects.account.T + effects.industry[industry]
    met = 0.4 * (need > 0.5) * np.maximum(state[:, :1], 0) if effects.need else 0.0
    return np.asarray(margin + effects.need * need + met)


def _features(
    rng: np.random.Generator,
    effects: Effects,
    month: int,
    state: Vector,
    need: Vector,
    pairs: tuple[Codes, Codes],
) -> pd.DataFrame:
    account, product = pairs
    size = len(account)
    # without an effect of need, what looks like its signals is noise
    noise = 0.7 if effects.need else 3.0
    wanted = need[pairs]
    columns = {f"account_{at:02d}": state[account, at] for at in range(state.shape[1])}
    columns["pair_adjacent_use"] = np.maximum(wanted + noise * rng.normal(size=size), 0)
    columns["pair_problem_tags"] = rng.poisson(np.exp(0.6 * wanted * (effects.need > 0) - 1.0))
    columns["pair_affinity"] = wanted + 1.5 * noise * rng.normal(size=size)
    recent = effects.rates + effects.trends * np.sin((month - 2) / 4) + rng.normal(0, 0.15, len(effects.rates))
    columns["recent_rate"] = recent[product]
    frame = pd.DataFrame(columns)
    frame["account_03"] = frame["account_03"].mask(rng.random(size) < 0.1)
    return frame


def _rows(
    X: pd.DataFrame,
    adopted: npt.NDArray[np.bool_],
    probability: Vector,
    pairs: tuple[Codes, Codes],
    month: int,
    price: Vector,
) -> PairWorld:
    account, product = pairs
    names = np.array([f"product {at:02d}" for at in range(len(price))])
    return PairWorld(
        X=X,
        y=adopted[pairs].astype(np.int64),
        truth=probability[pairs],
        product=names[product],
        account=account,
        as_of=np.full(len(account), 30 * month),
        value=price[product],
    )


def _joined(parts: list[PairWorld]) -> PairWorld:
    def joined(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return PairWorld(
        X=pd.concat([part.X for part in parts], ignore_index=True),
        y=joined("y"),
        truth=joined("truth"),
        product=joined("product"),
        account=joined("account"),
        as_of=joined("as_of"),
        value=joined("value"),
    )
