"""One fold: fit every model at its origin, score what came after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from product_affinity.backtest.baselines import Baseline
from product_affinity.backtest.folds import Fold
from product_affinity.backtest.horizons import at_horizon, coherent, label_column, propensity_column
from product_affinity.models.assembly import RECENT_LABEL, build_classifier, model_frame, recalibrate_recent
from product_affinity.models.gain import Vector
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import EstimatorSpec

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

BLEND = "blend"
#: the blend trained one fold earlier, on the same test rows; missing in the first fold
BLEND_BEFORE = "blend_trained_before"
#: the baseline whose level is followed month by month beside the blend's
LEVEL_BASELINE = "popularity"
#: share of a date's pairs counted as workable where the capacity of the owners is not known
DEFAULT_WORKABLE_SHARE = 0.01
_KEYS = ["account_id", "product_id", "as_of"]
_KEPT = [*_KEYS, "status", "adopted", "is_winback", "segment", "expected_arr_usd"]
_TENURE_YEARS = (-math.inf, 365.0, 730.0, math.inf)
TENURES = ("year_1", "year_2", "year_3_plus")


@dataclass(frozen=True)
class FoldTask:
    """What one fold is asked to do.

    Attributes
    ----------
    fold : when is trained and tested.
    next_origin : of the following fold, None for the last.
    columns, estimator : of the blend.
    lineup : how each baseline is made.
    plays_per_owner : rows one owner can work in a period.
    min_adoptions : in a product's training rows, below which its scores are launch estimates.
    more_horizons_days : horizons the blend is scored at beside the fold's own.
    """

    fold: Fold
    next_origin: pd.Timestamp | None
    columns: tuple[FeatureColumn, ...]
    estimator: EstimatorSpec
    lineup: dict[str, Callable[[], Baseline]]
    plays_per_owner: int | None
    min_adoptions: int
    more_horizons_days: tuple[int, ...] = ()


@dataclass(frozen=True)
class FoldScores:
    """What one fold gives.

    Attributes
    ----------
    predictions : test rows with a column of probabilities a model, the blend first; before them, of each further
        horizon, its label and the blend's published propensity.
    later : closed rows from the origin through the next one: keys, status, is_winback, adopted, base_rate, and
        the probabilities of the blend and of popularity. Shows how a model ages until the next is trained.
    weights : fold, product_id, candidate, weight of the blend (0 to 1).
    training : fold, product_id, pairs, adoptions, launch_estimate: what each product had to learn from.
    """

    predictions: pd.DataFrame
    later: pd.DataFrame
    weights: pd.DataFrame
    training: pd.DataFrame


def score_fold(task: FoldTask, rows: pd.DataFrame, progress: Callable[[str], None]) -> FoldScores:
    """Fit the blend and the baselines on the fold's training rows and score the rows after its origin."""
    fold = task.fold
    train, test = fold.split(rows)
    progress(f"fold {fold.origin}: training on {len(train):,} pairs, testing on {len(test):,}")
    ahead = _ahead(task, rows)
    is_test = ahead["as_of"].isin(test["as_of"].unique()).to_numpy()
    classifier = _fit_blend(task, rows, train)
    features, product = model_frame(ahead, task.columns), ahead["product_id"].to_numpy()
    blend = classifier.predict_proba(features, product=product)[:, 1]
    candidates = classifier.candidate_proba(features[is_test], product=product[is_test])
    further = _further_horizons(task, rows, test, classifier, blend[is_test])
    scores = {BLEND_BEFORE: np.full(len(test), np.nan), BLEND: blend[is_test]}
    scores |= {str(name): candidates[name].to_numpy(np.float64) for name in candidates.columns}
    level = np.full(len(ahead), np.nan)
    for name, make in task.lineup.items():
        model = make().fit(train, task.columns)
        scores[name] = model.predict(test)
        if name == LEVEL_BASELINE:
            level = model.predict(ahead)
    about = ahead[[*_KEYS, "status", "is_winback", "adopted"]].reset_index(drop=True)
    later = about.assign(base_rate=_base_rate(train, ahead), **{BLEND: blend, LEVEL_BASELINE: level})
    later.insert(0, "fold", str(fold.origin))
    progress(f"fold {fold.origin}: done")
    return FoldScores(
        pd.concat([_described(task, train, test), further, pd.DataFrame(scores)], axis=1),
        later,
        _weights(fold, classifier.weights_),
        _training(fold, train, sorted(ahead["product_id"].unique()), task.min_adoptions),
    )


