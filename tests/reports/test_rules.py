from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.reports.intervals import wilson
from product_affinity.reports.rules import RULE_COLUMNS, VALUE_COLUMNS, disagreement, measure_rules, measure_values
from product_affinity.rules.criteria import FAIL, NOT_ASKED, PASS, UNKNOWN
from tests.reports.builders import answer

NA = pd.NA


def happened(**columns: list[object]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    filled = {name: columns.get(name, [NA] * size) for name in ("adopted", "opened", "won", "churned")}
    return pd.DataFrame({name: pd.array(values, dtype="Int8") for name, values in filled.items()})


def accounts(letters: str) -> pd.DataFrame:
    return pd.DataFrame({"account_id": list(letters)})


def test_each_side_is_measured_apart_and_what_is_not_asked_is_on_none():
    found = measure_rules(
        [answer("R01", [PASS, PASS, PASS, FAIL, FAIL, UNKNOWN, NOT_ASKED])],
        accounts("ABCDEFG"),
        happened(adopted=[1, 0, 0, 1, 0, 0, 1], opened=[1, 1, 1, 0, 0, 0, 0], won=[1, 0, NA, NA, NA, NA, NA]),
    )
    assert tuple(found.columns) == RULE_COLUMNS
    assert found["side"].tolist() == ["pass", "fail", "unknown"]
    assert found["pairs"].tolist() == [3, 2, 1]
    assert found["adoption_rate"].tolist() == [pytest.approx(1 / 3), 1 / 2, 0]
    assert found["win_ones"].tolist() == [1, 0, 0]
    assert found["win_rows"].tolist() == [2, 0, 0]
    assert found["win_rate"].isna().tolist() == [False, True, True]
    assert found["open_opportunities"].tolist() == [1, 0, 0]


def test_open_horizons_are_counted_and_in_no_rate():
    found = measure_rules(
        [answer("R01", [PASS] * 4)], accounts("ABCD"), happened(adopted=[1, 0, NA, NA], opened=[0, 0, NA, NA])
    )
    row = found.iloc[0]
    assert (row["pairs"], row["open_horizons"], row["adoption_rows"], row["adoption_rate"]) == (4, 2, 2, 0.5)


def test_intervals_know_that_one_account_is_one_account():
    dates = 6
    found = measure_rules(
        [answer("R01", [PASS] * 20 * dates)],
        accounts("ABCDEFGHIJKLMNOPQRST" * dates),
        happened(adopted=([1] * 5 + [0] * 15) * dates),
    )
    low, high = wilson(5 / 20 * 19, 19)
    assert (found["accounts"][0], found["adoption_rows"][0]) == (20, 120)
    assert (found["adoption_low"][0], found["adoption_high"][0]) == (pytest.approx(low), pytest.approx(high))


def test_churn_is_of_adoptions_only():
    found = measure_rules(
        [answer("R01", [PASS] * 4)], accounts("ABCD"), happened(adopted=[1, 1, 1, 0], churned=[1, 0, NA, NA])
    )
    assert found.loc[0, ["churn_ones", "churn_rows", "churn_rate"]].tolist() == [1, 2, 0.5]


def test_a_rule_whose_failing_side_adopts_more_is_named():
    size = 200
    states = [PASS] * size + [FAIL] * size
    adopted = [1] * 10 + [0] * (size - 10) + [1] * 80 + [0] * (size - 80)
    rows = pd.DataFrame({"account_id": [f"A{number}" for number in range(2 * size)]})
    measured = measure_rules([answer("R01", states), answer("R02", states[::-1])], rows, happened(adopted=adopted))
    found = disagreement(measured)
    assert found["code"].tolist() == ["R01"]
    assert (found["pass_rate"][0], found["fail_rate"][0]) == (0.05, 0.4)


def test_no_answer_is_an_empty_table_with_its_columns():
    found = measure_rules([], accounts("A"), happened(adopted=[1]))
    assert found.empty
    assert tuple(found.columns) == RULE_COLUMNS
    assert disagreement(found).empty


def test_answers_of_other_rows_are_refused():
    with pytest.raises(ValueError, match="R01: 2 answers for 1 pairs"):
        measure_rules([answer("R01", [PASS, FAIL])], accounts("A"), happened(adopted=[1]))


def test_values_are_measured_in_bands_of_equally_many_pairs():
    size = 100
    rows = pd.DataFrame({"account_id": [f"A{number}" for number in range(size)]})
    evidence = pd.DataFrame({"health": [float(number) for number in range(size)]})
    adopted = [int(number >= 80 and number % 2 == 0) for number in range(size)]
    found = measure_values(evidence, ["health"], rows, happened(adopted=adopted))
    assert tuple(found.columns) == VALUE_COLUMNS
    assert found["lowest"].tolist() == [0, 20, 40, 60, 80]
    assert found["highest"].tolist() == [19, 39, 59, 79, 99]
    assert found["rate"].tolist() == [0, 0, 0, 0, 0.5]


def test_equal_values_never_part_and_unknown_ones_are_in_no_band():
    evidence = pd.DataFrame({"signals": [0.0] * 8 + [1.0, float("nan")], "nps": [float("nan")] * 10})
    outcome = happened(adopted=[1, 0, NA, NA, 0, 0, 0, 0, 1, 1])
    found = measure_values(evidence, ["signals", "nps", "signals"], accounts("ABCDEFGHIJ"), outcome)
    assert found[["column", "band", "pairs", "observed", "adopted"]].values.tolist() == [
        ["signals", 1, 8, 6, 1],
        ["signals", 2, 1, 1, 1],
    ]


def test_values_nobody_knows_are_an_empty_table():
    found = measure_values(pd.DataFrame({"nps": [float("nan")]}), ["nps"], accounts("A"), happened(adopted=[1]))
    assert (found.empty, tuple(found.columns)) == (True, VALUE_COLUMNS)
