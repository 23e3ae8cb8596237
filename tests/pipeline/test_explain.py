"""`affinity explain` on a small demo company: the whole story of pairs on the list and off it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest

from product_affinity import cli
from product_affinity.errors import UsageError
from product_affinity.pipeline.explain import explain_pair
from tests.pipeline.conftest import UNTIL, silent


@pytest.fixture(scope="module")
def scores(demo):
    return pd.read_parquet(demo.lists / "scores.parquet")


def story_of(demo, account, product, *, reveal_arm=False):
    return explain_pair(demo.project, UNTIL, account, product, reveal_arm=reveal_arm, jobs=1, progress=silent)


def any_with(scores, **wanted):
    rows = scores
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0]


def test_a_listed_pair_tells_score_reasons_gates_route_and_next_step(demo):
    row = pd.read_parquet(demo.lists / "worklist.parquet").iloc[0]
    story = story_of(demo, row["account_id"], row["product_id"])
    told = story.render()
    assert row["account_name"] in told
    assert f"one in {row['one_in']}" in told
    assert row["reason_1"] in told
    assert row["next_step"] in told
    facts = story.to_json()
    assert facts["disposition"] == "listed"
    assert {check["state"] for check in facts["checks"]} <= {"pass", "confirm"}
    assert {"G01", "G02", "N01", "F01", "C04", "U01"} <= {check["code"] for check in facts["checks"]}
    json.dumps(facts)


def test_without_a_date_it_tells_of_the_newest_published_lists(demo, monkeypatch, capsys):
    row = pd.read_parquet(demo.lists / "worklist.parquet").iloc[0]
    place = ("--project", str(demo.root), "--jobs", "1")
    monkeypatch.setattr(sys, "argv", ["affinity", "explain", row["account_id"], row["product_id"], *place])
    cli.main()
    told = capsys.readouterr().out
    assert f"as of {UNTIL}" in told
    assert row["next_step"] in told


def test_the_shares_add_up_to_the_log_odds_of_the_propensity(demo, scores):
    row = any_with(scores, disposition="watchlist")
    facts = story_of(demo, row["account_id"], row["product_id"]).to_json()
    log_odds = np.log(row["propensity"] / (1 - row["propensity"]))
    assert sum(facts["shares"].values()) == pytest.approx(log_odds, abs=1e-3)  # shares are told to four decimals


def test_a_pair_that_waits_names_its_first_gate_and_what_would_open_it(demo):
    row = pd.read_parquet(demo.lists / "watchlist.parquet").iloc[0]
    story = story_of(demo, row["account_id"], row["product_id"])
    assert f"first reason: {row['gate']} {row['evidence']}" in story.render()
    assert f"it opens when: {row['unblocked_by']}" in story.render()
    blocking = [check["code"] for check in story.to_json()["checks"] if check["state"] in ("fail", "unknown")]
    assert row["gate"] in blocking


def test_owned_and_ineligible_pairs_say_why_they_are_not_scored(demo, scores):
    owned = any_with(scores, status="owned")
    assert story_of(demo, owned["account_id"], owned["product_id"]).to_json()["why_not"] == "owned already"
    barred = any_with(scores, status="not_eligible")
    why = story_of(demo, barred["account_id"], barred["product_id"]).to_json()["why_not"]
    assert why.startswith(("not eligible: ", "no active customer"))


def test_a_held_back_pair_reads_as_not_proposed_unless_the_arm_is_asked_for(demo, scores):
    held = scores[scores["disposition"] == "held_back"]
    if held.empty:
        pytest.skip("the draw held nothing back among the few rows of this small company")
    row = held.iloc[0]
    hidden = story_of(demo, row["account_id"], row["product_id"])
    assert "held" not in hidden.render()
    assert hidden.to_json()["disposition"] == "beyond_capacity"
    assert "held back at random" in story_of(demo, row["account_id"], row["product_id"], reveal_arm=True).render()


def test_typos_name_the_closest_match(demo, scores):
    account = scores["account_id"].iloc[0]
    with pytest.raises(UsageError, match=r"sales_cmr.*did you mean sales_crm"):
        story_of(demo, account, "sales_cmr")
    with pytest.raises(UsageError, match="did you mean"):
        story_of(demo, f"{account}x", "sales_crm")
