"""Tables as they come: columns that teach nothing, one-sided products, odd labels, other libraries' frames."""

import re

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from product_affinity.models import PropensityClassifier
from product_affinity.models.encoding import fit_encoder
from product_affinity.models.identifiers import as_of_days
from product_affinity.models.serialize import classifier_to_texts


def curved(rows=3000, seed=0):
    """One number whose effect only trees can find."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(1.5 - 2 * np.cos(2.5 * a)))).astype(int)
    return pd.DataFrame({"a": a}), y


def sloped(rows=600, names=("a", "b")):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(rows, len(names))), columns=list(names))
    return X, (X.iloc[:, 0] + rng.normal(size=rows) > 1).astype(int).to_numpy()


@pytest.mark.parametrize("dull", ["constant", "rare flags", "id"])
def test_columns_that_teach_nothing_do_not_stop_the_trees(dull):
    X, y = curved()
    fresh, later = curved(seed=1)
    flags = {f"flag_{at}": np.arange(len(X)) == at for at in range(5)}
    added = {"constant": {"k": 1.0}, "rare flags": flags, "id": {"k": [f"A{at}" for at in range(len(X))]}}[dull]
    plain = PropensityClassifier(n_seeds=1).fit(X, y)
    model = PropensityClassifier(n_seeds=1).fit(X.assign(**added), y)
    auc = [
        roc_auc_score(later, plain.predict_proba(fresh)[:, 1]),
        roc_auc_score(later, model.predict_proba(fresh.assign(**added))[:, 1]),
    ]
    assert auc[0] > 0.8
    assert auc[1] > auc[0] - 0.02


@pytest.mark.parametrize("negatives", [0, 1, 5])
def test_a_product_that_everybody_took_spoils_no_other(negatives):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=1400)})
    product = np.repeat(["all", "some"], 700)
    y = (rng.random(1400) < 0.2).astype(int)
    y[:700] = 1
    y[:negatives] = 0
    proba = PropensityClassifier(n_seeds=1).fit(X, y, product=product).predict_proba(X, product=product)[:, 1]
    assert np.isfinite(proba).all()
    assert proba[product == "some"].mean() == pytest.approx(0.2, abs=0.05)
    assert proba[product == "all"].mean() > 0.9


@pytest.mark.parametrize("day", [0, 180])
def test_a_date_on_which_everybody_adopted_is_no_fold(day):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=2100)})
    as_of = np.repeat(np.arange(7) * 30, 300)
    y = np.where(as_of == day, 1, rng.random(2100) < 0.2).astype(int)
    proba = PropensityClassifier(n_seeds=1, horizon_days=30, gap_days=30).fit(X, y, as_of=as_of).predict_proba(X)
    assert np.isfinite(proba).all()


def test_recalibration_takes_the_labels_of_the_fit():
    X, y = sloped()
    named = np.where(y == 1, "yes", "no")
    model = PropensityClassifier(candidates=("ridge",)).fit(X, named)
    before = model.predict_proba(X)[:, 1]
    np.testing.assert_allclose(model.recalibrate(X, named, horizon_days=90).predict_proba(X)[:, 1], before, rtol=0.1)
    with pytest.raises(ValueError, match=re.escape("y: 0 is none of the labels 'no', 'yes'")):
        model.recalibrate(X, np.where(y == 1, 1, 0))
    number = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    for wrong in (np.where(y == 0, np.nan, 1.0), pd.array([None] * len(y), dtype="Int64")):
        with pytest.raises(ValueError, match="y: row 0 is missing"):
            number.recalibrate(X, wrong)
    number.recalibrate(X, y.astype(bool))  # equal to 0 and 1
    number.recalibrate(X, np.zeros(len(y)))  # nobody adopted


def test_a_column_that_is_neither_named_nor_placed_cannot_be_pointed_at():
    X, y = sloped(names=(1, 2))
    for arguments in ({"monotone": {1: -1}}, {"offset": 1}, {"categorical": [1]}):
        with pytest.raises(ValueError, match="columns are named 1, 2, neither text nor positions"):
            PropensityClassifier(**arguments).fit(X, y)
    parts = PropensityClassifier().fit(X, y).contributions(X)
    assert parts.columns.tolist() == ["0", "1", "baseline"]


def test_directions_hold_for_columns_given_by_position():
    X, y = sloped(names=(0, 1))
    model = PropensityClassifier(monotone={0: -1}, candidates=("ridge",)).fit(X, y)
    higher = X.copy()
    higher[0] += 1
    assert (model.predict_proba(higher)[:, 1] <= model.predict_proba(X)[:, 1] + 1e-12).all()


def test_contributions_with_an_offset_by_position_add_up():
    X, y = sloped(names=(0, 1, 2))
    model = PropensityClassifier(offset=0).fit(X, y)
    sums = model.contributions(X).sum(axis=1)
    np.testing.assert_allclose(sums, logit(model.predict_proba(X)[:, 1]), rtol=1e-9)


def test_a_column_named_baseline_is_not_overwritten():
    X, y = sloped(names=("baseline", "b"))
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    with pytest.raises(ValueError, match="'baseline' is the name of the constant part"):
        model.contributions(X)


def test_products_of_another_kind_are_not_taken_for_new_ones():
    X, y = sloped()
    product = np.tile(["1", "2"], len(X) // 2)
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y, product=product)
    with pytest.raises(ValueError, match="product: 1 is a number, but the classifier was fitted with text: '1'"):
        model.predict_proba(X, product=product.astype(int))
    with pytest.raises(ValueError, match="some products are text and some are numbers"):
        PropensityClassifier().fit(X, y, product=["a", 1] * (len(X) // 2))
    with pytest.raises(ValueError, match="product: one value a row is needed"):
        model.predict_proba(X, product=product.reshape(-1, 1))


def test_an_empty_text_column_may_hold_text_later():
    X, y = sloped()
    empty = X.assign(note=pd.Series([None] * len(X), dtype=object))
    model = PropensityClassifier(candidates=("ridge",)).fit(empty, y)
    np.testing.assert_array_equal(model.predict_proba(empty.assign(note="text")), model.predict_proba(empty))


def test_kinds_are_those_of_all_rows_not_of_the_sampled_ones():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=60_000), "code": pd.Series(rng.integers(0, 5, 60_000), dtype=object)})
    y = (rng.random(60_000) < 0.02).astype(int)
    X.loc[np.flatnonzero(y == 0)[0], "code"] = "unknown"
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


def test_heads_without_evidence_are_not_blended():
    """Products of 550 rows carry a head, but no training part of five folds does."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(1650, 3)), columns=["a", "b", "c"])
    y = (rng.random(1650) < 0.2).astype(int)
    model = PropensityClassifier(n_seeds=1).fit(X, y, product=np.repeat(["p", "q", "r"], 550))
    assert (model.weights_["heads"] == 0).all()


