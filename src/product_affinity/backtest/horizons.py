"""Further horizons of the blend: its ranking at the level of another label window, held against what happened."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from product_affinity.backtest.figures import all_figures, build_sample
from product_affinity.models.assembly import recalibrate_recent
from product_affinity.models.bootstrap import recentred_interval
from product_affinity.project.feature_columns import FeatureColumn

if TYPE_CHECKING:
    from product_affinity.models import PropensityClassifier

METRICS = ("auc_within", "log_loss_skill", "observed_over_expected")
COLUMNS = (
    "horizon_days", "folds", "last_fold", "pairs", "adoptions", "base_rate", "corrected_share", "metric", "value",
    "low", "high",
)  # fmt: skip


def at_horizon(
    classifier: PropensityClassifier,
    rows: pd.DataFrame,
    columns: tuple[FeatureColumn, ...],
    *,
    horizon_days: int,
    observed_until: pd.Timestamp,
    maturity_days: int,
) -> PropensityClassifier:
    """Return the classifier at another horizon: the same ranking within a product, at the level of that horizon.

    The level is set by the last three months' adoptions within 30 days, overall and per product, under a constant
    hazard. `docs/adr/0011` says why no second classifier is fitted.

    Parameters
    ----------
    classifier : fitted for the main horizon; it stays as it is.
    rows : training table with the label of 30 days.
    columns : feature columns in declared order.
    horizon_days : days, ≥ 30.
    observed_until : the origin: as-of date of the run, or of the fold.
    maturity_days : days after a horizon's end until its label counts.
    """
    # trees are shared: a recalibration replaces the fitted model and changes nothing in it
    other = copy.copy(classifier)
    other.set_params(horizon_days=horizon_days, gap_days=horizon_days + maturity_days)
    if horizon_days < classifier.horizon_days:
        # open deals hurry: of what is adopted within a month they are a large part, and no list shows them
        rows = rows[rows["status"].eq("white_space")]
    return recalibrate_recent(other, rows, columns, observed_until=observed_until, maturity_days=maturity_days)


def coherent(propensity: pd.Series[float], main: pd.Series[float], *, shorter: bool) -> pd.Series[float]:
    """Cut a shorter horizon at the main one, raise a longer one to it: an adoption within 30 days is one within 90.

    Parameters
    ----------
    propensity, main : of the further and the main horizon, 0 to 1, same index.
    shorter : whether the further horizon is the shorter one.

    >>> coherent(pd.Series([0.1, 0.3]), pd.Series([0.2, 0.2]), shorter=True).tolist()
    [0.1, 0.2]
    """
    return propensity.clip(upper=main) if shorter else propensity.clip(lower=main)


def horizon_figures(
    shown: pd.DataFrame,
    main: str,
    horizons: Sequence[int],
    *,
    horizon_days: int,
    min_positives: int,
    n_resamples: int,
    random_state: int,
) -> pd.DataFrame:
    """Figures of the further horizons as published, at every origin where their labels are closed.

    Parameters
    ----------
    shown : headline test rows with base_rate of the main horizon and, per further horizon, its label
        (`label_column`, missing while open) and its published propensity (`propensity_column`).
    main : column of the main horizon's propensity.
    horizons : the further ones in days.
    horizon_days : the main one.
    min_positives : adoptions a product needs to enter the means over products.
    n_resamples, random_state : of the account-clustered bootstrap.

    Returns
    -------
    DataFrame
        One row a horizon and figure: horizon_days, folds (how many), last_fold (origin), pairs, adoptions,
        base_rate, corrected_share (0 to 1: rows whose order of horizons had to be mended), metric, value, low,
        high. Skill is over each product's training rate of the main horizon, brought to the further one by a constant
        hazard. A horizon whose labels are open at every origin is missing.
    """
    found = []
    for days in horizons:
        closed = shown[shown[label_column(days)].notna()]
        if closed.empty:
            continue
        published = closed[propensity_column(days)]
        tested = closed.assign(
            adopted=closed[label_column(days)].astype("int64"),
            base_rate=1 - (1 - closed["base_rate"]) ** (days / horizon_days),
            value=closed["expected_arr_usd"].astype(float).fillna(0.0),
            published=published,
        )
        sample = build_sample(tested, ("published",), n_resamples=n_resamples, random_state=random_state)
        figures = all_figures(sample, min_positives=min_positives)["published"]
        intervals = [recentred_interval(float(figures[name][0]), figures[name][1:]) for name in METRICS]
        found.append(
            pd.DataFrame(
                {
                    "horizon_days": days,
                    "folds": tested["fold"].nunique(),
                    "last_fold": tested["fold"].max(),
                    "pairs": len(tested),
                    "adoptions": int(tested["adopted"].sum()),
                    "base_rate": float(tested["adopted"].mean()),
                    "corrected_share": float((published == closed[main]).mean()),
                    "metric": METRICS,
                    "value": [interval.estimate for interval in intervals],
                    "low": [interval.low for interval in intervals],
                    "high": [interval.high for interval in intervals],
                },
                columns=list(COLUMNS),
            )
        )
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))


def label_column(horizon_days: int) -> str:
    """Name of the label of one horizon.

    >>> label_column(90)
    'adopted_90d'
    """
    return f"adopted_{horizon_days}d"


def propensity_column(horizon_days: int) -> str:
    """Name of the blend's published propensity of a further horizon among test predictions.

    >>> propensity_column(30)
    'blend_30d'
    """
    return f"blend_{horizon_days}d"
