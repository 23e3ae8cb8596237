"""The classifier and its table follow the specification and the declared columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from product_affinity.errors import ContractError
from product_affinity.models.assembly import build_classifier, model_frame, recalibrate_recent
from product_affinity.project.model_spec import EstimatorSpec
from tests.backtest.worlds import COLUMNS, company


def _build(columns=COLUMNS, **spec):
    return build_classifier(EstimatorSpec(**spec), columns, horizon_days=90, gap_days=97, n_jobs=1)


def test_directions_categories_and_settings_reach_the_classifier() -> None:
    classifier = _build(n_seeds=2, random_state=7, candidates=("pooled", "ridge"), offset="commercial_recent_rate")
    assert classifier.monotone == {
        "usage_active_users_mean_28d": 1,
        "commercial_affinity_max": 1,
        "usage_adjacent_uses_sum_28d": 1,
    }
    assert list(classifier.categorical) == ["firmographic_industry"]
    assert classifier.offset == "commercial_recent_rate"
    assert (classifier.n_seeds, classifier.random_state, classifier.gap_days) == (2, 7, 97)
    assert tuple(classifier.candidates) == ("pooled", "ridge")


def test_an_offset_the_families_lack_is_none() -> None:
    assert _build(COLUMNS[:2], offset="commercial_recent_rate").offset is None
    assert _build(COLUMNS[:1]).categorical == "auto"


def test_the_table_holds_the_columns_and_winback_and_nothing_of_the_future() -> None:
    rows = company(accounts=5)
    frame = model_frame(rows, COLUMNS)
    assert list(frame.columns) == [*(c.name for c in COLUMNS), "is_winback"]
    assert frame["is_winback"].dtype == np.float64
    assert (frame["is_winback"] == rows["is_winback"].astype(float)).all()
    assert frame.index.equals(rows.index)


def test_a_missing_column_is_named_with_the_closest() -> None:
    rows = company(accounts=2).rename(columns={"commercial_affinity_max": "commercial_affinity_mx"})
    with pytest.raises(ContractError, match=r"missing column commercial_affinity_max.*commercial_affinity_mx"):
        model_frame(rows, COLUMNS)


class _Listener:
    """A classifier that remembers what it is recalibrated on."""

    offset, horizon_days = "commercial_recent_rate", 90

    def recalibrate(self, frame, label, *, product, horizon_days):
        self.frame, self.label, self.horizon_days = frame, label, horizon_days
        return self


def test_recent_rows_are_recalibrated_at_the_offset_of_today() -> None:
    """Else a launched product is raised twice: its offset has caught up since, and its rows say it was too low."""
    rows = company(accounts=30)
    dates = np.sort(rows["as_of"].unique())
    by_date = dict(zip(dates, np.linspace(-5.0, -3.0, len(dates)), strict=True))
    rows["commercial_recent_rate"] = rows["as_of"].map(by_date)
    rows["adopted_30d"] = (rows.index % 7 == 0).astype(int)
    # before it was launched a product had no rate
    product = rows["product_id"].iloc[0]
    early = rows["product_id"].eq(product) & rows["as_of"].lt(dates[-2])
    rows.loc[early, "commercial_recent_rate"] = np.nan
    until = pd.Timestamp(dates[-2])
    heard = recalibrate_recent(_Listener(), rows, COLUMNS, observed_until=until, maturity_days=7)
    assert len(heard.frame)
    assert heard.horizon_days == 30
    # dates after the origin are not known: the level of the last date before it counts, everywhere
    np.testing.assert_allclose(heard.frame["commercial_recent_rate"], by_date[dates[-2]], rtol=1e-12)
    # other columns stay as they were
    used = rows.loc[heard.frame.index]
    pd.testing.assert_series_equal(
        heard.frame["usage_active_users_mean_28d"], used["usage_active_users_mean_28d"], check_exact=True
    )
