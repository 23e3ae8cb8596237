"""Quality on the demo company, both worlds, against the truth that lies beside its data.

Run ``python -m benchmarks.demo_pairs [FOLDER [ACCOUNTS]]``; companies already in the folder are not made again.
Everything is trained as `affinity train` does at the company's last day, with the labels closed by then, and scores
that day's first-time white space. *Skill* is the share of the oracle's information, *ceiling* the best of three
boosters fitted to the true probabilities with the same columns. AUC and AP are means over products of their
expectation under the truth, and *value@1 %* the ARR expected from the best hundredth by propensity × ARR, as a share
of the oracle's.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.figures import log_loss
from product_affinity.backtest.baselines import available_baselines
from product_affinity.models import PropensityClassifier
from product_affinity.models.assembly import RECENT_LABEL, model_frame, recalibrate_recent
from product_affinity.pipeline.backtest import with_scorecard
from product_affinity.pipeline.demo import make_demo
from product_affinity.pipeline.prepare import prepare
from product_affinity.pipeline.recipe import Recipe
from product_affinity.pipeline.table import build_training_table
from product_affinity.project import load_project
from product_affinity.project.families import FeatureColumn

Vector = npt.NDArray[np.float64]
World = Literal["shared", "specific"]
WORLDS: tuple[World, ...] = ("shared", "specific")
UNTIL = dt.date(2026, 6, 30)
ACCOUNTS, MONTHS = 8000, 30
#: the truth is smooth: a ceiling learns it from every so many rows
CEILING_EVERY = 5
SHOCK = 2.0


@dataclass(frozen=True)
class DemoPairs:
    """Training table of a demo company with the true probabilities of each row."""

    rows: pd.DataFrame
    columns: tuple[FeatureColumn, ...]
    recipe: Recipe

    @property
    def closed(self) -> pd.DataFrame:
        """Rows whose label is known on the last day."""
        return self.rows[self.rows["adopted"].notna()].astype({"adopted": int}).reset_index(drop=True)

    def test_on(self, day: dt.date) -> pd.DataFrame:
        """First-time white space of one date."""
        rows = self.rows
        at = rows["as_of"].eq(pd.Timestamp(day)) & rows["status"].eq("white_space") & ~rows["is_winback"].astype(bool)
        return rows[at].reset_index(drop=True)

    def fitted(self, day: dt.date = UNTIL) -> PropensityClassifier:
        """The classifier as it would have been trained on a day."""
        return self.recipe.fit(self.rows, day, jobs=1)


def demo_pairs(world: World, seed: int, folder: Path, accounts: int = ACCOUNTS) -> DemoPairs:
    """Make the demo company where the folder has none, and build its training table."""
    root = folder / f"{world}{seed}"
    if not (root / "truth" / "pairs.parquet").exists():
        make_demo(
            root, accounts=accounts, months=MONTHS, until=UNTIL, seed=seed, world=world, traps=False, progress=_silent
        )
    project = load_project(root)
    prepared = prepare(project, UNTIL, jobs=1, progress=_silent)
    table = build_training_table(prepared, progress=_silent)
    rows = with_scorecard(prepared, table, progress=_silent)
    truth = pd.read_parquet(root / "truth" / "pairs.parquet").astype({"as_of": rows["as_of"].dtype})
    keys = ["account_id", "product_id", "as_of"]
    rows = rows.merge(truth[[*keys, "p_30d", "p_90d"]], on=keys, how="inner", validate="1:1")
    recipe = Recipe(project.model_spec.estimator, table.columns, horizon_days=90, maturity_days=7)
    return DemoPairs(rows, table.columns, recipe)


def _silent(sentence: str) -> None:
    del sentence


@dataclass(frozen=True)
class Judge:
    """Figures of a score on test rows."""

    test: pd.DataFrame
    base: Vector

    @property
    def truth(self) -> Vector:
        """True probability of each test row."""
        return self.test["p_90d"].to_numpy(np.float64)

    def skill(self, score: Vector) -> float:
        """Share of the oracle's information."""
        reference, oracle = log_loss(self.base, self.truth), log_loss(self.truth, self.truth)
        return (reference - log_loss(score, self.truth)) / (reference - oracle)

    def value(self, score: Vector) -> float:
        """ARR expected from the best hundredth by propensity × ARR, as a share of the oracle's."""
        arr = self.test["expected_arr_usd"].fillna(0).to_numpy(np.float64)
        size = len(arr) // 100

        def of(probability: Vector) -> float:
            best = np.argsort(-probability * arr, kind="stable")[:size]
            return float((self.truth * arr)[best].sum())

        return of(score) / of(self.truth)

    def expected(self, metric: Callable[..., Any], score: Vector) -> float:
        """Mean over products of a metric, each row counting as adopted and as not with its true chances."""
        values = []
        for at in self.test.groupby("product_id").indices.values():
            target = np.repeat([1, 0], len(at))
            weight = np.concatenate([self.truth[at], 1 - self.truth[at]])
            values.append(metric(target, np.tile(score[at], 2), sample_weight=weight))
        return float(np.mean(values))

    def line(self, score: Vector) -> dict[str, float]:
        """All figures of one model."""
        return {
            "skill": self.skill(score),
            "AUC": self.expected(roc_auc_score, score),
            "AP": self.expected(average_precision_score, score),
            "value@1 %": self.value(score),
            "Σp/Σtrue": float(score.sum() / self.truth.sum()),
        }


