from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from product_affinity import models
from product_affinity.errors import BundleError
from product_affinity.registry import folder as folder_module
from product_affinity.registry.bundle import read_bundle, write_bundle
from tests.registry.samples import COLUMNS, PRODUCTS, fitted, manifest, training_rows


@pytest.fixture(scope="module")
def written(tmp_path_factory, content):
    return write_bundle(tmp_path_factory.mktemp("written") / "bundle", **content)


@pytest.fixture
def copied(tmp_path, written):
    """A bundle that a test may damage."""
    return Path(shutil.copytree(written.folder, tmp_path / "bundle"))


def resum(folder: Path) -> None:
    """Write SHA256SUMS anew, as `sha256sum` would: an attacker can, and bit rot cannot."""
    paths = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}\n"
        for path in paths
        if path != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    resum(path.parent)


def test_layout_and_checksums_agree_with_sha256sum(written):
    paths = sorted(str(path.relative_to(written.folder)) for path in written.folder.rglob("*") if path.is_file())
    assert [path for path in paths if not path.startswith("model_90d/")] == [
        "MODEL_CARD.md",
        "SHA256SUMS",
        "manifest.json",
        "metrics.json",
    ]
    assert "model_90d/classifier.json" in paths
    assert "model_90d/pooled-0.txt" in paths
    check = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=written.folder)
    assert check.returncode == 0
    listed = [line.split("  ")[1] for line in (written.folder / "SHA256SUMS").read_text().splitlines()]
    assert listed == [path for path in paths if path != "SHA256SUMS"]


def test_version_is_the_hash_of_the_checksums(written):
    digest = hashlib.sha256((written.folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert written.version == read_bundle(written.folder).version == digest[:12]


def test_same_inputs_give_same_bytes_in_any_order(tmp_path, content, written):
    shuffled = {
        **content,
        "manifest": dict(reversed(list(content["manifest"].items()))),
        "metrics": dict(reversed(list(content["metrics"].items()))),
    }
    again = write_bundle(tmp_path / "again", **shuffled)
    for path in written.folder.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again.folder / path.relative_to(written.folder)).read_bytes()


def test_other_training_gives_another_version(tmp_path, content, written):
    assert write_bundle(tmp_path / "b", **{**content, "classifiers": {90: fitted(90, seed=1)}}).version != (
        written.version
    )


def test_scores_equal_the_trainers_with_missing_unseen_and_shuffled(tmp_path, classifiers, content):
    both = {**content, "classifiers": classifiers, "manifest": manifest(30, 90)}
    bundle = read_bundle(write_bundle(tmp_path / "bundle", **both).folder)
    rows, _, product = training_rows(seed=5)
    rows[COLUMNS[1]] = rows[COLUMNS[1]].replace("retail", "never seen")
    product[::7] = "new product"
    assert sorted(bundle.classifiers) == [30, 90]
    for horizon_days, classifier in classifiers.items():
        expected = classifier.predict_proba(rows, product=product)
        scored = bundle.classifiers[horizon_days].predict_proba(rows[COLUMNS[::-1]], product=product)
        np.testing.assert_allclose(scored, expected, rtol=0, atol=1e-9)


def test_content_reads_back(written):
    bundle = read_bundle(written.folder)
    assert bundle.manifest.product_ids == PRODUCTS
    assert bundle.manifest.column_names == tuple(COLUMNS)
    assert bundle.manifest.trained_as_of.isoformat() == "2026-06-30"
    assert bundle.manifest.thresholds == {"launch_estimate_below_adoptions": 30}
    assert bundle.metrics == {"auc": 0.7, "ap": None}
    assert bundle.card == "# Model card\n"


def test_existing_folder_is_kept(tmp_path, content, other_content):
    first = write_bundle(tmp_path / "b", **content)
    assert write_bundle(tmp_path / "b", **content).version == first.version
    with pytest.raises(BundleError, match="holds another bundle"):
        write_bundle(tmp_path / "b", **other_content)
    assert read_bundle(tmp_path / "b").version == first.version


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_failed_write_leaves_nothing(tmp_path, content, monkeypatch, step):
    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    where = {"open": (Path, "open"), "fsync": (os, "fsync"), "replace": (os, "replace")}[step]
    with monkeypatch.context() as patch:
        patch.setattr(*where, fail)
        with pytest.raises(OSError, match="No space"):
            write_bundle(tmp_path / "b", **content)
    assert list(tmp_path.iterdir()) == []
    assert read_bundle(write_bundle(tmp_path / "b", **content).folder).card == content["card"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 3}, "schema_version"),
        ({"product_ids": ["crm", "crm"]}, "crm appears twice"),
        ({"product_ids": []}, "product_ids"),
        ({"horizons_days": [90, 30]}, "not ascending"),
        ({"horizons_days": [30]}, "no horizon|model_30d"),
        ({"horizons_days": [30, 90]}, "model_30d"),
        ({"families": {"usage": "ab" * 32}}, "firmographic has no fingerprint"),
        ({"families": {"usage": "no hash", "firmographic": "ab" * 32}}, "families"),
        ({"trained_as_of": "yesterday"}, "trained_as_of"),
        ({"thresholds": {"cut": 1e999}}, "JSON|thresholds|finite"),
        ({"columns": [{"name": "other", "kind": "number"}]}, "not in both model and manifest"),
        ({"hoizons_days": [90]}, "did you mean horizons_days"),
    ],
)
def test_faulty_manifest_is_refused(copied, tmp_path, content, changes, message):
    with pytest.raises(BundleError, match=message):
        write_bundle(tmp_path / "new", **{**content, "manifest": {**content["manifest"], **changes}})
    assert not (tmp_path / "new").exists()
    edit_json(copied / "manifest.json", **changes)
    with pytest.raises(BundleError, match=message):
        read_bundle(copied)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 1}', "[" * 100_000, "\ud800"])
