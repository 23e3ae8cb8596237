"""Parts that are each sound but do not belong together, under checksums that match."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from product_affinity.errors import BundleError
from product_affinity.registry.bundle import read_bundle, write_bundle
from tests.registry.samples import fitted
from tests.registry.test_bundle import resum


@pytest.fixture(scope="module")
def written(tmp_path_factory, content):
    return write_bundle(tmp_path_factory.mktemp("written") / "bundle", **content)


@pytest.fixture
def copied(tmp_path, written):
    return Path(shutil.copytree(written.folder, tmp_path / "bundle"))


def edit_model(folder: Path, change) -> None:
    path = folder / "model_90d" / "classifier.json"
    document = json.loads(path.read_text())
    change(document["model"])
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    resum(folder)


def edit_tree(folder: Path, field: str, change) -> None:
    """Change the first value of a field of the first tree that has it."""
    path = folder / "model_90d" / "pooled-0.txt"
    text = path.read_text()
    found = re.search(rf"(?m)^{field}=(\S+)", text)
    assert found, field
    path.write_text(text[: found.start(1)] + change(found[1]) + text[found.end(1) :])
    resum(folder)


def swapped_levels(model):
    levels = next(column["levels"] for column in model["encoder"]["columns"] if column["levels"])
    levels[0], levels[-1] = levels[-1], levels[0]


def swapped_columns(model):
    columns = [column for column in model["encoder"]["columns"] if not column["levels"]]
    columns[0]["name"], columns[1]["name"] = columns[1]["name"], columns[0]["name"]


def fewer_levels(model):
    next(column for column in model["encoder"]["columns"] if column["levels"])["levels"].pop()


def other_weights(model):
    model["weights"] = [row[::-1] for row in model["weights"]]


def swapped_products(model):
    model["products"].reverse()


def moved_level(model):
    model["base"] += 1e-6


@pytest.mark.parametrize(
    "change", [swapped_levels, swapped_columns, fewer_levels, other_weights, swapped_products, moved_level]
)
def test_a_swapped_encoder_and_altered_parts_are_refused(copied, change):
    edit_model(copied, change)
    with pytest.raises(BundleError, match="model_90d: not usable") as caught:
        read_bundle(copied)
    assert caught.value.exit_code == 13


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("left_child", lambda value: "99"),
        ("left_child", lambda value: "-99"),
        ("left_child", lambda value: "0"),
        ("right_child", lambda value: "2147483648"),
        ("split_feature", lambda value: "3"),
        ("split_feature", lambda value: "-1"),
        ("num_leaves", lambda value: "1000000000"),
        ("num_leaves", lambda value: str(int(value) + 1)),
        ("num_cat", lambda value: "7"),
        ("decision_type", lambda value: "255"),
        ("leaf_value", lambda value: "1e308"),
        ("leaf_value", lambda value: "nan"),
        ("leaf_value", lambda value: str(float(value) + 0.01)),
        ("threshold", lambda value: "1e5"),
    ],
)
def test_a_tree_that_points_elsewhere_or_scores_otherwise_is_refused(copied, field, change):
    edit_tree(copied, field, change)
    with pytest.raises(BundleError, match="model_90d"):
        read_bundle(copied)


def test_the_encoder_and_the_trees_of_another_training_are_refused(copied, tmp_path, content):
    """Same columns, same products, other rows: sound in every part, and not this model."""
    other = write_bundle(tmp_path / "other", **{**content, "classifiers": {90: fitted(90, seed=7)}}).folder
    for name in ("classifier.json", "pooled-0.txt"):
        mixed = Path(shutil.copytree(copied, tmp_path / f"mixed-{name}"))
        shutil.copy(other / "model_90d" / name, mixed / "model_90d" / name)
        resum(mixed)
        with pytest.raises(BundleError, match="model_90d: not usable"):
            read_bundle(mixed)


@pytest.mark.parametrize(
    "wrong", [{}, {"rows": {}, "product": [], "propensity": []}, {"rows": [], "product": 1, "propensity": "x"}]
)
def test_a_selftest_that_is_none_is_refused(copied, wrong):
    (copied / "model_90d" / "selftest.json").write_text(json.dumps(wrong))
    resum(copied)
    with pytest.raises(BundleError, match="model_90d"):
        read_bundle(copied)


def test_a_missing_selftest_is_refused(copied):
    (copied / "model_90d" / "selftest.json").unlink()
    resum(copied)
    with pytest.raises(BundleError, match=r"selftest\.json"):
        read_bundle(copied)


def test_rows_cover_products_missing_values_and_levels_never_seen(written):
    content = json.loads((written.folder / "model_90d" / "selftest.json").read_text())
    assert set(content["product"]) == {"crm", "desk", ""}
    assert all(None in values and len(set(map(str, values))) > 2 for values in content["rows"].values())
    assert any("a level never seen" in values for values in content["rows"].values())
    assert all(0 < p < 1 for p in content["propensity"])
    assert len({round(p, 6) for p in content["propensity"]}) > 20
