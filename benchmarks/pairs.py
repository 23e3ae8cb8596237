"""Quality on (account, product) pairs in two worlds with a known truth.

Run ``python -m benchmarks.pairs``. *Skill* is the share of the oracle's information on the true
probabilities, (LL_base − LL) ÷ (LL_base − LL_oracle) with LL_base from the training rate of each
product; *of ceiling* divides by the skill of the best of three boosters fitted to the true
probabilities with the same columns.
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.figures import Split, by_product, captured, skill, split
from benchmarks.rivals import per_product
from benchmarks.worlds import pair_world
from product_affinity.models import PropensityClassifier

Vector = npt.NDArray[np.float64]
SHOWN_RIVALS = ("LightGBM, defaults", "LightGBM, our tree parameters", "logistic regression")


def ceiling(data: Split) -> float:
    """Best skill of three boosters fitted to the true probabilities."""
    shapes = [{"num_leaves": 31}, {"num_leaves": 15}]
    X = data.train.X.assign(product=pd.Categorical(data.train.product))
    new = data.test.X.assign(product=pd.Categorical(data.test.product, categories=X["product"].cat.categories))
    found = [skill(_soft(X, data.train.truth, shape, new), data) for shape in shapes]
    heads = np.empty(len(data.test.y))
    for code in np.unique(data.train.product):
        at, to = data.train.product == code, data.test.product == code
        heads[to] = _soft(data.train.X[at], data.train.truth[at], {"num_leaves": 8}, data.test.X[to])
    return max(*found, skill(heads, data))


def _soft(X: pd.DataFrame, truth: Vector, shape: dict[str, int], new: pd.DataFrame) -> Vector:
    parameters = {"objective": "cross_entropy", "verbosity": -1, "num_threads": 1, "max_bin": 63, **shape}
    return np.asarray(lgb.train(parameters, lgb.Dataset(X, truth), 250).predict(new))


def fitted(data: Split, **parameters: object) -> PropensityClassifier:
    """The classifier on the training rows, with one seed."""
    train = data.train
    model = PropensityClassifier(n_seeds=1, **parameters)  # passed on as given
    return model.fit(train.X, train.y, product=train.product, account=train.account, as_of=train.as_of)


def compare(kind: str, seed: int) -> pd.DataFrame:
    """One line per model."""
    data = split(pair_world(kind, seed, accounts=1200))
    train, test = data.train, data.test
    model = fitted(data)
    scores = {"blend": model.predict_proba(test.X, product=test.product)[:, 1]}
    for name, column in model.candidate_proba(test.X, product=test.product).items():
        scores[f"  {name}"] = column.to_numpy()
    scores["popularity"] = data.base
    for name in SHOWN_RIVALS:
        scores[name] = per_product(name, train.X, train.y, train.product, test.X, test.product)
    best = ceiling(data)
    lines = {
        name: {
            "skill": skill(score, data),
            "of ceiling": skill(score, data) / best,
            "AUC": by_product(roc_auc_score, score, test),
            "AP": by_product(average_precision_score, score, test),
            "value@1 %": captured(score, test),
            "Σp/Σtrue": score.sum() / test.truth.sum(),
        }
        for name, score in scores.items()
    }
    return pd.DataFrame(lines).T


def shocked(kind: str, seed: int) -> tuple[float, float]:
    """Σp/Σtrue after the odds of the test month doubled: before and after recalibration."""
    data = split(pair_world(kind, seed, accounts=1200))
    model = fitted(data)
    test = data.test
    rng = np.random.default_rng(seed)
    now = expit(logit(test.truth) + np.log(2))
    soon = -np.expm1(np.log1p(-now) / 3)
    before = model.predict_proba(test.X, product=test.product)[:, 1].sum() / now.sum()
    recent = rng.random(len(now)) < soon
    model.recalibrate(test.X, recent.astype(int), product=test.product, horizon_days=30)
    return before, model.predict_proba(test.X, product=test.product)[:, 1].sum() / now.sum()


def cold_start(kind: str, seed: int) -> float:
    """Adoptions in the best 5 % of a product never seen, as a share of the oracle's: mean of three."""
    data = split(pair_world(kind, seed, accounts=1200))
    yields = []
    for code in np.unique(data.train.product)[:3]:
        model = fitted(Split(data.train.rows(data.train.product != code), data.test))
        new = data.test.rows(data.test.product == code)
        size = len(new.y) // 20
        score = model.predict_proba(new.X, product=new.product)[:, 1]
        best = np.argsort(-score, kind="stable")[:size]
        yields.append(new.truth[best].sum() / np.sort(new.truth)[-size:].sum())
    return float(np.mean(yields))


def main(seeds: tuple[int, ...] = (11, 12, 13)) -> None:
    """Print the mean over the seeds, per world."""
    console = Console()
    for kind in ("shared", "specific"):
        result = sum(compare(kind, seed) for seed in seeds) / len(seeds)
        printed = Printed("model", *result.columns, title=f"World {kind}: mean of seeds {seeds}")
        for name, line in result.iterrows():
            printed.add_row(str(name), *(f"{value:.3f}" for value in line))
        console.print(printed)
        before, after = np.mean([shocked(kind, seed) for seed in seeds], axis=0)
        console.print(f"odds doubled: Σp/Σtrue {before:.2f}, after recalibrate on 30 days {after:.2f}")
    console.print(f"new product in world shared: yield@5 % {cold_start('shared', seeds[0]):.2f} of the oracle's")


if __name__ == "__main__":
    main()