def judge(data: DemoPairs) -> Judge:
    """Judge the last day; the base is the training rate of each product."""
    closed, test = data.closed, data.test_on(UNTIL)
    rate = closed.groupby("product_id")["adopted"].mean()
    return Judge(test, test["product_id"].map(rate).fillna(closed["adopted"].mean()).to_numpy(np.float64))


def compare(data: DemoPairs, model: PropensityClassifier) -> pd.DataFrame:
    """One line per model: blend, candidates, baselines, ceiling."""
    seen = judge(data)
    X, product = model_frame(seen.test, data.columns), seen.test["product_id"]
    scores = {"blend": model.predict_proba(X, product=product)[:, 1]}
    for name, column in model.candidate_proba(X, product=product).items():
        scores[f"  {name}"] = column.to_numpy()
    lineup, _ = available_baselines(data.columns, data.rows.columns)
    for name, made in lineup.items():
        scores[name] = made().fit(data.closed, data.columns).predict(seen.test)
    lines = pd.DataFrame({name: seen.line(score) for name, score in scores.items()}).T
    ceiling = _ceiling(data, seen)
    best = max(ceiling, key=seen.skill)
    lines.loc["ceiling"] = seen.line(best)
    lines.insert(1, "of ceiling", lines["skill"] / lines.loc["ceiling", "skill"])
    lines["value of ceiling"] = lines["value@1 %"] / max(map(seen.value, ceiling))
    return lines


def _ceiling(data: DemoPairs, seen: Judge) -> list[Vector]:
    train = data.closed.iloc[::CEILING_EVERY].reset_index(drop=True)
    X, new = _coded_alike(data, train, seen.test)
    products, truth = pd.Categorical(train["product_id"]), train["p_90d"].to_numpy(np.float64)
    tested = pd.Categorical(seen.test["product_id"], categories=products.categories)
    pooled = [
        _soft(X.assign(product=products.codes), truth, leaves, new.assign(product=tested.codes)) for leaves in (31, 15)
    ]
    heads = np.empty(len(seen.test))
    for code in range(len(products.categories)):
        at, to = products.codes == code, tested.codes == code
        heads[to] = _soft(X[at], truth[at], 8, new[to])
    return [*pooled, heads]


