"""The rivals: what one would use instead, with defaults or with our tree parameters.

The larger libraries are imported by their factory, so that no process carries another rival's memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

Vector = npt.NDArray[np.float64]

#: the tree parameters of a head with 150 trees
HEAD_PARAMETERS: dict[str, Any] = {
    "n_estimators": 150, "num_leaves": 4, "learning_rate": 0.05, "extra_trees": True,
    "colsample_bytree": 0.5, "subsample": 0.8, "subsample_freq": 1, "min_child_samples": 20,
    "min_child_weight": 1.0, "reg_lambda": 3.0, "max_bin": 63, "cat_smooth": 100.0, "cat_l2": 100.0,
}  # fmt: skip


class Classifier(Protocol):
    """What every rival can do."""

    def fit(self, X: pd.DataFrame, y: npt.NDArray[np.int64]) -> Any:
        """Fit."""

    def predict_proba(self, X: pd.DataFrame) -> npt.NDArray[Any]:
        """Probabilities of both classes."""


def lightgbm_default() -> Classifier:
    """LightGBM as it comes."""
    return LGBMClassifier(n_jobs=1, verbose=-1)


def lightgbm_like_ours() -> Classifier:
    """LightGBM with the tree parameters of a head."""
    return LGBMClassifier(n_jobs=1, verbose=-1, force_row_wise=True, **HEAD_PARAMETERS)


def xgboost_default() -> Classifier:
    """XGBoost as it comes."""
    from xgboost import XGBClassifier

    return XGBClassifier(n_jobs=1, enable_categorical=True)


def catboost_default() -> Classifier:
    """CatBoost as it comes, on coded columns."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(thread_count=1, verbose=False, allow_writing_files=False)


def histogram_default() -> Classifier:
    """scikit-learn's histogram booster as it comes."""
    return HistGradientBoostingClassifier(categorical_features="from_dtype")


def logistic_default() -> Classifier:
    """Logistic regression, imputed, scaled, levels as indicators."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


RIVALS: dict[str, Callable[[], Classifier]] = {
    "LightGBM, our tree parameters": lightgbm_like_ours,
    "LightGBM, defaults": lightgbm_default,
    "XGBoost, defaults": xgboost_default,
    "CatBoost, defaults": catboost_default,
    "HistGradientBoosting, defaults": histogram_default,
    "logistic regression": logistic_default,
}


def coded(X: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table as a rival takes it: text as category, or as codes for CatBoost."""
    text = X.select_dtypes(exclude="number").columns
    as_category = X.assign(**{column: X[column].astype("category") for column in text})
    if not name.startswith("CatBoost"):
        return as_category
    return as_category.assign(**{column: as_category[column].cat.codes for column in text})


def per_product(
    name: str, X: pd.DataFrame, y: npt.NDArray[np.int64], product: npt.NDArray[Any], new: pd.DataFrame,
    new_product: npt.NDArray[Any],
) -> Vector:  # fmt: skip
    """Probabilities from one rival per product, each fitted on the rows of its product."""
    X, new = coded(X, name), coded(new, name)
    out = np.empty(len(new))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for code in np.unique(product):
            at, to = product == code, new_product == code
            out[to] = RIVALS[name]().fit(X[at], y[at]).predict_proba(new[to])[:, 1]
    return out
