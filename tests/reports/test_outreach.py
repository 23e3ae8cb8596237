from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.reports.outreach import NOT_AN_EFFECT, build_units, measure_effect, read_plays
from tests.company import Row, account, company, subscription
from tests.reports.builders import outcome, play

UNTIL = dt.date(2026, 6, 30)


def plays_of(*rows: Row, until: dt.date = UNTIL) -> pd.DataFrame:
    base = [account("A"), subscription("A", "base", "2024-01-01", arr_usd=500.0)]
    return read_plays(company(*base, *rows), horizon_days=90, maturity_days=7, observed_until=until)


def test_a_play_carries_what_came_of_it_and_what_was_known_when_it_was_decided():
    found = plays_of(
        subscription("A", "desk", "2024-06-01", "2025-01-01", arr_usd=70.0),
        subscription("A", "crm", "2025-04-01", arr_usd=900.0),
        play("P1", "A", "crm", "2025-02-01"),
        outcome("P1", "contacted", "2025-02-10"),
    ).iloc[0]
    assert (found["as_of"], found["arm"], bool(found["was_worked"])) == (pd.Timestamp("2025-02-01"), "treated", True)
    assert (found["adopted"], found["arr_usd"]) == (1, 900.0)
    # desk ended before the decision, crm had not begun
    assert (found["tenure_days"], found["products_owned"], found["arr_before_usd"]) == (397, 1, 500.0)


@pytest.mark.parametrize(
    ("start", "adopted", "arr"), [("2025-02-01", 1, 900), ("2025-05-01", 1, 900), ("2025-05-02", 0, 0)]
)
def test_only_starts_within_the_horizon_count(start, adopted, arr):
    found = plays_of(subscription("A", "crm", start, arr_usd=900.0), play("P1", "A", "crm", "2025-02-01")).iloc[0]
    assert (found["adopted"], found["arr_usd"]) == (adopted, arr)


@pytest.mark.parametrize(("until", "is_open"), [(dt.date(2025, 5, 8), True), (dt.date(2025, 5, 9), False)])
def test_an_open_horizon_is_missing_for_adopters_too(until, is_open):
    # 2025-02-01 + 90 + 7 days = 2025-05-09
    row = subscription("A", "crm", "2025-02-10", arr_usd=900.0)
    found = plays_of(row, play("P1", "A", "crm", "2025-02-01"), until=until).iloc[0]
    assert pd.isna(found["adopted"]) == pd.isna(found["arr_usd"]) == is_open


def test_the_price_is_the_one_at_the_start_and_an_unpriced_start_brings_nothing():
    grown = (
        subscription("A", "crm", "2025-02-10", arr_usd=900.0, known_at="2025-02-10 09:00:00"),
        subscription("A", "crm", "2025-02-10", arr_usd=5000.0, known_at="2025-09-01 09:00:00"),
    )
    base = subscription("A", "base", "2024-01-01", arr_usd=500.0, known_at="2024-01-01 09:00:00")
    facts = company(account("A"), base, *grown, play("P1", "A", "crm", "2025-02-01"))
    found = read_plays(facts, horizon_days=90, maturity_days=7, observed_until=UNTIL)
    assert found["arr_usd"].tolist() == [900.0]
    unpriced = plays_of(subscription("A", "crm", "2025-02-10", arr_usd=None), play("P1", "A", "crm", "2025-02-01"))
    assert unpriced[["adopted", "arr_usd"]].values.tolist() == [[1, 0.0]]


def test_a_product_taken_up_again_counts():
    rows = (subscription("A", "crm", "2024-01-01", "2024-06-01"), subscription("A", "crm", "2025-02-10"))
    assert plays_of(*rows, play("P1", "A", "crm", "2025-02-01"))["adopted"].tolist() == [1]