@pytest.mark.parametrize("name", ["manifest.json", "metrics.json"])
def test_json_that_is_none_is_refused(copied, name, text):
    (copied / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    resum(copied)
    with pytest.raises(BundleError, match=name):
        read_bundle(copied)


@pytest.mark.parametrize(
    "name", ["manifest.json", "metrics.json", "MODEL_CARD.md", "SHA256SUMS", "model_90d/classifier.json"]
)
def test_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(BundleError, match=name) as caught:
        read_bundle(copied)
    assert caught.value.exit_code == 13
    assert "affinity train" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["extra.txt", "model_90d/extra.txt", "model_30d/classifier.json", ".hidden"])
@pytest.mark.parametrize("listed", [False, True])
def test_superfluous_file_is_refused(copied, name, listed):
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).write_text("x")
    if listed:
        resum(copied)
    with pytest.raises(BundleError):
        read_bundle(copied)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "model_90d/../../secret", "a/b/c", "a b", ""])
def test_paths_that_leave_the_folder_are_refused(copied, path):
    (copied.parent / "secret").write_text("x")
    sums = copied / "SHA256SUMS"
    lines = [*sums.read_text().splitlines(), f"{hashlib.sha256(b'x').hexdigest()}  {path}"]
    sums.write_text("\n".join(sorted(lines, key=lambda line: line[66:])) + "\n")
    with pytest.raises(BundleError, match="SHA256SUMS: not a sorted list"):
        read_bundle(copied)


@pytest.mark.parametrize("name", ["metrics.json", "model_90d", "SHA256SUMS"])
def test_links_are_refused(copied, name):
    (copied / name).rename(copied.parent / "elsewhere")
    (copied / name).symlink_to(copied.parent / "elsewhere")
    with pytest.raises(BundleError, match="links"):
        read_bundle(copied)


def test_pipe_is_refused_without_waiting_for_it(copied):
    (copied / "metrics.json").unlink()
    os.mkfifo(copied / "metrics.json")
    with pytest.raises(BundleError, match="links, devices"):
        read_bundle(copied)


