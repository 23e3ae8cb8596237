"""The baseline that stands in: verified like a bundle, pointed to like a champion, and never before one."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from product_affinity.backtest.fitted import FittedRates, FittedScore
from product_affinity.errors import BundleError
from product_affinity.registry.champion import install, write_challenger
from product_affinity.registry.folder import checksums
from product_affinity.registry.stand_in import (
    KEPT,
    STAND_IN,
    keep_baseline,
    let_stand_in,
    ranker,
    stand_in,
    standing_in,
)
from tests.registry.samples import COLUMNS, manifest

CHALLENGER = "0123456789ab"
RULE = FittedScore(score="log_level", columns=(COLUMNS[0],), references=(1.0,), median=0.7, intercept=-3.0, slope=0.5)
ROWS = pd.DataFrame(
    {COLUMNS[0]: [0.0, np.nan, 9.0], COLUMNS[1]: ["retail", None, "x"], COLUMNS[2]: 0.0}, index=[5, 6, 7]
)
PRODUCT = pd.Series(["crm", "desk", "new"], index=[5, 6, 7])


def keep(var, fitted=RULE, **changes):
    about = {"baseline": "activity", "challenger": CHALLENGER, "why": "best of 2 baselines", "fitted_horizon_days": 90}
    return keep_baseline(var, fitted, {**manifest(30, 90), **about, **changes})


def test_it_ranks_only_once_it_was_let_and_scores_as_fitted(tmp_path):
    kept = keep(tmp_path)
    assert standing_in(tmp_path) is None
    with pytest.raises(BundleError, match="no champion"):
        ranker(tmp_path)
    let_stand_in(tmp_path, CHALLENGER)
    found = ranker(tmp_path)
    assert found.version == f"baseline-activity-{kept.folder.name}"
    assert found.words == "ranked by a baseline, account activity: no model has passed the gate yet"
    p = found.classifiers[90].predict_proba(ROWS, product=PRODUCT)
    # logit = −3 + log(1 + level) / 2, the median score .7 where the level is unknown
    assert p[:, 1] == pytest.approx(1 / (1 + np.exp(3 - np.array([0.0, 0.35, np.log(10) / 2]))))
    assert p.sum(axis=1) == pytest.approx(1.0)
    shares = found.classifiers[90].contributions(ROWS, product=PRODUCT)
    assert list(shares) == [*COLUMNS, "baseline"]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(np.log(p[:, 1] / p[:, 0]))


def test_a_shorter_horizon_is_a_third_of_the_hazard(tmp_path):
    scorers = keep(tmp_path).classifiers
    p90, p30 = (scorers[days].predict_proba(ROWS, product=PRODUCT)[:, 1] for days in (90, 30))
    assert (1 - p30) ** 3 == pytest.approx(1 - p90)


def test_the_same_baseline_is_the_same_bytes(tmp_path):
    first, second = keep(tmp_path / "a"), keep(tmp_path / "b")
    assert first.version == second.version
    names = sorted(path.name for path in first.folder.iterdir())
    assert names == ["SHA256SUMS", "baseline.json", "manifest.json"]
    for name in names:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_what_never_happened_is_rare_and_not_impossible(tmp_path):
    kept = keep(tmp_path, FittedRates(rates={"crm": 0.0, "desk": 1.0}, overall=0.5))
    p = kept.classifiers[90].predict_proba(ROWS, product=PRODUCT)[:, 1]
    assert ((p > 0) & (p < 1)).all()
    assert np.isfinite(kept.classifiers[90].contributions(ROWS, product=PRODUCT)["baseline"]).all()


def test_a_champion_goes_first_and_a_damaged_one_is_not_replaced(tmp_path, content):
    keep(tmp_path)
    let_stand_in(tmp_path, CHALLENGER)
    bundle = write_challenger(tmp_path, **content)
    install(tmp_path, bundle.folder, why="passed", at="2026-06-30")
    assert ranker(tmp_path).version == bundle.version
    assert standing_in(tmp_path) is None
    (bundle.folder / "MODEL_CARD.md").write_text("better")
    with pytest.raises(BundleError, match="altered"):
        ranker(tmp_path)


def test_only_the_baseline_of_the_refused_challenger_stands_in(tmp_path):
    with pytest.raises(BundleError, match="no baseline was kept"):
        let_stand_in(tmp_path, CHALLENGER)
    keep(tmp_path)
    with pytest.raises(BundleError, match=f"kept beside challenger {CHALLENGER}, not ba9876543210"):
        let_stand_in(tmp_path, "ba9876543210")
    # a later training keeps another one, and the one that ranks stays until its challenger was judged
    first = let_stand_in(tmp_path, CHALLENGER)
    second = keep(tmp_path, challenger="ba9876543210")
    assert stand_in(tmp_path, KEPT).version == second.version
    assert stand_in(tmp_path, STAND_IN).version == first.version


def test_a_baseline_that_reads_what_may_know_the_answer_does_not_stand_in(tmp_path):
    keep(tmp_path)
    with pytest.raises(BundleError, match=f"reads {COLUMNS[0]} too"):
        let_stand_in(tmp_path, CHALLENGER, COLUMNS[0])
    assert not (tmp_path / STAND_IN).exists()
    assert let_stand_in(tmp_path, CHALLENGER, COLUMNS[1]).inputs == (COLUMNS[0],)


@pytest.mark.parametrize("name", ["SHA256SUMS", "manifest.json", "baseline.json"])
@pytest.mark.parametrize("damage", ["byte", "truncated", "missing"])
def test_any_damage_is_exit_13_and_training_again_mends_it(tmp_path, name, damage):
    folder = keep(tmp_path).folder
    let_stand_in(tmp_path, CHALLENGER)
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "truncated" else content[:-5] + b"#" + content[-4:])
    with pytest.raises(BundleError) as caught:
        ranker(tmp_path)
    assert caught.value.exit_code == 13
    assert "\n" not in str(caught.value)
    assert keep(tmp_path).version == ranker(tmp_path).version


def test_a_faulty_baseline_with_right_checksums_is_refused_too(tmp_path):
    kept = keep(tmp_path)
    good = {path.name: path.read_bytes() for path in kept.folder.iterdir() if path.name != "SHA256SUMS"}
    rule = json.loads(good["baseline.json"])
    about = json.loads(good["manifest.json"])
    cases = {
        "column elsewhere is not in manifest": ("baseline.json", {**rule, "columns": ["elsewhere"]}),
        "not usable": ("baseline.json", {**rule, "kind": "pickle"}),
        "not among horizons_days": ("manifest.json", {**about, "horizons_days": [30]}),
        "surprise": ("manifest.json", {**about, "surprise": 1}),
        "challenger": ("manifest.json", {**about, "challenger": "../../etc"}),
    }
    for words, (name, document) in cases.items():
        files = {**good, name: json.dumps(document).encode()}
        sums = checksums(files)
        version = hashlib.sha256(sums).hexdigest()[:12]
        folder = tmp_path / "baselines" / version
        folder.mkdir()
        for path, text in {**files, "SHA256SUMS": sums}.items():
            (folder / path).write_bytes(text)
        (tmp_path / STAND_IN).unlink(missing_ok=True)
        (tmp_path / STAND_IN).symlink_to(f"baselines/{version}")
        with pytest.raises(BundleError, match=words):
            ranker(tmp_path)
        shutil.rmtree(folder)


def test_a_pointer_that_leads_elsewhere_is_refused(tmp_path):
    keep(tmp_path)
    (tmp_path / STAND_IN).symlink_to("/etc")
    with pytest.raises(BundleError, match="not a link to baselines"):
        ranker(tmp_path)


def test_a_column_that_the_manifest_does_not_name_is_refused_when_it_is_kept(tmp_path):
    other = RULE.model_copy(update={"columns": ("usage_logins_sum_28d",)})
    with pytest.raises(BundleError, match="usage_logins_sum_28d is not in manifest"):
        keep(tmp_path, other)
    assert not (tmp_path / KEPT).exists()
