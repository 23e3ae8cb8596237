"""Groups, overlaps and levels against hand-made fractions and slow plain code."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from product_affinity.backtest.compare import levels_by_month, populations, top_overlaps
from product_affinity.backtest.curves import gain_by_depth, reliability
from product_affinity.models.metrics import lift_at_share, log_loss_skill, roc_auc
from tests.backtest import scored


@pytest.fixture(scope="module")
def result():
    return scored.result()


@pytest.fixture(scope="module")
def shown(result) -> pd.DataFrame:
    return result.predictions[populations(result.predictions)["first_time"]]


def test_overlap_is_the_share_of_the_first_tenth_that_stays() -> None:
    accounts = [f"A{i:02d}" for i in range(30)]
    now = np.linspace(0.9, 0.1, 30)
    before = now.copy()
    # the new first three are A00, A01, A02; the old model had A29 in place of A01
    before[29], before[1] = 0.95, 0.05
    rows = pd.DataFrame(
        {"fold": "f", "product_id": "crm", "account_id": accounts, "blend": now, "blend_trained_before": before}
    )
    first_fold = rows.assign(fold="e", blend_trained_before=np.nan)
    found = top_overlaps(pd.concat([first_fold, rows]))
    assert found.to_dict("records") == [
        {"fold": "f", "product_id": "crm", "pairs": 30, "overlap": pytest.approx(2 / 3)}
    ]


def test_ties_at_the_edge_of_the_list_go_by_account() -> None:
    rows = pd.DataFrame(
        {"fold": "f", "product_id": "crm", "account_id": [f"A{i:02d}" for i in range(20)], "blend": 0.5,
         "blend_trained_before": 0.5}
    )  # fmt: skip
    shuffled = rows.sample(frac=1, random_state=1)
    assert top_overlaps(shuffled)["overlap"].tolist() == [1.0]


def test_a_month_is_judged_by_the_newest_model_of_its_time() -> None:
    months = pd.to_datetime(["2025-06-30", "2025-07-31", "2025-09-30", "2025-09-30"])
    rows = pd.DataFrame(
        {
            "fold": ["2025-06-30", "2025-06-30", "2025-06-30", "2025-09-30"],
            "as_of": months,
            "account_id": ["A", "A", "A", "A"],
            "status": "white_space",
            "is_winback": False,
            "adopted": [1, 0, 1, 1],
            "blend": [0.5, 0.25, 0.1, 0.8],
            "popularity": [0.2, 0.2, 0.2, 0.2],
        }
    )
    hidden = rows.head(1).assign(status="in_pipeline", blend=0.9)
    found = levels_by_month(pd.concat([rows, hidden]), n_resamples=3, random_state=0)
    blend = found[found["model"] == "blend"]
    assert blend["value"].tolist() == pytest.approx([1 / 0.5, 0.0, 1 / 0.8])
    assert blend["fold"].tolist() == ["2025-06-30", "2025-06-30", "2025-09-30"]
    assert found.loc[found["model"] == "popularity", "value"].tolist() == pytest.approx([5.0, 0.0, 5.0])
    assert blend["base_rate"].tolist() == [1.0, 0.0, 1.0]


def test_level_intervals_hold_the_level_and_narrow_with_accounts(result) -> None:
    blend = result.levels[result.levels["model"] == "blend"]
    assert ((blend["low"] < 1) & (blend["high"] > 1)).all()
    few = levels_by_month(scored.predictions(accounts=20), n_resamples=60, random_state=0)
    many = levels_by_month(scored.predictions(accounts=600), n_resamples=60, random_state=0)
    width = [(frame["high"] - frame["low"]).mean() for frame in (few, many)]
    assert width[1] < width[0] / 2


def test_groups_have_the_figures_of_their_own_rows(result, shown) -> None:
    part = shown[shown["segment"] == "smb"]
    own = result.groups.query("grouping == 'segment' and group == 'smb' and model == 'pooled'").set_index("metric")
    assert own.loc["log_loss_skill", "value"] == pytest.approx(
        log_loss_skill(part["adopted"], part["pooled"], part["base_rate"])
    )
    cells = [cell for _, cell in part.groupby(["product_id", "fold"])]
    auc = [roc_auc(cell["adopted"], cell["pooled"]) for cell in cells]
    assert own.loc["auc_within", "value"] == pytest.approx(
        np.average(auc, weights=[cell["adopted"].sum() for cell in cells])
    )
    assert own.loc["auc_within", "low"] < own.loc["auc_within", "value"] < own.loc["auc_within", "high"]


def test_group_differences_are_the_blend_minus_the_other_on_the_same_rows(result) -> None:
    figures = result.groups.set_index(["grouping", "group", "model", "metric"])["value"]
    for row in result.group_differences.itertuples():
        key = (row.grouping, row.group)
        expected = figures[(*key, "blend", row.metric)] - figures[(*key, row.model, row.metric)]
        assert row.value == pytest.approx(expected)
    assert set(result.group_differences["model"]) == {"pooled", "ridge", "popularity", "logistic"}


def test_paired_intervals_are_narrower_than_the_figures_would_suggest(result) -> None:
    figures = result.groups.query("grouping == 'product' and group == 'crm' and metric == 'auc_within'")
    figures = figures.set_index("model")
    paired = result.group_differences.query("grouping == 'product' and group == 'crm' and metric == 'auc_within'")
    paired = paired.set_index("model").loc["pooled"]
    width = figures["high"] - figures["low"]
    assert paired["high"] - paired["low"] < np.hypot(width["blend"], width["pooled"])


def test_a_group_with_few_adoptions_has_no_interval() -> None:
    rare = scored.predictions()["segment"].where(scored.predictions().index >= 10, "tiny")
    found = scored.result(n_resamples=5, segment=rare).groups
    tiny = found.query("group == 'tiny' and metric == 'observed_over_expected'")
    assert (tiny["adoptions"] < 20).all()
    assert tiny["low"].isna().all()


def test_launch_estimates_are_those_of_the_last_origin(result) -> None:
    assert result.launch_estimates == ("desk",)
    content = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert content["launch_estimates"] == ["desk"]
    assert content["levels"][0]["as_of"] == "2025-06-30"
    assert {"weights", "training", "overlaps", "group_differences"} <= content.keys()


def test_gain_by_hand_over_two_products() -> None:
    rows = pd.DataFrame(
        {
            "fold": "f",
            "product_id": ["crm"] * 4 + ["desk"] * 2,
            "adopted": [1, 0, 1, 0, 0, 1],
            "model": [0.9, 0.8, 0.2, 0.1, 0.7, 0.3],
            "tied": 0.5,
        }
    )
    found = gain_by_depth(rows, ["model", "tied"], depths=(0.0, 0.5, 1.0)).set_index(["model", "depth"])
    # half of crm holds one of two adoptions, half of desk none of one
    assert found.loc[("model", 0.5), "gain"] == pytest.approx(1 / 3)
    assert found.loc[("model", 0.5), "lift"] == pytest.approx((1 / 3) / (1 / 2))
    assert found.loc[("tied", 0.5), "gain"] == pytest.approx(1 / 2)
    assert found["gain"].xs(1.0, level="depth").tolist() == [1.0, 1.0]
    assert np.isnan(found.loc[("model", 0.0), "lift"])


def test_gain_of_one_product_is_its_lift(shown) -> None:
    one = shown[(shown["product_id"] == "crm") & (shown["fold"] == shown["fold"].max())]
    found = gain_by_depth(one, ["pooled"], depths=(0.1,))
    assert found.loc[0, "lift"] == pytest.approx(lift_at_share(one["adopted"], one["pooled"], 0.1))


def test_reliability_tenths_are_shares_of_their_rows(shown) -> None:
    found = reliability(shown, "blend", n_resamples=60, random_state=0)
    assert found["pairs"].sum() == len(shown)
    assert found["adoptions"].sum() == shown["adopted"].sum()
    assert found["expected"].is_monotonic_increasing
    top = shown[shown["blend"] >= shown["blend"].quantile(0.9)]
    assert found["observed"].iloc[-1] == pytest.approx(top["adopted"].mean())
    # the blend is the truth: its tenths lie within about their 95 % intervals
    assert ((found["low"] <= found["expected"]) & (found["expected"] <= found["high"])).sum() >= 7


def test_few_win_backs_have_no_interval() -> None:
    whole = scored.result(n_resamples=5)
    found = whole.overall.query("population == 'win_back' and metric == 'log_loss_skill'")
    counts = whole.counts.set_index("population")
    assert counts.loc["win_back", "adoptions"] < 20
    assert found["value"].notna().all()
    assert found["low"].isna().all()
