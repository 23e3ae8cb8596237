"""Synthetic tables with a known truth, for benchmarks: pair worlds and single tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit

Vector = npt.NDArray[np.float64]


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


def pair_world(
    kind: str, seed: int, accounts: int = 2000, products: int = 12, months: int = 10, columns: int = 60
) -> PairWorld:
    """Simulate adoptions of products by accounts.

    Parameters
    ----------
    kind : {"shared", "specific"}
        "shared": a latent need drives adoption, seen through pair features whose effect is the
        same for every product. "specific": each product has its own effects of account features.
    seed : int
        Random seed.
    accounts, products, months, columns : int
        Size; ``columns`` account features, most of them weak or noise.

    """
    rng = np.random.default_rng(seed)
    state = rng.normal(size=(accounts, columns))
    rates = logit(rng.uniform(0.004, 0.03, products))
    trend = rng.normal(0, 0.3, products)
    effects = _account_effects(kind, rng, products, columns)
    need = rng.normal(size=(accounts, products))
    industry = rng.integers(0, 8, accounts)
    fit_of = rng.normal(0, 0.5, (8, products)) if kind == "specific" else np.zeros((8, products))
    owned = np.zeros((accounts, products), dtype=bool)
    frames = []
    for month in range(months):
        state = 0.9 * state + np.sqrt(1 - 0.81) * rng.normal(size=state.shape)
        need = 0.85 * need + np.sqrt(1 - 0.85**2) * rng.normal(size=need.shape)
        margin = rates + trend * np.sin(month / 4) + np.tanh(state) @ effects.T + fit_of[industry]
        if kind == "shared":
            margin = margin + 1.2 * need + 0.4 * (need > 0.5) * np.maximum(state[:, :1], 0) - 1.0
        probability = expit(margin)
        adopted = rng.random(probability.shape) < probability
        frames.append(
            _month(rng, month, state, need, industry, owned, probability, adopted, kind, rates, trend)
        )
        # thirty days of a ninety-day window have passed
        owned |= adopted & (rng.random(adopted.shape) < 1 / 3)
    return _stacked(frames, rng)


def _account_effects(kind: str, rng: np.random.Generator, products: int, columns: int) -> Vector:
    used = np.zeros(columns)
    used[:20] = 1.0
    common = rng.normal(0, 0.25, columns) * used
    if kind == "shared":
        return np.tile(common, (products, 1)) + rng.normal(0, 0.05, (products, columns)) * used
    return 0.3 * common + rng.normal(0, 0.35, (products, columns)) * used


def _month(rng, month, state, need, industry, owned, probability, adopted, kind, rates, trend):  # type: ignore[no-untyped-def]
    account, product = np.nonzero(~owned)
    columns = {f"account_{at:02d}": state[account, at] for at in range(state.shape[1])}
    noise = 0.7 if kind == "shared" else 3.0
    columns["pair_adjacent_use"] = np.maximum(
        need[account, product] + noise * rng.normal(size=len(account)), 0
    )
    columns["pair_problem_tags"] = (
        rng.poisson(np.exp(0.6 * need[account, product] - 1.0))
        if kind == "shared"
        else rng.poisson(0.4, len(account))
    )
    columns["pair_affinity"] = need[account, product] + 1.5 * noise * rng.normal(size=len(account))
    columns["products_owned"] = owned.sum(axis=1)[account]
    columns["recent_rate"] = (rates + trend * np.sin((month - 2) / 4))[product] + rng.normal(
        0, 0.15, rates.shape
    )[product]
    frame = pd.DataFrame(columns)
    frame["industry"] = pd.Categorical.from_codes(industry[account], [f"industry {at}" for at in range(8)])
    hidden = rng.random(len(frame)) < 0.1
    frame.loc[hidden, "account_03"] = np.nan
    return (
        frame,
        adopted[account, product],
        probability[account, product],
        product,
        account,
        np.full(len(account), 30 * month),
    )


def _stacked(frames, rng) -> PairWorld:  # type: ignore[no-untyped-def]
    names = ["X", "y", "truth", "product", "account", "as_of"]
    parts = dict(zip(names, zip(*frames, strict=True), strict=True))
    X = pd.concat(parts["X"], ignore_index=True)
    product = np.concatenate(parts["product"])
    price = rng.lognormal(9, 0.7, product.max() + 1)
    return PairWorld(
        X=X, y=np.concatenate(parts["y"]).astype(np.int64), truth=np.concatenate(parts["truth"]),
        product=np.array([f"product {at:02d}" for at in product]), account=np.concatenate(parts["account"]),
        as_of=np.concatenate(parts["as_of"]), value=price[product],
    )  # fmt: skip
