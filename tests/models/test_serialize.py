"""Texts instead of pickles: parity, and refusal of whatever was altered."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from product_affinity.models import PropensityClassifier, classifier_from_texts, classifier_to_texts
from product_affinity.models.structure import canonical_text


@pytest.fixture(scope="module")
def texts(pair_model):
    return classifier_to_texts(pair_model)


def test_files_have_stable_names_without_products(texts):
    assert sorted(texts) == [
        "classifier.json",
        "head-0-0.txt",
        "head-1-0.txt",
        "head-2-0.txt",
        "pooled-0.txt",
    ]


def test_restored_classifier_scores_exactly_alike(pair_table, pair_model, texts):
    restored = classifier_from_texts(texts)
    X = pair_table.X.assign(usage=pair_table.X["usage"].mask(pair_table.X["seats"] > 30))
    X["country"] = X["country"].where(X.index % 7 > 0, "unseen")
    product = np.where(np.arange(len(X)) % 11 > 0, pair_table.product, "unseen")
    expected = pair_model.predict_proba(X, product=product)
    shuffled = X[sorted(X.columns, reverse=True)]
    np.testing.assert_array_equal(restored.predict_proba(shuffled, product=product), expected)
    pd.testing.assert_frame_equal(
        restored.contributions(X.head(20), product=product[:20]),
        pair_model.contributions(X.head(20), product=product[:20]),
        rtol=1e-12,
    )
    pd.testing.assert_frame_equal(restored.weights_, pair_model.weights_)
    assert restored.get_params() == pair_model.get_params()


def test_texts_survive_a_second_round(texts):
    assert classifier_to_texts(classifier_from_texts(texts)) == texts


def test_fitting_again_writes_the_same_texts(pair_table, pair_model, texts):
    again = PropensityClassifier(**pair_model.get_params()).fit(pair_table.X, pair_table.y, **pair_table.keys)
    assert classifier_to_texts(again) == texts


def test_ridge_alone_offsets_positions_and_recalibration_survive(single_table):
    X = single_table.X.drop(columns="channel").to_numpy()[:450]
    model = PropensityClassifier(offset=2, monotone={0: 1}, categorical=[5]).fit(X.round(), single_table.y[:450])
    model.recalibrate(X.round(), single_table.y[:450], horizon_days=90)
    restored = classifier_from_texts(classifier_to_texts(model))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))


def test_recalibrating_a_restored_classifier_is_recalibrating_the_original(pair_table, pair_model, texts):
    twins = [classifier_from_texts(texts), classifier_from_texts(texts)]
    rare = pair_table.y * (np.arange(len(pair_table.y)) % 2)
    for twin in twins:
        twin.recalibrate(pair_table.X, rare, product=pair_table.product, horizon_days=90)
    first, second = (twin.predict_proba(pair_table.X, product=pair_table.product) for twin in twins)
    np.testing.assert_array_equal(first, second)
    assert first[:, 1].mean() < pair_model.predict_proba(pair_table.X, product=pair_table.product)[:, 1].mean()


def test_missing_files_and_foreign_formats_are_named(texts):
    with pytest.raises(ValueError, match=r"classifier\.json is missing"):
        classifier_from_texts({})
    with pytest.raises(ValueError, match=r"head-1-0\.txt is missing"):
        classifier_from_texts({name: text for name, text in texts.items() if name != "head-1-0.txt"})
    other = json.dumps(json.loads(texts["classifier.json"]) | {"format": 99})
    with pytest.raises(ValueError, match="format 99"):
        classifier_from_texts(texts | {"classifier.json": other})
    with pytest.raises(ValueError, match=r"classifier\.json"):
        classifier_from_texts(texts | {"classifier.json": "{}"})
    with pytest.raises(ValueError, match=r"classifier\.json"):
        classifier_from_texts(texts | {"classifier.json": "not json"})


def _line(text, key, nth=0):
    return [line for line in text.split("\n") if line.startswith(f"{key}=")][nth]


ALTERED = {
    "split_feature outside": ("split_feature", lambda values: ["99", *values[1:]]),
    "split_feature holds": ("split_feature", lambda values: ["1e3", *values[1:]]),
    "split_feature has": ("split_feature", lambda values: values[1:]),
    "children are out of range": ("left_child", lambda values: ["-100000", *values[1:]]),
    "named twice": ("right_child", lambda values: [values[-1]] * len(values)),
    "leaf_value has": ("leaf_value", lambda values: values[:-1]),
    "leaf_value holds": ("leaf_value", lambda values: ["0x41", *values[1:]]),
    "unknown decision_type": ("decision_type", lambda values: ["77", *values[1:]]),
    "leaves and": ("num_leaves", lambda values: ["1000000"]),
    "linear leaves": ("is_linear", lambda values: ["1"]),
    "max_feature_idx": ("max_feature_idx", lambda values: ["-1"]),
    "num_class": ("num_class", lambda values: ["3"]),
    "objective": ("objective", lambda values: ["multiclass", "num_class:3"]),
}


@pytest.mark.parametrize("message", ALTERED)
def test_altered_structure_is_refused_with_its_place(texts, message):
    key, alter = ALTERED[message]
    line = _line(texts["pooled-0.txt"], key)
    altered = f"{key}=" + " ".join(alter(line.partition("=")[2].split(" ")))
    broken = texts["pooled-0.txt"].replace(line, altered, 1)
    assert broken != texts["pooled-0.txt"]
    with pytest.raises(ValueError, match=rf"pooled-0\.txt: booster text, (tree 0|header).*{message}"):
        classifier_from_texts(texts | {"pooled-0.txt": broken})


def test_a_cycle_of_children_is_refused():
    def tree(left, right):
        values = "0.1 0.2 0.3 0.4"
        three = "1 1 1"
        lines = [
            "Tree=0", "num_leaves=4", "num_cat=0", "split_feature=0 0 0", f"split_gain={three}",
            f"threshold={three}", "decision_type=2 2 2", f"left_child={left}", f"right_child={right}",
            f"leaf_value={values}", f"leaf_weight={values}", "leaf_count=1 1 1 1", f"internal_value={three}",
            f"internal_weight={three}", f"internal_count={three}", "is_linear=0", "shrinkage=1",
        ]  # fmt: skip
        header = [
            "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
            "max_feature_idx=0", "objective=binary sigmoid:1", "feature_names=Column_0",
            "feature_infos=none", "tree_sizes=1",
        ]  # fmt: skip
        return "\n".join([*header, "", *lines, "", "", "end of trees", ""])

    assert "left_child=1 2 -1" in canonical_text(tree("1 2 -1", "-2 -3 -4"), 1)
    # nodes 1 and 2 name each other: every index occurs once, and no path from the root ends
    with pytest.raises(ValueError, match="points back"):
        canonical_text(tree("-1 2 1", "-2 -3 -4"), 1)


FUZZ = """
import random, sys
from product_affinity.models.trees import load_booster
import numpy as np
text, columns = sys.stdin.read(), int(sys.argv[1])
rng = random.Random(0)
refused = scored = 0
for _ in range(300):
    at = rng.randrange(len(text))
    edit = rng.choice(["delete", "digit", "copy", "token"])
    if edit == "delete":
        broken = text[:at] + text[at + rng.randrange(1, 60):]
    elif edit == "digit":
        broken = text[:at] + rng.choice("0123456789-. =") + text[at + 1:]
    elif edit == "copy":
        broken = text[:at] + text[at - 50 : at] + text[at:]
    else:
        broken = text[:at] + " -2147483649 " + text[at:]
    try:
        booster = load_booster(broken, columns)
    except ValueError:
        refused += 1
        continue
    booster.predict(np.random.default_rng(0).normal(size=(20, columns)))
    scored += 1
