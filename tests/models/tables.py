"""Small tables with a known truth."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit


@dataclass(frozen=True)
class Table:
    """Rows with keys and the true probability of each."""

    X: pd.DataFrame
    y: np.ndarray
    truth: np.ndarray
    product: np.ndarray
    account: np.ndarray
    as_of: np.ndarray

    @property
    def keys(self):
        return {"product": self.product, "account": self.account, "as_of": self.as_of}


def pairs(seed=0, accounts=600, months=8, rates=(-2.5, -3.0, -3.5)):
    """Accounts × products × months; every product has its own effect of one shared column."""
    rng = np.random.default_rng(seed)
    size = accounts * len(rates) * months
    product = np.tile(np.arange(len(rates)), size // len(rates))
    account = np.repeat(np.arange(accounts), len(rates) * months)
    month = np.tile(np.repeat(np.arange(months), len(rates)), accounts)
    X = pd.DataFrame(
        {
            "usage": rng.normal(size=size),
            "adjacent": rng.normal(size=size),
            "seats": rng.lognormal(3, 1, size),
            "plan": pd.Categorical(rng.choice(["basic", "pro", "top"], size)),
            "country": rng.choice(["DE", "FR", "UK"], size),
        }
    )
    effect = np.array([1.2, -0.8, 0.4])[product % 3]
    margin = np.array(rates)[product] + effect * X["usage"] + 0.6 * X["adjacent"]
    truth = expit(margin + 0.5 * (X["plan"] == "pro"))
    y = (rng.random(size) < truth).astype(int)
    X.loc[rng.random(size) < 0.1, "adjacent"] = np.nan
    names = np.array(["crm", "billing", "desk"])[product]
    dates = (pd.Timestamp("2025-01-01") + pd.to_timedelta(30 * month, unit="D")).to_numpy()
    return Table(X, y, truth.to_numpy(), names, np.char.add("A", account.astype(str)), dates)


def thresholds(seed=0):
    """The accounts, products and months of :func:`pairs`; usage of a middle range draws all products alike."""
    table = pairs(seed)
    drawn = (table.X["usage"].abs() < 0.6) & (table.X["seats"] > 15)
    truth = expit(-3.5 + 2.2 * drawn).to_numpy()
    y = (np.random.default_rng(seed).random(len(truth)) < truth).astype(int)
    return replace(table, y=y, truth=truth)


def single(seed=0, rows=3000, columns=6, base=-2.5):
    """One row an account, no product and no date."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(rows, columns)), columns=[f"column_{at}" for at in range(columns)])
    X["channel"] = rng.choice(["mail", "phone", "web"], rows)
    truth = expit(base + X["column_0"] - 0.5 * X["column_1"] + (X["channel"] == "web") * 0.7)
    y = (rng.random(rows) < truth).astype(int)
    nothing = np.full(rows, "x")
    return Table(X, y, truth.to_numpy(), nothing, nothing, nothing)
