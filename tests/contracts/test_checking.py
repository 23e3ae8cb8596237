"""Each kind of bad row is quarantined with its reason, counted, and shown with its first example."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.errors import ContractError
from tests.contracts.rows import check


def subscription(**changes: object) -> dict[str, object]:
    row = {"account_id": "A-1", "product_id": "crm", "start_on": "2025-01-01", "end_on": "", "arr_usd": "100"}
    return {**row, **changes}


def test_good_rows_are_all_used_and_dated():
    outcome = check("subscriptions", [subscription(), subscription(product_id="ads", end_on="2025-01-01")])
    report = outcome.checked.report
    assert (report.rows_in, report.used, report.quarantined, report.violations) == (2, 2, 0, ())
    assert list(outcome.facts["product_id"]) == ["ads", "crm"]
    assert list(outcome.facts["_event_on"]) == [dt.date(2025, 1, 1)] * 2
    assert list(outcome.facts["_known_on"]) == [dt.date(2025, 1, 1)] * 2


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"account_id": ""}, "account_id empty", "account_id  1 of 2 rows empty (first: crm, 2025-01-01)"),
        ({"account_id": "  "}, "account_id empty; account_id not in accounts", None),
        (
            {"start_on": "01/02/2025"},
            "start_on not a date (ISO 8601)",
            'start_on  1 of 2 rows not a date (ISO 8601) (first: A-1, crm, 01/02/2025: "01/02/2025")',
        ),
        (
            {"arr_usd": "1,000"},
            "arr_usd not a number",
            'arr_usd  1 of 2 rows not a number (first: A-1, crm, 2025-01-01: "1,000")',
        ),
        (
            {"arr_usd": "-1"},
            "arr_usd negative",
            "arr_usd  1 of 2 rows negative (first: A-1, crm, 2025-01-01)",
        ),
        ({"arr_usd": "1e12"}, "arr_usd not finite or beyond 1e12", None),
        ({"start_on": "1969-12-31"}, "start_on outside 1970 to 2100", None),
        ({"end_on": "2101-01-01"}, "end_on outside 1970 to 2100", None),
        (
            {"end_on": "2024-12-31"},
            "end_on before start_on",
            "end_on  1 of 2 rows before start_on (first: A-1, crm, 2025-01-01)",
        ),
        (
            {"product_id": "CRMS"},
            "product_id not in the catalogue",
            'product_id  1 of 2 rows not in the catalogue (first: A-1, CRMS, 2025-01-01: "CRMS", closest: crm)',
        ),
        (
            {"account_id": "A-9"},
            "account_id not in accounts",
            'account_id  1 of 2 rows not in accounts (first: A-9, crm, 2025-01-01: "A-9")',
        ),
        ({"arr_usd": "-5", "end_on": "2024-01-01"}, "arr_usd negative; end_on before start_on", None),
    ],
)
def test_a_bad_subscription(changes, reason, said):
    outcome = check("subscriptions", [subscription(product_id="ads"), subscription(**changes)])
    assert outcome.reasons == {2: reason}
    assert list(outcome.facts["product_id"]) == ["ads"]
    assert outcome.quarantine.loc[0, "arr_usd"] == changes.get("arr_usd", "100")
    if said:
        assert outcome.said == [f"subscriptions.{said}"]


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("accounts", {"account_id": "A\t1", "name": "x"}, "account_id with control characters"),
        ("accounts", {"account_id": "A\0", "name": "x"}, "account_id with control characters"),
        ("accounts", {"account_id": "x" * 201, "name": "x"}, "account_id longer than 200 characters"),
        ("accounts", {"account_id": "A-1", "name": None}, "name empty"),
        ("accounts", {"account_id": "A-1", "name": "x", "employees": "12.5"}, "employees not a whole number"),
        (
            "accounts",
            {"account_id": "A-1", "name": "x", "do_not_contact": "maybe"},
            "do_not_contact not true or false",
        ),
        (
            "tickets",
            {"ticket_id": "T", "account_id": "A-1", "opened_at": "2025-01-01 10:00", "priority": "p1"},
            "priority not one of P1, P2, P3, P4",
        ),
        (
            "surveys",
            {"account_id": "A-1", "responded_at": "2025-01-01 10:00", "score": "11"},
            "score above 10",
        ),
        ("health", {"account_id": "A-1", "date": "2025-01-01", "score": "100.5"}, "score above 100"),
        (
            "usage",
            {"account_id": "A-1", "product_id": "crm", "date": "2025-01-02", "known_at": "2025-01-01 23:59"},
            "known_at before it happened (date)",
        ),
        (
            "outcomes",
            {"account_id": "A-1", "product_id": "crm", "status": "won", "noted_at": "2025-01-01 10:00"},
            "play_id without a play, or an account, product and as_of",
        ),
    ],
)
def test_a_bad_row_of_another_table(table, row, reason):
    assert check(table, [row]).reasons == {1: reason}


@pytest.mark.parametrize("name", ["NA", "=1+1", "😀", "x" * 5000, "null", "a,b", 'quo"te', "@cmd", "  spaced  "])
def test_an_account_may_be_called_anything(name):
    outcome = check("accounts", [{"account_id": "00012", "name": name}, {"account_id": "1E5", "name": name}])
    assert list(outcome.facts["account_id"]) == ["00012", "1E5"]
    assert list(outcome.facts["name"]) == [name, name]


def test_native_infinity_and_no_number_are_faults():
    frame = pd.DataFrame(
        {
            "account_id": "A-1",
            "product_id": "crm",
            "date": pd.date_range("2025-01-01", periods=4),
            "events": 1.0,
        }
    )
    frame["events"] = pd.array([1.0, np.inf, -np.inf, 2.0])
    reasons = check("usage", frame).reasons
    assert set(reasons) == {2, 3}
    assert reasons[2] == "events not finite or beyond 1e12"


def test_known_before_it_happened_is_judged_in_local_days():
    row = {"account_id": "A-1", "product_id": "crm", "date": "2025-01-02", "known_at": "2025-01-01T23:30:00Z"}
    assert check("usage", [row]).reasons
    assert not check("usage", [row], timezone="Europe/Berlin").reasons


def test_a_plan_may_be_known_before_it_happens():
    row = subscription(start_on="2026-01-01", known_at="2025-06-01 10:00")
    assert not check("subscriptions", [row]).reasons


def test_exact_duplicates_keep_one_and_conflicts_keep_the_first_in_order():
    rows = [
        subscription(arr_usd="300"),
        subscription(arr_usd="100"),
        subscription(arr_usd="100.0"),
        subscription(product_id="ads"),
        subscription(arr_usd="200"),
        subscription(arr_usd="200"),
    ]
    outcome = check("subscriptions", rows)
    assert outcome.reasons == {
        1: "same key, different content",
        3: "duplicate of another row",
        5: "same key, different content",
        6: "duplicate of another row",
    }
    assert list(outcome.facts["arr_usd"]) == [100.0, 100.0]
    assert outcome.said == [
        "subscriptions.(account_id, product_id, start_on)  2 of 6 rows duplicate of another row "
        "(first: A-1, crm, 2025-01-01)",
        "subscriptions.(account_id, product_id, start_on)  2 of 6 rows same key, different content "
        "(first: A-1, crm, 2025-01-01)",
    ]


def test_a_faulty_twin_does_not_push_out_the_good_row():
    outcome = check("subscriptions", [subscription(arr_usd="-1"), subscription(arr_usd="5")])
    assert outcome.reasons == {1: "arr_usd negative"}
    assert list(outcome.facts["arr_usd"]) == [5.0]


def test_versions_of_a_key_are_no_duplicates():
    rows = [subscription(arr_usd=str(usd), known_at=f"2025-0{usd}-01 12:00") for usd in (1, 2, 3)]
    outcome = check("subscriptions", rows)
    assert not outcome.reasons
    day, last = dt.date, dt.date(9999, 12, 31)
    superseded = [day(2025, 2, 1), day(2025, 3, 1), last]
    assert [value if value.year != 9999 else last for value in outcome.facts["_superseded_on"]] == superseded


def test_account_history_rows_are_no_duplicates():
    rows = [
        {"account_id": "A-1", "name": "x", "employees": "5", "valid_from": "2024-01-01"},
        {"account_id": "A-1", "name": "x", "employees": "9", "valid_from": "2025-01-01"},
        {"account_id": "A-1", "name": "x", "employees": "7", "valid_from": "2025-01-01"},
    ]
    outcome = check("accounts", rows)
    assert outcome.reasons == {2: "same key, different content"}
    assert outcome.checked.report.notes == ()


def test_accounts_without_history_are_called_static():
    assert "not point-in-time" in check("accounts", [{"account_id": "A", "name": "x"}]).checked.report.notes[0]


def test_health_keys_without_a_product_still_repeat():
    rows = [{"account_id": "A-1", "date": "2025-01-01", "score": "50"}] * 2
    assert check("health", rows).reasons == {2: "duplicate of another row"}


def test_a_missing_column_quarantines_the_table_and_names_the_closest():
    rows = [{"account_id": "A-1", "product_id": "crm", "started": "2025-01-01"}]
    outcome = check("subscriptions", rows)
    assert outcome.checked.faults == (
        "subscriptions: missing column start_on in subscriptions.csv (closest present: started). "
        "Map it under [sources.tables.subscriptions.columns] in affinity.toml.",
    )
    assert outcome.reasons == {1: "missing column start_on in subscriptions.csv"}
    assert outcome.checked.report.used == 0


def test_without_usable_accounts_other_tables_are_not_blamed():
    assert not check("subscriptions", [subscription()], accounts=()).reasons


def test_measures_beyond_the_schema_are_numbers():
    row = {"account_id": "A-1", "product_id": "crm", "date": "2025-01-01"}
    rows = [{**row, "exports": "3", "note": "hello", "bad name": "1", "Events": "1"}]
    rows += [{**rows[0], "date": "2025-01-02", "exports": "n/a"}]
    outcome = check("usage", [*rows, {**rows[0], "date": "2025-01-03", "exports": ""}])
    assert outcome.reasons == {2: "exports not a number"}
    assert outcome.facts["exports"].tolist()[0] == 3.0
    assert pd.isna(outcome.facts["exports"].tolist()[1])
    assert set(outcome.checked.report.notes) == {
        "ignored note: not numeric",
        "ignored bad name: name is not made of letters, digits and _",
        "ignored Events (meant events?): differs from another column in case only",
    }


def test_integer_measures_stay_integers():
    frame = pd.DataFrame({"account_id": ["A-1"], "product_id": "crm", "date": "2025-01-01", "exports": [2**39]})
    assert check("usage", frame).facts["exports"].dtype == np.int64


def test_attributes_beyond_the_schema_keep_their_type():
    frame = pd.DataFrame(
        {
            "account_id": ["A"],
            "name": ["x"],
            "revenue": [1.5],
            "is_public": [True],
            "zip": ["00501"],
            "age": [3],
        }
    )
    facts = check("accounts", frame).facts
    assert facts.loc[0, ["revenue", "is_public", "zip", "age"]].tolist() == [1.5, True, "00501", 3]


def test_columns_nobody_knows_are_named_with_the_one_they_may_mean():
    row = {
        "ticket_id": "T",
        "account_id": "A-1",
        "opened_at": "2025-01-01 10:00",
        "priority": "P1",
        "escalatd": "1",
    }
    assert check("tickets", [row]).checked.report.notes == ("ignored escalatd (meant escalated?): no column of ours",)


def test_a_query_may_give_reasons_itself():
    rows = [subscription(_reason=""), subscription(product_id="ads", _reason="before the account's signup")]
    outcome = check("subscriptions", rows)
    assert outcome.reasons == {2: "before the account's signup"}
    assert outcome.said == [
        "subscriptions.query  1 of 2 rows before the account's signup (first: A-1, ads, 2025-01-01)"
    ]


def test_an_empty_table_is_used_as_it_is():
    outcome = check("subscriptions", pd.DataFrame([subscription()]).iloc[:0])
    assert (outcome.checked.report.rows_in, outcome.checked.report.used, len(outcome.facts)) == (0, 0, 0)


def test_lag_days_say_when_rows_arrived():
    row = {"account_id": "A-1", "product_id": "crm", "date": "2025-01-01"}
    assert check("usage", [row], lag_days=2).facts["_known_on"].tolist() == [dt.date(2025, 1, 3)]


def test_an_example_stays_on_its_line():
    outcome = check("subscriptions", [subscription(product_id="a\nb" + "x" * 300)])
    assert "\n" not in outcome.said[0]
    assert len(outcome.said[0]) < 250


def test_reasons_name_kinds_of_faults_not_rows():
    rows = [subscription(_reason=f"row {number} is bad") for number in range(30)]
    with pytest.raises(ContractError, match="subscriptions: 30 different texts in _reason"):
        check("subscriptions", rows)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("subscriptions", subscription(arr_usd="0", start_on="1970-01-01", end_on="2100-12-31")),
        ("health", {"account_id": "A-1", "date": "2025-01-01", "score": "100"}),
        ("surveys", {"account_id": "A-1", "responded_at": "2025-01-01", "score": "0"}),
        ("accounts", {"account_id": "x" * 200, "name": "x"}),
        ("usage", {"account_id": "A-1", "product_id": "crm", "date": "2025-01-01", "known_at": "2025-01-01"}),
    ],
)
def test_the_ends_of_a_range_belong_to_it(table, row):
    assert not check(table, [row]).reasons


def test_an_empty_table_may_have_columns_of_its_own():
    row = {"account_id": "A-1", "product_id": "crm", "date": "2025-01-01", "exports": "x"}
    assert check("usage", pd.DataFrame([row]).iloc[:0]).checked.report.rows_in == 0


def test_known_at_may_be_iso_beside_another_date_format():
    row = {"account_id": "A-1", "product_id": "crm", "date": "01.02.2025", "known_at": "2025-02-03T04:05:06Z"}
    outcome = check("usage", [row, {**row, "date": "02.02.2025", "known_at": "soon"}], date_format="%d.%m.%Y")
    assert outcome.facts["_known_on"].tolist() == [dt.date(2025, 2, 3)]
    assert outcome.reasons == {2: "known_at not a timestamp (%d.%m.%Y or ISO 8601)"}