print(refused, scored)
"""


def test_random_edits_never_crash_the_process(texts):
    """Most edits are refused; one that only changes a number may load, and then scores."""
    small = "\nTree=20\n".join(texts["pooled-0.txt"].split("\nTree=20\n")[:1]) + "\nend of trees\n"
    done = subprocess.run([sys.executable, "-c", FUZZ, "5"], input=small, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused, scored = map(int, done.stdout.split())
    assert refused + scored == 300
    assert refused > 100


def test_numpy_scalars_among_the_parameters_are_written(single_table):
    """A grid search over np.arange passes such."""
    X = single_table.X[["column_3"]].to_numpy()[:450]
    one = np.int64(1)
    model = PropensityClassifier(n_seeds=one, horizon_days=np.int64(60), monotone={0: one}, candidates=("ridge",))
    restored = classifier_from_texts(classifier_to_texts(model.fit(X, single_table.y[:450])))
    np.testing.assert_array_equal(restored.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(texts, number):
    altered = re.sub(r'"recency": [-\d.e]+', f'"recency": {number}', texts["classifier.json"])
    assert altered != texts["classifier.json"]
    with pytest.raises(ValueError, match="is no finite number"):
        classifier_from_texts(texts | {"classifier.json": altered})


def test_a_negative_number_of_boosters_is_refused(texts):
    altered = re.sub(r'"boosters": 1', '"boosters": -1', texts["classifier.json"], count=1)
    with pytest.raises(ValueError, match="-1 boosters of head-0"):
        classifier_from_texts(texts | {"classifier.json": altered})


def _other_name(document):
    document["model"]["encoder"]["columns"][0]["name"] = "elsewhere"


def _no_names(document):
    document["columns"] = None


def _fewer_names(document):
    document["columns"].pop()


def _offset_elsewhere(document):
    document["model"]["offset"] = {"column": document["columns"][0], "position": 3, "missing": 0.0}


def _offset_nowhere(document):
    document["model"]["offset"] = {"column": document["columns"][0], "position": 300, "missing": 0.0}


def _too_few_levels(document):
    document["model"]["ridge"]["levels"] = [0.0]


def _nested_product(document):
    document["model"]["later"] = [["new"]]
    document["model"]["recent"] = [0.0] * (1 + len(document["model"]["products"]))


@pytest.mark.parametrize(
    "alter",
    [_other_name, _no_names, _fewer_names, _offset_elsewhere, _offset_nowhere, _nested_product, _too_few_levels],
)
def test_what_could_only_fail_when_scoring_is_refused_when_read(texts, alter):
    document = json.loads(texts["classifier.json"])
    alter(document)
    with pytest.raises(ValueError, match=r"classifier\.json: "):
        classifier_from_texts(texts | {"classifier.json": json.dumps(document)})