def test_frames_of_other_libraries_keep_their_names():
    X, y = sloped()
    model = PropensityClassifier(monotone={"a": 1}, candidates=("ridge",)).fit(pa.Table.from_pandas(X), y)
    turned = pa.Table.from_pandas(X[["b", "a"]])
    np.testing.assert_array_equal(model.predict_proba(turned), model.predict_proba(X))


def test_lists_of_mixed_rows_keep_their_kinds():
    X, y = sloped()
    mixed = X.assign(plan=np.where(X["b"] > 0, "pro", "basic"))
    listed = PropensityClassifier(candidates=("ridge",)).fit(mixed.to_numpy().tolist(), y)
    framed = PropensityClassifier(candidates=("ridge",)).fit(mixed, y)
    np.testing.assert_allclose(listed.predict_proba(mixed.to_numpy().tolist()), framed.predict_proba(mixed), rtol=1e-9)


def test_rows_of_no_weight_change_nothing():
    X, y = sloped(names=("a", "b", "base"))
    product = np.where(np.arange(len(X)) < 500, "p", "q")
    weight = (product == "p").astype(float)
    X.loc[:9, "base"] = np.nan
    kept = product == "p"
    with_zeros = PropensityClassifier(offset="base", candidates=("ridge",)).fit(
        X, y, product=product, sample_weight=weight
    )
    without = PropensityClassifier(offset="base", candidates=("ridge",)).fit(X[kept], y[kept], product=product[kept])
    assert with_zeros.weights_.index.tolist() == ["p"]
    for name in ("p", "q"):
        asked = np.full(len(X), name)
        np.testing.assert_allclose(
            with_zeros.predict_proba(X, product=asked), without.predict_proba(X, product=asked), rtol=1e-12
        )


def test_dates_are_refused_wherever_numbers_are_asked_for():
    X, y = sloped()
    day = pd.Timestamp("2026-01-01")
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    with pytest.raises(ValueError, match="column 'a' holds dates"):
        model.predict_proba(X.assign(a=day))
    with pytest.raises(ValueError, match="offset: column 'on' holds dates"):
        PropensityClassifier(offset="on").fit(X.assign(on=day), y)
    with pytest.raises(ValueError, match="offset: column 'on' holds 'x'"):
        PropensityClassifier(offset="on").fit(X.assign(on="x"), y)
    with pytest.raises(ValueError, match="column 'on' holds dates"):
        PropensityClassifier().fit(X.assign(on=pd.Series([day.date()] * len(X), dtype=object)), y)


