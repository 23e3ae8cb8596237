"""The backtest: fit every model at each origin, score what came after, compare."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from product_affinity.backtest.baselines import Baseline, available_baselines
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.result import BacktestResult, compare
from product_affinity.backtest.verify import check_folds
from product_affinity.errors import ContractError, LeakageError
from product_affinity.models.assembly import RECENT_LABEL, build_classifier, model_frame, recalibrate_recent
from product_affinity.models.gain import Vector
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import EstimatorSpec, ModelSpec

BLEND = "blend"
N_RESAMPLES = 200
#: share of a date's pairs counted as workable where the capacity of the owners is not known
DEFAULT_WORKABLE_SHARE = 0.01
_KEPT = [
    "account_id",
    "product_id",
    "as_of",
    "status",
    "adopted",
    "is_winback",
    "segment",
    "expected_arr_usd",
]
_TENURE_YEARS = (-math.inf, 365.0, 730.0, math.inf)
TENURES = ("year_1", "year_2", "year_3_plus")


def run_backtest(
    rows: pd.DataFrame,
    columns: tuple[FeatureColumn, ...],
    *,
    spec: ModelSpec,
    folds: Sequence[Fold],
    plays_per_owner: int | None = None,
    n_resamples: int = N_RESAMPLES,
    n_jobs: int = 1,
    progress: Callable[[str], None] = lambda line: None,
) -> BacktestResult:
    """Compare the blend, its candidates and the baselines on rolling, purged folds.

    Training uses every closed row, win-backs and pairs in pipeline included. Headline figures are of
    first-time adoptions in white space, the pairs that lists show; win-backs and pairs in pipeline are
    reported apart. What a team can work (precision@k, ARR@k) is `plays_per_owner` times the owners seen at
    the date, or 1 % of the pairs where either is unknown.

    Parameters
    ----------
    rows : training table sorted by as_of, account_id, product_id: keys, adopted (missing while open), status,
        is_winback, segment, expected_arr_usd (unknown counts as 0), feature columns; owner_id and tenure_days
        where known.
    columns : the feature columns.
    spec : estimator settings, and the adoptions a product needs to enter a mean.
    folds : from `plan_folds`.
    plays_per_owner : rows one owner can work in a period.
    n_resamples : of the account-clustered bootstrap.
    n_jobs : folds fitted at once, one thread each; changes no result.
    progress : called with one line per step.

    Raises
    ------
    LeakageError : a fold would see labels from after its origin.
    ContractError : a feature column is missing, or no fold has adopters and others to learn from.
    """
    usable, notes = _usable_folds(folds, rows)
    lineup, left_out = available_baselines(columns)
    parts = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_score_fold)(_Task(fold, columns, spec.estimator, lineup), rows, plays_per_owner, progress)
        # the longest fits first, so that the workers end together
        for fold in reversed(usable)
    )
    predictions = pd.concat(list(reversed(parts)), ignore_index=True)
    # the blend and its candidates, then the baselines
    names = list(map(str, predictions.columns))
    models = tuple(names[names.index(BLEND) :])
    progress(f"comparing {len(models)} models on {len(predictions):,} test pairs, {n_resamples} resamples")
    return compare(
        predictions,
        tuple(usable),
        models=models,
        baselines=tuple(lineup),
        min_positives=spec.min_test_positives,
        n_resamples=n_resamples,
        random_state=spec.estimator.random_state,
        notes=(*notes, *left_out),
    )


@dataclass(frozen=True)
class _Task:
    fold: Fold
    columns: tuple[FeatureColumn, ...]
    estimator: EstimatorSpec
    lineup: dict[str, Callable[[], Baseline]]


def _score_fold(
    task: _Task, rows: pd.DataFrame, plays_per_owner: int | None, progress: Callable[[str], None]
) -> pd.DataFrame:
    fold = task.fold
    train, test = fold.split(rows)
    progress(f"fold {fold.origin}: training on {len(train):,} pairs, testing on {len(test):,}")
    scored = test[_KEPT].reset_index(drop=True)
    scored.insert(0, "fold", str(fold.origin))
    scored["tenure"] = _tenure(test)
    scored["base_rate"] = _base_rate(train, test)
    scored["workable_share"] = _workable_share(test, plays_per_owner)
    scores = _blend_scores(task, rows, train, test)
    for name, make in task.lineup.items():
        scores[name] = make().fit(train, task.columns).predict(test)
    progress(f"fold {fold.origin}: done")
    return pd.concat([scored, pd.DataFrame(scores)], axis=1)


def _blend_scores(task: _Task, rows: pd.DataFrame, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, Vector]:
    classifier = build_classifier(
        task.estimator,
        task.columns,
        horizon_days=task.fold.horizon_days,
        gap_days=task.fold.gap_days,
        n_jobs=1,
    )
    classifier.fit(
        model_frame(train, task.columns),
        train["adopted"].to_numpy(np.int64),
        product=train["product_id"].to_numpy(),
        account=train["account_id"].to_numpy(),
        as_of=train["as_of"].to_numpy(),
    )
    if RECENT_LABEL in train.columns:
        before = rows[rows["as_of"] < pd.Timestamp(task.fold.origin)]
        recalibrate_recent(
            classifier,
            before,
            task.columns,
            observed_until=pd.Timestamp(task.fold.origin),
            maturity_days=task.fold.maturity_days,
        )
    features, product = model_frame(test, task.columns), test["product_id"].to_numpy()
    scores = {BLEND: classifier.predict_proba(features, product=product)[:, 1]}
    candidates = classifier.candidate_proba(features, product=product)
    return scores | {str(name): candidates[name].to_numpy(np.float64) for name in candidates.columns}


def _usable_folds(folds: Sequence[Fold], rows: pd.DataFrame) -> tuple[list[Fold], list[str]]:
    """Folds that passed the second opinion and have both classes to learn from, and a note on each other."""
    violations = check_folds(folds, rows)
    if violations:
        raise LeakageError("\n".join(violations))
    usable, notes = [], []
    for fold in folds:
        adopted = fold.split(rows[["as_of", "adopted"]])[0]["adopted"]
        if 0 < adopted.sum() < len(adopted):
            usable.append(fold)
        else:
            count = f"{int(adopted.sum())} adoptions in {len(adopted):,} training pairs"
            notes.append(f"fold {fold.origin} left out: {count}")
    if not usable:
        raise ContractError(
            f"backtest: none of {len(folds)} folds holds both adopters and others in training. "
            "Check the subscriptions' start dates, or load older data."
        )
    return usable, notes


def _base_rate(train: pd.DataFrame, test: pd.DataFrame) -> Vector:
    """The product's rate in training, shrunk to the overall rate by one row so that it is never 0 or 1."""
    target = train["adopted"].to_numpy(np.float64)
    overall = float(target.mean())
    sums = pd.Series(target, index=train["product_id"].to_numpy()).groupby(level=0).agg(["sum", "size"])
    rate = (sums["sum"] + overall) / (sums["size"] + 1)
    return test["product_id"].map(rate).fillna(overall).to_numpy(np.float64)


def _workable_share(test: pd.DataFrame, plays_per_owner: int | None) -> float:
    if plays_per_owner is None or "owner_id" not in test.columns or test["owner_id"].notna().sum() == 0:
        return DEFAULT_WORKABLE_SHARE
    shown = int(((test["status"] == "white_space") & ~test["is_winback"].astype(bool)).sum())
    return min(1.0, plays_per_owner * test["owner_id"].nunique() / max(shown, 1))


def _tenure(test: pd.DataFrame) -> pd.Series[Any]:
    if "tenure_days" not in test.columns:
        return pd.Series(None, index=range(len(test)), dtype="str")
    bands = pd.cut(test["tenure_days"], _TENURE_YEARS, labels=list(TENURES), right=False)
    return bands.astype("str").reset_index(drop=True)
