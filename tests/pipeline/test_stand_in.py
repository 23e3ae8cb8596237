"""Where no model passes, a baseline ranks the lists and they say so."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest

from product_affinity import cli
from product_affinity.backtest.baselines import SCORECARD, available_baselines
from product_affinity.errors import BundleError, RefusedError
from product_affinity.pipeline import stand_in as module
from product_affinity.pipeline.backtest import with_scorecard
from product_affinity.pipeline.backtest_files import kept_backtest
from product_affinity.pipeline.doctor import diagnose
from product_affinity.pipeline.explain import explain_pair
from product_affinity.pipeline.nightly import score_date, score_project
from product_affinity.pipeline.prepare import prepare
from product_affinity.pipeline.promotion import compare_project, promote_project
from product_affinity.pipeline.scoring import check_families, explain_rows, scorecard_fingerprint, value_pairs
from product_affinity.pipeline.stand_in import Choice, choose_baseline, keep_stand_in, suspected_inputs
from product_affinity.pipeline.table import build_table, build_training_table, label_column
from product_affinity.registry.champion import install, latest_challenger
from product_affinity.registry.evidence import Evidence, read_evidence, write_evidence
from product_affinity.registry.stand_in import KEPT, STAND_IN, let_stand_in, stand_in, standing_in
from tests.pipeline.conftest import UNTIL, Demo, silent
from tests.pipeline.test_doctor import NOW


def figures(**models: tuple[float | None, float | None, float | None]) -> dict[str, object]:
    """`metrics.json` with (captured ARR, log-loss skill, its upper bound) a model."""
    rows = []
    for model, (captured, skill, high) in models.items():
        about = {"population": "first_time", "model": model}
        rows.append({**about, "metric": "captured_at_k", "value": captured, "high": captured})
        rows.append({**about, "metric": "log_loss_skill", "value": skill, "high": high})
        rows.append({**about, "population": "win_back", "metric": "captured_at_k", "value": 1.0, "high": 1.0})
    return {"overall": rows, "folds": [{}, {}, {}]}


@pytest.mark.parametrize(
    ("models", "best"),
    [
        ({"popularity": (0.1, 0.02, 0.05), "affinity": (0.3, 0.01, 0.04)}, "affinity"),
        # ties go by log-loss, then by the order of the baselines
        ({"popularity": (0.3, 0.01, 0.05), "affinity": (0.3, 0.02, 0.04)}, "affinity"),
        ({"popularity": (0.3, 0.02, 0.05), "affinity": (0.3, 0.02, 0.04)}, "popularity"),
        # chances that are worse than the base rates at 95 % are shown to nobody
        ({"popularity": (0.1, 0.0, 0.02), "logistic": (0.4, -0.4, -0.2)}, "popularity"),
        ({"popularity": (0.1, -0.3, -0.1), "logistic": (0.4, -0.4, -0.2)}, "popularity"),
        # nothing has a price
        ({"popularity": (None, 0.01, 0.02), "affinity": (None, 0.02, 0.03)}, "affinity"),
        ({"popularity": (0.1, None, None), "affinity": (0.2, 0.02, 0.03)}, "affinity"),
    ],
)
def test_the_best_baseline_finds_most_arr_with_chances_that_can_be_believed(models, best):
    choice = choose_baseline(figures(**models, blend=(0.9, 0.5, 0.6)), ["popularity", "affinity", "logistic"])
    assert choice.baseline == best
    assert f"best of {len(models)} baselines on 3 backtest folds" in choice.why


def test_without_a_backtest_a_rule_ranks_and_says_that_nothing_was_compared():
    assert choose_baseline({}, ["popularity", "affinity", "logistic"]).baseline == "affinity"
    assert choose_baseline({}, ["popularity", "logistic"]) == Choice(
        "popularity", "history is too short for a backtest, so it could not be compared with the others"
    )


@pytest.fixture
def refused(demo, tmp_path, monkeypatch) -> Demo:
    """A copy in which no model was ever promoted, and whose gate asks for more adoptions than there are."""
    monkeypatch.setattr("product_affinity.pipeline.promotion.alias_champion", lambda *_, **__: "1")
    monkeypatch.setattr("product_affinity.pipeline.promotion.note_decision", lambda *_, **__: None)
    copy = demo.copy(tmp_path)
    var = copy.root / "var"
    for name in ("champion", "promotions.jsonl"):
        (var / name).unlink()
    shutil.rmtree(var / "lists")
    ask(copy, "30 ", "3000 ")
    return copy


def ask(copy: Demo, before: str, after: str) -> None:
    """Change the adoptions that the gate asks for."""
    spec = copy.root / "models" / "defaults.yml"
    spec.write_text(spec.read_text().replace(f"min_adoptions: {before}", f"min_adoptions: {after}"))


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.resolve().rglob("*")) if path.is_file())
    return {str(path.relative_to(folder.resolve())): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["affinity", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_a_refused_challenger_s_baseline_ranks_until_a_model_passes(refused, demo, monkeypatch, capsys):
    project, place = refused.project, ("--project", str(refused.root), "--as-of", str(UNTIL))
    with pytest.raises(BundleError, match="affinity promote"):
        refused.nightly()  # trained, and nobody asked the gate yet

    with pytest.raises(RefusedError, match="P01") as caught:
        promote_project(project, UNTIL)
    standing = standing_in(project.var)
    assert f"nights are ranked by the baseline {standing.title} ({standing.version};" in str(caught.value)
    assert "\n" not in str(caught.value)

    said = refused.nightly()
    assert standing.words in said
    assert standing.manifest.why in said
    assert_everybody_is_told(refused, standing)

    first = digest(refused.lists)
    assert run(monkeypatch, "nightly", "--strict", *place) == 12
    assert run(monkeypatch, "score", "--strict", *place) == 12
    asked = f"--strict asks for a model, and this date would be {standing.words}. See `affinity compare`"
    assert " ".join(capsys.readouterr().err.split()).count(asked) == 2
    assert digest(refused.lists) == first
    refused.nightly()
    assert digest(refused.lists) == first  # the same inputs, the same bytes

    assert standing.version in compare_project(project, UNTIL).stands_in
    assert standing.words in score_project(project, UNTIL, jobs=1, progress=silent)

    ask(refused, "3000 ", "30 ")
    install(project.var, latest_challenger(project.var).folder, why="the tests' champion", at=str(UNTIL))
    shutil.rmtree(refused.root / "var" / "lists")
    assert "baseline" not in refused.nightly()
    assert digest(refused.lists) == digest(demo.lists)
    assert compare_project(refused.project, UNTIL).stands_in == ""


def assert_everybody_is_told(copy: Demo, standing: module.StandIn) -> None:
    """The manifest, the digest, every workbook, the page and the scores say who ranked."""
    written = json.loads((copy.lists / "manifest.json").read_text())
    assert written["ranked_by"]["baseline"] == standing.manifest.baseline
    assert written["model_version"] == standing.version
    lines = (copy.lists / "digest.md").read_text().splitlines()
    assert standing.words in lines[0]
    assert len(lines) == 10
    books = [copy.lists / "worklist.xlsx", *(copy.lists / "owners").glob("*.xlsx")]
    assert len(books) > 2
    for path in books:
        book = openpyxl.load_workbook(path, read_only=True)
        texts = [str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row if cell]
        assert f"{standing.words.removeprefix('ranked by ')}." in texts, path
    for page in (copy.lists / "site" / "index.html", *(copy.lists / "site" / "owners").glob("*.html")):
        assert f'"ranked_by":"{standing.words}"' in page.read_text()
    scores = pd.read_parquet(copy.lists / "scores.parquet")
    assert set(scores["model_version"]) == {standing.version}
    assert scores["propensity"].dropna().between(0, 1, inclusive="neither").all()


def test_explain_and_doctor_say_who_ranks(refused, monkeypatch):
    monkeypatch.setattr("product_affinity.pipeline.doctor.close_killed_runs", lambda *_: ())
    with pytest.raises(RefusedError):
        promote_project(refused.project, UNTIL)
    standing = standing_in(refused.project.var)
    scored = score_date(refused.project, UNTIL, jobs=1, progress=silent)
    row = scored.decided.iloc[0]
    story = explain_pair(
        refused.project, UNTIL, row["account_id"], row["product_id"], reveal_arm=False, jobs=1, progress=silent
    )
    assert standing.words in story.render()
    facts = story.to_json()
    assert facts["ranked_by"] == standing.words
    log_odds = np.log(row["propensity"] / (1 - row["propensity"]))
    assert sum(facts["shares"].values()) == pytest.approx(log_odds, abs=1e-3)  # shares are told to four decimals
    found = next(one for one in diagnose(refused.root, NOW).findings if one.what == "champion")
    assert (found.state, found.exit_code) == ("look", 0)
    assert standing.version in found.words

    (standing.folder / "baseline.json").write_text("{}")
    with pytest.raises(BundleError, match="altered") as caught:
        refused.nightly()
    assert caught.value.exit_code == 13
    found = next(one for one in diagnose(refused.root, NOW).findings if one.what == "champion")
    assert (found.state, found.exit_code) == ("broken", 13)


def test_a_challenger_that_could_not_be_tested_leaves_its_baseline_to_rank(refused):
    shutil.rmtree(refused.project.var / "evidence")
    with pytest.raises(RefusedError, match=r"no evidence .* nights are ranked by the baseline") as caught:
        promote_project(refused.project, UNTIL)
    assert caught.value.exit_code == 12
    assert standing_in(refused.project.var) is not None


def test_where_nothing_was_trained_there_is_nothing_to_rank_by(refused):
    shutil.rmtree(refused.project.var)
    with pytest.raises(BundleError, match="affinity train") as caught:
        refused.nightly()
    assert caught.value.exit_code == 13


def test_a_refused_challenger_beside_a_champion_changes_nothing(demo, tmp_path):
    copy = demo.copy(tmp_path)
    var = copy.project.var
    kept = (var / KEPT).readlink()
    prepared = prepare(copy.project, UNTIL, jobs=1, progress=silent)
    table = build_table(prepared, [UNTIL], progress=silent)
    assert keep_stand_in(prepared, table, latest_challenger(var), {}, progress=silent) == ""
    assert (var / KEPT).readlink() == kept
    assert not (var / STAND_IN).exists()


def test_every_baseline_can_rank_a_night(refused, monkeypatch):
    project = refused.project
    var, challenger = project.var, latest_challenger(project.var)
    prepared = prepare(project, UNTIL, jobs=1, progress=silent)
    training = build_training_table(prepared, progress=silent)
    training = replace(training, rows=with_scorecard(prepared, training, progress=silent))
    tonight = build_table(prepared, [UNTIL], progress=silent)
    tonight = replace(tonight, rows=with_scorecard(prepared, tonight, progress=silent))
    monkeypatch.setattr(module, "with_scorecard", lambda _, table, **__: table.rows)
    lineup = available_baselines(training.columns, (SCORECARD,))[0]
    assert len(lineup) == 7
    tested = kept_backtest(prepared)
    assert tested is not None

    # whatever reads an input that may know the answer is no candidate
    evidence = read_evidence(var, challenger.version)
    suspicious = evidence.sides.model_copy(update={"gain_shares": (("commercial_affinity_max", 0.9), ("x", 0.1))})
    write_evidence(var, Evidence(suspicious, evidence.predictions, evidence.ranking))
    keep_stand_in(prepared, training, challenger, tested.metrics, progress=silent)
    assert stand_in(var, KEPT).manifest.baseline in ("popularity", "activity", "scorecard")
    # so is one of several that nothing proves in time and that have much together
    spread = (("x", 0.7), ("commercial_affinity_max", 0.15), ("y", 0.15), *((f"usage_{k}", 0.0) for k in range(50)))
    told = {"gain_shares": spread, "unproven": ("commercial_affinity_max", "y")}
    write_evidence(var, Evidence(evidence.sides.model_copy(update=told), evidence.predictions, evidence.ranking))
    assert suspected_inputs(project, challenger.version) == {"x", "y", "commercial_affinity_max"}
    write_evidence(var, evidence)

    label = training.rows[label_column(90)]
    closed = training.rows[label.notna()]
    for name, make in lineup.items():
        monkeypatch.setattr(module, "choose_baseline", lambda *_, name=name: Choice(name, "chosen by a test"))
        assert keep_stand_in(prepared, training, challenger, tested.metrics, progress=silent) == ""
        standing = let_stand_in(var, challenger.version)
        check_families(standing, project)
        scored = value_pairs(tonight, standing, project)
        again = make().fit(closed.assign(adopted=label[label.notna()].astype(int)), training.columns)
        # what the backtest tried is what ranks tonight
        wanted = again.predict(tonight.rows)
        wanted[wanted == 0] = 1e-6
        assert scored["propensity"].to_numpy() == pytest.approx(wanted, rel=1e-12), name
        shown = scored.head(3).assign(confirm_first=pd.Series(None, index=scored.index[:3], dtype="str"))
        explained, shares = explain_rows(shown, tonight, prepared, standing)
        log_odds = np.log(shown["propensity"] / (1 - shown["propensity"])).to_numpy()
        assert shares.groupby(["account_id", "product_id"], sort=False)["share"].sum().to_numpy() == pytest.approx(
            log_odds
        )
        if name == "popularity":  # it weighs nothing of an account, so there is nothing to say
            assert explained[["reason_1", "caution"]].isna().all(axis=None)


def test_a_scorecard_that_was_edited_does_not_rank(refused):
    project = refused.project
    with pytest.raises(RefusedError):
        promote_project(project, UNTIL)
    standing = standing_in(project.var)
    by_points = standing.manifest.model_copy(update={"scorecard": scorecard_fingerprint(project)})
    standing = replace(standing, manifest=by_points)
    check_families(standing, project)
    rules = refused.root / "playbook" / "readiness.yml"
    before, heading, scorecard = rules.read_text().partition("\nscorecard:")
    rules.write_text(before + heading + scorecard.replace("title: licence use", "title: use of licences", 1))
    check_families(standing, refused.project)  # other words, the same points
    rules.write_text(before + heading + scorecard.replace("above: 0.5", "above: 0.6", 1))
    with pytest.raises(BundleError, match=r"playbook/readiness\.yml: its scorecard .*affinity train"):
        check_families(standing, refused.project)
