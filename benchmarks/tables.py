"""Single tables with a rare outcome, made up after the shape of well-known public ones.

Nothing here is real data: shapes, codes and rates follow public descriptions of insurance
cross-sell tables, effects are drawn at random, and the true probability of every row is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """A table with its outcome and the true probability of each row."""

    X: pd.DataFrame
    y: npt.NDArray[np.int64]
    truth: Vector


def _drawn(rng: np.random.Generator, X: pd.DataFrame, score: Vector, rate: float) -> Table:
    shift = brentq(lambda at: expit(score + at).mean() - rate, -30, 30)
    truth = expit(score + shift)
    return Table(X, (rng.random(len(X)) < truth).astype(np.int64), truth)


def _coded(values: Vector, shares: Vector) -> npt.NDArray[np.int64]:
    """Ordinal codes 0, 1, … with the given shares, by rank of the values."""
    ranks = values.argsort(kind="stable").argsort(kind="stable") / len(values)
    return np.searchsorted(np.cumsum(shares)[:-1], ranks, side="right")


def coded_insurance(seed: int, rows: int = 5822) -> Table:
    """5,822 × 85 coded columns, 6 % buyers: neighbourhood codes, then contributions and policies."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 40, rows)
    factors = rng.normal(size=(40, 6))[kind] + 0.5 * rng.normal(size=(rows, 6))
    columns: dict[str, npt.NDArray[np.int64]] = {"subtype": kind + 1, "main_type": kind // 4 + 1}
    weak = np.zeros(rows)
    for at in range(41):
        values = factors @ rng.normal(0, 0.6, 6) + rng.normal(size=rows)
        columns[f"area_{at:02d}"] = _coded(values, rng.dirichlet(np.full(10, 1.5)))
        weak += rng.normal(0, 0.05) * (values - values.mean()) / values.std()
    score = 1.3 * weak / max(weak.std(), 1e-9) * 0.45 + rng.normal(0, 0.25, 40)[kind]
    wealth = factors @ rng.normal(0, 0.3, 6)
    for at in range(21):
        share = rng.choice([0.02, 0.05, 0.1, 0.4, 0.5], p=[0.4, 0.25, 0.15, 0.1, 0.1])
        held = rng.random(rows) < expit(np.log(share / (1 - share)) + 0.5 * (wealth - wealth.mean()))
        level = _coded(rng.normal(size=rows) + 0.3 * wealth, np.array([0, 0.1, 0.1, 0.1, 0.2, 0.3, 0.2]))
        columns[f"contribution_{at:02d}"] = np.where(held, level, 0)
        columns[f"policies_{at:02d}"] = np.where(held, 1 + rng.poisson(0.1, rows), 0)
        if share >= 0.1:
            # only one level of what is paid stands out, as with full car cover
            score = score + held * rng.normal(0.2, 0.3) + (held & (level == 5)) * abs(rng.normal(0.7, 0.3))
    return _drawn(rng, pd.DataFrame(columns), score, 0.06)


def vehicle_insurance(seed: int, rows: int = 100_000) -> Table:
    """100,000 × 10 columns, 12 % buyers: region and channel codes, age with a peak, interactions."""
    rng = np.random.default_rng(seed)
    age = np.clip(20 + rng.gamma(1.6, 12, rows), 20, 85).round()
    region = rng.choice(53, rows, p=rng.dirichlet(np.full(53, 0.5)))
    channel = rng.choice(155, rows, p=rng.dirichlet(np.full(155, 0.15)))
    insured = rng.random(rows) < 0.46
    damage = rng.random(rows) < np.where(insured, 0.12, 0.85)
    old = np.where(age < 30, rng.random(rows) < 0.05, rng.random(rows) < 0.9)
    vehicle = np.where(old, np.where(rng.random(rows) < 0.08, "> 2 years", "1-2 years"), "< 1 year")
    premium = np.where(rng.random(rows) < 0.17, 2630.0, rng.lognormal(10.3, 0.45, rows)).round()
    score = (
        -4.0 * insured
        + 1.8 * damage
        + 1.1 * np.exp(-(((age - 43) / 12) ** 2))
        + 0.5 * (vehicle == "> 2 years")
        + rng.normal(0, 0.3, 53)[region]
        + rng.normal(0, 0.6, 155)[channel]
        + 0.7 * damage * (rng.normal(0, 1, 155)[channel] > 0.8)
        - 0.4 * (age < 28) * (premium > 30_000)
    )
    X = pd.DataFrame(
        {
            "gender": rng.choice(["female", "male"], rows),
            "age": age,
            "licence": (rng.random(rows) < 0.998).astype(int),
            "region_code": region.astype(float),
            "previously_insured": insured.astype(int),
            "vehicle_age": vehicle,
            "vehicle_damage": np.where(damage, "yes", "no"),
            "annual_premium": premium,
            "sales_channel": channel.astype(float),
            "vintage_days": rng.integers(10, 300, rows),
        }
    )
    return _drawn(rng, X, score, 0.12)


def many_weak(seed: int, rows: int = 1500, columns: int = 120) -> Table:
    """1,500 × 120 numbers in correlated blocks, each of little effect, 8 % buyers."""
    rng = np.random.default_rng(seed)
    blocks = np.repeat(rng.normal(size=(rows, columns // 10)), 10, axis=1)
    values = 0.6 * blocks + 0.8 * rng.normal(size=(rows, columns))
    score = values @ rng.normal(0, 0.1, columns)
    names = [f"signal_{at:03d}" for at in range(columns)]
    frame = pd.DataFrame(values.round(1), columns=names)
    return _drawn(rng, frame.mask(rng.random(frame.shape) < 0.03), score, 0.08)


def interactions(seed: int, rows: int = 10_000, columns: int = 20) -> Table:
    """10,000 × 20 numbers, thresholds and products of pairs drive the outcome, 8 % buyers."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    score = 0.3 * values[:, 0] - 0.3 * values[:, 1]
    for _ in range(5):
        one, other = rng.choice(columns, 2, replace=False)
        sign = rng.choice([-1, 1])
        score = score + sign * 0.8 * np.tanh(values[:, one] * values[:, other])
        score = score + 1.2 * ((values[:, one] > 0.5) & (values[:, other] < 0.3))
    frame = pd.DataFrame(values, columns=[f"number_{at:02d}" for at in range(columns)])
    return _drawn(rng, frame, score, 0.08)


def linear(seed: int, rows: int = 4000, columns: int = 30) -> Table:
    """4,000 × 30 numbers with a purely linear score, 7 % buyers: logistic regression's home."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns))
    score = values @ (rng.normal(0, 0.25, columns))
    frame = pd.DataFrame(values, columns=[f"number_{at:02d}" for at in range(columns)])
    return _drawn(rng, frame, score, 0.07)


KINDS: dict[str, Callable[[int], Table]] = {
    "coded insurance": coded_insurance,
    "vehicle insurance": vehicle_insurance,
    "many weak": many_weak,
    "interactions": interactions,
    "linear": linear,
}
