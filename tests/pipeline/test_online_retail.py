"""The script of the Online Retail example, on order lines made by hand."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"
script = runpy.run_path(str(EXAMPLE / "to_source_tables.py"))


def line(invoice, customer, description, day, quantity=1, price=2.5, code="12345"):
    return {
        "InvoiceNo": invoice,
        "StockCode": code,
        "Description": description,
        "Quantity": quantity,
        "InvoiceDate": pd.Timestamp(day),
        "UnitPrice": price,
        "CustomerID": customer,
        "Country": "France",
    }


@pytest.fixture
def tables():
    lines = pd.DataFrame(
        [
            line("1", "7", "RED MUG", "2011-01-01 10:00", quantity=4),
            line("2", "7", "BLUE MUG", "2011-06-29 09:00"),  # 179 days later: the same interval
            line("3", "7", "GREEN MUG", "2011-12-27 09:00"),  # 181 days later: a new one
            line("4", "7", "LUNCH BAG", "2011-01-01 11:00"),  # two rules match, the first wins
            line("5", "7", "SOMETHING ELSE", "2011-01-02 11:00"),
            line("C6", "7", "RED MUG", "2011-01-05 10:00", quantity=-1),
            line("C7", "9", "RED MUG", "2011-01-05 10:00", quantity=-1),  # never ordered
            line("8", "", "RED MUG", "2011-01-01 10:00"),
            line("9", "7", "POSTAGE", "2011-01-01 10:00", code="POST"),
            line("10", "7", "RED MUG", "2011-01-01 10:00", price=0.0),
        ]
    )
    return script["source_tables"](lines, pd.read_csv(EXAMPLE / "families.csv", dtype="str"))


def test_every_line_is_counted(tables):
    _, left_out = tables
    assert left_out == {
        "lines": 10,
        "without a customer": 1,
        "no goods, quantity or price": 2,
        "cancellations (kept as signals)": 2,
        "cancellations of customers without an order": 1,
    }


def test_a_family_is_owned_until_180_days_after_the_last_order(tables):
    rows = tables[0]["subscriptions"]
    mugs = rows[rows["product_id"] == "mug"]
    found = mugs[["start_on", "end_on"]].astype(str).to_numpy().tolist()
    assert found == [["2011-01-01", "2011-12-26"], ["2011-12-27", "2012-06-24"]]
    assert mugs["arr_usd"].tolist() == [10.0, 2.5]  # the first day's value
    assert sorted(set(rows["product_id"])) == ["lunch", "mug", "other"]


def test_cancellations_are_signals(tables):
    signals = tables[0]["signals"]
    assert signals[["account_id", "kind", "amount"]].to_numpy().tolist() == [["7", "cancellation", 2.5]]
