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


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"], [2, 3, 4]),
        ([f"2026-05-{day:02d}" for day in (1, 8, 15, 22, 29)], [0, 4]),
        (["2026-05-31"], [0]),
    ],
)
def test_an_adoption_sets_the_level_once_however_often_it_is_looked_at(days, expected) -> None:
    """Thirty-day horizons of weekly dates would show it four times, and a product's chance surplus as its own level."""
    dates = pd.to_datetime(days)
    rows = pd.DataFrame({"as_of": dates, "adopted_30d": 0, "product_id": "a", "commercial_recent_rate": -4.0})
    rows = rows.assign(is_winback=False, **{c.name: 1.0 for c in COLUMNS if c.name not in rows})
    until = pd.Timestamp("2027-01-01")
    heard = recalibrate_recent(_Listener(), rows, COLUMNS, observed_until=until, maturity_days=7)
    assert heard.frame.index.tolist() == expected


def test_a_product_is_recalibrated_at_its_offset_of_today_beyond_what_all_offsets_moved() -> None:
    """Else a launched product is raised twice: its offset has caught up since, and its rows say it was too low."""
    dates = pd.to_datetime(["2026-01-31", "2026-02-28", "2026-05-31", "2026-06-30"])
    rows = pd.DataFrame(
        [
            {"product_id": product, "as_of": day, "commercial_recent_rate": rate, "adopted_30d": 0, "account_id": "a"}
            for product, rates in {
                "old": (-4.0, -4.1, -4.2, 9.0),
                "new": (np.nan, -5.0, -4.0, 9.0),
                "none": (np.nan, np.nan, np.nan, np.nan),
            }.items()
            for day, rate in zip(dates, rates, strict=True)
        ]
    ).assign(is_winback=False, **{c.name: 1.0 for c in COLUMNS if c.name != "commercial_recent_rate"})
    heard = recalibrate_recent(_Listener(), rows, COLUMNS, observed_until=dates[2], maturity_days=7)
    assert heard.horizon_days == 30
    # closed by the origin: January and February; what is known on 30 June does not count
    found = heard.frame["commercial_recent_rate"].tolist()
    # January: old moved by -.2, alone; new has no rate then and gets today's. February: -.1 and +1, on average +.45
    expected = [-4.0, -4.1 - 0.1 - 0.45, -4.0, -5.0 + 1.0 - 0.45, np.nan, np.nan]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
