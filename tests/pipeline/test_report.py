"""`affinity report` on a small demo company."""

from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.pipeline.report import report_project
from tests.pipeline.conftest import UNTIL, silent


@pytest.fixture(scope="module")
def folder(demo, tmp_path_factory):
    copy = demo.copy(tmp_path_factory.mktemp("report"))
    said = report_project(copy.project, UNTIL, jobs=1, progress=silent)
    assert "report.md" in said
    return copy.root / "var" / "reports" / str(UNTIL)


def test_every_criterion_is_measured_with_counts_that_add_up(demo, folder):
    rules = pd.read_csv(folder / "criteria.csv")
    playbook = demo.project.playbook
    assert set(rules["code"]) == {criterion.code for criterion in playbook.readiness.criteria}
    pairs = rules.groupby("code")["pairs"].sum()
    assert (pairs == pairs.iloc[0]).all()  # every criterion is asked of every pair: pass + fail + unknown


def test_rates_lie_within_their_intervals(folder):
    for name in ("criteria.csv", "gates.csv"):
        known = pd.read_csv(folder / name).dropna(subset=["adoption_rate", "adoption_low"])
        assert len(known)
        assert (known["adoption_low"] <= known["adoption_rate"]).all()
        assert (known["adoption_rate"] <= known["adoption_high"]).all()


def test_the_report_can_be_read_without_the_tables(folder):
    page = (folder / "report.md").read_text("utf-8")
    for heading in ("## Readiness criteria", "## The scorecard's points", "## Affinity", "## Adjacency"):
        assert heading in page


def test_a_second_run_replaces_the_first_with_the_same_bytes(demo, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    copy = type(demo)(folder.parents[2])
    report_project(copy.project, UNTIL, jobs=1, progress=silent)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
