"""A recipe (estimator settings and columns), fitted as it would have been on a given day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from product_affinity.backtest.horizons import at_horizon, label_column
from product_affinity.errors import ContractError
from product_affinity.models.assembly import build_classifier, model_frame, recalibrate_recent
from product_affinity.project.families import FeatureColumn
from product_affinity.project.model_spec import EstimatorSpec
from product_affinity.project.settings import TimeSettings

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier


@dataclass(frozen=True)
class Recipe:
    """How a classifier is made of training rows.

    Attributes
    ----------
    estimator : candidates, seeds, offset.
    columns : feature columns in declared order.
    horizon_days, maturity_days : length of the label window, and days until its facts have arrived.
    """

    estimator: EstimatorSpec
    columns: tuple[FeatureColumn, ...]
    horizon_days: int
    maturity_days: int

    def fit(self, rows: pd.DataFrame, observed_until: dt.date, *, jobs: int) -> PropensityClassifier:
        """Fit on the labels known at a day, and set the level from the last three months before it.

        The final training and a trial at an earlier origin are the same call with another day.

        Parameters
        ----------
        rows : training table with labels.
        observed_until : as-of date of the training; labels whose horizon and maturity end later are not used.
        jobs : boosters trained at once; changes no result.

        Raises
        ------
        ContractError : no adoption lies in a closed horizon.
        """
        day = pd.Timestamp(observed_until)
        known_on = rows["as_of"] + pd.Timedelta(days=self.horizon_days + self.maturity_days)
        closed = rows[rows[label_column(self.horizon_days)].notna() & (known_on <= day)]
        label = closed[label_column(self.horizon_days)].astype(int)
        if not label.sum():
            raise ContractError(
                f"no adoption in a closed horizon of {self.horizon_days} days: more history, or a later --as-of, "
                "is needed"
            )
        classifier = build_classifier(
            self.estimator,
            self.columns,
            horizon_days=self.horizon_days,
            gap_days=self.horizon_days + self.maturity_days,
            n_jobs=jobs,
        )
        classifier.fit(
            model_frame(closed, self.columns),
            label.to_numpy(),
            product=closed["product_id"],
            account=closed["account_id"],
            as_of=closed["as_of"],
        )
        # how many jobs fitted it is no property of a model: the bundle is the same bytes on any number
        classifier.set_params(n_jobs=1)
        return recalibrate_recent(
            classifier,
            rows,
            self.columns,
            observed_until=day,
            maturity_days=self.maturity_days,
        )

    def at_horizon(
        self, classifier: PropensityClassifier, rows: pd.DataFrame, observed_until: dt.date, horizon_days: int
    ) -> PropensityClassifier:
        """Return the fitted classifier at another horizon, its level from the same last three months.

        Parameters
        ----------
        classifier : from `fit` on the same rows and day.
        rows, observed_until : as in `fit`.
        horizon_days : the other horizon, ≥ 30.
        """
        return at_horizon(
            classifier,
            rows,
            self.columns,
            horizon_days=horizon_days,
            observed_until=pd.Timestamp(observed_until),
            maturity_days=self.maturity_days,
        )

    def score(self, classifier: PropensityClassifier, rows: pd.DataFrame) -> pd.Series[float]:
        """Propensity (0 to 1) of each row, with the index of `rows`."""
        scores = classifier.predict_proba(model_frame(rows, self.columns), product=rows["product_id"])[:, 1]
        return pd.Series(scores, index=rows.index, dtype="float64")


def further_horizons(time: TimeSettings) -> tuple[int, ...]:
    """Return the horizons published beside the main one, ascending.

    >>> further_horizons(TimeSettings(horizon_days=90, more_horizons_days=(180, 90, 30)))
    (30, 180)
    """
    return tuple(sorted({*time.more_horizons_days} - {time.horizon_days}))
