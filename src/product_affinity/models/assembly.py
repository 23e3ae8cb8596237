"""From specifications and feature columns to a classifier and the table it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from product_affinity.errors import ContractError, did_you_mean
from product_affinity.models import PropensityClassifier
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import EstimatorSpec

#: tells pooled models that the account dropped the product before
WINBACK = "is_winback"
#: horizon and age of the rows that set the present level, and their label
RECENT_HORIZON_DAYS, RECENT_DAYS = 30, 92
#: least days between their dates, as many as the shortest month has: weekly dates would count an adoption four times
RECENT_APART_DAYS = 28
RECENT_LABEL = "adopted_30d"


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
        monotone={c.name: c.monotone for c in columns if c.monotone and c.kind == "number" and c.name != offset},
        offset=offset,
        categorical=[column.name for column in columns if column.kind == "category"] or "auto",
        candidates=spec.candidates,
        n_seeds=spec.n_seeds,
        n_jobs=n_jobs,
        random_state=spec.random_state,
    )


def recalibrate_recent(
    classifier: PropensityClassifier,
    rows: pd.DataFrame,
    columns: tuple[FeatureColumn, ...],
    *,
    observed_until: pd.Timestamp,
    maturity_days: int,
) -> PropensityClassifier:
    """Set the classifier's level to what the last three months of closed 30-day horizons show.

    The offset of those rows is brought to where each product's stands at the origin, as far as it moved more than
    the others': a product that was launched lately would else be raised twice, once by its offset and once because
    that offset had been too low. What all offsets have in common is the base rate's own trend, and goes on.

    Parameters
    ----------
    classifier : fitted.
    rows : training table with `RECENT_LABEL`; only rows whose 30 days have closed by `observed_until` are used.
    columns : feature columns in declared order.
    observed_until : the origin: as-of date of the run, or of the fold.
    maturity_days : days after a horizon's end until its label counts.
    """
    closed_on = rows["as_of"] + pd.Timedelta(days=RECENT_HORIZON_DAYS + maturity_days)
    closed = rows[(closed_on <= observed_until) & rows[RECENT_LABEL].notna()]
    recent = closed[closed["as_of"].isin(_recent_dates(closed["as_of"]))]
    if recent.empty:
        return classifier
    recent = _at_present_offset(recent, rows[rows["as_of"] <= observed_until], classifier.offset)
    return classifier.recalibrate(
        model_frame(recent, columns),
        recent[RECENT_LABEL].to_numpy(np.int64),
        product=recent["product_id"].to_numpy(),
        horizon_days=min(RECENT_HORIZON_DAYS, classifier.horizon_days),
    )


def _recent_dates(as_of: pd.Series[Any]) -> list[pd.Timestamp]:
    """Dates of the last three months, from the last one back, so far apart that their horizons hardly overlap."""
    dates: list[pd.Timestamp] = []
    for date in sorted(as_of.unique(), reverse=True):
        if not dates or ((dates[0] - date).days < RECENT_DAYS and (dates[-1] - date).days >= RECENT_APART_DAYS):
            dates.append(date)
    return dates


def _at_present_offset(recent: pd.DataFrame, known: pd.DataFrame, offset: str | int | None) -> pd.DataFrame:
    """Move the offsets of recent rows by how far their product's moved until the last date, beyond all products'."""
    if not isinstance(offset, str):
        return recent
    means = known.groupby(["product_id", "as_of"])[offset].mean()
    present = recent["product_id"].map(means.groupby("product_id").last())
    then = means.reindex(pd.MultiIndex.from_frame(recent[["product_id", "as_of"]])).to_numpy()
    moved = present - then
    own = moved - moved.groupby(recent["as_of"]).transform("mean")
    # a product without a rate at that date may have one today
    return recent.assign(**{offset: (recent[offset] + own).fillna(present).fillna(recent[offset])})


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
