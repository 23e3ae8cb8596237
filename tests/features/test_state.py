"""What runs at a date, attributes, changes, catalogue columns and derived signals, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from product_affinity.features import assemble, build_features
from tests.company import account, catalog, company, opportunity, subscription
from tests.features.builders import build, family, pairs_of, spine_of, value


def own(**signals: dict) -> object:
    return family("own", source="subscriptions", signals=signals)


RUNNING = {"where": {"paid": True}, "running": True}


def test_an_interval_runs_until_its_end_is_before_the_date():
    facts = company(account("A"), subscription("A", "crm", "2026-01-10", "2026-02-10", seats=4))
    tables = build(
        facts,
        own(seats=RUNNING | {"of": "seats", "ops": ["sum"]}),
        as_ofs=["2026-01-10", "2026-01-11", "2026-02-10", "2026-02-11"],
    )
    seats = [value(tables, "own_seats_sum", day) for day in ("2026-01-11", "2026-02-10")]
    assert seats == [4.0, 4.0]
    # Nothing runs: unknown how many seats, not none.
    assert np.isnan(value(tables, "own_seats_sum", "2026-02-11"))
    assert np.isnan(value(tables, "own_seats_sum", "2026-01-10"))


def test_paid_leaves_out_trials_and_free_rows_but_not_one_time_purchases():
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-01-01"),
        subscription("A", "chat", "2026-01-01", is_trial=True),
        subscription("A", "desk", "2026-01-01", arr_usd=0.0),
        subscription("A", "training", "2026-01-01", arr_usd=0.0, one_time=True),
    )
    tables = build(facts, own(products=RUNNING | {"of": "product_id", "ops": ["distinct"]}), as_ofs=["2026-02-01"])
    assert value(tables, "own_products_distinct", "2026-02-01") == 2.0


def test_tenure_last_purchase_and_renewal_in_days():
    facts = company(
        account("A"),
        subscription("A", "crm", "2025-12-01", renewal_on="2026-12-01"),
        subscription("A", "chat", "2026-01-20", renewal_on="2026-03-01"),
        subscription("A", "desk", "2026-01-25", "2026-01-28", renewal_on="2026-02-05"),
    )
    signals = {
        "tenure": {"where": {"paid": True}, "ops": ["age", "days_since"]},
        "renewal": RUNNING | {"of": "renewal_on", "ops": ["days_until"]},
    }
    tables = build(facts, own(**signals), as_ofs=["2026-02-01", "2026-03-01", "2026-03-02"])
    assert value(tables, "own_tenure_age", "2026-02-01") == 62.0
    assert value(tables, "own_tenure_days_since", "2026-02-01") == 7.0
    assert value(tables, "own_renewal_days_until", "2026-02-01") == 28.0  # desk has ended
    assert value(tables, "own_renewal_days_until", "2026-03-01") == 0.0
    assert value(tables, "own_renewal_days_until", "2026-03-02") == 274.0


def test_change_compares_with_what_was_known_then():
    rows = [
        subscription("A", "crm", "2025-01-01", seats=10, known_at="2025-01-01 09:00"),
        subscription("A", "crm", "2025-01-01", seats=15, known_at="2026-01-01 09:00"),
    ]
    facts = company(account("A"), *rows)
    tables = build(
        facts,
        own(growth=RUNNING | {"of": "seats", "ops": ["change"], "windows": [30]}),
        as_ofs=["2026-01-01", "2026-01-02", "2026-02-01"],
    )
    assert value(tables, "own_growth_change_30d", "2026-01-01") == 0.0
    assert value(tables, "own_growth_change_30d", "2026-01-02") == pytest.approx(15 / 10 - 1, rel=1e-15)
    assert value(tables, "own_growth_change_30d", "2026-02-01") == 0.0


def test_attributes_follow_their_history_and_their_arrival():
    facts = company(
        account("A", valid_from="2025-01-01", employees=100, industry="NA", known_at="2025-01-01 09:00"),
        account("A", valid_from="2025-06-01", employees=120, industry="media", known_at="2025-08-01 09:00"),
    )
    firm = family(
        "firm",
        source="accounts",
        signals={
            "employees": {"of": "employees", "ops": ["last"]},
            "growth": {"of": "employees", "ops": ["change"], "windows": [90]},
            "industry": {"of": "industry", "ops": ["last"], "unit": "category"},
        },
    )
    tables = build(facts, firm, as_ofs=["2025-07-01", "2025-09-01"])
    assert value(tables, "firm_employees_last", "2025-07-01") == 100.0
    assert value(tables, "firm_employees_last", "2025-09-01") == 120.0
    assert value(tables, "firm_growth_change_90d", "2025-09-01") == pytest.approx(0.2)
    assert value(tables, "firm_industry_last", "2025-07-01") == "NA"
    assert value(tables, "firm_industry_last", "2025-09-01") == "media"


def test_growth_of_an_attribute_without_history_is_unknown():
    facts = company(account("A", employees=100))
    firm = family(
        "firm", source="accounts", signals={"growth": {"of": "employees", "ops": ["change"], "windows": [90]}}
    )
    assert np.isnan(value(build(facts, firm, as_ofs=["2025-09-01"]), "firm_growth_change_90d", "2025-09-01"))


def test_a_column_the_source_does_not_fill_is_unknown_not_zero():
    facts = company(account("A"), ("contacts", {"contact_id": "c", "account_id": "A", "role": "cto"}))
    signals = {"champions": {"where": {"is_champion": True}, "ops": ["count"]}, "all": {"ops": ["count"]}}
    tables = build(facts, family("people", source="contacts", signals=signals), as_ofs=["2026-01-01"])
    assert np.isnan(value(tables, "people_champions_count", "2026-01-01"))
    assert value(tables, "people_all_count", "2026-01-01") == 1.0


def test_results_count_from_the_day_after_the_close():
    facts = company(
        account("A"),
        opportunity("o0", "A", "chat", "2025-01-01"),
        opportunity("o1", "A", "crm", "2026-01-01", closed_on="2026-01-20", result="lost"),
    )
    signals = {
        "lost": {
            "event": "closed_on",
            "where": {"result": "lost"},
            "ops": ["count", "days_since"],
            "windows": [90],
        },
        "open": {"running": True, "ops": ["count", "age"]},
    }
    tables = build(
        facts,
        family("deals", grain="pair", source="opportunities", signals=signals),
        owned={},
        as_ofs=["2026-01-20", "2026-01-21"],
    )
    lost = [value(tables, "deals_lost_count_90d", day, product="crm") for day in ("2026-01-20", "2026-01-21")]
    opened = [value(tables, "deals_open_count", day, product="crm") for day in ("2026-01-20", "2026-01-21")]
    assert (lost, opened) == ([0.0, 1.0], [1.0, 0.0])
    assert value(tables, "deals_lost_days_since_90d", "2026-01-21", product="crm") == 1.0
    assert value(tables, "deals_open_age", "2026-01-20", product="crm") == 19.0
    assert value(tables, "deals_open_count", "2026-01-21", product="chat") == 1.0


def test_a_stage_is_read_from_versioned_rows_only():
    facts = company(
        account("A"),
        opportunity("o1", "A", "crm", "2026-01-01", stage="proposal"),
        opportunity("o2", "A", "crm", "2026-01-01", stage="proposal", known_at="2026-01-02 09:00"),
        opportunity("o2", "A", "crm", "2026-01-01", stage="won", known_at="2026-01-05 09:00"),
    )
    signals = {"proposed": {"where": {"stage": "proposal"}, "ops": ["count"]}}
    tables = build(
        facts,
        family("deals", grain="pair", source="opportunities", signals=signals),
        owned={},
        as_ofs=["2026-01-05", "2026-01-06"],
    )
    counts = [value(tables, "deals_proposed_count", day, product="crm") for day in ("2026-01-05", "2026-01-06")]
    assert counts == [1.0, 0.0]


def test_matches_reach_the_products_that_list_them():
    products = catalog("crm", "chat", "desk", crm={"solves": ["slow"]}, desk={"solves": ["slow", "loud"]})
    problem = {"account_id": "A", "statement": "x", "source": "qbr"}
    facts = company(
        account("A"),
        (
            "problems",
            problem | {"problem_id": "1", "tag": "slow", "noted_at": "2026-01-05 09:00", "solved_at": None},
        ),
        (
            "problems",
            problem
            | {
                "problem_id": "2",
                "tag": "loud",
                "noted_at": "2026-01-06 09:00",
                "solved_at": "2026-01-08 09:00",
            },
        ),
    )
    signals = {"problems": {"match": {"tag": "target.solves"}, "running": True, "ops": ["count"]}}
    tables = build(
        facts,
        family("fit", grain="pair", source="problems", signals=signals),
        catalogue=products,
        products=["crm", "chat", "desk"],
        owned={},
        as_ofs=["2026-01-08", "2026-01-09"],
    )
    seen = {p: value(tables, "fit_problems_count", "2026-01-08", product=p) for p in ("crm", "chat", "desk")}
    assert seen == {"crm": 1.0, "chat": 0.0, "desk": 2.0}
    assert value(tables, "fit_problems_count", "2026-01-09", product="desk") == 1.0


def test_outcomes_find_their_account_through_the_play():
    facts = company(
        account("A"),
        (
            "outreach",
            {
                "play_id": "p1",
                "account_id": "A",
                "product_id": "crm",
                "decided_at": "2026-01-01 09:00",
                "arm": "treated",
                "arm_probability": 0.7,
            },
        ),
        ("outcomes", {"play_id": "p1", "status": "meeting", "noted_at": "2026-01-05 09:00"}),
    )
    signals = {"talks": {"where": {"status": ["meeting", "won"]}, "ops": ["count"]}}
    tables = build(
        facts,
        family("deals", grain="pair", source="outcomes", signals=signals),
        owned={},
        as_ofs=["2026-02-01"],
    )
    assert value(tables, "deals_talks_count", "2026-02-01", product="crm") == 1.0
    assert value(tables, "deals_talks_count", "2026-02-01", product="chat") == 0.0


def test_catalogue_columns():
    products = catalog(
        "crm",
        "chat",
        "desk",
        crm={"category": "sales", "list_arr_usd": 500, "launched_on": "2026-01-01"},
        chat={"category": "sales"},
        desk={
            "prerequisites": ["crm"],
            "adjacency": {
                "crm": {"icp_overlap": "high", "workflow_integration": "high"},
                "chat": {"icp_overlap": "high", "workflow_integration": "low"},
            },
        },
    )
    signals = {
        "price": {"of": "list_arr_usd", "ops": ["last"]},
        "category": {"of": "category", "ops": ["last"], "unit": "category"},
        "launched": {"of": "launched_on", "ops": ["days_since"]},
        "primary": {"of": "owned.primary", "ops": ["count"]},
        "same": {"of": "owned.same_category", "ops": ["count"]},
        "needs": {"of": "owned.prerequisites", "ops": ["count"]},
    }
    fit = family("fit", grain="pair", source="catalog", signals=signals)
    tables = build(
        company(account("A")),
        fit,
        catalogue=products,
        products=["crm", "chat", "desk"],
        owned={"A": ["chat"]},
        as_ofs=["2026-02-01"],
    )
    row = tables.pair.set_index("product_id")
    assert row.loc["crm", ["fit_price_last", "fit_launched_days_since", "fit_same_count"]].tolist() == [
        500.0,
        31.0,
        1.0,
    ]
    assert row.loc["crm", "fit_category_last"] == "sales"
    assert np.isnan(row.loc["crm", "fit_primary_count"])  # the catalogue says nothing of what it is adjacent to
    assert row.loc["desk", ["fit_primary_count", "fit_needs_count"]].tolist() == [0.0, 0.0]
    assert pd.isna(row.loc["desk", "fit_category_last"])


def test_derived_signals_follow_their_references_across_families_and_grains():
    facts = company(
        account("A"),
        subscription("A", "crm", "2026-01-01", seats=8),
        subscription("A", "chat", "2026-01-01", seats=0),
    )
    owned = own(
        seats=RUNNING | {"of": "seats", "ops": ["sum"]},
        chat_seats=RUNNING | {"of": "seats", "where": {"product_id": "chat"}, "ops": ["sum"]},
        products=RUNNING | {"of": "product_id", "ops": ["distinct"]},
    )
    ratios = family(
        "ratio",
        source="catalog",
        grain="pair",
        signals={"price": {"of": "list_arr_usd", "ops": ["last"]}},
        derived={
            "per_product": {"value": "own.seats / own.products_distinct", "needs": {"own.seats_sum": 8}},
            "twice": {"value": "2 * per_product - 1", "clip": [0, 6]},
            "by_zero": {"value": "own.seats / own.chat_seats"},
            "by_zero_as_zero": {"value": "own.seats / own.chat_seats", "zero_denominator": "zero"},
            "instead": {"value": "by_zero", "otherwise": "-own.seats"},
            "per_price": {"value": "own.seats / price"},
        },
    )
    products = catalog("crm", "chat", "desk", desk={"list_arr_usd": 16})
    tables = build(
        facts,
        owned,
        ratios,
        catalogue=products,
        products=["crm", "chat", "desk"],
        owned={"A": ["crm", "chat"]},
        as_ofs=["2026-02-01"],
    )
    row = tables.account.iloc[0]
    assert (row["ratio_per_product"], row["ratio_twice"], row["ratio_instead"]) == (4.0, 6.0, -8.0)
    assert np.isnan(row["ratio_by_zero"])
    assert row["ratio_by_zero_as_zero"] == 0.0
    assert value(tables, "ratio_per_price", "2026-02-01", product="desk") == 0.5


def test_rows_and_columns_are_sorted_and_assembled_in_the_callers_order():
    facts = company(account("B"), account("A"), subscription("A", "crm", "2025-01-01", seats=3))
    seats = own(seats=RUNNING | {"of": "seats", "ops": ["sum"]})
    spine = spine_of(["B", "A"], ["2026-02-01", "2026-01-01"])
    pairs = pairs_of(spine, ["crm", "chat"], {"A": ["crm"]}).sample(frac=1, random_state=1)
    tables = build_features(facts, catalog("crm", "chat"), (seats,), spine, pairs)
    assert tables.account[["account_id", "as_of"]].equals(
        spine.sort_values(["account_id", "as_of"])[["account_id", "as_of"]].reset_index(drop=True)
    )
    assert tables.pair["product_id"].tolist() == ["chat"] * 4 + ["crm"] * 2
    rows = tables.pair[["account_id", "product_id", "as_of"]].iloc[::-1]
    assembled = assemble(rows, tables)
    assert assembled.index.equals(rows.index)
    assert assembled[["account_id", "product_id", "as_of"]].equals(rows)
    assert assembled.loc[rows["account_id"] == "A", "own_seats_sum"].tolist() == [3.0, 3.0]


def test_a_date_without_customers_has_the_columns_and_no_rows():
    facts = company(account("A"), subscription("A", "crm", "2026-01-01"))
    seats = own(seats=RUNNING | {"of": "seats", "ops": ["sum"]})
    spine = spine_of(["A"], ["2026-02-01"]).iloc[:0]
    tables = build_features(facts, catalog("crm"), (seats,), spine, pairs_of(spine, ["crm"], {}))
    assert tables.account.columns.tolist() == ["account_id", "as_of", "own_seats_sum"]
    assert (len(tables.account), len(tables.pair)) == (0, 0)
