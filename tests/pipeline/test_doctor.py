"""The doctor: every part of a project looked at, whatever is wrong with the others."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from product_affinity.pipeline.doctor import Diagnosis, diagnose
from product_affinity.registry.lock import sole_writer
from product_affinity.registry.runs import OpenRun

NOW = dt.datetime(2026, 6, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def store(monkeypatch):
    """The tracking store is tested where it is made; here it says what it is told to say."""
    runs: list[OpenRun] = []
    monkeypatch.setattr("product_affinity.pipeline.doctor.close_killed_runs", lambda *_: tuple(runs))
    return runs


def states(diagnosis: Diagnosis) -> dict[str, str]:
    return {finding.what: finding.state for finding in diagnosis.findings}


def test_a_sound_project_is_well(demo):
    found = diagnose(demo.root, NOW)
    assert set(states(found).values()) == {"well"}, found
    assert list(states(found)) == [
        "python", "libraries", "project", "disk", "sources", "challenger", "champion", "previous champion", "locks",
        "tracking",
    ]  # fmt: skip
    assert found.exit_code == 0
    assert json.loads(json.dumps(found.to_json()))["exit_code"] == 0


def test_what_is_wrong_is_said_with_the_next_step(demo, tmp_path, store):
    copy = demo.copy(tmp_path)
    model = next((copy.root / "var" / "champion").resolve().rglob("pooled*.txt"))
    model.write_bytes(model.read_bytes()[:-1])
    (copy.root / "data" / "usage.parquet").write_bytes(b"PAR1")
    store.append(OpenRun("f" * 32, "training", "its process h:1:1 is gone"))
    store.append(OpenRun("e" * 32, "training", None))
    with sole_writer(copy.root / "var" / "nightly.lock"):
        found = diagnose(copy.root, NOW)
    seen = states(found)
    assert (seen["champion"], seen["sources"]) == ("broken", "broken")
    assert (seen["locks"], seen["tracking"]) == ("look", "look")
    words = {finding.what: f"{finding.words} {finding.next_step}" for finding in found.findings}
    assert model.name in words["champion"]
    assert "affinity train" in words["champion"]
    assert "usage.parquet" in words["sources"]
    assert "nightly.lock" in words["locks"]
    assert "1 killed runs closed" in words["tracking"]
    assert found.exit_code == 10  # what a nightly run would meet first


def test_no_project_is_one_line(tmp_path):
    found = diagnose(tmp_path, NOW)
    assert states(found)["project"] == "broken"
    assert found.exit_code == 2


def test_an_edited_family_is_worth_a_look(demo, tmp_path):
    copy = demo.copy(tmp_path)
    path = copy.root / "features" / "commercial.yml"
    text = path.read_text()
    assert "strength: 500" in text
    path.write_text(text.replace("strength: 500", "strength: 400"))
    found = diagnose(copy.root, NOW)
    assert states(found)["champion"] == "look"
    assert any("features/commercial.yml edited since" in finding.words for finding in found.findings)