MISUSE = {
    "monotone: [1, 0] is no mapping": {"monotone": [1, 0]},
    "monotone: 'a' is the offset": {"monotone": {"a": -1}, "offset": "a"},
    "categorical: 'a' is the offset": {"categorical": ["a"], "offset": "a"},
    "candidates: 3;": {"candidates": 3},
    "candidates: ('ridge', 'ridge');": {"candidates": ("ridge", "ridge")},
    "n_seeds: 2.5 is no whole number": {"n_seeds": 2.5},
    "horizon_days: '90' is no whole number": {"horizon_days": "90"},
    "Raise gap_days to at least 180": {"horizon_days": 180},
    "n_jobs: 1.5": {"n_jobs": 1.5},
    "random_state: -1": {"random_state": -1},
    "categorical: None": {"categorical": None},
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse_names_argument_and_value(message):
    X, y = sloped()
    with pytest.raises(ValueError, match=re.escape(message)):
        PropensityClassifier(**MISUSE[message]).fit(X, y)


def test_a_failed_fit_leaves_the_earlier_one_whole():
    X, y = sloped()
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    with pytest.raises(ValueError, match="product: 1 values"):
        model.fit(X, np.where(y == 1, "yes", "no"), product=["p"])
    assert model.classes_.tolist() == [0, 1]


def test_many_rare_levels_are_fitted_in_little_time():
    """Levels of a handful of rows get no coefficient each: a thousand of them would cost minutes and tell nothing."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({f"text_{at}": rng.integers(0, 400, 2000).astype(str) for at in range(5)})
    X["plan"] = rng.choice(["basic", "pro"], 2000)
    y = (rng.random(2000) < np.where(X["plan"] == "pro", 0.3, 0.05)).astype(int)
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    terms = model._model.candidates.ridge.terms
    assert terms.size < 200
    assert model.predict_proba(X)[X["plan"] == "pro", 1].mean() > 0.2


@pytest.mark.parametrize("candidates", [("pooled", "heads", "ridge"), ("ridge",)])
def test_a_thin_product_has_its_own_level(candidates):
    """Some 25 events are too few for coefficients and enough for a level; with dates no product intercept is left."""
    rng = np.random.default_rng(1)
    size = 3000
    product = np.repeat(["a", "b", "c", "niche"], size)
    truth = np.repeat([0.05, 0.06, 0.07, 0.007], size)
    X = pd.DataFrame(rng.normal(size=(4 * size, 2)), columns=["x", "z"])
    y = (rng.random(4 * size) < truth).astype(int)
    as_of, account = np.tile(np.arange(size) % 12 * 30, 4), np.tile(np.arange(size), 4)
    assert 10 < y[product == "niche"].sum() < 30
    model = PropensityClassifier(n_seeds=1, candidates=candidates)
    model.fit(X, y, product=product, account=account, as_of=as_of)
    proba = model.predict_proba(X, product=product)[:, 1]
    niche = product == "niche"
    assert proba[niche].mean() / truth[niche].mean() == pytest.approx(1.0, abs=0.5)
    assert proba[~niche].mean() == pytest.approx(0.06, abs=0.012)
    parts = model.contributions(X[niche], product=product[niche]).sum(axis=1)
    np.testing.assert_allclose(parts, logit(proba[niche]), atol=1e-6)


def test_an_outage_of_a_complete_column_is_not_read_as_zero():
    """LightGBM takes a gap for 0 where training had none, which for a health of 40 to 100 is the worst there is."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"health": rng.uniform(40, 100, 4000), "usage": rng.normal(size=4000)})
    y = (rng.random(4000) < 1 / (1 + np.exp(12 - X["health"] / 8))).astype(int)
    model = PropensityClassifier(n_seeds=1).fit(X, y)
    typical = model.predict_proba(X.assign(health=70.0))[:, 1]
    outage = model.candidate_proba(X.assign(health=np.nan))
    for name in outage:
        assert outage[name].mean() == pytest.approx(typical.mean(), rel=0.3), name


@pytest.mark.parametrize("dtype", ["int64", "float32", "object", "Int64"])
def test_day_numbers_of_any_dtype_are_days(dtype):
    assert as_of_days(pd.Series([0, 30, 60], dtype=dtype), 3).tolist() == [0, 30, 60]


def test_an_infinite_day_is_refused():
    with pytest.raises(ValueError, match=r"as_of: inf in row 1 is no day number"):
        as_of_days([0.0, np.inf], 2)


def test_the_number_of_blas_threads_changes_no_bit():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(30_000, 20))).add_prefix("c").assign(rate=-3.0 + rng.normal(size=30_000))
    y = (rng.random(30_000) < 0.05).astype(int)
    # "b" begins late: its launch is taken to the level observed
    as_of = np.where(np.arange(30_000) % 3 == 0, 300, np.arange(30_000) % 6 * 60)
    product = np.where((as_of == 300) & (np.arange(30_000) % 2 == 0), "b", "a")

    def texts(threads):
        with threadpool_limits(limits=threads, user_api="blas"):
            model = PropensityClassifier(candidates=("ridge",), offset="rate")
            model.fit(X, y, product=product, account=np.arange(30_000), as_of=as_of)
            return classifier_to_texts(model.recalibrate(X, y, product=product))

    assert texts(1) == texts(2)


