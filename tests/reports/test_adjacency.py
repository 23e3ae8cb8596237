from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from product_affinity.contracts.facts import Facts
from product_affinity.project.catalog import Catalog
from product_affinity.reports.adjacency import ADJACENCY_COLUMNS, suggest_adjacency
from product_affinity.reports.reference import AdjacencyThresholds
from tests.company import catalog

AS_OF = pd.Timestamp("2025-06-01")
SIZE = 3000
NEAR = {"icp_overlap": "high", "workflow_integration": "high"}
PRODUCTS = catalog(
    "base", "twin", "rival", "apart", "crm", crm={"adjacent_features": ["export"], "adjacency": {"base": NEAR}}
)


def world(*, feature_feed: bool = True) -> tuple[Facts, pd.DataFrame, pd.DataFrame, pd.Series]:
    """Owners of base tend to own twin and not rival; whoever exports much from base adopts crm."""
    rng = np.random.default_rng(4)
    accounts = np.array([f"A{number:05d}" for number in range(SIZE)])
    base = rng.random(SIZE) < 0.5
    owned = {
        "base": base,
        "twin": rng.random(SIZE) < np.where(base, 0.5, 0.2),
        "rival": rng.random(SIZE) < np.where(base, 0.2, 0.5),
        "apart": rng.random(SIZE) < 0.5,
        "crm": np.zeros(SIZE, dtype=bool),
    }
    exports = rng.poisson(10, SIZE)
    adopted = rng.random(SIZE) < np.where(base & (exports > 10), 0.20, 0.05)
    pairs = pd.concat(
        [
            pd.DataFrame(
                {
                    "account_id": accounts,
                    "product_id": product,
                    "as_of": AS_OF,
                    "status": np.where(has, "owned", "white_space"),
                    "is_winback": False,
                    "adopted": adopted if product == "crm" else False,
                }
            )
            for product, has in owned.items()
        ],
        ignore_index=True,
    )
    uses = {"product_id": "base", "date": pd.Timestamp("2025-05-20")}
    frames = {
        "accounts": pd.DataFrame({"account_id": accounts, "name": accounts}),
        "usage": pd.DataFrame({"account_id": accounts[base], "active_users": exports[base].astype(float), **uses}),
    }
    if feature_feed:
        used = {"feature": "export", "uses": exports[base].astype(float)}
        frames["feature_usage"] = pd.DataFrame({"account_id": accounts[base], **used, **uses})
    spine = pd.DataFrame({"account_id": accounts, "as_of": AS_OF, "segment": rng.choice(["smb", "enterprise"], SIZE)})
    return Facts.from_frames(frames), spine, pairs, pairs["adopted"].astype("Int8")


def suggest(world: tuple[Facts, pd.DataFrame, pd.DataFrame, pd.Series], products: Catalog = PRODUCTS, **thresholds):
    facts, spine, pairs, adopted = world
    found = suggest_adjacency(facts, products, spine, pairs, adopted, AdjacencyThresholds(**thresholds))
    return found.set_index(["owned_product", "target_product"])


@pytest.fixture(scope="module")
def made():
    return world()


@pytest.fixture(scope="module")
def found(made) -> pd.DataFrame:
    return suggest(made)


def test_co_ownership_beyond_size_is_icp_overlap(found):
    assert found.loc[("base", "twin"), "icp_overlap"] == "high"
    assert found.loc[("base", "rival"), "icp_overlap"] == "low"
    assert pd.isna(found.loc[("base", "apart"), "icp_overlap"])
    # planted odds ratios (.5 / .5) / (.2 / .8) = 4 and (.2 / .8) / (.5 / .5) = 1 / 4
    for other, ratio in (("twin", 4), ("rival", 1 / 4), ("apart", 1)):
        row = found.loc[("base", other)]
        assert row["icp_low"] <= ratio <= row["icp_high"], other


