"""Promotion and rollback of a project, from the demo company's bundles to its lists."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from product_affinity.errors import BundleError, RefusedError
from product_affinity.models import classifier_from_texts, classifier_to_texts
from product_affinity.pipeline.promotion import compare_project, promote_project, rollback_project
from product_affinity.registry.champion import champion, latest_challenger, promotions, write_challenger
from product_affinity.registry.evidence import Evidence, read_evidence, write_evidence
from tests.pipeline.conftest import UNTIL, Demo


@pytest.fixture
def copy(demo, tmp_path, monkeypatch) -> Demo:
    """A copy whose tracking store is left alone: it is another test's subject, and slow to open."""
    monkeypatch.setattr("product_affinity.pipeline.promotion.alias_champion", lambda *_, **__: "1")
    monkeypatch.setattr("product_affinity.pipeline.promotion.note_decision", lambda *_, **__: None)
    return demo.copy(tmp_path)


def convincing(predictions: pd.DataFrame) -> pd.Series:
    """Calibrated probabilities that know a little of the outcome: so small a company proves nothing by itself."""
    adopted = predictions["adopted"].astype(int)
    log_odds = np.log(predictions["blend"] / (1 - predictions["blend"])) + 0.5 * adopted
    calibration = LogisticRegression(C=np.inf).fit(log_odds.to_frame(), adopted)
    return pd.Series(calibration.predict_proba(log_odds.to_frame())[:, 1], index=predictions.index)


def another_challenger(demo: Demo, **columns: object) -> str:
    """Put a bundle of other bytes and other scores up for promotion, with evidence like the champion's."""
    var = demo.project.var
    current = champion(var)
    other = {days: classifier_from_texts(classifier_to_texts(c)) for days, c in current.classifiers.items()}
    for classifier in other.values():
        classifier._model = replace(classifier._model, recency=classifier._model.recency + 0.1)
    bundle = write_challenger(
        var,
        classifiers=other,
        manifest=current.manifest.model_dump(),
        metrics=current.metrics,
        card=current.card,
    )
    known = read_evidence(var, current.version)
    sides = known.sides.model_copy(
        update={
            "challenger": bundle.version,
            "champion": current.version,
            "champion_trained_as_of": current.manifest.trained_as_of,
            "comparison": "same_recipe",
        }
    )
    better = {name: convincing(known.predictions) for name in ("blend", "bundle", "champion")}
    predictions = known.predictions.assign(**{**better, **columns})
    ranking = known.ranking.assign(champion=known.ranking["challenger"])
    write_evidence(var, Evidence(sides, predictions, ranking))
    return bundle.version


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.resolve().rglob("*")) if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_training_leaves_evidence_that_every_check_can_read(demo):
    report = compare_project(demo.project, UNTIL)
    assert report.is_champion
    assert report.sides.champion is None
    assert report.sides.challenger == champion(demo.project.var).version
    assert {check.code for check in report.checks} == {f"P{n:02d}" for n in range(1, 12)}


def test_promoting_the_champion_again_changes_nothing(copy):
    before = promotions(copy.project.var)
    assert "already" in promote_project(copy.project, UNTIL)
    assert promotions(copy.project.var) == before


def test_after_a_rollback_the_lists_are_the_same_bytes(copy):
    before, first = digest(copy.lists), champion(copy.project.var).version
    second = another_challenger(copy)
    assert not compare_project(copy.project, UNTIL).is_champion
    assert second in promote_project(copy.project, UNTIL)
    assert champion(copy.project.var).version == second != first
    copy.nightly()
    assert digest(copy.lists)["scores.parquet"] != before["scores.parquet"]
    said = rollback_project(copy.project, UNTIL, why="the lists looked wrong")
    assert first in said
    assert second in said
    copy.nightly()
    assert digest(copy.lists) == before
    assert [(line["event"], line["version"], line["why"]) for line in promotions(copy.project.var)[1:]][-1] == (
        "rolled_back",
        first,
        "the lists looked wrong",
    )
    # its evidence stands, so the way forward is open again
    assert second in promote_project(copy.project, UNTIL)


def test_a_refused_challenger_leaves_the_champion_and_says_why(copy):
    var, before = copy.project.var, champion(copy.project.var).version
    evidence = read_evidence(var, before).predictions
    noise = np.random.default_rng(1).permutation(evidence["blend"])
    refused = another_challenger(copy, blend=noise, bundle=noise)
    with pytest.raises(RefusedError, match="P03") as caught:
        promote_project(copy.project, UNTIL)
    assert caught.value.exit_code == 12
    assert "\n" not in str(caught.value)
    assert champion(var).version == before
    last = json.loads((var / "promotions.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["version"]) == ("refused", refused)
    assert "P03" in last["why"]


def test_a_challenger_without_evidence_is_refused(copy):
    version = another_challenger(copy)
    for path in sorted((copy.project.var / "evidence" / version).iterdir()):
        path.unlink()
    (copy.project.var / "evidence" / version).rmdir()
    with pytest.raises(RefusedError, match="affinity train"):
        promote_project(copy.project, UNTIL)


def test_evidence_against_an_earlier_champion_is_refused(copy):
    first = another_challenger(copy)
    promote_project(copy.project, UNTIL)
    var = copy.project.var
    found = read_evidence(var, first)
    challenger = write_challenger(
        var,
        classifiers=champion(var).classifiers,
        manifest=champion(var).manifest.model_dump(),
        metrics=champion(var).metrics,
        card="another",
    )
    sides = found.sides.model_copy(update={"challenger": challenger.version})
    write_evidence(var, Evidence(sides, found.predictions, found.ranking))
    with pytest.raises(RefusedError, match=f"the champion is now {first}"):
        compare_project(copy.project, UNTIL)


def test_an_altered_challenger_is_not_promoted(copy):
    another_challenger(copy)
    challenger = latest_challenger(copy.project.var)
    (challenger.folder / "MODEL_CARD.md").write_text("better than it is")
    with pytest.raises(BundleError, match="altered"):
        promote_project(copy.project, UNTIL)


def test_nothing_to_go_back_to(copy):
    with pytest.raises(BundleError, match="no previous champion"):
        rollback_project(copy.project, UNTIL, why="x")
