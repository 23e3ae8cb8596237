from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.value import expected_arr
from tests.company import account, catalog, company, subscription

AS_OF = pd.Timestamp("2026-03-01")


def arr(*rows, segment="smb", list_arr_usd=100.0):
    facts = company(account("A"), account("B"), account("C"), *rows)
    pairs = pd.DataFrame(
        {
            "account_id": ["A", "B", "C"],
            "product_id": "mail",
            "as_of": AS_OF,
            "segment": pd.Series([segment, "smb", "enterprise"], dtype="str"),
        }
    )
    rules = {"list_arr_usd": list_arr_usd} if list_arr_usd is not None else {}
    return expected_arr(facts, catalog("mail", mail=rules), pairs, pairs)


def test_without_any_price_it_is_the_list_price():
    assert arr().tolist() == [100.0, 100.0, 100.0]


def test_without_price_and_list_price_it_is_unknown():
    assert arr(list_arr_usd=None).isna().all()


def test_prices_of_the_segment_shrink_towards_the_product():
    found = arr(subscription("B", "mail", "2025-01-01", arr_usd=310.0))
    product = (310 + 20 * 100) / 21
    assert found[0] == pytest.approx((310 + 20 * product) / 21)  # smb, where B pays 310
    assert found[2] == pytest.approx(product)  # no price known among enterprises


def test_churned_customers_set_the_price_of_no_segment():
    rows = [subscription("A", "mail", "2025-01-01", arr_usd=310.0), account("gone")]
    rows += [subscription("gone", "mail", "2024-01-01", "2024-06-01", arr_usd=310.0)]
    assert arr(*rows, segment=None)[0] == pytest.approx((2 * 310 + 20 * 100) / 22)  # the product's own mean


def test_prices_from_the_as_of_date_on_are_not_seen():
    assert arr(subscription("B", "mail", "2026-03-01", arr_usd=310.0))[0] == 100.0


def test_an_outlier_is_capped():
    rows = [subscription("B", "mail", f"2025-01-{day:02}", arr_usd=100.0) for day in range(1, 11)]
    without = arr(*rows)[0]
    with_outlier = arr(*rows, subscription("C", "mail", "2025-02-01", arr_usd=1e9))[0]
    assert with_outlier == pytest.approx(without, rel=0.01)
