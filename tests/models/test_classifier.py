"""The classifier as a scikit-learn estimator, and its own rules."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import logit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import product_affinity
from product_affinity.models import PropensityClassifier

from .tables import pairs, single, thresholds


def log_loss(probability, truth):
    return float(-np.mean(truth * np.log(probability) + (1 - truth) * np.log1p(-probability)))


def skill(probability, table, base):
    oracle, reference = log_loss(table.truth, table.truth), log_loss(base, table.truth)
    return (reference - log_loss(probability, table.truth)) / (reference - oracle)


@pytest.mark.filterwarnings("ignore")  # scikit-learn's own checks warn about what they skip
def test_passes_every_scikit_learn_check():
    results = check_estimator(PropensityClassifier(), on_fail=None)
    assert [result["check_name"] for result in results if result["status"] == "failed"] == []
    assert sum(result["status"] == "passed" for result in results) > 50


def test_is_importable_from_the_package():
    assert product_affinity.PropensityClassifier is PropensityClassifier


def test_approaches_the_truth_on_pairs(pair_table, pair_model):
    fresh = pairs(seed=1)
    rate = pd.Series(pair_table.y).groupby(pair_table.product).mean()
    base = rate.loc[fresh.product].to_numpy()
    blended = pair_model.predict_proba(fresh.X, product=fresh.product)[:, 1]
    assert skill(blended, fresh, base) > 0.75
    assert blended.sum() / fresh.truth.sum() == pytest.approx(1, abs=0.1)


def test_approaches_the_truth_on_a_single_table(single_model):
    fresh = single(seed=1)
    base = np.full(len(fresh.y), single().y.mean())
    assert skill(single_model.predict_proba(fresh.X)[:, 1], fresh, base) > 0.8


def test_weights_are_shares_per_product_and_candidate(pair_model, single_model):
    assert pair_model.weights_.index.tolist() == ["billing", "crm", "desk"]
    assert pair_model.weights_.columns.tolist() == ["pooled", "heads", "ridge"]
    assert (pair_model.weights_.to_numpy() >= 0).all()
    np.testing.assert_allclose(pair_model.weights_.sum(axis=1), 1, rtol=1e-12)
    # without products, pooled and heads are one candidate
    assert single_model.weights_.columns.tolist() == ["pooled", "ridge"]
    assert single_model.weights_.index.tolist() == ["all"]


def test_specific_effects_move_weight_away_from_the_pooled_candidate(pair_model):
    assert pair_model.weights_["pooled"].max() < 0.3


def test_few_positives_or_rows_leave_the_ridge_only():
    table = single(rows=480)
    assert PropensityClassifier().fit(table.X, table.y).weights_.columns.tolist() == ["ridge"]
    rare = single(rows=600)
    y = rare.y * (np.cumsum(rare.y) <= 29)
    assert PropensityClassifier().fit(rare.X, y).weights_.columns.tolist() == ["ridge"]


@pytest.mark.parametrize(("effects", "trusted"), [(pairs, "ridge"), (thresholds, "pooled")])
def test_unseen_product_is_scored_by_the_candidate_that_the_others_trust(effects, trusted):
    table = effects()
    model = PropensityClassifier(n_seeds=1).fit(table.X, table.y, **table.keys)
    new = ["launched yesterday"] * 50
    proba = model.predict_proba(table.X.head(50), product=new)[:, 1]
    np.testing.assert_array_equal(proba, model.candidate_proba(table.X.head(50), product=new)[trusted])
    assert proba.std() > 0
    parts = model.contributions(table.X.head(50), product=new)
    np.testing.assert_allclose(parts.sum(axis=1), logit(proba), atol=1e-9)


@pytest.mark.parametrize("candidates", [("pooled", "heads"), ("heads",)])
def test_unseen_product_without_a_ridge_is_left_to_the_trees(pair_table, candidates):
    model = PropensityClassifier(candidates=candidates, n_seeds=1).fit(pair_table.X, pair_table.y, **pair_table.keys)
    proba = model.predict_proba(pair_table.X.head(50), product=["new"] * 50)[:, 1]
    alone = model.candidate_proba(pair_table.X.head(50), product=["new"] * 50)[candidates[0]]
    assert (np.argsort(proba) == np.argsort(alone)).all()
    assert (np.ptp(proba) > 1e-9) == (candidates != ("heads",))


def test_candidate_proba_keeps_index_and_names_every_candidate(pair_table, pair_model):
    X = pair_table.X.iloc[100:110]
    frame = pair_model.candidate_proba(X, product=pair_table.product[100:110])
    assert frame.columns.tolist() == ["pooled", "heads", "ridge"]
    assert frame.index.equals(X.index)
    assert ((frame > 0) & (frame < 1)).all(axis=None)


def test_column_order_changes_nothing(pair_table, pair_model):
    shuffled = pair_table.X[["plan", "country", "adjacent", "usage", "seats"]]
    again = clone(pair_model).fit(shuffled, pair_table.y, **pair_table.keys)
    expected = pair_model.predict_proba(pair_table.X, product=pair_table.product)
    np.testing.assert_array_equal(again.predict_proba(pair_table.X, product=pair_table.product), expected)
    np.testing.assert_array_equal(pair_model.predict_proba(shuffled, product=pair_table.product), expected)


def test_jobs_change_nothing_and_the_seed_does(pair_table, pair_model):
    expected = pair_model.predict_proba(pair_table.X, product=pair_table.product)
    two = clone(pair_model).set_params(n_jobs=2).fit(pair_table.X, pair_table.y, **pair_table.keys)
    np.testing.assert_array_equal(two.predict_proba(pair_table.X, product=pair_table.product), expected)
    other = clone(pair_model).set_params(random_state=7).fit(pair_table.X, pair_table.y, **pair_table.keys)
    assert (other.predict_proba(pair_table.X, product=pair_table.product) != expected).any()


def test_row_blocks_and_unseen_levels_score_alike(pair_table, pair_model):
    X = pair_table.X.head(200).assign(country="never seen")
    product = pair_table.product[:200]
    whole = pair_model.predict_proba(X, product=product)
    parts = [pair_model.predict_proba(X.iloc[at : at + 50], product=product[at : at + 50]) for at in range(0, 200, 50)]
    np.testing.assert_allclose(np.vstack(parts), whole, rtol=1e-12)
    missing = pair_model.predict_proba(X.assign(country=None), product=product)
    np.testing.assert_array_equal(missing, whole)


def test_categorical_and_text_columns_score_alike(pair_table, pair_model):
    X, product = pair_table.X.head(100), pair_table.product[:100]
    text = X.assign(plan=X["plan"].astype(str), country=X["country"].astype("category"))
    np.testing.assert_array_equal(
        pair_model.predict_proba(text, product=product), pair_model.predict_proba(X, product=product)
    )


def test_numpy_input_follows_the_columns_of_the_fit():
    table = single()
    numbers = table.X.drop(columns="channel")
    named = PropensityClassifier(candidates=("ridge",)).fit(numbers, table.y)
    plain = PropensityClassifier(candidates=("ridge",)).fit(numbers.to_numpy(), table.y)
    expected = named.predict_proba(numbers)
    np.testing.assert_allclose(plain.predict_proba(numbers.to_numpy()), expected, rtol=1e-9)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        unnamed = named.predict_proba(numbers.to_numpy())
    np.testing.assert_array_equal(unnamed, expected)


def test_labels_of_any_kind_come_back(single_table, single_model):
    labels = np.where(single_table.y == 1, "yes", "no")
    model = clone(single_model).fit(single_table.X, labels)
    assert model.classes_.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(model.predict_proba(single_table.X), single_model.predict_proba(single_table.X))
    assert set(model.predict(single_table.X)) <= {"no", "yes"}


def test_works_in_pipeline_cross_validation_and_grid_search():
    table = single(rows=700)
    pipeline = make_pipeline(FunctionTransformer(), PropensityClassifier(n_seeds=1))
    assert cross_val_score(pipeline, table.X, table.y, cv=2, scoring="roc_auc").min() > 0.6
    search = GridSearchCV(PropensityClassifier(n_seeds=1), {"candidates": [("ridge",), ("pooled", "ridge")]}, cv=2)
    assert search.fit(table.X, table.y).best_params_["candidates"] in [("ridge",), ("pooled", "ridge")]


def test_metadata_is_routed_to_fit_and_score():
    table = pairs(accounts=60, months=4)
    with sklearn.config_context(enable_metadata_routing=True):
        model = PropensityClassifier(n_seeds=1)
        model.set_fit_request(product=True).set_score_request(product=True)
        scores = cross_val_score(model, table.X, table.y, params={"product": table.product}, cv=2)
    assert (scores > 0.8).all()


def test_copies_and_pickles_score_exactly_alike(pair_table, pair_model):
    expected = pair_model.predict_proba(pair_table.X, product=pair_table.product)
    for twin in (copy.deepcopy(pair_model), pickle.loads(pickle.dumps(pair_model))):
        np.testing.assert_array_equal(twin.predict_proba(pair_table.X, product=pair_table.product), expected)


def test_contributions_add_up_to_the_published_log_odds(pair_table, pair_model):
    X, product = pair_table.X.iloc[:60], np.append(pair_table.product[:59], "new")
    parts = pair_model.contributions(X, product=product)
    assert parts.columns.tolist() == [*X.columns, "baseline"]
    proba = pair_model.predict_proba(X, product=product)[:, 1]
    np.testing.assert_allclose(parts.sum(axis=1), logit(proba), atol=1e-9)


def test_contributions_include_the_offset_and_recalibration(pair_table):
    rng = np.random.default_rng(0)
    X = pair_table.X.assign(base=rng.normal(-3, 0.3, len(pair_table.X)))
    model = PropensityClassifier(n_seeds=1, offset="base").fit(X, pair_table.y, product=pair_table.product)
    model.recalibrate(X, pair_table.y, product=pair_table.product, horizon_days=90)
    parts = model.contributions(X.head(40), product=pair_table.product[:40])
    proba = model.predict_proba(X.head(40), product=pair_table.product[:40])[:, 1]
    np.testing.assert_allclose(parts.sum(axis=1), logit(proba), atol=1e-9)
    slope = np.polyfit(X["base"].head(40), parts["base"], 1)[0]
    assert 0.2 < slope < 2


def test_offset_sets_the_level():
    table = single(rows=2000)
    low = np.where(np.arange(2000) % 2, -1.0, 1.0)
    X = table.X.assign(base=low)
    y = (np.random.default_rng(5).random(2000) < np.where(low > 0, 0.3, 0.06)).astype(int)
    proba = PropensityClassifier(n_seeds=1, offset="base").fit(X, y).predict_proba(X)[:, 1]
    assert proba[low > 0].mean() == pytest.approx(0.3, abs=0.05)
    assert proba[low < 0].mean() == pytest.approx(0.06, abs=0.03)


def test_missing_offset_takes_the_mean(single_table):
    X = single_table.X.assign(base=np.tile([-1.0, -3.0], len(single_table.X) // 2))
    model = PropensityClassifier(candidates=("ridge",), offset="base").fit(X, single_table.y)
    mean = model.predict_proba(X.assign(base=-2.0))
    np.testing.assert_allclose(model.predict_proba(X.assign(base=np.nan)), mean, rtol=1e-9)


@pytest.mark.parametrize("column", ["adjacent"])
def test_declared_direction_holds_for_the_blend(pair_table, pair_model, column):
    X, product = pair_table.X.head(150), pair_table.product[:150]
    sweep = [
        pair_model.predict_proba(X.assign(**{column: value}), product=product)[:, 1] for value in np.linspace(-3, 3, 25)
    ]
    steps = np.diff(np.array(sweep), axis=0)
    assert (steps >= -1e-12).all()
    assert steps.max() > 0


MISUSE = {
    "unknown column 'usag' (closest present: 'usage')": {"monotone": {"usag": 1}},
    "unknown column 'bas'": {"offset": "bas"},
    "monotone: 2": {"monotone": {"usage": 2}},
    "holds levels, which have no direction": {"monotone": {"plan": 1}},
    "candidates: ('tree',)": {"candidates": ("tree",)},
    "gap_days: 30 is below horizon_days": {"gap_days": 30},
    "n_seeds: 0": {"n_seeds": 0},
    "horizon_days: 0": {"horizon_days": 0},
    'neither "auto" nor a list': {"categorical": "some"},
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse_is_named(pair_table, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PropensityClassifier(**MISUSE[message]).fit(pair_table.X, pair_table.y)


def test_forgetting_the_product_is_named(pair_table, pair_model):
    with pytest.raises(ValueError, match="fitted with products"):
        pair_model.predict_proba(pair_table.X)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "candidate_proba", "contributions"])
def test_a_product_that_the_fit_did_not_have_is_named(single_table, single_model, method):
    product = np.full(len(single_table.X), "crm")
    with pytest.raises(ValueError, match="product: the classifier was fitted without products"):
        getattr(single_model, method)(single_table.X, product=product)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_infinite_values_are_refused_at_fit_and_predict(single_table, single_model, value):
    X = single_table.X.copy()
    X.loc[17, "column_3"] = value
    with pytest.raises(ValueError, match=r"'column_3': infinity .* in row 17"):
        single_model.predict_proba(X)
    with pytest.raises(ValueError, match=r"'column_3': infinity .* in row 17"):
        PropensityClassifier().fit(X, single_table.y)


def test_an_infinite_value_is_named_by_its_row_in_the_table_not_among_the_rows_used(single_table):
    X = single_table.X.copy()
    X.loc[17, "column_3"] = np.inf
    weight = np.ones(len(X))
    weight[:9] = 0
    with pytest.raises(ValueError, match=r"'column_3': infinity .* in row 17"):
        PropensityClassifier().fit(X, single_table.y, sample_weight=weight)
    weight[17] = 0
    PropensityClassifier(candidates=("ridge",)).fit(X, single_table.y, sample_weight=weight)


def test_wrong_tables_are_named(single_table, single_model):
    with pytest.raises(ValueError, match="missing: \\['channel'\\]"):
        single_model.predict_proba(single_table.X.drop(columns="channel"))
    with pytest.raises(ValueError, match="unseen at fit: \\['extra'\\]"):
        single_model.predict_proba(single_table.X.assign(extra=1))
    with pytest.raises(ValueError, match="'column_0': 'many' is not a number"):
        single_model.predict_proba(single_table.X.assign(column_0="many"))
    with pytest.raises(ValueError, match="holds dates"):
        PropensityClassifier().fit(single_table.X.assign(on=pd.Timestamp("2026-01-01")), single_table.y)
    with pytest.raises(ValueError, match="two classes are needed"):
        PropensityClassifier().fit(single_table.X, np.zeros(len(single_table.X)))
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        PropensityClassifier().fit(single_table.X, np.arange(len(single_table.X)) % 3)


@pytest.mark.parametrize(("key", "values", "message"), [
    ("product", [None], "product: row 0 is missing"),
    ("product", [1.5], "neither text nor a whole number"),
    ("account", ["a", "b"], "account: 2 values"),
    ("as_of", ["soon"], "as_of: a value is no date"),
])  # fmt: skip
def test_wrong_keys_are_named(single_table, key, values, message):
    if len(values) == 1:
        values = np.repeat(np.array(values, dtype=object), len(single_table.X))
    with pytest.raises(ValueError, match=message):
        PropensityClassifier().fit(single_table.X, single_table.y, **{key: values})


def test_products_keep_their_level_where_no_column_tells_it():
    """Three products at 3, 10 and 30 %, told apart by nothing but their name."""
    rng = np.random.default_rng(0)
    product = np.array(["low", "mid", "top"])[rng.integers(0, 3, 9000)]
    X = pd.DataFrame({"usage": rng.normal(size=9000), "seats": rng.normal(size=9000)})
    y = (rng.random(9000) < pd.Series(product).map({"low": 0.03, "mid": 0.1, "top": 0.3})).astype(int)
    as_of = pd.Timestamp("2025-01-01") + pd.to_timedelta(30 * rng.integers(0, 10, 9000), unit="D")
    model = PropensityClassifier(n_seeds=1).fit(X, y, product=product, as_of=as_of)
    pooled = model.candidate_proba(X, product=product)["pooled"].groupby(product).mean()
    blended = pd.Series(model.predict_proba(X, product=product)[:, 1]).groupby(product).mean()
    observed = pd.Series(y).groupby(product).mean()
    np.testing.assert_allclose(pooled, observed, rtol=0.15)
    np.testing.assert_allclose(blended, observed, rtol=0.15)


def test_thin_products_lean_on_the_others():
    """A product of few events has no head, and still ranks by what the others taught."""
    table = pairs(accounts=900)
    keep = (table.product != "desk") | (np.cumsum(table.product == "desk") <= 400)
    model = PropensityClassifier(n_seeds=1).fit(
        table.X[keep], table.y[keep], product=table.product[keep], account=table.account[keep]
    )
    assert model.weights_.loc["desk", "heads"] == 0
    thin = table.product == "desk"
    proba = model.predict_proba(table.X[thin], product=table.product[thin])[:, 1]
    assert np.corrcoef(logit(proba), logit(table.truth[thin]))[0, 1] > 0.4


def test_all_columns_may_be_levels_or_empty():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.choice(["x", "y"], 800), "b": pd.Series([None] * 800, dtype=object)})
    y = (rng.random(800) < np.where(X["a"] == "x", 0.25, 0.08)).astype(int)
    model = PropensityClassifier(n_seeds=1, categorical=["b"]).fit(X, y)
    means = pd.Series(model.predict_proba(X)[:, 1]).groupby(X["a"]).mean()
    assert means["x"] > 1.5 * means["y"]


def test_one_date_for_all_rows_tells_nothing():
    table = pairs(seed=4, accounts=700, months=1)
    model = PropensityClassifier(n_seeds=1)
    undated = model.fit(table.X, table.y, product=table.product, account=table.account)
    expected = undated.predict_proba(table.X, product=table.product)
    dated = clone(model).fit(table.X, table.y, **table.keys)
    assert (dated.predict_proba(table.X, product=table.product) == expected).all()
