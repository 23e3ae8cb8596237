"""A column told: what it is, the query that really computes it, and its values against hand-made ones."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.errors import UsageError
from product_affinity.features import build_features
from product_affinity.features.build import _coverage, _run
from product_affinity.features.describe import (
    _scans_of,
    column_query,
    describe_values,
    find_column,
    spread_of,
)
from product_affinity.features.keys import build_rows, registered
from product_affinity.project.families import feature_columns, load_families
from product_affinity.project.model_spec import ModelSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.spine import build_pairs, build_spine
from tests.company import account, catalog, company, subscription
from tests.features.builders import family, pairs_of, spine_of
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

FAMILIES = load_families(Path(__file__).parents[2] / "features")
COLUMNS = feature_columns(FAMILIES)
DAY = dt.date.fromisoformat(AS_OFS[-1])


@pytest.fixture(scope="module")
def small() -> tuple[Facts, pd.DataFrame, pd.DataFrame]:
    facts = small_facts(small_frames())
    spine = build_spine(facts, SegmentSettings(), [DAY])
    return facts, spine, build_pairs(facts, small_catalog(), ModelSpec(), spine)


def test_every_column_is_told_with_its_query(small):
    facts = small[0]
    for column in COLUMNS:
        told = column_query(facts, FAMILIES, column, DAY)
        own = next(f for f in FAMILIES if f.family == column.family)
        if column.signal in own.columns:
            assert column.signal in told
            assert f"date '{DAY}'" in told
        elif column.signal in own.encodings:
            assert "facts.subscriptions" in told
        elif column.signal in own.signals and (own.signals[column.signal].source or own.source) not in (
            "spine",
            "catalog",
        ):
            base = "" if column.op != "change" else ":now"
            assert f'"{column.name}{base}"' in told
        assert "fe_frame" not in told


@pytest.mark.parametrize(
    "name",
    [
        "usage_active_users_trend_28d",
        "ownership_core_seats_sum",
        "health_open_urgent_age",
        "fit_open_problems_count",
        "commercial_lost_days_since_365d",
    ],
)
def test_the_query_that_is_told_is_the_one_that_computes_the_column(small, name):
    facts, spine, pairs = small
    column = find_column(FAMILIES, name)
    own = next(f for f in FAMILIES if f.family == column.family)
    built = build_features(facts, small_catalog(), FAMILIES, spine, pairs)
    rows = build_rows(small_catalog(), spine, pairs)
    with registered(facts, small_catalog(), rows):
        (scan,) = _scans_of(facts, own, column)
        found = _run(facts, scan, rows, _coverage(facts, scan.reading.source, [scan]))
    table = built.account if column.grain == "account" else built.pair
    np.testing.assert_array_equal(found[name], table[name].to_numpy())
    assert table[name].notna().any()


def test_peers_tell_what_each_customer_owned_at_the_date(small):
    facts, _, pairs = small
    told = column_query(facts, FAMILIES, find_column(FAMILIES, "commercial_peers"), DAY)
    assert "segment and industry" in told
    owned = pairs.loc[pairs["status"] == "owned", ["account_id", "product_id"]]
    found = {pair for pair in facts.connection.execute(told).fetchall() if pair[0] in {*pairs["account_id"]}}
    assert found == {*owned.itertuples(index=False, name=None)}
    assert len(found) > 10


def test_a_change_tells_both_dates(small):
    told = column_query(small[0], FAMILIES, find_column(FAMILIES, "ownership_seats_growth_change_180d"), DAY)
    assert f"date '{DAY}'" in told
    assert f"date '{DAY - dt.timedelta(days=180)}'" in told


def test_a_column_of_an_absent_table_says_so():
    facts = company(account("A"))
    told = column_query(facts, FAMILIES, find_column(FAMILIES, "health_tickets_count_28d"), DAY)
    assert told == "-- no query: there is no table tickets, so the column is missing"


def test_a_misspelt_column_meets_its_closest_match():
    with pytest.raises(UsageError, match=r"usage_active_user_mean_28d: no such feature column \(did you mean usage_"):
        find_column(FAMILIES, "usage_active_user_mean_28d")


def test_values_by_segment_and_what_a_derived_column_is_built_on():
    facts = company(
        account("A"),
        *[subscription(a, "crm", "2025-01-01", seats=seats) for a, seats in zip("ABCD", (1, 2, 6, 0), strict=True)],
    )
    own = family(
        "own",
        source="subscriptions",
        signals={"seats": {"of": "seats", "running": True, "ops": ["sum"]}},
        derived={"twice": {"value": "2 * seats"}, "more": {"value": "twice + 1"}},
    )
    spine = spine_of(list("ABCDE"), ["2026-01-01"], segment=["smb", "smb", "smb", "mid_market", None])
    tables = build_features(facts, catalog("crm"), (own,), spine, pairs_of(spine, ["crm"], {}))
    told = describe_values(
        (own,), find_column((own,), "own_twice"), tables, spine, dt.date(2026, 1, 1), query="-- none"
    )
    assert told.overall.rows == 5
    assert told.overall.coverage == 4 / 5
    assert told.overall.mean == (2 + 4 + 12 + 0) / 4
    assert told.overall.zeros == 1 / 4
    assert [*told.by_segment] == ["mid_market", "smb", "unknown"]
    smb = told.by_segment["smb"]
    assert (smb.quantiles[0.0], smb.quantiles[0.5], smb.quantiles[0.75], smb.quantiles[1.0]) == (2, 4, (4 + 12) / 2, 12)
    assert (told.by_segment["unknown"].coverage, told.by_segment["unknown"].quantiles) == (0.0, {})
    deep = describe_values((own,), find_column((own,), "own_more"), tables, spine, dt.date(2026, 1, 1), query="")
    assert [*deep.built_on] == ["own_twice", "own_seats_sum"]


def test_texts_are_told_by_their_most_frequent_values():
    spread = spread_of(pd.Series(["b", "a", "b", "a", "c", None, "b", None], dtype="str"))
    assert spread.coverage == 6 / 8
    assert spread.shares == {"b": 3 / 6, "a": 2 / 6, "c": 1 / 6}
    assert not spread.quantiles
    assert np.isnan(spread_of(pd.Series([], dtype="float64")).coverage)