def test_a_unit_is_the_first_drawn_play_of_an_account_in_a_half_year():
    plays = plays_of(
        play("P2", "A", "desk", "2025-03-01", arm="held_back"),
        play("P1", "A", "crm", "2025-02-01"),
        play("P3", "A", "desk", "2025-07-01", arm="held_back"),
        play("P0", "A", "crm", "2025-01-15", arm="outside", arm_probability=0.1),
        play("P4", "A", "crm", "2026-01-15", arm_probability=1.0),
    )
    found = build_units(plays)
    assert found["play_id"].tolist() == ["P1", "P3"]
    assert found["epoch"].tolist() == ["2025-H1", "2025-H2"]
    assert found["has_both_arms"].tolist() == [True, False]
    assert found["treated"].tolist() == [True, False]
    # of being treated, whatever the arm
    assert found["probability"].to_numpy() == pytest.approx([0.8, 0.8])


def test_published_propensities_are_found_by_pair_and_date():
    plays = plays_of(play("P1", "A", "crm", "2025-02-01"), play("P3", "A", "desk", "2025-07-01"))
    scores = pd.DataFrame(
        {"account_id": ["A"], "product_id": ["crm"], "as_of": pd.to_datetime(["2025-02-01"]), "propensity": [0.3]}
    )
    np.testing.assert_array_equal(build_units(plays, scores)["propensity"], [0.3, np.nan])


def log(size: int, effect: float, *, seed: int = 0, arms: float = 0.8, shown: float = 0.8) -> pd.DataFrame:
    """Plays as `read_plays` returns them, with a known effect on adoption."""
    rng = np.random.default_rng(seed)
    treated = rng.random(size) < arms
    adopted = rng.random(size) < 0.10 + effect * treated
    return pd.DataFrame(
        {
            "play_id": [f"P{number}" for number in range(size)],
            "account_id": [f"A{number:05d}" for number in range(size)],
            "product_id": "crm",
            "as_of": pd.Timestamp("2025-02-01"),
            "arm": np.where(treated, "treated", "held_back"),
            "arm_probability": np.where(treated, shown, 1 - shown),
            "was_worked": treated & (rng.random(size) < 0.5),
            "tenure_days": rng.integers(10, 900, size),
            "products_owned": 1,
            "arr_before_usd": rng.lognormal(8, 1, size),
            "adopted": pd.array(adopted.astype("int8"), dtype="Int8"),
            "arr_usd": adopted * 1000.0,
        }
    )


def test_the_effect_is_measured_on_adoption_and_arr():
    found = measure_effect(log(4000, 0.05), mode="on")
    assert (found.state, found.reasons) == ("on", ())
    effects = found.effects.set_index("outcome")
    assert effects.loc["adoption", "low"] <= 0.05 <= effects.loc["adoption", "high"]
    assert effects.loc["adoption", "low"] > 0
    # ARR is a thousand times adoption here, so everything about it is too
    np.testing.assert_allclose(
        effects.loc["ARR, USD", ["difference", "low", "high"]].astype(float),
        1000 * effects.loc["adoption", ["difference", "low", "high"]].astype(float),
    )
    assert effects["treated"].add(effects["held_back"]).tolist() == [4000, 4000]
    assert {check.covariate for check in found.balance} == {"tenure_days", "products_owned", "arr_before_usd"}


def test_open_horizons_leave_both_arms():
    plays = log(4000, 0.05)
    last = np.arange(4000) >= 3000
    plays["adopted"], plays["arr_usd"] = plays["adopted"].mask(last), plays["arr_usd"].mask(last)
    found = measure_effect(plays, mode="on")
    pd.testing.assert_frame_equal(found.effects, measure_effect(plays.head(3000), mode="on").effects)
    assert found.reasons == ("1000 of 4000 units have an open horizon: left out of both arms",)


def test_outside_the_draw_changes_nothing():
    plays = log(3000, 0.05)
    outside = log(500, 0.5, seed=9).assign(arm="outside", account_id=lambda rows: "X" + rows["account_id"])
    both = measure_effect(pd.concat([plays, outside], ignore_index=True), mode="on")
    pd.testing.assert_frame_equal(both.effects, measure_effect(plays, mode="on").effects)
    assert "outside the draw" in both.observational["group"].tolist()