def test_very_many_jobs_are_as_many_as_there_are_processors():
    X, y = sloped()
    model = PropensityClassifier(n_jobs=1_000_000, n_seeds=1).fit(X, y)
    assert model.predict_proba(X).shape == (600, 2)


def test_a_gap_s_stand_in_does_not_depend_on_how_rows_are_ordered():
    """Accounts times months, month by month: every twelfth row would be of one month."""
    month = np.tile(np.arange(12.0), 10_000)
    encoder = fit_encoder(pd.DataFrame({"month": month}), "auto")
    assert encoder.columns[0].typical == pytest.approx(np.median(month), abs=0.6)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([np.array([0.1, 0.2])] * 600),
        pd.Series([pd.Series([1.0])] * 600),
        pd.Series([(1, [2])] * 600),
        pd.Series([[1, 2]] * 600, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        pd.Series([None] * 600, dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    ],
    ids=["arrays", "series", "tuples of lists", "Arrow lists", "missing Arrow lists"],
)
def test_collections_in_cells_are_refused_at_fit_and_later(column):
    X, y = sloped()
    with pytest.raises(
        ValueError, match=r"(?s)'b': .* in row 0 is a collection\. Spread it over columns, or drop it\."
    ):
        PropensityClassifier().fit(X.assign(b=column), y)
    model = PropensityClassifier(candidates=("ridge",)).fit(X.assign(b="text"), y)
    with pytest.raises(ValueError, match=r"(?s)'b': .* in row 0 is a collection"):
        model.predict_proba(X.assign(b=column))


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_it_fits_with_threads_where_joblib_is_told_to_use_processes(backend):
    X, y = sloped(1500)
    alone = PropensityClassifier(n_seeds=1).fit(X, y).predict_proba(X)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        np.testing.assert_array_equal(PropensityClassifier(n_seeds=1, n_jobs=2).fit(X, y).predict_proba(X), alone)


def test_day_numbers_as_categories_are_days():
    days = pd.Series([100, 200, 300])
    np.testing.assert_array_equal(as_of_days(days.astype("category"), 3), days)
    dates = pd.Series(pd.to_datetime(["2024-01-31", "2024-02-29"])).astype("category")
    np.testing.assert_array_equal(as_of_days(dates, 2), as_of_days(["2024-01-31", "2024-02-29"], 2))


@pytest.mark.parametrize("value", [20240131, 1_706_659_200, -1_706_659_200_000_000_000])
def test_numbers_that_are_no_days_are_refused(value):
    with pytest.raises(ValueError, match=f"as_of: {value} in row 1 is no day number"):
        as_of_days([100, value], 2)


@pytest.mark.parametrize("dtype", ["timedelta64[ns]", "duration[ns][pyarrow]"])
def test_durations_of_any_library_are_refused(dtype):
    X, y = sloped()
    since = pd.Series(pd.to_timedelta(np.arange(600), unit="D")).astype(dtype)
    with pytest.raises(ValueError, match="column 'b' holds dates"):
        PropensityClassifier().fit(X.assign(b=since), y)


def test_a_renamed_column_is_named_with_the_one_that_is_missing():
    X, y = sloped(names=("seats", "s"))
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    with pytest.raises(ValueError, match=re.escape("missing: ['seats']; unseen at fit: ['Seats']")):
        model.predict_proba(X.rename(columns={"seats": "Seats"}))
    with pytest.raises(ValueError, match="unknown column 'SEATS' \\(closest present: 'seats'\\)"):
        PropensityClassifier(monotone={"SEATS": 1}).fit(X, y)


@pytest.mark.parametrize("horizon", ["30", 30.5, True])
def test_a_recent_horizon_is_a_whole_number(horizon):
    X, y = sloped()
    model = PropensityClassifier(candidates=("ridge",)).fit(X, y)
    with pytest.raises(ValueError, match=re.escape(f"horizon_days: {horizon!r} is no whole number above 0")):
        model.recalibrate(X, y, horizon_days=horizon)
