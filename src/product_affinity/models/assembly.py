"""From specifications and feature columns to a classifier and the table it reads."""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.errors import ContractError, did_you_mean
from product_affinity.models import PropensityClassifier
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import EstimatorSpec

#: tells pooled models that the account dropped the product before
WINBACK = "is_winback"


def build_classifier(
    spec: EstimatorSpec,
    columns: tuple[FeatureColumn, ...],
    *,
    horizon_days: int,
    gap_days: int,
    n_jobs: int,
) -> PropensityClassifier:
    """Make an unfitted classifier for the table of `model_frame`.

    The declared directions become monotone constraints. The offset of the specification is used where the
    families have that column, else there is none.

    Parameters
    ----------
    spec : candidates, seeds and offset.
    columns : feature columns in declared order.
    horizon_days : length of the label window in days.
    gap_days : days between training and test as-ofs of the inner folds, ≥ `horizon_days`.
    n_jobs : threads; changes no result.
    """
    names = [column.name for column in columns]
    offset = spec.offset if spec.offset in names else None
    return PropensityClassifier(
        horizon_days=horizon_days,
        gap_days=gap_days,
        monotone={
            c.name: c.monotone for c in columns if c.monotone and c.kind == "number" and c.name != offset
        },
        offset=offset,
        categorical=[column.name for column in columns if column.kind == "category"] or "auto",
        candidates=spec.candidates,
        n_seeds=spec.n_seeds,
        n_jobs=n_jobs,
        random_state=spec.random_state,
    )


def model_frame(rows: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> pd.DataFrame:
    """Return what models read of the training table: the feature columns and `is_winback` as 0 or 1.

    Parameters
    ----------
    rows : training table, or rows to score.
    columns : feature columns in declared order.

    Raises
    ------
    ContractError : the table lacks a feature column; the message names the closest present.
    """
    names = [column.name for column in columns]
    for name in [*names, WINBACK]:
        if name not in rows.columns:
            raise ContractError(
                f"training table: missing column {name}{did_you_mean(name, map(str, rows.columns))}. "
                "Rebuild the features with `affinity features`."
            )
    frame = rows[names].copy()
    frame[WINBACK] = rows[WINBACK].astype(np.float64)
    return frame
