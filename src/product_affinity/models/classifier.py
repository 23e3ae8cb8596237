"""The public classifier: a calibrated blend of pooled trees, product heads and a ridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import cpu_count, effective_n_jobs
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from product_affinity.models.arguments import (
    CANDIDATES,
    check_arguments,
    check_pointed_at,
    check_whole,
    known_labels,
    locate_categorical,
    locate_directions,
    locate_offset,
    offset_numbers,
)
from product_affinity.models.calibration import scaled_hazard
from product_affinity.models.encoding import FloatMatrix, IntVector, fit_encoder
from product_affinity.models.fitted import FittedBlend, Offset
from product_affinity.models.fitting import fit_blend
from product_affinity.models.frames import align_columns, has_names, to_frame
from product_affinity.models.identifiers import RowKeys, known_products, new_products, product_codes, row_keys
from product_affinity.models.launches import at_observed_levels, launch_groups
from product_affinity.models.logistic import Vector
from product_affinity.models.rows import Rows, population_weight, sample_negatives
from product_affinity.models.training import FitPlan


class PropensityClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Calibrated probability of a rare outcome, per row or per (account, product) pair.

    Blends in log-odds, with non-negative weights learnt on out-of-fold predictions: gradient
    boosted trees pooled over all rows, trees per product, and a ridge logistic regression.

    Parameters
    ----------
    horizon_days : int, default=90
        Length of the label window in days, > 0.
    gap_days : int, default=97
        Days between the last training and the first test date of an inner fold; at least the
        horizon.
    monotone : mapping of column to {-1, 0, 1}, optional
        Declared direction per column (by position for arrays without names). Holds for the blend.
    offset : str or int, optional
        Column that holds base-rate log-odds; scores start from it, and it is no feature.
    categorical : "auto" or sequence of columns, default="auto"
        "auto" takes category and text columns as levels; a sequence names further ones.
    candidates : sequence of {"pooled", "heads", "ridge"}
        What to blend. Without products, pooled and heads are one candidate.
    n_seeds : int, default=3
        Boosters averaged per ensemble, ≥ 1.
    n_jobs : int or None, default=1
        Boosters trained at once, and threads of prediction. Changes no result.
    random_state : int, RandomState or None, default=0
        Seed of folds, sampling and trees.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels; the second is the positive one.
    weights_ : pd.DataFrame
        Blend weight per product (rows) and candidate (columns); rows sum to 1. One row named
        "all" without products.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of str
        Column names seen at fit, where they exist.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"seats": rng.poisson(20, 400), "plan": rng.choice(["basic", "pro"], 400)})
    >>> y = rng.random(400) < np.where(X["plan"] == "pro", 0.15, 0.03)
    >>> model = PropensityClassifier().fit(X, y)
    >>> proba = model.predict_proba(X)[:, 1]
    >>> bool(proba[X["plan"] == "pro"].mean() > proba[X["plan"] == "basic"].mean())
    True

    """

    def __init__(
        self,
        *,
        horizon_days: int = 90,
        gap_days: int = 97,
        monotone: Mapping[str, int] | Mapping[int, int] | None = None,
        offset: str | int | None = None,
        categorical: str | Sequence[str | int] = "auto",
        candidates: Sequence[str] = CANDIDATES,
        n_seeds: int = 3,
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.horizon_days = horizon_days
        self.gap_days = gap_days
        self.monotone = monotone
        self.offset = offset
        self.categorical = categorical
        self.candidates = candidates
        self.n_seeds = n_seeds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        product: Any = None,
        account: Any = None,
        as_of: Any = None,
        sample_weight: Any = None,
    ) -> Self:
        """Fit on rows, or on (account, product, as-of) rows.

        Parameters
        ----------
        X : frame or array of shape (n, d)
            Numbers, levels and missing values; no infinities.
        y : array of shape (n,)
            Two classes.
        product : array of shape (n,), optional
            Product of each row, text or whole numbers. Predicting then asks for it too.
        account : array of shape (n,), optional
            Account of each row: inner folds keep its rows together.
        as_of : array of shape (n,), optional
            As-of date (or day number) of each row: inner folds are purged and roll forward. With an offset, products
            launched within the table teach who adopts, not how many, until their first label has closed.
        sample_weight : array of shape (n,), optional
            Weights ≥ 0 that count rows: 2 is a row twice, 0 no row. Penalties are worth rows too, so weights
            that sum to 1 would leave nothing to learn from. With dates and accounts, repeated rows tell of the same
            adoption again, and weighted ones of several.

        Raises
        ------
        ValueError
            On misuse, naming argument and value.

        """
        check_arguments(self)
        check_pointed_at(X, self)
        frame = to_frame(X, type(self).__name__)
        classes, target = self._target(frame, y)
        weight = self._weights(frame, target, sample_weight)
        counted = weight > 0
        offset = locate_offset(frame, self.offset, weight)
        features = _without(frame, offset)
        # kinds and levels are those of all rows that count, not of the sampled ones
        encoder = fit_encoder(
            features if counted.all() else features[counted], locate_categorical(frame, self.categorical, offset)
        )
        directions = locate_directions(frame, self.monotone, encoder, offset)
        products = known_products(product, len(frame), counted)
        plan = FitPlan(
            encoder, offset, products, tuple(self.candidates), directions, self.gap_days, self.n_seeds,
            self._workers(), self._seed(),
        )  # fmt: skip
        keys = row_keys(product, products, account, as_of, len(frame))
        # linear algebra on several threads rounds differently from one thread to another
        with threadpool_limits(limits=1, user_api="blas"):
            self._model = fit_blend(_training_rows(frame, target, weight, keys, plan), plan)
        self.classes_ = classes
        self._note_columns(frame)
        self._publish()
        return self

    def predict_proba(self, X: Any, *, product: Any = None) -> npt.NDArray[np.float64]:
        """Probability of both classes, columns in the order of ``classes_``.

        Parameters
        ----------
        X : frame or array of shape (n, d)
            Columns as at fit; by name where names exist, so in any order.
        product : array of shape (n,), optional
            Required where fitted with products, refused where not. An unseen product is scored by the pooled or the
            ridge candidate, whichever the other products' weights trust more.

        """
        model, matrix, offset, codes = self._prepared(X, product)
        positive = expit(model.log_odds(matrix, offset, codes, self._workers()))
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: Any, *, product: Any = None) -> npt.NDArray[Any]:
        """Label whose probability is above one half."""
        positive = self.predict_proba(X, product=product)[:, 1]
        return np.asarray(self.classes_[(positive > 0.5).astype(int)])

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, product: Any = None) -> float:
        """Accuracy, as of every scikit-learn classifier; of little use for rare outcomes."""
        return float(accuracy_score(y, self.predict(X, product=product), sample_weight=sample_weight))

    def candidate_proba(self, X: Any, *, product: Any = None) -> pd.DataFrame:
        """Probability of the positive class by each candidate alone, calibrated like the blend.

        A product without a head of its own has the pooled score under ``heads``, or else the ridge's, by the
        calibration of the heads.
        """
        model, matrix, offset, codes = self._prepared(X, product)
        threads = self._workers()
        columns = {
            name: expit(
                scaled_hazard(model.candidate_log_odds(name, matrix, offset, codes, threads), model.recency_of(codes))
            )
            for name in model.names
        }
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(columns, index=index)

    def contributions(self, X: Any, *, product: Any = None) -> pd.DataFrame:
        """Additive parts of the published log-odds: one column per input column, and ``baseline``.

        Exact TreeSHAP for trees and coefficient × value for the ridge, weighted like the blend;
        each row sums to the logit of its probability. Costs about fifty predictions a row.
        """
        model, matrix, offset, codes = self._prepared(X, product)
        parts, baseline = model.contributions(matrix, offset, codes)
        columns = dict(zip(model.encoder.names, parts.T, strict=True))
        if model.offset is not None:
            from_offset = model.offset_slope(codes) * (offset - model.offset.missing)
            columns[model.offset.column] = from_offset
            baseline = baseline - from_offset
        names = [str(name) for name in getattr(self, "feature_names_in_", range(self.n_features_in_))]
        if "baseline" in names:
            raise ValueError("contributions: 'baseline' is the name of the constant part. Rename that column of X.")
        frame = pd.DataFrame(columns, index=X.index if isinstance(X, pd.DataFrame) else None)
        return frame[names].assign(baseline=baseline)

    def recalibrate(self, X: Any, y: Any, *, product: Any = None, horizon_days: int = 30) -> Self:
        """Move the level, not the ranking, to what recent rows show.

        Compares adoptions within a short horizon, which is over sooner, with those expected under
        a constant hazard, overall and per product (shrunk). A product that the fit has not seen gets a level of
        its own and moves no other. Repeating it replaces the earlier recalibration.

        Parameters
        ----------
        X, product
            Recent rows, as in :meth:`predict_proba`; of dates at least ``horizon_days`` apart, since an adoption in two
            windows would count as two.
        y : array of shape (n,)
            Adoption within ``horizon_days``, in the labels of the fit; one of them may be absent.
        horizon_days : int, default=30
            Horizon of ``y``, at most that of the classifier.

        Raises
        ------
        ValueError
            If a label is missing or unknown, or the horizon out of range.

        """
        check_is_fitted(self)
        check_whole("horizon_days", horizon_days)
        if horizon_days > self.horizon_days:
            raise ValueError(f"horizon_days: {horizon_days} is outside 1 … {self.horizon_days}, the classifier's own.")
        model, matrix, offset, codes = self._prepared(X, product, meets_new=True)
        labels = column_or_1d(y)
        check_consistent_length(matrix, labels)
        target = known_labels(labels, self.classes_)
        log_odds = model.fitted_log_odds(matrix, offset, codes, self._workers())
        self._model = model.recalibrated(log_odds, target, codes, horizon_days / self.horizon_days)
        return self

    def _target(self, frame: pd.DataFrame, y: Any) -> tuple[npt.NDArray[Any], Vector]:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        labels = column_or_1d(y, warn=True)
        check_consistent_length(frame, labels)
        check_classification_targets(labels)
        kind = type_of_target(labels, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(f"y: two classes are needed, but it holds 1 class ({classes[0]!r}).")
        return classes, (labels == classes[1]).astype(np.float64)

    def _weights(self, frame: pd.DataFrame, target: Vector, sample_weight: Any) -> Vector:
        weight: Vector = _check_sample_weight(sample_weight, frame, dtype=np.float64, ensure_non_negative=True)
        if sample_weight is not None and len(np.unique(target[weight > 0])) < 2:
            raise ValueError("sample_weight: rows of weight above 0 hold 1 class; two classes are needed.")
        return weight

    def _workers(self) -> int:
        # more threads than processors gain nothing, and very many end the process
        return int(min(effective_n_jobs(self.n_jobs), cpu_count()))

    def _seed(self) -> int:
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(1 << 30))

    def _note_columns(self, frame: pd.DataFrame) -> None:
        self.n_features_in_ = frame.shape[1]
        if has_names(frame):
            self.feature_names_in_ = np.asarray(frame.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _publish(self) -> None:
        index = pd.Index(list(self._model.products) or ["all"], name="product")
        self.weights_ = pd.DataFrame(self._model.weights, index=index, columns=list(self._model.names))

    def _prepared(
        self, X: Any, product: Any, *, meets_new: bool = False
    ) -> tuple[FittedBlend, FloatMatrix, Vector, IntVector]:
        check_is_fitted(self)
        model = self._model
        frame = align_columns(
            to_frame(X, type(self).__name__),
            getattr(self, "feature_names_in_", None),
            self.n_features_in_,
            type(self).__name__,
        )
        if model.products and product is None:
            raise ValueError("product: the classifier was fitted with products, so predicting needs them too.")
        if product is not None and not model.products:
            raise ValueError("product: the classifier was fitted without products. Leave them out, or fit with them.")
        if meets_new:
            model = replace(model, later=new_products(product, model.products, len(frame)))
        codes = product_codes(product, model.products + model.later, len(frame))
        matrix = model.encoder.encode(_without(frame, model.offset))
        return model, matrix, _offset_values(frame, model.offset), codes


def _training_rows(frame: pd.DataFrame, target: Vector, weight: Vector, keys: RowKeys, plan: FitPlan) -> Rows:
    """Rows of the fit: sampled, encoded, weighted by event, launches at their observed level."""
    sample = sample_negatives(target, weight, plan.seed)
    taken = sample.rows
    rows = Rows(
        matrix=plan.encoder.encode(_without(frame, plan.offset), taken),
        target=target[taken],
        weight=population_weight(target[taken], weight[taken], sample.prior_shift),
        fit_weight=weight[taken],
        prior_shift=sample.prior_shift,
        offset=_offset_values(frame, plan.offset, taken),
        codes=keys.codes[taken],
        accounts=None if keys.accounts is None else keys.accounts[taken],
        days=None if keys.days is None else keys.days[taken],
    ).by_event(plan.gap_days)
    if plan.offset is None or keys.days is None:
        return rows
    # of all rows: which product is launched must not depend on the draw
    return at_observed_levels(rows, launch_groups(keys.codes, keys.days, weight > 0, plan.gap_days)[taken])


def _without(frame: pd.DataFrame, offset: Offset | None) -> pd.DataFrame:
    if offset is None:
        return frame
    if frame.shape[1] == 1:
        raise ValueError(f"offset: {offset.column!r} is the only column of X; nothing is left to learn from.")
    return frame.drop(columns=frame.columns[offset.position])


def _offset_values(frame: pd.DataFrame, offset: Offset | None, rows: IntVector | slice = slice(None)) -> Vector:
    if offset is None:
        return np.zeros(len(frame))[rows]
    values = offset_numbers(frame.iloc[rows, offset.position], offset.column)
    return np.where(np.isnan(values), offset.missing, values)
