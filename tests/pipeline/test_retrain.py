"""A data scientist's two months, through the commands: train, compare, promote, publish, and back."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from product_affinity import cli
from product_affinity.registry.champion import install
from tests.pipeline.conftest import Demo

MAY, JUNE = "2026-05-31", "2026-06-30"
#: exit code, standard output, standard error
Answer = tuple[int, str, str]


@pytest.fixture
def affinity(monkeypatch, capsys) -> Callable[..., Answer]:
    def run(root: Path, command: str, *arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["affinity", command, "--project", str(root), *arguments])
        capsys.readouterr()
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return run


def published(root: Path, as_of: str) -> dict[str, str]:
    """Digest of every file of a list."""
    folder = root / "var" / "lists" / as_of
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def log(root: Path) -> list[tuple[str, str]]:
    lines = (root / "var" / "promotions.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["event"], entry["why"]) for entry in map(json.loads, lines)]


def pointed(root: Path, name: str) -> str:
    return (root / "var" / name).resolve().name


def let_score(affinity: Callable[..., Answer], root: Path, as_of: str, *, may: bool) -> None:
    """Promote the challenger as `compare` foretold; what proves too little, as so small a company may, is installed."""
    challenger, before = pointed(root, "challenger"), pointed(root, "champion")
    code, said, refusal = affinity(root, "promote", "--as-of", as_of)
    assert code == (0 if may else 12), refusal
    if not may:
        assert len(refusal.strip().splitlines()) == 1
        assert f"bundle {challenger} is not promoted: P" in refusal
        assert "the limits are in models/defaults.yml under gate" in refusal
        assert (pointed(root, "champion"), log(root)[-1][0]) == (before, "refused")
        install(root / "var", root / "var" / "bundles" / challenger, why="the test's champion", at=as_of)
    else:
        assert challenger in said
    assert pointed(root, "champion") == challenger


@pytest.mark.slow
def test_two_retrains_a_month_apart_and_back(demo: Demo, tmp_path, affinity):
    root = tmp_path / "company"
    shutil.copytree(demo.root, root, symlinks=True, ignore=shutil.ignore_patterns("var"))
    # the first month: nothing scores yet, so the baselines are the judge
    assert affinity(root, "train", "--as-of", MAY, "--jobs", "1")[0] == 0
    first = pointed(root, "challenger")
    code, said, _ = affinity(root, "compare", "--as-of", MAY)
    assert code == 0
    assert "there is no intact champion" in said
    let_score(affinity, root, MAY, may="It may be promoted." in said)
    assert affinity(root, "nightly", "--as-of", MAY, "--jobs", "1")[0] == 0
    assert affinity(root, "nightly", "--as-of", JUNE, "--jobs", "1")[0] == 0
    by_first = published(root, JUNE)

    # the second: the champion is another judge
    assert affinity(root, "train", "--as-of", JUNE, "--jobs", "1")[0] == 0
    second = pointed(root, "challenger")
    assert second != first == pointed(root, "champion"), "training alone lets nothing score"
    code, said, _ = affinity(root, "compare", "--as-of", JUNE, "--json")
    found = json.loads(said)
    assert (code, found["sides"]["champion"], found["sides"]["comparison"]) == (0, first, "same_recipe")
    asked = {check["code"]: check["state"] for check in found["checks"]}
    assert asked["P05"] == "passed"
    assert asked["P08"] != "not_asked"
    let_score(affinity, root, JUNE, may=found["promote"])
    assert affinity(root, "nightly", "--as-of", JUNE, "--jobs", "1")[0] == 0
    by_second = published(root, JUNE)
    assert by_second["scores.parquet"] != by_first["scores.parquet"]
    ordered = pd.read_parquet(root / "var" / "lists" / JUNE / "scores.parquet").dropna(subset="propensity_90d")
    assert (ordered["propensity_30d"] <= ordered["propensity_90d"]).all()
    assert (ordered["propensity_90d"] <= ordered["propensity_180d"]).all()

    # and back
    code, said, _ = affinity(root, "rollback", "--as-of", JUNE, "--why", "owners did not know the new names")
    assert (code, pointed(root, "champion")) == (0, first)
    assert second in said
    assert affinity(root, "nightly", "--as-of", JUNE, "--jobs", "1")[0] == 0
    assert published(root, JUNE) == by_first
    assert [event for event, _ in log(root) if event != "refused"] == ["promoted", "promoted", "rolled_back"]
    assert log(root)[-1][1] == "owners did not know the new names"


@pytest.mark.slow
def test_a_champion_that_was_altered_is_replaced_by_the_next_training(demo: Demo, tmp_path, affinity):
    root = demo.copy(tmp_path).root
    altered = next((root / "var" / "champion").resolve().glob("model_90d/*.txt"))
    altered.write_text(altered.read_text(encoding="utf-8").replace("leaf_value=", "leaf_value=9", 1), encoding="utf-8")
    code, _, said = affinity(root, "nightly", "--as-of", JUNE, "--jobs", "1")
    assert code == 13
    assert altered.name in said
    assert affinity(root, "train", "--as-of", JUNE, "--jobs", "1")[0] == 0
    code, said, _ = affinity(root, "compare", "--as-of", JUNE)
    assert (code, "may be promoted" in said or "is NOT promoted" in said) == (0, True)
    code, _, refusal = affinity(root, "promote", "--as-of", JUNE)
    assert code in (0, 12), refusal
    if code == 0:
        assert affinity(root, "nightly", "--as-of", JUNE, "--jobs", "1")[0] == 0
