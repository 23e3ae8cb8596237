"""Which product next: of what an account owns, one product is hidden; who finds it?

Rows are account × candidate product, and there are no dates. In a *large catalogue* accounts own twenty of 150
products; every column comes from the other products that the account owns and from who owns what, and no product
identity enters: ``PropensityClassifier().fit(X, is_hidden, account=account)``. In a *small catalogue* of twenty
products the columns are who the account is and which of the twenty it visibly owns, and the product is told:
``fit(X, is_hidden, product=product, account=account)``.

Run ``python -m benchmarks.which_next``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed
from scipy.special import expit

from product_affinity.models import PropensityClassifier

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
NEGATIVES = 30


@dataclass(frozen=True)
class Baskets:
    """Who visibly owns what, and the hidden product of each account.

    Parameters
    ----------
    owned : ndarray of shape (accounts, products)
        1 for each visible product, nineteen an account.
    hidden : ndarray of shape (accounts,)
        The twentieth.
    category : ndarray of shape (products,)
        Category of each product.

    """

    owned: Matrix
    hidden: Codes
    category: Codes


def simulate_baskets(seed: int, accounts: int = 3000, products: int = 150, size: int = 20) -> Baskets:
    """Draw ownership from popularity, latent taste and category, then hide one product each."""
    rng = np.random.default_rng(seed)
    category = rng.integers(0, 12, products)
    taste = rng.normal(size=(accounts, 6))
    character = rng.normal(size=(12, 6))[category] * 0.5 + rng.normal(size=(products, 6)) * 0.35
    appeal = rng.normal(0, 1.0, products) + taste @ character.T + rng.gumbel(size=(accounts, products))
    chosen = np.argsort(-appeal, axis=1)[:, :size]
    hidden = chosen[np.arange(accounts), rng.integers(0, size, accounts)]
    owned = np.zeros((accounts, products))
    np.put_along_axis(owned, chosen, 1.0, axis=1)
    owned[np.arange(accounts), hidden] = 0.0
    return Baskets(owned, hidden, category)


def pair_columns(baskets: Baskets) -> dict[str, Matrix]:
    """Columns of every account × product, from the visible products alone."""
    owned = baskets.owned
    count = owned.sum(axis=0)
    together = owned.T @ owned
    np.fill_diagonal(together, 0.0)
    given = together / np.maximum(count, 1.0)[:, None]
    cosine = together / np.sqrt(np.maximum(np.outer(count, count), 1.0))
    lift = np.log((together + 1.0) * len(owned) / (np.outer(count, count) + len(owned)))
    held = np.maximum(owned.sum(axis=1, keepdims=True), 1.0)
    same = baskets.category[:, None] == baskets.category[None, :]
    left, scale, right = np.linalg.svd(owned - owned.mean(axis=0), full_matrices=False)
    best = np.stack([np.where(row > 0, cosine.T, 0.0).max(axis=1) for row in owned])
    return {
        "popularity_log": np.tile(np.log1p(count), (len(owned), 1)),
        "given_mean_share": owned @ given / held,
        "cosine_mean": owned @ cosine / held,
        "cosine_max": best,
        "lift_mean_log": owned @ lift / held,
        "same_category_share": owned @ same / held,
        **{f"latent_{rank}": (left[:, :rank] * scale[:rank]) @ right[:rank] for rank in (4, 8, 16)},
    }


def training_rows(baskets: Baskets, accounts: Codes, seed: int) -> tuple[Codes, Codes, Codes]:
    """(account, product, is_hidden) of the hidden product and thirty others of each account."""
    rng = np.random.default_rng(seed)
    rows = []
    for account in accounts:
        free = np.flatnonzero(baskets.owned[account] == 0)
        others = rng.choice(free[free != baskets.hidden[account]], NEGATIVES, replace=False)
        for product in [baskets.hidden[account], *others]:
            rows.append((account, product, int(product == baskets.hidden[account])))
    account, product, hidden = np.array(rows, dtype=np.int64).T
    return account, product, hidden


def ranks_of_hidden(baskets: Baskets, scores: Matrix, accounts: Codes) -> Codes:
    """Rank of the hidden product among those not visibly owned; ties count against the score."""
    found = scores[accounts]
    free = baskets.owned[accounts] == 0
    own = found[np.arange(len(accounts)), baskets.hidden[accounts]]
    return np.asarray((free & (found >= own[:, None])).sum(axis=1), dtype=np.int64)


def compare(seed: int) -> pd.DataFrame:
    """Hit rates and mean reciprocal rank of the classifier, popularity and co-occurrence."""
    baskets = simulate_baskets(seed)
    columns = pair_columns(baskets)
    order = np.random.default_rng(seed).permutation(len(baskets.hidden))
    train, test = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    account, product, hidden = training_rows(baskets, train, seed)
    X = pd.DataFrame({name: values[account, product] for name, values in columns.items()})
    model = PropensityClassifier(n_seeds=1).fit(X, hidden, account=account)
    every = pd.DataFrame({name: values[test].ravel() for name, values in columns.items()})
    learnt = np.zeros_like(baskets.owned)
    learnt[test] = model.predict_proba(every)[:, 1].reshape(len(test), -1)
    scores = {
        "popularity": columns["popularity_log"],
        "item co-occurrence": columns["given_mean_share"],
        "cosine co-occurrence": columns["cosine_mean"],
        "PropensityClassifier": learnt,
    }
    return figures(baskets, scores, test)


def simulate_small(seed: int, accounts: int = 6000, products: int = 20) -> tuple[Baskets, pd.DataFrame]:
    """Draw who owns which of twenty products from taste, line of business, job and age; two or more each."""
    rng = np.random.default_rng(seed)
    line, job = rng.integers(0, 12, accounts), rng.integers(0, 60, accounts)
    age = rng.normal(40, 12, accounts).round()
    appeal = rng.normal(-1.8, 1.2, products) + rng.normal(size=(accounts, 4)) @ rng.normal(0, 0.6, (4, products))
    appeal += rng.normal(0, 0.6, (12, products))[line] + rng.normal(0, 0.4, (60, products))[job]
    appeal += np.outer((age - 40) / 12, rng.normal(0, 0.4, products))
    owned = rng.random(appeal.shape) < expit(appeal)
    several = owned.sum(axis=1) >= 2
    owned = owned[several].astype(float)
    hidden = np.array([rng.choice(np.flatnonzero(row)) for row in owned])
    owned[np.arange(len(owned)), hidden] = 0.0
    people = pd.DataFrame({"line": line, "job": job, "age": age})[several].astype({"line": str, "job": str})
    return Baskets(owned, hidden, np.zeros(products, dtype=np.int64)), people.reset_index(drop=True)


def compare_small(seed: int) -> pd.DataFrame:
    """The same figures where the catalogue is small and the classifier knows the product."""
    baskets, people = simulate_small(seed)
    owned = baskets.owned
    account, product = np.nonzero(owned == 0)
    hidden = (baskets.hidden[account] == product).astype(int)
    visible = pd.DataFrame(owned, columns=[f"owns_{at:02d}" for at in range(owned.shape[1])])
    X = people.join(visible).assign(products_owned=owned.sum(axis=1)).iloc[account].reset_index(drop=True)
    order = np.random.default_rng(seed).permutation(len(owned))
    test = np.sort(order[len(order) // 2 :])
    asked = np.isin(account, test)
    model = PropensityClassifier(n_seeds=1)
    model.fit(X[~asked], hidden[~asked], product=product[~asked], account=account[~asked])
    learnt = np.zeros_like(owned)
    learnt[account[asked], product[asked]] = model.predict_proba(X[asked], product=product[asked])[:, 1]
    columns = pair_columns(baskets)
    popular = np.bincount(baskets.hidden[order[: len(order) // 2]], minlength=owned.shape[1]).astype(float)
    return figures(
        baskets,
        {
            "popularity": np.tile(popular, (len(owned), 1)),
            "item co-occurrence": columns["given_mean_share"],
            "cosine co-occurrence": columns["cosine_mean"],
            "PropensityClassifier": learnt,
        },
        test,
    )


def figures(baskets: Baskets, scores: dict[str, Matrix], accounts: Codes) -> pd.DataFrame:
    """Hit rates and mean reciprocal rank of each ranking, one line each."""
    lines = {}
    for name, score in scores.items():
        ranks = ranks_of_hidden(baskets, score, accounts)
        lines[name] = {f"hit@{k}": float((ranks <= k).mean()) for k in (1, 5, 10)} | {
            "MRR": float((1.0 / ranks).mean())
        }
    return pd.DataFrame(lines).T


def main() -> None:
    """Print the mean over three seeds of both catalogues."""
    for title, run in (("150 products, twenty owned", compare), ("20 products", compare_small)):
        result = sum(run(seed) for seed in (1, 2, 3)) / 3
        printed = Printed("ranking", *result.columns, title=f"Which product next: {title}, one hidden, 3 seeds")
        for name, line in result.iterrows():
            printed.add_row(str(name), *(f"{value:.3f}" for value in line))
        Console().print(printed)


if __name__ == "__main__":
    main()
