"""The main job on a small demo company: from its source tables to published lists."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.errors import BundleError, ContractError, FreshnessError, LockedError
from product_affinity.lists import owner_key, verify_list
from product_affinity.pipeline.nightly import score_project
from product_affinity.pipeline.train import train_project
from product_affinity.registry.lock import sole_writer
from product_affinity.schema.lists import DISPOSITIONS, ROUTES, SCORE_COLUMNS, WATCHLIST_COLUMNS, WORKLIST_COLUMNS
from tests.pipeline.conftest import UNTIL, silent


@pytest.fixture(scope="module")
def scores(demo):
    return pd.read_parquet(demo.lists / "scores.parquet")


@pytest.fixture(scope="module")
def worklist(demo):
    return pd.read_parquet(demo.lists / "worklist.parquet")


@pytest.fixture(scope="module")
def watchlist(demo):
    return pd.read_parquet(demo.lists / "watchlist.parquet")


@pytest.fixture(scope="module")
def truth(demo):
    pairs = pd.read_parquet(demo.root / "truth" / "pairs.parquet")
    return pairs[pd.to_datetime(pairs["as_of"]) == pd.Timestamp(UNTIL)]


def raw(demo, table):
    return pd.read_parquet(demo.root / "data" / f"{table}.parquet")


class TestPublishedFiles:
    def test_they_verify_and_current_shows_them(self, demo):
        assert verify_list(demo.lists.resolve()) == []
        assert (demo.lists.parent / "current").resolve() == demo.lists.resolve()

    def test_columns_are_the_published_ones(self, scores, worklist, watchlist):
        assert list(scores.columns) == list(SCORE_COLUMNS)
        assert list(worklist.columns) == list(WORKLIST_COLUMNS)
        assert list(watchlist.columns) == list(WATCHLIST_COLUMNS)

    def test_counts_balance_in_the_manifest(self, demo, scores):
        counts = json.loads((demo.lists / "manifest.json").read_text())["counts"]
        assert counts["pairs"] == len(scores) == counts["owned"] + counts["not_owned"]
        assert counts["not_owned"] == counts["not_eligible"] + sum(counts["dispositions"].values())

    def test_owners_and_products_hold_the_rows_of_the_worklist(self, demo, worklist):
        for folder in ("owners", "products"):
            parts = [pd.read_csv(path, dtype="str") for path in sorted((demo.lists / folder).glob("*.csv"))]
            assert sorted(pd.concat(parts)["play_id"]) == sorted(worklist["play_id"])

    def test_a_rerun_gives_the_same_bytes(self, demo, tmp_path):
        copy = demo.copy(tmp_path)

        def digest(folder: Path):
            files = (path for path in sorted(folder.rglob("*")) if path.is_file())
            return [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]

        before = digest(copy.lists.resolve())
        copy.nightly()
        assert digest(copy.lists.resolve()) == before


class TestScores:
    def test_every_account_and_product_appears_once(self, demo, scores):
        accounts = raw(demo, "accounts")
        known = pd.to_datetime(accounts["known_at"]) < pd.Timestamp(UNTIL) if "known_at" in accounts else True
        assert not scores.duplicated(["account_id", "product_id"]).any()
        assert set(scores["account_id"]) == set(accounts.loc[known, "account_id"])
        assert set(scores["product_id"]) == set(demo.project.catalog.product_ids)

    def test_only_pairs_that_may_be_bought_have_a_propensity(self, scores):
        scored = scores["status"].isin(["white_space", "in_pipeline"])
        assert scores.loc[scored, "propensity"].between(0, 1, inclusive="neither").all()
        assert scores.loc[~scored, ["propensity", "propensity_90d", "value_usd", "disposition"]].isna().all(axis=None)
        horizons = scores[["propensity_30d", "propensity_90d", "propensity_180d"]]
        assert horizons[scored].notna().all(axis=None)
        assert horizons[~scored].isna().all(axis=None)

    def test_a_longer_horizon_is_never_less_likely(self, scores):
        known = scores.dropna(subset="propensity")
        assert (known["propensity_30d"] <= known["propensity_90d"]).all()
        assert (known["propensity_90d"] <= known["propensity_180d"]).all()

    def test_ranks_follow_the_propensity_within_a_product(self, scores):
        for _, rows in scores.dropna(subset="propensity").groupby("product_id"):
            ordered = rows.sort_values("rank")
            assert ordered["rank"].tolist() == list(range(1, len(rows) + 1))
            assert ordered["propensity"].is_monotonic_decreasing

    def test_the_planted_truth_is_found_again(self, scores, truth):
        both = scores.dropna(subset="propensity").merge(truth, on=["account_id", "product_id"], validate="1:1")
        assert len(both) == scores["propensity"].notna().sum() == len(truth)
        open_pairs = both[both["status"] == "white_space"]
        within = [
            rows["propensity"].corr(rows["p_90d"], method="spearman") for _, rows in open_pairs.groupby("product_id")
        ]
        assert np.mean(within) > 0.2
        top = open_pairs.nlargest(len(open_pairs) // 20, "propensity")
        assert top["p_90d"].mean() > 2 * open_pairs["p_90d"].mean()
        assert 0.6 < open_pairs["propensity"].sum() / open_pairs["p_90d"].sum() < 1.6


class TestWorklist:
    def test_one_play_an_account_within_capacity(self, demo, worklist):
        assert worklist["account_id"].is_unique
        assert worklist["play_id"].is_unique
        slots = demo.project.settings.capacity.plays_per_owner
        assert worklist[worklist["route"] == "csm"].groupby("owner_id", dropna=False).size().max() <= slots

    def test_nobody_is_listed_who_must_not_be(self, demo, worklist, scores):
        accounts = raw(demo, "accounts")
        marked = set(accounts.loc[accounts["do_not_contact"].fillna(False).astype(bool), "account_id"])
        tickets = raw(demo, "tickets")
        is_open = tickets["closed_at"].isna() | (pd.to_datetime(tickets["closed_at"]) >= pd.Timestamp(UNTIL))
        urgent = set(tickets.loc[is_open & tickets["priority"].isin(["P1", "P2"]), "account_id"])
        deals = raw(demo, "opportunities").sort_values("known_at").drop_duplicates("opportunity_id", keep="last")
        open_deals = deals[deals["closed_on"].isna()]
        busy = set(open_deals["account_id"]) & set(scores["account_id"])
        listed = set(worklist["account_id"])
        assert marked
        assert urgent
        assert busy
        assert not listed & (marked | urgent | busy)

    def test_rows_say_why(self, worklist):
        assert worklist["reason_1"].notna().mean() > 0.95
        words = worklist[["reason_1", "reason_2", "reason_3", "caution"]].melt()["value"].dropna()
        assert not words.str.contains(r"[{}]|\bnan\b|USD a year", regex=True).any()

    def test_value_orders_an_owners_rows(self, worklist):
        for _, rows in worklist.groupby("owner_id", dropna=False):
            assert rows.sort_values("rank")["value_usd"].is_monotonic_decreasing

    def test_every_play_says_who_acts_and_what_to_do(self, worklist):
        told = ["play_type", "readiness", "next_step", "route", "talk_track", "best_by"]
        assert worklist[told].notna().all(axis=None)
        assert set(worklist["play_type"]) <= {"pitch", "discover"}
        assert set(worklist["route"]) <= set(ROUTES)

    def test_what_waits_says_for_what(self, watchlist, scores):
        assert watchlist[["gate", "evidence", "unblocked_by"]].notna().all(axis=None)
        assert {"F01", "G04", "C04", "R11"} <= set(watchlist["gate"])
        assert len(watchlist) == (scores["disposition"] == "watchlist").sum()

    def test_every_pair_in_white_space_has_one_disposition(self, scores):
        open_pairs = scores["status"].isin(["white_space", "in_pipeline"])
        assert set(scores.loc[open_pairs, "disposition"]) <= set(DISPOSITIONS)
        assert scores.loc[open_pairs, "disposition"].notna().all()

    def test_no_file_an_owner_opens_tells_an_arm(self, demo, scores):
        held = scores[scores["disposition"] == "held_back"]
        log = demo.lists / "measurement.parquet"
        assert log.stat().st_mode & 0o777 == 0o600
        assert len(held) == (pd.read_parquet(log)["arm"] == "held_back").sum()
        words = re.compile(r"held.back|treated|arm_probability", re.IGNORECASE)
        for path in sorted(demo.lists.rglob("*")):
            if path.suffix in (".csv", ".md", ".html"):
                assert not words.search(path.read_text("utf-8")), path.name
        for name in ("worklist", "watchlist", "in_flight", "gone", "campaign"):
            pairs = pd.read_parquet(demo.lists / f"{name}.parquet")[["account_id", "product_id"]]
            assert pairs.merge(held[["account_id", "product_id"]]).empty

    def test_workbooks_page_and_files_for_systems_are_there(self, demo, worklist):
        owners = {owner_key(owner) for owner in worklist["owner_id"]}
        for folder, suffix in (("owners", "xlsx"), ("site/owners", "html")):
            assert owners <= {path.stem for path in (demo.lists / folder).glob(f"*.{suffix}")}
        for name in ("worklist.xlsx", "digest.md", "crm/salesforce.csv", "crm/hubspot.csv", "site/index.html"):
            assert (demo.lists / name).stat().st_size > 0

    def test_the_next_list_continues_the_plays(self, demo, tmp_path, worklist):
        copy = demo.copy(tmp_path)
        later = UNTIL + dt.timedelta(days=3)
        copy.nightly(later)
        again = pd.read_parquet(copy.root / "var" / "lists" / "current" / "worklist.parquet")
        assert (again["as_of"].astype(str) == str(later)).all()
        stayed = again[again["change"] != "new"]
        assert len(stayed) > len(worklist) / 2
        assert (stayed["days_on_list"] == 3).all()
        assert set(stayed["play_id"]) <= set(worklist["play_id"])


class TestRefusals:
    def test_stale_data(self, demo, tmp_path):
        with pytest.raises(FreshnessError, match=r"usage.*2026-06-2"):
            demo.copy(tmp_path).nightly(UNTIL + dt.timedelta(days=60))

    def test_an_as_of_date_before_all_data(self, demo, tmp_path):
        with pytest.raises(ContractError) as caught:
            demo.copy(tmp_path).nightly(dt.date(1999, 1, 1))
        assert "1999-01-01" in str(caught.value)

    def test_no_champion(self, demo, tmp_path):
        copy = demo.copy(tmp_path)
        (copy.root / "var" / "champion").unlink()
        with pytest.raises(BundleError, match="affinity train"):
            copy.nightly()

    def test_an_altered_bundle(self, demo, tmp_path):
        copy = demo.copy(tmp_path)
        model = next((copy.root / "var" / "champion").resolve().rglob("*.txt"))
        model.write_bytes(model.read_bytes().replace(b"leaf_value=", b"leaf_value=1 ", 1))
        with pytest.raises(BundleError, match=model.name):
            copy.nightly()

    def test_a_family_edited_since_training(self, demo, tmp_path):
        copy = demo.copy(tmp_path)
        path = copy.root / "features" / "usage.yml"
        path.write_text(path.read_text().replace("unit: users", "unit: people", 1))
        with pytest.raises(BundleError, match=r"features/usage\.yml"):
            copy.nightly()

    def test_another_night_at_work(self, demo, tmp_path, monkeypatch):
        copy = demo.copy(tmp_path)
        monkeypatch.setattr("product_affinity.registry.lock.WAIT_SECONDS", 0.1)
        with sole_writer(copy.root / "var" / "nightly.lock"), pytest.raises(LockedError):
            copy.nightly()

    def test_a_refused_night_leaves_the_published_list(self, demo, tmp_path):
        copy = demo.copy(tmp_path)
        (copy.root / "data" / "subscriptions.parquet").unlink()
        with pytest.raises(ContractError, match="subscriptions"):
            copy.nightly(UNTIL + dt.timedelta(days=1))
        assert verify_list((copy.lists.parent / "current").resolve()) == []


def test_training_again_gives_the_same_bundle(demo, tmp_path):
    copy = demo.copy(tmp_path)
    before = (copy.root / "var" / "challenger").readlink()
    train_project(copy.project, UNTIL, jobs=2, progress=silent)
    assert (copy.root / "var" / "challenger").readlink() == before


def test_scoring_alone_publishes_nothing(demo, tmp_path, scores):
    copy = demo.copy(tmp_path)
    before = copy.lists.resolve()
    score_project(copy.project, UNTIL, jobs=1, progress=silent)
    alone = pd.read_parquet(copy.root / "var" / "scores" / f"{UNTIL}.parquet")
    pd.testing.assert_frame_equal(alone, scores)
    assert copy.lists.resolve() == before


def test_scoring_imports_no_mlflow(demo, tmp_path):
    copy = demo.copy(tmp_path)
    code = (
        "import sys; from product_affinity.cli import main\n"
        "main()\n"
        "sys.exit('mlflow was imported' if 'mlflow' in sys.modules else 0)"
    )
    command = ["nightly", "--project", str(copy.root), "--as-of", str(UNTIL), "--jobs", "1"]
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "published" in done.stdout