def _coded_alike(data: DemoPairs, train: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = [column.name for column in data.columns if column.kind == "category"]
    levels = {name: sorted(train[name].dropna().astype(str).unique()) for name in names}
    return _coded(train, data.columns, levels), _coded(new, data.columns, levels)


def _coded(rows: pd.DataFrame, columns: tuple[FeatureColumn, ...], levels: dict[str, list[str]]) -> pd.DataFrame:
    frame = model_frame(rows, columns)
    codes = {name: pd.Categorical(frame[name].astype(str), categories=found).codes for name, found in levels.items()}
    return frame.assign(**codes).astype(np.float64)


def _soft(X: pd.DataFrame, truth: Vector, leaves: int, new: pd.DataFrame) -> Vector:
    parameters = {"objective": "cross_entropy", "verbosity": -1, "num_threads": 1, "max_bin": 63, "num_leaves": leaves}
    booster = lgb.train({**parameters, "force_row_wise": True}, lgb.Dataset(X.to_numpy(), truth), 200)
    return np.asarray(booster.predict(new.to_numpy(), num_threads=1), dtype=np.float64)


def shocked(data: DemoPairs, model: PropensityClassifier, seed: int) -> dict[str, float]:
    """Σp/Σtrue when every hazard has doubled for three months, before and after recalibration (which stays)."""
    test = data.test_on(UNTIL)
    now = -np.expm1(SHOCK * np.log1p(-test["p_90d"].to_numpy(np.float64)))

    def ratio() -> float:
        return float(_scored(data, model, test).sum() / now.sum())

    before = ratio()
    rows = data.rows[data.rows[RECENT_LABEL].notna()]
    soon = -np.expm1(SHOCK * np.log1p(-rows["p_30d"].to_numpy(np.float64)))
    adopted = (np.random.default_rng(seed).random(len(soon)) < soon).astype(int)
    recalibrate_recent(
        model, rows.assign(**{RECENT_LABEL: adopted}), data.columns, observed_until=pd.Timestamp(UNTIL), maturity_days=7
    )
    return {"shock, before": before, "shock, recalibrated": ratio()}


def launched(data: DemoPairs, later: PropensityClassifier) -> dict[str, float]:
    """Adoptions in the best 5 % of a product on the first date after its launch, as a share of the oracle's.

    What can be known of it: the same of boosters fitted to the true probabilities of all other products, and of chance.
    And the same on the last day, by the classifier ``later`` that has seen its first labels.
    """
    first = data.rows.groupby("product_id")["as_of"].min()
    product, day = str(first.idxmax()), first.max()
    new, now = (
        test[test["product_id"] == product].reset_index(drop=True)
        for test in (data.test_on(day.date()), data.test_on(UNTIL))
    )
    truth = new["p_90d"].to_numpy(np.float64)

    others = data.rows[data.rows["as_of"].le(day) & data.rows["product_id"].ne(product)].iloc[::CEILING_EVERY]
    X, Z = _coded_alike(data, others.reset_index(drop=True), new)
    known = others["p_90d"].to_numpy(np.float64)
    return {
        "launched product, yield@5 %": yield_at_5(_scored(data, data.fitted(day.date()), new), truth),
        "  others' truth": max(yield_at_5(_soft(X, known, leaves, Z), truth) for leaves in (31, 15, 8)),
        "  by chance": chance_yield(truth),
        "  on the last day": yield_at_5(_scored(data, later, now), now["p_90d"].to_numpy(np.float64)),
    }


def _scored(data: DemoPairs, model: PropensityClassifier, rows: pd.DataFrame) -> Vector:
    score = model.predict_proba(model_frame(rows, data.columns), product=rows["product_id"])[:, 1]
    return np.asarray(score, dtype=np.float64)


def chance_yield(truth: Vector) -> float:
    """Yield of a draw."""
    size = len(truth) // 20
    return float(truth.mean() * size / np.sort(truth)[-size:].sum())


def yield_at_5(score: Vector, truth: Vector) -> float:
    """Adoptions expected among the best 5 % by score, as a share of the oracle's."""
    size = len(truth) // 20
    return float(truth[np.argsort(-score, kind="stable")[:size]].sum() / np.sort(truth)[-size:].sum())


def run(world: World, seed: int, folder: Path, accounts: int = ACCOUNTS) -> tuple[pd.DataFrame, dict[str, float]]:
    """Figures of one company: a line per model, and what the blend does after a shock and a launch."""
    data = demo_pairs(world, seed, folder, accounts)
    model = data.fitted()
    lines = compare(data, model)
    return lines, {**shocked(data, model, seed), **launched(data, model)}


def main(kept: Path | None = None, accounts: int = ACCOUNTS, seeds: tuple[int, ...] = (101, 102, 103)) -> None:
    """Print the mean over the seeds per world, and the blend of every seed; a given folder keeps the companies."""
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as made:
        for world in WORLDS:
            found = [run(world, seed, kept or Path(made), accounts) for seed in seeds]
            _print_world(console, f"Demo company, {accounts:,} accounts, world {world}: mean of seeds {seeds}", found)
            blends = [{**lines.loc["blend"].to_dict(), **other} for lines, other in found]
            console.print(pd.DataFrame(blends, index=list(seeds)).round(3).T.to_string())


def _print_world(console: Console, title: str, found: list[tuple[pd.DataFrame, dict[str, float]]]) -> None:
    result = pd.concat([lines for lines, _ in found]).groupby(level=0, sort=False).mean()
    printed = Printed("model", *result.columns, title=title)
    for name, line in result.iterrows():
        printed.add_row(str(name), *(f"{value:.3f}" for value in line))
    console.print(printed)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]), *map(int, sys.argv[2:3]))
