"""Recipes trained on a company whose law of adoption is known, from rows to the gate's verdict."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from product_affinity.backtest.baselines import Popularity
from product_affinity.models import PropensityClassifier
from product_affinity.pipeline.evidence import Trial, ap_over_base_rate, gather_evidence
from product_affinity.pipeline.recipe import Recipe
from product_affinity.pipeline.table import PairTable
from product_affinity.project.feature_columns import column
from product_affinity.project.model_spec import EstimatorSpec, GateSpec, ModelSpec
from product_affinity.registry.bundle import Bundle, write_bundle
from product_affinity.registry.evidence import Evidence
from product_affinity.registry.gate import GateReport, check_challenger
from tests.backtest.worlds import COLUMNS, company
from tests.pipeline.conftest import silent

AS_OFS = tuple(day.date() for day in pd.date_range("2025-01-31", "2025-12-31", freq="ME"))
TRAINED = dt.date(2025, 12, 31)
FOLDS = (dt.date(2025, 6, 30), dt.date(2025, 8, 31))
# one column truly has two thirds of the gain in a company of five columns
SPEC = ModelSpec(
    estimator=EstimatorSpec(n_seeds=1), gate=GateSpec(n_resamples=50, warn_gain_share=0.75, max_gain_share=0.8)
)
RECIPE = Recipe(SPEC.estimator, COLUMNS, horizon_days=90, maturity_days=7)
LEAK = column("signals", "provisioned", "count", 28, unit="events", direction="up")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    made = company(accounts=300, as_ofs=AS_OFS, observed_until=str(TRAINED))
    soon = np.random.default_rng(9).random(len(made)) < 0.35
    return made.assign(
        adopted_90d=made["adopted"],
        adopted_30d=(made["adopted"].astype("Int8") * soon).astype("Int8"),
        signals_provisioned_count_28d=0.0,
    )


def table_of(rows: pd.DataFrame, recipe: Recipe) -> PairTable:
    return PairTable(rows, rows, rows, recipe.columns)


def bundle_of(folder, classifier: PropensityClassifier, recipe: Recipe, trained: dt.date, metrics=None) -> Bundle:
    names = [*(c.name for c in recipe.columns), "is_winback"]
    kinds = {c.name: c.kind for c in recipe.columns}
    manifest = {
        "product_ids": ["crm", "desk", "mail"],
        "columns": [{"name": name, "kind": kinds.get(name, "number")} for name in names],
        "trained_as_of": trained,
        "horizons_days": [90],
        "estimator": recipe.estimator.model_dump(),
    }
    return write_bundle(folder, classifiers={90: classifier}, manifest=manifest, metrics=metrics or {}, card="x")


def trial_of(rows: pd.DataFrame, recipe: Recipe) -> Trial:
    """What a backtest finds, with one baseline."""
    parts = []
    for origin in FOLDS:
        test = rows[rows["as_of"].eq(pd.Timestamp(origin))]
        known = rows[rows["as_of"] + pd.Timedelta(days=97) <= pd.Timestamp(origin)]
        rates = known["adopted"].astype(float).groupby(known["product_id"]).mean()
        kept = ["account_id", "product_id", "as_of", "status", "adopted", "is_winback", "segment", "expected_arr_usd"]
        parts.append(
            test[kept].assign(
                fold=str(origin),
                base_rate=test["product_id"].map(rates),
                workable_share=0.05,
                blend=recipe.score(recipe.fit(rows, origin, jobs=1), test),
                popularity=Popularity().fit(known, recipe.columns).predict(test),
            )
        )
    return Trial(pd.concat(parts, ignore_index=True), ("popularity",))


def gathered(rows, recipe, bundle, champion=None, trial=None) -> Evidence:
    return gather_evidence(
        recipe,
        table_of(rows, recipe),
        trial or trial_of(rows, recipe),
        bundle,
        champion,
        min_adoptions=30,
        jobs=1,
        progress=silent,
    )


def verdict(evidence: Evidence, as_of: dt.date = TRAINED) -> GateReport:
    return check_challenger(evidence, SPEC, as_of=as_of)


def refused(report: GateReport) -> set[str]:
    return {check.code for check in report.refusals}


@pytest.fixture(scope="module")
def classifier(rows) -> PropensityClassifier:
    return RECIPE.fit(rows, TRAINED, jobs=1)


@pytest.fixture(scope="module")
def trial(rows) -> Trial:
    return trial_of(rows, RECIPE)


@pytest.fixture(scope="module")
def good(tmp_path_factory, classifier) -> Bundle:
    return bundle_of(tmp_path_factory.mktemp("good") / "bundle", classifier, RECIPE, TRAINED)


def test_a_good_first_challenger_passes(rows, good, trial):
    report = verdict(gathered(rows, RECIPE, good, trial=trial))
    assert report.refusals == ()
    assert report.sides.comparison == "no_champion"


def test_a_retrained_recipe_equals_its_champion_on_the_same_rows(rows, good, trial, tmp_path):
    earlier = dt.date(2025, 11, 30)
    champion = bundle_of(tmp_path / "champion", RECIPE.fit(rows, earlier, jobs=1), RECIPE, earlier)
    evidence = gathered(rows, RECIPE, good, champion, trial)
    assert evidence.sides.comparison == "same_recipe"
    report = verdict(evidence)
    assert report.refusals == ()
    assert report.figures[0]["difference"] == 0
    # and the lists of the two are alike
    overlap = next(check for check in report.checks if check.code == "P08").figures["top_overlap"]
    assert 0.5 < overlap <= 1


def test_an_old_champion_is_judged_as_it_runs_on_later_months(rows, good, trial, tmp_path):
    then = FOLDS[1]
    champion = bundle_of(tmp_path / "champion", RECIPE.fit(rows, then, jobs=1), RECIPE, then)
    evidence = gathered(rows, RECIPE, good, champion, trial)
    assert evidence.sides.comparison == "as_it_runs"
    judged = evidence.predictions["champion"].notna()
    assert set(evidence.predictions.loc[judged, "fold"]) == {str(then)}
    # trained at that origin by that recipe, it is the backtest's own model: an independent check of both
    np.testing.assert_allclose(evidence.predictions.loc[judged, "champion"], evidence.predictions.loc[judged, "blend"])


def test_another_recipe_is_refitted_at_each_origin(rows, good, trial, tmp_path):
    """The champion lacks the column that drives adoption, so the challenger is better."""
    fewer = replace(RECIPE, columns=tuple(c for c in COLUMNS if "adjacent_uses" not in c.name))
    earlier = dt.date(2025, 11, 30)
    champion = bundle_of(tmp_path / "champion", fewer.fit(rows, earlier, jobs=1), fewer, earlier)
    evidence = gathered(rows, RECIPE, good, champion, trial)
    assert evidence.sides.comparison == "refitted"
    assert evidence.sides.changes == ("only the challenger has usage_adjacent_uses_sum_28d",)
    assert evidence.predictions["champion"].notna().all()
    auc = verdict(evidence).figures[0]
    assert auc["low"] > 0


def test_a_champion_that_lost_a_column_is_a_warning_in_words(rows, good, trial, tmp_path):
    """Its recipe cannot be fitted any more: without its best column it is a weaker rival than the one that runs."""
    fewer = replace(RECIPE, columns=tuple(c for c in COLUMNS if "adjacent_uses" not in c.name))
    challenger = bundle_of(tmp_path / "b", fewer.fit(rows, TRAINED, jobs=1), fewer, TRAINED)
    evidence = gathered(rows, fewer, challenger, good, trial)
    assert evidence.sides.columns_gone == ("usage_adjacent_uses_sum_28d",)
    check = next(check for check in verdict(evidence).checks if check.code == "P05")
    assert check.state == "warned"
    assert "without usage_adjacent_uses_sum_28d" in check.words


def test_shuffled_labels_are_refused(rows, tmp_path):
    rng = np.random.default_rng(3)
    known = rows["adopted"].notna()
    order = rows.loc[known].groupby(["as_of", "product_id"])["adopted"].transform(lambda y: rng.permutation(y))
    shuffled = rows.assign(adopted=rows["adopted"].mask(known, order))
    shuffled["adopted_90d"] = shuffled["adopted"]
    bundle = bundle_of(tmp_path / "b", RECIPE.fit(shuffled, TRAINED, jobs=1), RECIPE, TRAINED)
    report = verdict(gathered(shuffled, RECIPE, bundle))
    assert "P03" in refused(report)
    assert "are the labels right?" in report.words


def test_labels_shuffled_in_the_final_fit_alone_are_refused(rows, trial, tmp_path):
    rng = np.random.default_rng(3)
    known = rows["adopted"].notna()
    order = rows.loc[known].groupby(["as_of", "product_id"])["adopted"].transform(lambda y: rng.permutation(y))
    broken = RECIPE.fit(rows.assign(adopted_90d=rows["adopted"].mask(known, order)), TRAINED, jobs=1)
    bundle = bundle_of(tmp_path / "b", broken, RECIPE, TRAINED)
    assert "P11" in refused(verdict(gathered(rows, RECIPE, bundle, trial=trial)))


def test_a_feature_that_knows_the_answer_is_refused(rows, good, tmp_path):
    """Use of a product counted in the days before its first paid start, entered after the sale."""
    rng = np.random.default_rng(4)
    adopts = rows["true_p"].gt(rng.random(len(rows)))
    adopts = rows["adopted"].fillna(adopts.astype("Int8")).astype(bool)
    knows = adopts & (rng.random(len(rows)) < 0.97)
    leaking = rows.assign(signals_provisioned_count_28d=np.where(knows, 1.0 + rng.poisson(2, len(rows)), 0.0))
    recipe = replace(RECIPE, columns=(*COLUMNS, LEAK))
    bundle = bundle_of(tmp_path / "b", recipe.fit(leaking, TRAINED, jobs=1), recipe, TRAINED)
    trial = trial_of(leaking, recipe)
    without_champion = gathered(leaking, recipe, bundle, trial=trial)
    assert without_champion.sides.gain_shares[0][0] == LEAK.name
    shipped = check_challenger(without_champion, ModelSpec(), as_of=TRAINED)
    assert {"P09", "P10"} <= refused(shipped), without_champion.sides.gain_shares
    assert LEAK.name in shipped.words
    beside_a_champion = verdict(gathered(leaking, recipe, bundle, good, trial))
    assert "P10" in refused(beside_a_champion)
    assert "times that of the champion" in beside_a_champion.words


def test_a_miscalibrated_bundle_and_a_stale_one_are_refused(rows, trial, tmp_path, good):
    recent = rows[rows["as_of"].eq(pd.Timestamp(FOLDS[1]))]
    off = RECIPE.fit(rows, TRAINED, jobs=1)
    x = recent[[*(c.name for c in COLUMNS), "is_winback"]].astype({"is_winback": float})
    off.recalibrate(x, np.ones(len(x), dtype=int), product=recent["product_id"], horizon_days=90)
    bundle = bundle_of(tmp_path / "b", off, RECIPE, TRAINED)
    assert refused(verdict(gathered(rows, RECIPE, bundle, trial=trial))) == {"P11"}
    evidence = gathered(rows, RECIPE, good, trial=trial)
    assert refused(verdict(evidence, TRAINED + dt.timedelta(days=60))) == {"P02"}


def test_ap_over_base_rate_of_a_bundles_figures():
    counts = [{"population": "first_time", "base_rate": 0.02}, {"population": "win_back", "base_rate": 0.5}]
    metrics = {"models": [{"model": "popularity", "ap": 0.5}, {"model": "blend", "ap": 0.08}], "counts": counts}
    assert ap_over_base_rate(metrics) == 0.08 / 0.02
    assert ap_over_base_rate({}) is None
    assert ap_over_base_rate({"models": [{"model": "blend", "ap": None}], "counts": counts}) is None
