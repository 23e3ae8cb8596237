from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from product_affinity.reports.points import POINT_COLUMNS, learn_points
from product_affinity.rules.criteria import FAIL, PASS, UNKNOWN
from tests.reports.builders import answer

POINTS = {"S01": 50, "S02": 30, "S03": 20}


def world(effects: dict[str, float], size: int = 30_000, unknown: float = 0.0):
    """Pairs whose log-odds of adoption are the product's plus the effects of what passes."""
    rng = np.random.default_rng(6)
    pairs = pd.DataFrame(
        {"account_id": np.arange(size) // 3, "product_id": np.where(rng.random(size) < 0.3, "rare", "usual")}
    )
    passes = {code: rng.random(size) < 0.4 for code in effects}
    odds = (
        -3.0 - 1.0 * pairs["product_id"].eq("rare").to_numpy() + sum(effects[code] * passes[code] for code in effects)
    )
    states = {code: np.where(passes[code], PASS, FAIL) for code in effects}
    hidden = rng.random(size) < unknown
    answers = [answer(code, np.where(hidden & (code == "S01"), UNKNOWN, state)) for code, state in states.items()]
    adopted = pd.Series((rng.random(size) < expit(odds)).astype("int8"), dtype="Int8")
    return answers, pairs, adopted


@pytest.mark.parametrize("unknown", [0.0, 0.4])
def test_planted_effects_are_found_and_scaled_to_100(unknown):
    answers, pairs, adopted = world({"S01": 0.9, "S02": 0.3, "S03": 0.0}, unknown=unknown)
    found = learn_points(answers, POINTS, pairs, adopted).set_index("code")
    assert tuple(found.reset_index().columns) == POINT_COLUMNS
    assert found["points"].tolist() == [50, 30, 20]
    assert found["learned_points"].sum() == pytest.approx(100)
    assert found["learned_points"].to_numpy() == pytest.approx([75, 25, 0], abs=10)
    for code, planted in (("S01", 0.9), ("S02", 0.3), ("S03", 0.0)):
        assert found.loc[code, "low"] <= planted <= found.loc[code, "high"]
    assert found.loc["S01", "unknown"] == pytest.approx(30_000 * unknown, abs=400)


def test_what_goes_with_fewer_adoptions_is_worth_nothing_and_says_so_in_its_log_odds():
    answers, pairs, adopted = world({"S01": 0.9, "S02": -0.8, "S03": 0.3})
    found = learn_points(answers, POINTS, pairs, adopted).set_index("code")
    assert found.loc["S02", "learned_points"] == 0
    assert found.loc["S02", "high"] < 0


def test_a_criterion_that_everybody_passes_teaches_nothing():
    answers, pairs, adopted = world({"S01": 0.9, "S02": 0.3})
    everybody = answer("S03", np.full(len(pairs), PASS))
    found = learn_points([*answers, everybody], POINTS, pairs, adopted).set_index("code")
    assert np.isnan(found.loc["S03", "learned_points"])
    assert found["learned_points"].sum() == pytest.approx(100)


def test_too_few_adoptions_teach_nothing():
    answers, pairs, adopted = world({"S01": 0.9, "S02": 0.3, "S03": 0.1}, size=200)
    assert 0 < adopted.sum() < 30
    found = learn_points(answers, POINTS, pairs, adopted)
    assert found["learned_points"].isna().all()
    assert (found["passed"] + found["failed"]).eq(200).all()


def test_open_horizons_and_criteria_without_points_are_left_out():
    answers, pairs, adopted = world({"S01": 0.9, "S02": 0.3, "S03": 0.1})
    half = adopted.mask(np.arange(len(adopted)) % 2 == 0)
    found = learn_points(answers, {"S01": 100}, pairs, half)
    assert found["code"].tolist() == ["S01"]
    assert found["passed"][0] + found["failed"][0] == len(pairs) // 2
