"""Folds in time: what is planned, what cannot be built, and what a second opinion catches."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.backtest import Fold, check_folds, plan_folds
from product_affinity.errors import ContractError, LeakageError

D = dt.date
LONG_AFTER = D(2099, 1, 1)


def _plan(dates, until, **options):
    return plan_folds(dates, **{"horizon_days": 90, "maturity_days": 7, "folds": 4} | options, observed_until=until)


def test_last_fold_is_the_latest_closed_date_and_gaps_hold_exactly() -> None:
    dates = [D(2025, 1, 1) + dt.timedelta(days=k) for k in range(400)]
    last = _plan(dates, D(2026, 2, 1))[-1]
    assert last.origin == D(2026, 2, 1) - dt.timedelta(days=97)
    assert last.test_as_ofs == (last.origin,)
    # the day whose label is known exactly at the origin may be used, the next may not
    assert last.train_as_ofs[-1] == last.origin - dt.timedelta(days=97)
    assert last.gap_days == 97


def test_folds_step_back_to_the_nearest_date_and_ascend() -> None:
    month_ends = [day.date() for day in pd.date_range("2024-01-31", "2026-06-30", freq="ME")]
    folds = _plan(month_ends, D(2026, 6, 30))
    assert [fold.origin for fold in folds] == [
        D(2025, 5, 31),
        D(2025, 8, 31),
        D(2025, 11, 30),
        D(2026, 2, 28),
    ]
    assert [fold.train_as_ofs[0] for fold in folds] == [D(2024, 1, 31)] * 4
    # 2025-11-30 lies 90 days before 2026-02-28; 30 days step finds every month
    monthly = _plan(month_ends, D(2026, 6, 30), step_days=30)
    assert [fold.origin.month for fold in monthly] == [11, 12, 1, 2]


def test_of_two_equally_near_dates_the_earlier_is_tested() -> None:
    dates = [D(2025, 1, 1), D(2025, 8, 8), D(2025, 8, 12), D(2025, 11, 8)]
    assert _plan(dates, D(2026, 3, 1), folds=2)[0].origin == D(2025, 8, 8)


def test_short_history_gives_fewer_folds() -> None:
    dates = [D(2025, 1, 31), D(2025, 5, 31), D(2025, 8, 31)]
    assert [fold.origin for fold in _plan(dates, D(2026, 1, 1))] == [D(2025, 5, 31), D(2025, 8, 31)]


def test_no_fold_says_how_much_is_missing() -> None:
    dates = [D(2025, 1, 1), D(2025, 3, 1)]
    with pytest.raises(ContractError) as error:
        _plan(dates, D(2025, 5, 1))
    assert error.value.exit_code == 10
    # one training date, 97 days to a test date, 97 more to its label: 194 - 120 days
    assert "74 more days of history are missing" in str(error.value)
    # with those days, and a date 97 days after the first, a fold fits; with one day less it does not
    dates.append(D(2025, 4, 8))
    enough = D(2025, 5, 1) + dt.timedelta(days=74)
    assert len(_plan(dates, enough)) == 1
    with pytest.raises(ContractError):
        _plan(dates, enough - dt.timedelta(days=1))
    with pytest.raises(ContractError, match="no as-of date at all"):
        _plan([], D(2025, 5, 1))


def test_a_leaking_fold_cannot_be_built() -> None:
    first_test = D(2025, 6, 1)
    fits = first_test - dt.timedelta(days=97)
    Fold(first_test, (fits,), (first_test,), 90, 7)
    with pytest.raises(LeakageError, match=r"2025-02-25 are known on 2025-06-02.*2025-06-01"):
        Fold(first_test, (fits, fits + dt.timedelta(days=1)), (first_test,), 90, 7)
    with pytest.raises(LeakageError, match="not the first test as-of"):
        Fold(first_test + dt.timedelta(days=1), (fits,), (first_test,), 90, 7)
    with pytest.raises(ValueError, match="at least one training"):
        Fold(first_test, (), (first_test,), 90, 7)


@settings(max_examples=60, deadline=None)
@given(
    days=st.sets(st.integers(0, 900), min_size=3, max_size=40),
    horizon=st.integers(1, 120),
    maturity=st.integers(0, 20),
    wanted=st.integers(1, 5),
)
def test_planned_folds_always_pass_the_second_opinion(days, horizon, maturity, wanted) -> None:
    dates = [D(2024, 1, 1) + dt.timedelta(days=day) for day in sorted(days)]
    until = D(2024, 1, 1) + dt.timedelta(days=700)
    try:
        folds = plan_folds(dates, horizon_days=horizon, maturity_days=maturity, observed_until=until, folds=wanted)
    except ContractError:
        assert not any(
            (b - a).days >= horizon + maturity and (until - b).days >= horizon + maturity for a in dates for b in dates
        )
        return
    assert 1 <= len(folds) <= wanted
    assert check_folds(folds, _rows(dates, until, horizon + maturity)) == ()


def _rows(dates, until=LONG_AFTER, gap=97) -> pd.DataFrame:
    as_of = pd.to_datetime(list(dates))
    rows = pd.DataFrame({"account_id": "A", "product_id": "crm", "as_of": as_of})
    rows["adopted"] = pd.Series([1] * len(rows), dtype="Int8")
    rows["adopted"] = rows["adopted"].mask(rows["as_of"] + pd.Timedelta(days=gap) > pd.Timestamp(until))
    return rows


@pytest.fixture
def sound():
    dates = [D(2025, 1, 1), D(2025, 2, 1), D(2025, 6, 1)]
    return Fold(dates[2], tuple(dates[:2]), (dates[2],), 90, 7), _rows(dates)


def test_sound_rows_pass(sound) -> None:
    fold, rows = sound
    assert check_folds([fold], rows) == ()


def test_a_tampered_fold_is_caught(sound) -> None:
    fold, rows = sound
    late = D(2025, 4, 1)
    object.__setattr__(fold, "train_as_ofs", (*fold.train_as_ofs, late))
    (fault,) = check_folds([fold], pd.concat([rows, _rows([late])]))
    assert "1 of 3 training labels reach past the first test as-of 2025-06-01" in fault
    assert "A × crm at 2025-04-01" in fault


def test_rows_on_both_sides_are_caught(sound) -> None:
    fold, rows = sound
    object.__setattr__(fold, "train_as_ofs", (*fold.train_as_ofs, fold.origin))
    assert any("rows are in training and test" in fault for fault in check_folds([fold], rows))


def test_open_labels_are_caught(sound) -> None:
    fold, rows = sound
    rows["adopted"] = rows["adopted"].mask(rows["as_of"] == pd.Timestamp(fold.origin))
    assert check_folds([fold], rows) == ("fold 2025-06-01: 1 of 1 test labels are open (first: A × crm at 2025-06-01)",)


def test_adopters_kept_of_an_open_horizon_are_caught(sound) -> None:
    fold, rows = sound
    later = pd.concat([_rows([D(2025, 9, 1)]).assign(account_id=name) for name in "ABCD"], ignore_index=True)
    later.loc[1:, "adopted"] = pd.NA
    (fault,) = check_folds([fold], pd.concat([rows, later], ignore_index=True))
    assert fault == "as-of 2025-09-01: 75% of the labels are open, not all"


def test_repeated_and_absent_rows_are_caught(sound) -> None:
    fold, rows = sound
    doubled = check_folds([fold], pd.concat([rows, rows.head(1)], ignore_index=True))
    assert doubled == ("fold 2025-06-01: 1 of 3 training rows are repeated (first: A × crm at 2025-01-01)",)
    assert check_folds([fold], rows.head(2)) == ("fold 2025-06-01: no test rows",)
