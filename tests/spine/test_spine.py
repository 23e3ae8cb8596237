from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.errors import ContractError
from product_affinity.project.settings import SegmentSettings, TimeSettings
from product_affinity.spine import build_spine, training_as_ofs
from tests.company import account, company, opportunity, subscription

DAY = dt.date(2026, 3, 1)


def spine_of(*rows, as_ofs=(DAY,), **options):
    return build_spine(company(*rows, **options), SegmentSettings(), list(as_ofs))


@pytest.mark.parametrize(
    ("row", "is_active"),
    [
        ({}, True),
        ({"start": "2026-02-28"}, True),
        ({"start": "2026-03-01"}, False),  # the first day is not strictly before the as-of date
        ({"end": "2026-02-28"}, False),
        ({"end": "2026-03-01"}, True),  # an end on the as-of date is not known before it
        ({"end": "2027-01-01"}, True),
        ({"is_trial": True}, False),
        ({"arr_usd": 0.0}, False),
        ({"one_time": True}, False),
        ({"arr_usd": None}, True),  # a company without prices still has customers
        ({"known_at": "2026-03-01 00:00"}, False),
        ({"known_at": "2026-02-28 23:59"}, True),
    ],
)
def test_active_customer_at_the_boundaries(row, is_active):
    row = {"start": "2025-01-01"} | row
    spine = spine_of(account("A"), subscription("A", "crm", **row))
    assert (spine["account_id"].tolist() == ["A"]) is is_active


def test_midnight_is_local_midnight():
    # 23:30 UTC is already the next day in Berlin, so the row is known on 1 March only
    row = subscription("A", "crm", "2025-01-01", known_at="2026-02-28 23:30")
    assert len(spine_of(account("A"), row, timezone="UTC")) == 1
    assert spine_of(account("A"), row, timezone="Europe/Berlin").empty


def test_lag_delays_what_is_known():
    row = subscription("A", "crm", "2026-02-27")
    assert len(spine_of(account("A"), row, lag_days={"subscriptions": 1})) == 1
    assert spine_of(account("A"), row, lag_days={"subscriptions": 2}).empty


def test_latest_version_known_wins():
    rows = [
        subscription("A", "crm", "2025-01-01", arr_usd=100.0, known_at="2025-01-02"),
        subscription("A", "crm", "2025-01-01", arr_usd=250.0, known_at="2025-06-01"),
        subscription("A", "crm", "2025-01-01", end="2025-09-01", arr_usd=250.0, known_at="2025-08-20"),
    ]
    days = [dt.date(2025, 3, 1), dt.date(2025, 6, 1), dt.date(2025, 6, 2), dt.date(2025, 9, 2)]
    spine = spine_of(account("A"), *rows, as_ofs=days)
    assert spine["arr_usd"].tolist() == [100.0, 100.0, 250.0]
    assert spine["as_of"].dt.date.tolist() == days[:3]


def test_account_history_is_read_as_of_the_date():
    rows = [
        account("A", employees=150, valid_from="2025-01-01"),
        account("A", employees=200, valid_from="2025-06-01"),
        account("A", employees=1001, valid_from="2025-09-01"),
    ]
    days = [dt.date(2025, 6, 1), dt.date(2025, 6, 2), dt.date(2025, 12, 1)]
    spine = spine_of(*rows, subscription("A", "crm", "2025-01-01"), as_ofs=days)
    assert spine["segment"].tolist() == ["smb", "mid_market", "enterprise"]


def test_segments_and_tiers_at_their_bounds():
    sizes = {"A": 199, "B": 200, "C": 1000, "D": 1001}
    prices = {"A": 24_999.0, "B": 25_000.0, "C": 100_000.0, "D": 100_001.0}
    rows = [account(name, employees=size) for name, size in sizes.items()]
    rows += [subscription(name, "crm", "2025-01-01", arr_usd=price) for name, price in prices.items()]
    spine = spine_of(*rows)
    assert spine["segment"].tolist() == ["smb", "mid_market", "mid_market", "enterprise"]
    assert spine["tier"].tolist() == [3, 2, 2, 1]


def test_unknown_size_is_no_segment():
    assert spine_of(account("A"), subscription("A", "crm", "2025-01-01"))["segment"].isna().all()


def test_arr_adds_up_what_runs_and_is_paid_regularly():
    rows = [
        subscription("A", "crm", "2025-01-01", arr_usd=100.0),
        subscription("A", "mail", "2025-01-01", arr_usd=50.0),
        subscription("A", "setup", "2025-01-01", arr_usd=7.0, one_time=True),
        subscription("A", "desk", "2025-01-01", end="2025-02-01", arr_usd=7.0),
    ]
    assert spine_of(account("A"), *rows)["arr_usd"].tolist() == [150.0]


def test_tenure_counts_from_the_first_purchase_even_if_it_ended():
    rows = [
        subscription("A", "desk", "2024-03-01", end="2024-06-01"),
        subscription("A", "mail", "2023-03-01", is_trial=True),
        subscription("A", "crm", "2025-01-01"),
    ]
    assert spine_of(account("A"), *rows)["tenure_days"].tolist() == [730]


class TestTrainingDates:
    def test_month_ends_from_the_warm_up_on(self):
        found = training_as_ofs(TimeSettings(warmup_days=0), dt.date(2025, 11, 30), dt.date(2026, 2, 27))
        assert found == (dt.date(2025, 11, 30), dt.date(2025, 12, 31), dt.date(2026, 1, 31))

    def test_weeks_count_back_from_the_as_of_date(self):
        time = TimeSettings(as_ofs="weekly", warmup_days=7)
        found = training_as_ofs(time, dt.date(2026, 1, 1), dt.date(2026, 1, 22))
        assert found == (dt.date(2026, 1, 8), dt.date(2026, 1, 15), dt.date(2026, 1, 22))

    def test_given_dates_are_sorted_and_bounded(self):
        time = TimeSettings(as_ofs=(dt.date(2026, 3, 1), dt.date(2026, 1, 1), dt.date(2027, 1, 1)), warmup_days=0)
        found = training_as_ofs(time, dt.date(2025, 1, 1), dt.date(2026, 6, 1))
        assert found == (dt.date(2026, 1, 1), dt.date(2026, 3, 1))

    def test_no_date_left_names_both_ends(self):
        with pytest.raises(ContractError, match=r"2020-01-01.*2026-01-01"):
            training_as_ofs(TimeSettings(), dt.date(2026, 1, 1), dt.date(2020, 1, 1))


def test_spine_does_not_depend_on_the_order_of_rows():
    rows = [account(name, employees=10) for name in "CAB"]
    rows += [subscription(name, "crm", "2025-01-01") for name in "BCA"]
    pd.testing.assert_frame_equal(spine_of(*rows), spine_of(*reversed(rows)))


def test_a_customer_whose_attributes_came_later_is_a_customer():
    spine = spine_of(account("A", employees=10, valid_from="2026-06-01"), subscription("A", "crm", "2025-01-01"))
    assert spine["account_id"].tolist() == ["A"]
    assert spine["segment"].isna().all()


def test_open_deals_of_any_kind_are_named():
    rows = [
        opportunity("1", "A", "mail", "2026-01-01"),
        opportunity("2", "A", None, "2026-01-01", kind="upsell"),
        opportunity("3", "A", "desk", "2026-01-01", closed_on="2026-02-01", result="lost"),
    ]
    spine = spine_of(account("A"), account("B"), *(subscription(a, "crm", "2025-01-01") for a in "AB"), *rows)
    assert spine["open_deals"].fillna("").tolist() == ["mail, upsell", ""]