def test_nothing_drawn_is_off_with_the_reason():
    plays = log(500, 0.05).assign(arm="outside")
    found = measure_effect(plays, mode="off")
    assert found.state == "off"
    assert found.reasons[:2] == (
        "[measurement] mode is off: no new row is held back",
        "the outreach log holds no drawn arms",
    )
    assert found.effects.empty
    assert found.sample_ratio is None


def test_measure_only_shows_no_effect():
    found = measure_effect(log(4000, 0.05), mode="measure_only")
    assert (found.state, found.effects.empty) == ("measure_only", True)
    assert "every row was listed" in found.reasons[0]


def test_too_few_units_show_no_effect():
    found = measure_effect(log(80, 0.05), mode="on")
    assert found.effects.empty
    assert any("at least 30 and 5 needed" in reason for reason in found.reasons)


def test_arms_not_drawn_as_logged_show_no_effect():
    found = measure_effect(log(4000, 0.05, arms=0.7, shown=0.8), mode="on")
    assert found.sample_ratio is not None
    assert found.sample_ratio.is_suspect
    assert found.effects.empty
    assert any(reason.startswith("sample ratio: ") for reason in found.reasons)


def test_arms_that_differed_before_are_said():
    plays = log(4000, 0.05)
    plays["tenure_days"] += 200 * plays["arm"].eq("treated")
    found = measure_effect(plays, mode="on")
    assert any(reason.startswith("tenure_days differs by +") for reason in found.reasons)


def test_a_probability_that_one_arm_hardly_drew_is_left_out():
    plays = log(3000, 0.05)
    odd = log(5, 0.0, seed=3, arms=1.1, shown=0.99).assign(account_id=[f"Z{n}" for n in range(5)])
    found = measure_effect(pd.concat([plays, odd], ignore_index=True), mode="on")
    assert found.reasons == ("5 units had a probability that one arm hardly drew: left out",)
    pd.testing.assert_frame_equal(found.effects, measure_effect(plays, mode="on").effects)


def test_observational_rates_are_labelled_and_never_subtracted():
    found = measure_effect(log(4000, 0.05), mode="on").observational
    assert found["group"].tolist() == ["proposed and worked", "proposed, nothing noted"]
    assert found["note"].eq(NOT_AN_EFFECT).all()
    assert "difference" not in found
    assert found["plays"].sum() == log(4000, 0.05)["arm"].eq("treated").sum()


def test_no_log_at_all():
    found = measure_effect(plays_of(), mode="off")
    assert (found.state, found.effects.empty, found.observational.empty) == ("off", True, True)


def test_draws_of_our_own_lists_count_beside_the_companys_log_once_each():
    facts = company(
        account("A"),
        account("B"),
        subscription("A", "crm", "2025-01-01"),
        subscription("B", "crm", "2025-01-01"),
        subscription("A", "mail", "2026-02-01"),
        ("outreach", {"play_id": "P1", "account_id": "A", "product_id": "mail", "decided_at": "2026-01-10 10:00",
                      "arm": "treated", "arm_probability": 0.9}),
    )  # fmt: skip
    logged = pd.DataFrame(
        {
            "play_id": ["P1", "P2", "P3"],
            "account_id": ["A", "B", "B"],
            "product_id": "mail",
            "as_of": pd.to_datetime(["2026-01-11", "2026-01-11", "2026-09-01"]),
            "arm": ["held_back", "held_back", "treated"],
            "arm_probability": [0.1, 0.1, 0.9],
        }
    )
    plays = read_plays(
        facts, horizon_days=90, maturity_days=7, observed_until=dt.date(2026, 6, 30), logged=logged
    ).set_index("play_id")
    assert plays.index.tolist() == ["P1", "P2"]  # P3 was decided after the date, P1 is the company's own word
    assert plays["arm"].tolist() == ["treated", "held_back"]
    assert plays["adopted"].tolist() == [1, 0]