def test_too_large_is_refused_before_it_is_read(copied, monkeypatch):
    monkeypatch.setattr(folder_module, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(BundleError, match="larger than a bundle may be"):
        read_bundle(copied)


def test_no_bundle_at_all(tmp_path):
    with pytest.raises(BundleError, match="there is no bundle here"):
        read_bundle(tmp_path / "nowhere")


def test_swapped_horizons_are_refused(tmp_path, classifiers, content):
    both = {**content, "classifiers": classifiers, "manifest": manifest(30, 90)}
    folder = write_bundle(tmp_path / "b", **both).folder
    for old, new in [("model_30d", "x"), ("model_90d", "model_30d"), ("x", "model_90d")]:
        (folder / old).rename(folder / new)
    with pytest.raises(BundleError, match="altered"):
        read_bundle(folder)
    resum(folder)
    with pytest.raises(BundleError, match="holds the model of 90 days"):
        read_bundle(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'"name": "{COLUMNS[0]}"', '"name": "other_column"'),
        ('"horizon_days": 90', '"horizon_days": 1e400'),
        (f'"name": "{COLUMNS[1]}"', '"name": 1'),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(copied, old, new):
    path = copied / "model_90d" / "classifier.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    resum(copied)
    with pytest.raises(BundleError, match="model_90d"):
        read_bundle(copied)


def test_exchanged_booster_of_another_model_is_refused(copied, tmp_path):
    rows, adopted, product = training_rows()
    wide = fitted(90).fit(rows.assign(more=1.0), adopted, product=product)
    booster = models.classifier_to_texts(wide)["pooled-0.txt"]
    (copied / "model_90d" / "pooled-0.txt").write_text(booster)
    resum(copied)
    with pytest.raises(BundleError, match="model_90d: not usable"):
        read_bundle(copied)


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Flip, cut, drop, double or swap some of the bytes."""
    at, other = sorted(chance.sample(range(len(content) + 1), 2))
    kind = chance.choice(["flip", "cut", "drop", "double", "digit"])
    if kind == "flip":
        flipped = bytearray(content)
        flipped[min(at, len(content) - 1)] ^= 1 << chance.randrange(8)
        return bytes(flipped)
    if kind == "digit":
        digits = [index for index, byte in enumerate(content) if 48 <= byte <= 57] or [0]
        index = chance.choice(digits)
        return content[:index] + chance.choice([b"9", b"-1", b"99999", b"nan", b"1e400", b""]) + content[index + 1 :]
    return {
        "cut": content[:at],
        "drop": content[:at] + content[other:],
        "double": content[:other] + content[at:],
    }[kind]


@pytest.mark.parametrize("seed", range(60))
def test_damaged_file_is_refused(copied, seed):
    chance = random.Random(seed)
    target = chance.choice(sorted(path for path in copied.rglob("*") if path.is_file()))
    before = target.read_bytes()
    target.write_bytes(damaged(before, chance))
    if target.read_bytes() == before:
        target.write_bytes(before[:-1])
    with pytest.raises(BundleError):
        read_bundle(copied)


FUZZ = """
import random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import pandas as pd
from tests.registry.samples import training_rows
from tests.registry.test_bundle import damaged, resum
from product_affinity.errors import BundleError
from product_affinity.registry.bundle import read_bundle
folder = Path(sys.argv[2])
rows, _, product = training_rows(n=40)
refused = 0
for seed in range(int(sys.argv[3]), int(sys.argv[4])):
    chance = random.Random(seed)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "SHA256SUMS"]
    target = chance.choice(files)
    before = target.read_bytes()
    print(seed, target.name, flush=True)
    target.write_bytes(damaged(before, chance))
    resum(folder)
    try:
        bundle = read_bundle(folder)
    except BundleError:
        refused += 1
    else:
        bundle.classifiers[90].predict_proba(rows, product=product)
    target.write_bytes(before)
print("refused", refused)
"""


def test_damage_under_matching_checksums_never_crashes(copied):
    """In another process, because what must not happen is a crash of the process."""
    run = subprocess.run(
        [sys.executable, "-c", FUZZ, str(Path(__file__).parents[2]), str(copied), "0", "150"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, f"{run.stdout[-200:]}\n{run.stderr[-2000:]}"
    # Most damage is seen; a changed digit in a card, a metric or a leaf leaves a well-formed bundle.
    assert int(run.stdout.split()[-1]) > 50


def test_reading_a_bundle_never_imports_mlflow():
    code = (
        "import sys, product_affinity.registry.bundle, product_affinity.registry.champion;"
        "from product_affinity import models; models.classifier_from_texts;"
        "raise SystemExit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
