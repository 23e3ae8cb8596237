"""Baselines, models like any other: what a figure is worth is only seen beside them.

Each has ``fit(rows, columns)``, which returns plain data with ``predict(rows) -> probability per row``. Scores that
are no probabilities (a usage level, an affinity) become probabilities by a logistic fit on that one variable over
the training rows, which keeps their ranking and lets log-loss be shown. A rule that ranks the wrong way round is not
turned: its slope is held just above 0, so it is shown as it would have been followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression

from product_affinity.backtest.fitted import (
    SCORES,
    Fitted,
    FittedBoosters,
    FittedLogistic,
    FittedRates,
    FittedScore,
    ScoreName,
    cells_of,
    coded_matrix,
    logistic_design,
    product_positions,
)
from product_affinity.models.assembly import WINBACK, model_frame
from product_affinity.models.gain import Vector
from product_affinity.models.metrics import calibration_line, log_odds
from product_affinity.project.families import FeatureColumn

RECENT_DAYS = 60
RECENT_RATE = "commercial_recent_rate"
#: prior weight of the overall rate in a product's rate, in rows
RATE_STRENGTH = 20.0
#: column of the training table with the readiness scorecard's points, 0 to 100; no feature of any model
SCORECARD = "scorecard_points"
#: smallest slope: keeps the ranking of a rule that does not hold, at the base rate
LEAST_SLOPE = 1e-6
#: logistic regression trains on at most so many negatives per adoption, with the exact prior correction
NEGATIVES_PER_POSITIVE = 10


class Baseline(Protocol):
    """What the backtest needs of a model."""

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Fitted:
        """Learn from training rows with closed labels; what comes back predicts."""

    def reads(self, columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
        """Return the inputs that it would learn from."""


class OneScore:
    """Ranks by one score of a row alone, whatever the other columns say: logit = a + b·score.

    Parameters
    ----------
    score : name of the score.
    columns : what it reads.
    """

    def __init__(self, score: ScoreName, *columns: str) -> None:
        self._score, self._columns = score, columns

    def reads(self, columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
        """Return what the score is made of."""
        del columns
        return self._columns

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...] = ()) -> FittedScore:
        """Fit intercept and slope; a constant score leaves the training rate, and an unknown one is the median."""
        cells = cells_of(rows, self._columns)
        raw, target = SCORES[self._score](*cells), _target(rows)
        median = _median(raw)
        filled = np.where(np.isfinite(raw), raw, median)
        intercept, slope = calibration_line(target, filled, np.ones(len(target)))
        if not slope >= LEAST_SLOPE:
            slope = LEAST_SLOPE
            intercept = _rate_log_odds(target) - slope * float(filled.mean())
        return FittedScore(
            score=self._score,
            columns=self._columns,
            references=tuple(_median(values) for values in cells),
            median=median,
            intercept=intercept,
            slope=slope,
        )


class Popularity:
    """The product's recent adoption rate, the same for all accounts.

    Read from `commercial_recent_rate` (log-odds at each as-of) where the families have it; else the rate of
    the training rows of the last 60 days of training as-ofs, shrunk to the overall rate by 20 rows.
    """

    def reads(self, columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
        """Return the recent rate where the families have it."""
        return tuple(column.name for column in columns if column.name == RECENT_RATE)

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> FittedScore | FittedRates:
        """Learn recent rates per product and what they mean for the horizon."""
        if self.reads(columns):
            return OneScore("value", RECENT_RATE).fit(rows)
        recent = rows[rows["as_of"] > rows["as_of"].max() - pd.Timedelta(days=RECENT_DAYS)]
        overall = float(_target(rows).mean())
        adopted = pd.Series(_target(recent), index=recent.index).groupby(recent["product_id"]).agg(["sum", "size"])
        rate = (adopted["sum"] + RATE_STRENGTH * overall) / (adopted["size"] + RATE_STRENGTH)
        return FittedRates(rates={str(product): float(share) for product, share in rate.items()}, overall=overall)


class Logistic:
    """Logistic regression over all pairs: standardised numbers, missing indicators, levels, product.

    Trained on at most ten negatives per adoption; the intercept is corrected for the sampling exactly
    (King & Zeng 2001), so probabilities refer to all rows.
    """

    def reads(self, columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
        """Return every input."""
        return all_inputs(columns)

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> FittedLogistic:
        """Fit on a sample of the training rows."""
        target = _target(rows)
        taken, shift = _sample(target)
        sampled = rows.iloc[taken]
        frame = model_frame(sampled, columns)
        numbers = frame.select_dtypes("number")
        means, scales = numbers.mean().fillna(0.0), numbers.std()
        scales = scales.where(scales > 0, 1.0).fillna(1.0)
        names = frame.columns.difference(numbers.columns, sort=False)
        levels = (*((name, _levels(frame[name])) for name in names), ("product_id", _levels(sampled["product_id"])))
        design = logistic_design(sampled, list(numbers.columns), means.to_numpy(), scales.to_numpy(), levels)
        varies = np.ptp(design, axis=0) > 0
        model = LogisticRegression(solver="newton-cholesky", max_iter=50)
        model.fit(design[:, varies], target[taken])
        return FittedLogistic(
            numbers=tuple(numbers.columns),
            means=tuple(means.tolist()),
            scales=tuple(scales.tolist()),
            levels=levels,
            varies=tuple(varies.tolist()),
            coefficients=tuple(model.coef_[0].tolist()),
            intercept=float(model.intercept_[0]) - shift,
        )


class DefaultLightGBM:
    """One `LGBMClassifier()` with its defaults per product, on the same columns: what most people try first.

    A product whose training rows hold one class only is given its (or, unseen, the overall) training rate.
    """

    def reads(self, columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
        """Return every input."""
        return all_inputs(columns)

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> FittedBoosters:
        """Fit one model per product."""
        frame, target = model_frame(rows, columns), _target(rows)
        inputs = list(frame.columns)
        levels = tuple((column.name, _levels(frame[column.name])) for column in columns if column.kind == "category")
        matrix = coded_matrix(rows, inputs, levels)
        categories = [inputs.index(name) for name, _ in levels]
        models: dict[str, str | float] = {}
        for product, at in product_positions(rows).items():
            if 0 < target[at].sum() < len(at):
                model = LGBMClassifier(n_jobs=1, verbosity=-1)
                model.fit(matrix[at], target[at], categorical_feature=categories)
                models[product] = model.booster_.model_to_string()
            else:
                models[product] = float(target[at].mean())
        return FittedBoosters(columns=tuple(inputs), levels=levels, models=models, overall=float(target.mean()))


def all_inputs(columns: tuple[FeatureColumn, ...]) -> tuple[str, ...]:
    """Return what a trained model reads: every feature column, and whether the account had the product before."""
    return (*(column.name for column in columns), WINBACK)


def _levels(values: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(values.dropna().astype(str).unique()))


def _median(values: Vector) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0


#: column of what owners of the same products took, to how it becomes a score; in order of preference
AFFINITY_SCORES: dict[str, ScoreName] = {
    "commercial_affinity_max": "share",
    "commercial_affinity_log_odds_sum": "value",
}


def available_baselines(
    columns: tuple[FeatureColumn, ...], others: Collection[str] = ()
) -> tuple[dict[str, Callable[[], Baseline]], tuple[str, ...]]:
    """Name the baselines that these columns allow, with how each is made, and what is left out and why.

    `activity` ranks by the account's usage level alone (`activity_column`), `affinity` by what owners of the
    same products took (`commercial_affinity_max`, else `commercial_affinity_log_odds_sum`), `scorecard` by the
    readiness scorecard's points, `scorecard_affinity` by points × affinity.

    Parameters
    ----------
    columns : the feature columns.
    others : columns of the training table that are no features.
    """
    lineup: dict[str, Callable[[], Baseline]] = {"popularity": Popularity}
    left_out = []
    activity = activity_column(columns)
    if activity is None:
        left_out.append("baseline activity left out: no usage level of account grain among the columns")
    else:
        lineup["activity"] = partial(OneScore, "log_level", activity)
    present = {column.name for column in columns}
    affinity = next((name for name in AFFINITY_SCORES if name in present), None)
    if affinity is None:
        left_out.append(f"baseline affinity left out: no column {' or '.join(AFFINITY_SCORES)}")
    else:
        lineup["affinity"] = partial(OneScore, AFFINITY_SCORES[affinity], affinity)
    if SCORECARD not in others:
        left_out.append("baseline scorecard left out: playbook/readiness.yml gives no points")
    else:
        lineup["scorecard"] = partial(OneScore, "points", SCORECARD)
        if affinity is not None:
            times: ScoreName = "points_times_share" if AFFINITY_SCORES[affinity] == "share" else "points_times_log_odds"
            lineup["scorecard_affinity"] = partial(OneScore, times, SCORECARD, affinity)
    return lineup | {"logistic": Logistic, "lightgbm_default": DefaultLightGBM}, tuple(left_out)


def activity_column(columns: tuple[FeatureColumn, ...]) -> str | None:
    """Name of the usage level that stands for activity, None without one.

    A level is a mean or a sum of the usage family at account grain: `usage_active_users_mean_28d`, else the
    first over 28 days, else the first, in declared order.
    """
    levels = [
        column.name
        for column in columns
        if column.family == "usage" and column.grain == "account" and re.search("_(mean|sum)_[0-9]+d$", column.name)
    ]
    preferred = [name for name in levels if name == "usage_active_users_mean_28d"]
    return next(iter(preferred + [name for name in levels if name.endswith("_28d")] + levels), None)


def _target(rows: pd.DataFrame) -> Vector:
    return rows["adopted"].to_numpy(np.float64)


def _rate_log_odds(target: Vector) -> float:
    return float(log_odds(np.array([(target.sum() + 0.5) / (len(target) + 1)]))[0])


def _sample(target: Vector) -> tuple[Any, float]:
    positives, negatives = np.flatnonzero(target == 1), np.flatnonzero(target == 0)
    size = min(len(negatives), NEGATIVES_PER_POSITIVE * max(len(positives), 1))
    drawn = np.random.default_rng(0).choice(negatives, size=size, replace=False)
    return np.sort(np.concatenate([positives, drawn])), float(np.log(len(negatives) / max(size, 1)))
