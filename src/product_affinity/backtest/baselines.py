"""Baselines, models like any other: what a figure is worth is only seen beside them.

Each has ``fit(rows, columns) -> self`` and ``predict(rows) -> probability per row``. Scores that are no
probabilities (a usage level, an affinity) become probabilities by a logistic fit on that one variable over
the training rows, which keeps their ranking and lets log-loss be shown. A rule that ranks the wrong way round is not
turned: its slope is held just above 0, so it is shown as it would have been followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from product_affinity.models.assembly import model_frame
from product_affinity.models.gain import Matrix, Vector
from product_affinity.models.metrics import calibration_line, log_odds
from product_affinity.project.families import FeatureColumn

RECENT_DAYS = 60
RECENT_RATE = "commercial_recent_rate"
#: prior weight of the overall rate in a product's rate, in rows
RATE_STRENGTH = 20.0
#: column of the training table with the readiness scorecard's points, 0 to 100; no feature of any model
SCORECARD = "scorecard_points"
#: added to points × affinity before its logarithm, in shares: a pair without points is last, not infinitely far away
SCORECARD_FLOOR = 1e-3
#: smallest slope: keeps the ranking of a rule that does not hold, at the base rate
LEAST_SLOPE = 1e-6
#: logistic regression trains on at most so many negatives per adoption, with the exact prior correction
NEGATIVES_PER_POSITIVE = 10


class Baseline(Protocol):
    """What the backtest needs of a model."""

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Self:
        """Learn from training rows with closed labels."""

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""


class OneVariableModel:
    """P(adopted) from one variable: logit = a + b·x; a missing x counts as the median of training.

    Parameters
    ----------
    score : the variable per row; NaN where unknown.
    """

    def __init__(self, score: Callable[[pd.DataFrame], Vector]) -> None:
        self._score = score

    def fit(self, rows: pd.DataFrame) -> Self:
        """Fit intercept and slope; a constant variable leaves the training rate."""
        raw = self._score(rows)
        known = raw[np.isfinite(raw)]
        self._median = float(np.median(known)) if len(known) else 0.0
        target = _target(rows)
        filled = self._filled(raw)
        intercept, slope = calibration_line(target, filled, np.ones(len(target)))
        if not slope >= LEAST_SLOPE:
            slope = LEAST_SLOPE
            intercept = _rate_log_odds(target) - slope * float(filled.mean())
        self._line = (intercept, slope)
        return self

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        intercept, slope = self._line
        return np.asarray(expit(intercept + slope * self._filled(self._score(rows))), dtype=np.float64)

    def _filled(self, raw: Vector) -> Vector:
        return np.where(np.isfinite(raw), raw, self._median)


class Popularity:
    """The product's recent adoption rate, the same for all accounts.

    Read from `commercial_recent_rate` (log-odds at each as-of) where the families have it; else the rate of
    the training rows of the last 60 days of training as-ofs, shrunk to the overall rate by 20 rows.
    """

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Self:
        """Learn recent rates per product and what they mean for the horizon."""
        recent = rows[rows["as_of"] > rows["as_of"].max() - pd.Timedelta(days=RECENT_DAYS)]
        overall = float(_target(rows).mean())
        adopted = pd.Series(_target(recent), index=recent.index).groupby(recent["product_id"]).agg(["sum", "size"])
        rate = (adopted["sum"] + RATE_STRENGTH * overall) / (adopted["size"] + RATE_STRENGTH)
        self._rate, self._overall = rate, overall
        self._model: OneVariableModel | None = None
        if any(column.name == RECENT_RATE for column in columns):
            self._model = OneVariableModel(lambda frame: frame[RECENT_RATE].to_numpy(np.float64)).fit(rows)
        return self

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        if self._model is not None:
            return self._model.predict(rows)
        return rows["product_id"].map(self._rate).fillna(self._overall).to_numpy(np.float64)


class OneScore:
    """Ranks by one score of a row alone, whatever the other columns say.

    Parameters
    ----------
    score : callable
        From rows to a score near to log-odds, or to the logarithm of a level; NaN where unknown.
    """

    def __init__(self, score: Callable[[pd.DataFrame], Vector]) -> None:
        self._score = score

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Self:
        """Map the score to probabilities."""
        self._model = OneVariableModel(self._score).fit(rows)
        return self

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        return self._model.predict(rows)


class Logistic:
    """Logistic regression over all pairs: standardised numbers, missing indicators, levels, product.

    Trained on at most ten negatives per adoption; the intercept is corrected for the sampling exactly
    (King & Zeng 2001), so probabilities refer to all rows.
    """

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Self:
        """Fit on a sample of the training rows."""
        self._columns = columns
        target = _target(rows)
        taken, shift = _sample(target)
        sampled = rows.iloc[taken]
        frame = model_frame(sampled, columns)
        numbers = frame.select_dtypes("number")
        self._mean, scale = numbers.mean().fillna(0.0), numbers.std()
        self._scale = scale.where(scale > 0, 1.0).fillna(1.0)
        self._levels = {
            name: sorted(frame[name].dropna().astype(str).unique())
            for name in frame.columns.difference(numbers.columns, sort=False)
        }
        self._levels["product_id"] = sorted(sampled["product_id"].astype(str).unique())
        design = self._design(rows.iloc[taken])
        self._varies = np.ptp(design, axis=0) > 0
        model = LogisticRegression(solver="newton-cholesky", max_iter=50)
        model.fit(design[:, self._varies], target[taken])
        self._coefficients, self._intercept = model.coef_[0], float(model.intercept_[0]) - shift
        return self

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        logit = self._design(rows)[:, self._varies] @ self._coefficients + self._intercept
        return np.asarray(expit(logit), dtype=np.float64)

    def _design(self, rows: pd.DataFrame) -> Matrix:
        frame = model_frame(rows, self._columns)
        numbers = frame[list(self._mean.index)].to_numpy(np.float64)
        missing = np.isnan(numbers)
        standard = (numbers - self._mean.to_numpy()) / self._scale.to_numpy()
        blocks = [np.where(missing, 0.0, standard), missing.astype(np.float64)]
        frame["product_id"] = rows["product_id"]
        for name, levels in self._levels.items():
            blocks.append((frame[name].astype(str).to_numpy()[:, None] == np.array(levels, dtype=object)).astype(float))
        return np.hstack(blocks)


class DefaultLightGBM:
    """One `LGBMClassifier()` with its defaults per product, on the same columns: what most people try first.

    A product whose training rows hold one class only is given its (or, unseen, the overall) training rate.
    """

    def fit(self, rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Self:
        """Fit one model per product."""
        self._columns = columns
        frame = model_frame(rows, columns)
        names = [column.name for column in columns if column.kind == "category"]
        self._levels = {name: sorted(frame[name].dropna().astype(str).unique()) for name in names}
        matrix, target = self._matrix(frame), _target(rows)
        self._overall = float(target.mean())
        self._models: dict[str, Any] = {}
        for product, at in _positions(rows).items():
            if 0 < target[at].sum() < len(at):
                model = LGBMClassifier(n_jobs=1, verbosity=-1)
                levels = [list(frame.columns).index(name) for name in names]
                self._models[product] = model.fit(matrix[at], target[at], categorical_feature=levels)
            else:
                self._models[product] = float(target[at].mean())
        return self

    def predict(self, rows: pd.DataFrame) -> Vector:
        """Probability of adoption per row."""
        matrix = self._matrix(model_frame(rows, self._columns))
        probability = np.full(len(rows), self._overall)
        for product, at in _positions(rows).items():
            model = self._models.get(product, self._overall)
            # the booster itself: the wrapper warns about names it made up for an array
            probability[at] = model if isinstance(model, float) else model.booster_.predict(matrix[at], num_threads=1)
        return probability

    def _matrix(self, frame: pd.DataFrame) -> Matrix:
        coded = {
            name: pd.Categorical(frame[name].astype("string"), categories=levels).codes.astype(np.float64)
            for name, levels in self._levels.items()
        }
        numbers = frame.assign(**{name: np.where(codes < 0, np.nan, codes) for name, codes in coded.items()})
        return numbers.to_numpy(np.float64)


def _log_level(level: Vector) -> Vector:
    return np.asarray(np.log1p(np.clip(level, 0, None)), dtype=np.float64)


def _share_log_odds(share: Vector) -> Vector:
    # a share of exactly 0 or 1 would have infinite log-odds
    return log_odds(np.clip(share, 1e-6, 1 - 1e-6))


def _as_it_is(score: Vector) -> Vector:
    return score


def _one_column(column: str, transform: Callable[[Vector], Vector]) -> Callable[[], Baseline]:
    return lambda: OneScore(lambda rows: transform(rows[column].to_numpy(np.float64)))


def _scorecard_times(affinity: str, is_share: bool) -> Callable[[], Baseline]:
    def score(rows: pd.DataFrame) -> Vector:
        known = rows[affinity].to_numpy(np.float64)
        share = known if is_share else np.asarray(expit(known), dtype=np.float64)
        return np.asarray(np.log(rows[SCORECARD].to_numpy(np.float64) / 100 * share + SCORECARD_FLOOR))

    return lambda: OneScore(score)


#: in order of preference
AFFINITY_TRANSFORMS: dict[str, Callable[[Vector], Vector]] = {
    "commercial_affinity_max": _share_log_odds,
    "commercial_affinity_log_odds_sum": _as_it_is,
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
        lineup["activity"] = _one_column(activity, _log_level)
    present = {column.name for column in columns}
    affinity = next((name for name in AFFINITY_TRANSFORMS if name in present), None)
    if affinity is None:
        left_out.append(f"baseline affinity left out: no column {' or '.join(AFFINITY_TRANSFORMS)}")
    else:
        lineup["affinity"] = _one_column(affinity, AFFINITY_TRANSFORMS[affinity])
    if SCORECARD not in others:
        left_out.append("baseline scorecard left out: playbook/readiness.yml gives no points")
    else:
        lineup["scorecard"] = _one_column(SCORECARD, lambda points: points / 100)
        if affinity is not None:
            is_share = AFFINITY_TRANSFORMS[affinity] is _share_log_odds
            lineup["scorecard_affinity"] = _scorecard_times(affinity, is_share)
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


def _positions(rows: pd.DataFrame) -> dict[str, Any]:
    groups = rows.groupby("product_id", sort=True).indices
    return {str(product): np.asarray(at) for product, at in groups.items()}


def _sample(target: Vector) -> tuple[Any, float]:
    positives, negatives = np.flatnonzero(target == 1), np.flatnonzero(target == 0)
    size = min(len(negatives), NEGATIVES_PER_POSITIVE * max(len(positives), 1))
    drawn = np.random.default_rng(0).choice(negatives, size=size, replace=False)
    return np.sort(np.concatenate([positives, drawn])), float(np.log(len(negatives) / max(size, 1)))