def test_only_accounts_that_own_something_further_are_compared(made, found):
    _, _, pairs, _ = made
    held = pairs[pairs["status"] == "owned"].groupby("account_id")["product_id"].apply(set)
    further = held[[bool(products - {"base", "twin"}) for products in held]]
    row = found.loc[("base", "twin")]
    assert row["accounts"] == len(further)
    assert row["both_owned"] == sum({"base", "twin"} <= products for products in further)


def test_more_use_of_an_adjacent_feature_that_goes_with_adoption_is_integration(made, found):
    row = found.loc[("base", "crm")]
    assert (row["basis"], row["workflow_integration"]) == ("adjacent_features", "high")
    # planted odds ratio (.20 / .80) / (.05 / .95) = 4.75
    assert row["integration_low"] <= 4.75 <= row["integration_high"]
    assert row["users"] + row["others"] == (made[2].query("product_id == 'base'")["status"] == "owned").sum()


def test_without_a_feature_feed_the_level_of_usage_is_asked():
    row = suggest(world(feature_feed=False)).loc[("base", "crm")]
    assert (row["basis"], row["workflow_integration"]) == ("usage_level", "high")


def test_nothing_is_suggested_from_nothing(found):
    row = found.loc[("twin", "crm")]  # no usage of twin at all
    assert (row["users"], row["others"]) == (0, 0)
    assert pd.isna(row["workflow_integration"])
    assert pd.isna(row["suggested_quadrant"])
    assert pd.isna(found.loc[("crm", "base"), "icp_odds_ratio"])  # nobody owns crm


def test_the_threshold_decides_what_is_high():
    lenient, strict = suggest(world(), icp_overlap_above=1.0), suggest(world(), icp_overlap_above=20.0)
    assert (lenient.loc[("base", "twin"), "icp_overlap"], strict.loc[("base", "twin"), "icp_overlap"]) == (
        "high",
        "low",
    )


def test_the_suggested_quadrant_stands_beside_the_configured_one(made):
    facts, spine, pairs, adopted = made
    pairs = pairs.copy()
    # half of those who own base and twin now own crm too, so that all of its levels can be told
    rng = np.random.default_rng(1)
    both = set(pairs.query("status == 'owned' and product_id == 'base'")["account_id"])
    sold = pairs["product_id"].eq("crm") & pairs["account_id"].isin(both) & (rng.random(len(pairs)) < 0.4)
    pairs.loc[sold, "status"] = "owned"
    far = {"icp_overlap": "low", "workflow_integration": "low"}
    changes = {"adjacent_features": ["export"], "adjacency": {"base": far}}
    disagreeing = catalog("base", "twin", "rival", "apart", "crm", crm=changes)
    agrees = suggest((facts, spine, pairs, adopted)).loc[("base", "crm")]
    differs = suggest((facts, spine, pairs, adopted), disagreeing).loc[("base", "crm")]
    assert (agrees["suggested_quadrant"], agrees["quadrant"], agrees["agrees"]) == ("primary", "primary", True)
    assert (differs["suggested_quadrant"], differs["quadrant"], differs["agrees"]) == ("primary", "net_new", False)


def test_every_ordered_pair_has_a_row_in_the_order_of_the_catalogue(found):
    ids = PRODUCTS.product_ids
    assert list(found.index) == [(one, other) for one in ids for other in ids if one != other]
    assert tuple(found.reset_index().columns) == ADJACENCY_COLUMNS
    assert found["agrees"].isna().sum() >= len(found) - 1


def test_uses_after_the_date_are_not_seen(found):
    facts, spine, pairs, adopted = world()
    facts.connection.execute(
        "insert into facts.feature_usage by name "
        "select * replace (date '2025-06-01' as date, 9999 as uses, date '2025-06-01' as _event_on, "
        "date '2025-06-01' as _known_on) from facts.feature_usage where uses < 10"
    )
    pd.testing.assert_frame_equal(suggest((facts, spine, pairs, adopted)), found)