def with_earlier_blend(parts: list[FoldScores]) -> pd.DataFrame:
    """Join the test rows of all folds, each with the score it has from the model of the fold before.

    Parameters
    ----------
    parts : folds in ascending order.
    """
    frames = [parts[0].predictions]
    for before, now in pairwise(parts):
        known = before.later[[*_KEYS, BLEND]].rename(columns={BLEND: BLEND_BEFORE})
        found = now.predictions[_KEYS].merge(known, on=_KEYS, how="left", validate="1:1")[BLEND_BEFORE]
        frames.append(now.predictions.assign(**{BLEND_BEFORE: found.to_numpy(np.float64)}))
    return pd.concat(frames, ignore_index=True)


def _ahead(task: FoldTask, rows: pd.DataFrame) -> pd.DataFrame:
    """Closed rows from the origin through the next; a date whose labels are open tells nothing yet."""
    origin = pd.Timestamp(task.fold.origin)
    last = pd.Timestamp(max(task.fold.test_as_ofs)) if task.next_origin is None else task.next_origin
    return rows[(rows["as_of"] >= origin) & (rows["as_of"] <= last) & rows["adopted"].notna()]


def _fit_blend(task: FoldTask, rows: pd.DataFrame, train: pd.DataFrame) -> PropensityClassifier:
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
    if RECENT_LABEL not in train.columns:
        return classifier
    origin = pd.Timestamp(task.fold.origin)
    return recalibrate_recent(
        classifier,
        rows[rows["as_of"] < origin],
        task.columns,
        observed_until=origin,
        maturity_days=task.fold.maturity_days,
    )


def _further_horizons(
    task: FoldTask, rows: pd.DataFrame, test: pd.DataFrame, classifier: PropensityClassifier, blend: Vector
) -> pd.DataFrame:
    """Label and published propensity of the test rows at each further horizon, as known at the fold's origin."""
    origin, found = pd.Timestamp(task.fold.origin), pd.DataFrame(index=range(len(test)))
    for days in task.more_horizons_days:
        other = at_horizon(
            classifier,
            rows[rows["as_of"] < origin],
            task.columns,
            horizon_days=days,
            observed_until=origin,
            maturity_days=task.fold.maturity_days,
        )
        scores = other.predict_proba(model_frame(test, task.columns), product=test["product_id"].to_numpy())[:, 1]
        found[label_column(days)] = test[label_column(days)].array
        found[propensity_column(days)] = coherent(
            pd.Series(scores), pd.Series(blend), shorter=days < task.fold.horizon_days
        )
    return found


def _described(task: FoldTask, train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    scored = test[_KEPT].reset_index(drop=True)
    scored.insert(0, "fold", str(task.fold.origin))
    scored["tenure"] = _tenure(test)
    scored["base_rate"] = _base_rate(train, test)
    scored["workable_share"] = _workable_share(test, task.plays_per_owner)
    return scored


def _weights(fold: Fold, weights: pd.DataFrame) -> pd.DataFrame:
    long = weights.rename_axis("product_id").reset_index().melt("product_id", var_name="candidate", value_name="weight")
    long.insert(0, "fold", str(fold.origin))
    return long


def _training(fold: Fold, train: pd.DataFrame, products: list[str], min_adoptions: int) -> pd.DataFrame:
    seen = train["adopted"].astype("int64").groupby(train["product_id"]).agg(["size", "sum"])
    seen = seen.reindex(sorted({*seen.index, *products}), fill_value=0)
    return pd.DataFrame(
        {
            "fold": str(fold.origin),
            "product_id": seen.index.astype("str"),
            "pairs": seen["size"].to_numpy(np.int64),
            "adoptions": seen["sum"].to_numpy(np.int64),
            "launch_estimate": seen["sum"].to_numpy() < min_adoptions,
        }
    )


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
