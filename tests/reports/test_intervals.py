from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_affinity.reports.intervals import clustered_shares, median_duration, wilson


@pytest.mark.parametrize(
    ("ones", "rows", "low", "high"),
    [
        # Newcombe 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_figures(ones, rows, low, high):
    found = wilson(ones, rows)
    assert (round(float(found[0]), 4), round(float(found[1]), 4)) == (low, high)


def test_wilson_of_no_trial_is_no_interval():
    assert np.isnan(wilson(0, 0)).all()


@pytest.mark.parametrize(("ones", "rows", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(ones, rows, level):
    with pytest.raises(ValueError, match=r"successes|level"):
        wilson(ones, rows, level)


@given(st.integers(1, 400), st.data())
def test_wilson_holds_the_share_and_stays_within_0_and_1(rows, data):
    ones = data.draw(st.integers(0, rows))
    low, high = wilson(ones, rows)
    assert 0 <= low <= ones / rows <= high <= 1
    assert high > low


def rows_of(per_account: int, adopted: list[int]) -> pd.DataFrame:
    accounts = [f"A{number}" for number in range(len(adopted))]
    return pd.DataFrame(
        {"rule": "R", "account_id": np.repeat(accounts, per_account), "adopted": np.repeat(adopted, per_account)}
    )


@pytest.mark.parametrize("per_account", [1, 7])
def test_rows_that_only_repeat_their_account_add_nothing(per_account):
    adopted = [1, 1, 1] + [0] * 17
    found = clustered_shares(rows_of(per_account, adopted), ["rule"], "adopted").loc["R"]
    # the cluster-robust variance of 20 clusters of equal size is p (1 − p) / 19
    low, high = wilson(3 / 20 * 19, 19)
    assert (found["rows"], found["accounts"], found["ones"]) == (20 * per_account, 20, 3 * per_account)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_no_adopter_at_all_counts_accounts_not_rows():
    found = clustered_shares(rows_of(50, [0] * 10), ["rule"], "adopted").loc["R"]
    assert (found["low"], found["high"]) == (0.0, pytest.approx(float(wilson(0, 10)[1])))


def test_missing_values_are_in_no_rate():
    rows = pd.DataFrame(
        {"rule": ["R", "R", "Q"], "account_id": list("ABC"), "adopted": pd.array([1, pd.NA, pd.NA], dtype="Int8")}
    )
    found = clustered_shares(rows, ["rule"], "adopted")
    assert found.index.tolist() == ["R"]
    assert found.loc["R", ["rows", "ones", "share"]].tolist() == [1, 1, 1]


def test_the_clustered_interval_covers_where_the_naive_one_does_not():
    rng, covered, naive = np.random.default_rng(5), 0, 0
    for _ in range(60):
        own = rng.beta(0.5, 4.5, 60)  # accounts differ: mean 0.1
        rows = pd.DataFrame({"rule": "R", "account_id": np.repeat(np.arange(60), 20)})
        rows["adopted"] = (rng.random(1200) < own[rows["account_id"]]).astype(int)
        found = clustered_shares(rows, ["rule"], "adopted").loc["R"]
        covered += found["low"] <= 0.1 <= found["high"]
        low, high = wilson(found["ones"], found["rows"])
        naive += low <= 0.1 <= high
    assert covered / 60 >= 0.88
    assert naive <= covered - 6


def slow_median(days: list[int], ended: list[bool]) -> float:
    """Kaplan–Meier day by day."""
    left = 1.0
    for day in range(max(days) + 1):
        followed = sum(length >= day for length in days)
        closing = sum(length == day and over for length, over in zip(days, ended, strict=True))
        if closing:
            left *= 1 - closing / followed
        if left <= 0.5 + 1e-12:
            return float(day)
    return float("nan")


def test_median_duration_by_hand():
    # S(5) = 4/5, S(10) = 4/5 · 2/3 = 8/15 > 1/2, S(12) = 8/15 · 1/2 = 4/15
    assert median_duration([5, 8, 10, 12, 20], [True, False, True, True, False]).days == 12


def test_leaving_the_open_ones_out_would_look_faster():
    days, ended = [10, 20, 30, 90, 90, 90], [True, True, True, False, False, False]
    assert median_duration(days, ended).days == 30
    assert median_duration(days[:3], ended[:3]).days == 20


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=25))
def test_median_duration_agrees_with_the_slow_one(durations):
    days, ended = [length for length, _ in durations], [over for _, over in durations]
    found = median_duration(days, ended)
    np.testing.assert_equal(found.days, slow_median(days, ended))
    if not np.isnan(found.days):
        assert found.low <= found.days
        assert np.isnan(found.high) or found.days <= found.high


def test_the_interval_of_the_median_covers_the_truth():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(200):
        length, seen = rng.exponential(30 / np.log(2), 80), rng.uniform(10, 120, 80)
        found = median_duration(np.minimum(length, seen), length <= seen)
        covered += found.low <= 30 <= found.high
    assert 0.9 <= covered / 200 <= 0.99


def test_nothing_ended_has_no_median():
    assert np.isnan(median_duration([4, 5], [False, False]).days)
