"""Each planted leak is there, knows of adoptions too early, and leaves the truth as it is."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from product_affinity.demo import write_demo
from product_affinity.schema import KNOWN_AT

from .conftest import TEMPLATE, UNTIL
from .test_company import clean, digests, read


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}
    for traps in (False, True):
        found[traps] = tmp_path_factory.mktemp("traps")
        write_demo(found[traps], template=TEMPLATE, accounts=400, months=10, until=UNTIL, seed=8, traps=traps)
    return found


@pytest.fixture(scope="module")
def trapped(folders):
    return folders[True]


@pytest.fixture(scope="module")
def purchases(trapped) -> pd.DataFrame:
    """First start within the history of products beyond the first purchase, per account and product."""
    subs = clean(trapped, "subscriptions").query("not is_trial")
    starts = subs.groupby(["account_id", "product_id"], as_index=False)["start_on"].min()
    starts["start_on"] = pd.to_datetime(starts["start_on"])
    joined = starts.groupby("account_id")["start_on"].transform("min")
    return starts[(starts["start_on"] > joined) & (starts["start_on"] >= pd.Timestamp(2025, 8, 31))]


def test_all_eight_traps_are_described_and_none_without_the_flag(folders):
    described = json.loads((folders[True] / "truth" / "traps.json").read_text())
    assert json.loads((folders[False] / "truth" / "traps.json").read_text()) == []
    assert len(described) == 8
    for trap in described:
        assert set(trap) == {"name", "table", "column", "what", "guard"}
        assert all(trap.values())
        assert trap["column"] in read(folders[True], trap["table"])


def test_the_truth_does_not_depend_on_traps(folders):
    without, planted = (digests(folders[traps]) for traps in (False, True))
    assert without["truth/pairs.parquet"] == planted["truth/pairs.parquet"]
    assert without["data/subscriptions.parquet"] == planted["data/subscriptions.parquet"]


def test_current_state_and_full_history_columns_tell_adopters(trapped, purchases):
    accounts = read(trapped, "accounts")
    first = accounts.sort_values("valid_from").drop_duplicates("account_id").set_index("account_id")
    buyers = first.index.isin(purchases["account_id"])
    assert first.loc[buyers, "adoption_rate"].gt(0).all()
    assert first.loc[buyers, "products_in_use"].mean() > first.loc[~buyers, "products_in_use"].mean() + 0.5
    assert accounts.groupby("account_id")["products_in_use"].nunique().max() == 1, "the same on every version"


def test_backdated_opportunities_were_entered_after_the_purchase(trapped, purchases):
    found = read(trapped, "opportunities")
    found = found[found["opportunity_id"].str.startswith("OB-")]
    merged = found.merge(purchases, on=["account_id", "product_id"])
    merged = merged[pd.to_datetime(merged["closed_on"]) == merged["start_on"]]
    assert len(merged) > 5
    assert (pd.to_datetime(merged["created_on"]) < merged["start_on"]).all()
    assert (merged[KNOWN_AT] > merged["start_on"]).all()


def test_provisioned_usage_precedes_the_first_start(trapped, folders, purchases):
    usage, plain = clean(trapped, "usage"), clean(folders[False], "usage")
    extra = usage.merge(plain, how="left", indicator=True).query("_merge == 'left_only'")
    merged = extra.merge(purchases, on=["account_id", "product_id"])
    assert len(merged) > 20
    assert (pd.to_datetime(merged["date"]) < merged["start_on"]).all()
    assert not usage.duplicated(["account_id", "product_id", "date", KNOWN_AT]).any()


def test_restated_scores_became_known_after_the_purchase(trapped, purchases):
    health = clean(trapped, "health")
    key = ["account_id", "product_id", "date"]
    restated = health[health.duplicated(key)].merge(purchases.groupby("account_id", as_index=False)["start_on"].min())
    assert len(restated) > 20
    assert (restated[KNOWN_AT] > restated["start_on"]).mean() > 0.9
    assert (pd.to_datetime(restated["date"]) < restated["start_on"]).mean() > 0.9


def test_enriched_versions_are_dated_before_and_known_after_the_sale(trapped):
    accounts = clean(trapped, "accounts")
    enriched = accounts[accounts.duplicated(["account_id", "valid_from"])]
    assert len(enriched) > 20
    assert (enriched[KNOWN_AT] > pd.to_datetime(enriched["valid_from"])).all()


def test_order_forms_are_dated_on_the_day_of_the_purchase(trapped, purchases):
    forms = read(trapped, "signals").query("kind == 'order_form'")
    merged = forms.merge(purchases, on=["account_id", "product_id"])
    assert len(merged) > 10
    assert (pd.to_datetime(merged["happened_on"]) >= merged["start_on"]).all()
    assert (pd.to_datetime(merged["happened_on"]) == merged["start_on"]).mean() > 0.9


def test_deleted_customers_leave_orphans_below_the_tolerated_share(trapped):
    known = set(read(trapped, "accounts")["account_id"])
    subs = clean(trapped, "subscriptions")
    orphans = ~subs["account_id"].isin(known)
    assert 0 < orphans.mean() < 0.05
    ended = subs[orphans].groupby(["account_id", "product_id", "start_on"])["end_on"].max()
    assert ended.notna().all(), "only former customers were deleted"
