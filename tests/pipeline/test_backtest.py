"""When the figures of a finished backtest may be used again, and when it is run again."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from product_affinity.backtest import BacktestResult, plan_folds, run_backtest
from product_affinity.pipeline import backtest as module
from product_affinity.pipeline import backtest_files
from product_affinity.pipeline.backtest import backtest_prepared
from product_affinity.pipeline.backtest_files import kept_backtest
from product_affinity.pipeline.check import CheckReport
from product_affinity.pipeline.prepare import Prepared
from product_affinity.pipeline.table import PairTable
from product_affinity.pipeline.template import template_folder
from product_affinity.pipeline.train import try_recipe
from product_affinity.project import load_project
from product_affinity.project.model_spec import EstimatorSpec, ModelSpec
from tests.backtest.worlds import COLUMNS, company
from tests.pipeline.conftest import silent

DAY = dt.date(2025, 12, 31)
AS_OFS = tuple(day.date() for day in pd.date_range("2025-01-31", DAY, freq="ME"))
FOLDS = plan_folds(list(AS_OFS), horizon_days=90, maturity_days=7, observed_until=DAY, folds=1, step_days=90)


def backtest_metrics(prepared: Prepared) -> dict[str, object]:
    """Figures that may be used again, empty where there are none."""
    kept = kept_backtest(prepared)
    return kept.metrics if kept else {}


@pytest.fixture(scope="module")
def table() -> PairTable:
    rows = company(accounts=60, as_ofs=AS_OFS, observed_until=str(DAY))
    return PairTable(rows, rows, rows, COLUMNS)


@pytest.fixture(scope="module")
def result(table) -> BacktestResult:
    spec = ModelSpec(estimator=EstimatorSpec(candidates=("ridge",), n_seeds=1))
    return run_backtest(table.rows, COLUMNS, spec=spec, folds=FOLDS, n_resamples=5)


@pytest.fixture
def runs(monkeypatch, result) -> list[dt.date]:
    """Dates of the backtests that were run: each finds the same result, at once."""
    ran: list[dt.date] = []
    monkeypatch.setattr(module, "with_scorecard", lambda _, table, **__: table.rows)
    monkeypatch.setattr(module, "backtest_table", lambda _, __, as_of, **___: ran.append(as_of) or result)
    return ran


@pytest.fixture
def root(tmp_path) -> Path:
    for name in ("features", "models", "playbook"):
        shutil.copytree(template_folder() / name, tmp_path / name)
    shutil.copy(template_folder() / "affinity.toml", tmp_path)
    return tmp_path


def read(root: Path, sources: str = "as they were") -> Prepared:
    report = CheckReport(DAY, (), absent=(), notes=(), faults=(), stale=(), fingerprint=sources)
    return Prepared(load_project(root), DAY, report, facts=None)  # no step here asks them


@pytest.fixture
def folder(root, table, runs) -> Path:
    """The folder of a finished backtest."""
    backtest_prepared(read(root), table, jobs=1, progress=silent)
    runs.clear()
    return root / "var" / "backtest" / str(DAY)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_what_was_found_is_what_is_read(root, folder, result, table, runs):
    tested, untested = try_recipe(read(root), table, jobs=1, progress=silent)
    assert (untested, runs) == ("", [])
    assert tested.metrics == json.loads(json.dumps(result.to_json()))
    pd.testing.assert_frame_equal(tested.predictions, result.predictions, check_dtype=False, check_categorical=False)
    assert tested.baselines == result.baselines
    assert {path.name for path in folder.iterdir()} == {
        "inputs.json", "metrics.json", "predictions.parquet", "report.html",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("models/catalog.yml", "list_arr_usd: 12000", "list_arr_usd: 120000"),
        ("affinity.toml", "plays_per_owner = 25", "plays_per_owner = 1"),
        ("affinity.toml", "[capacity]", "[segments]\nmid_market_from_employees = 201\n[capacity]"),
    ],
)
def test_what_the_figures_depend_on_is_not_edited_unnoticed(root, folder, file, old, new):
    assert backtest_metrics(read(root))
    edit(root / file, old, new)
    assert backtest_metrics(read(root)) == {}


def test_other_sources_code_or_libraries_make_other_figures(root, folder, monkeypatch):
    prepared = read(root)
    assert backtest_metrics(prepared)
    assert backtest_metrics(replace(prepared, report=replace(prepared.report, fingerprint="others"))) == {}
    for name, other in (("LIBRARIES", ("numpy",)), ("code_fingerprint", lambda: "of other code")):
        with monkeypatch.context() as changed:
            changed.setattr(backtest_files, name, other)
            assert backtest_metrics(prepared) == {}
    assert backtest_metrics(prepared)


def test_the_code_is_told_by_every_part_between_facts_and_figures(monkeypatch):
    def prints(*parts: str) -> str:
        monkeypatch.setattr(backtest_files, "CODE", parts)
        return backtest_files.code_fingerprint.__wrapped__()

    parts = backtest_files.CODE
    assert len({prints(part) for part in parts}) == len(parts)
    assert prints() not in {prints(part) for part in parts}


def test_what_changes_no_figure_runs_nothing_again(root, folder):
    edit(root / "affinity.toml", "play_cost_usd = 150", "play_cost_usd = 151")
    assert backtest_metrics(read(root))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def turn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(reversed(content[-20:])))


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", ["inputs.json", "metrics.json", "predictions.parquet"])
def test_a_damaged_file_runs_the_backtest_again(root, folder, table, runs, name):
    prepared, path = read(root), folder / name
    content = path.read_bytes()
    for damage in (cut, turn, become_a_folder, Path.unlink):
        damage(path)
        assert backtest_metrics(prepared) == {}
        tested, untested = try_recipe(prepared, table, jobs=1, progress=silent)
        assert (untested, runs.pop(), runs) == ("", DAY, [])
        assert path.read_bytes() == content
        assert tested.metrics


def test_predictions_that_read_well_but_were_altered_prove_nothing(root, folder):
    rows = pd.read_parquet(folder / "predictions.parquet")
    rows.assign(blend=rows["adopted"].astype(float)).to_parquet(folder / "predictions.parquet", index=False)
    assert kept_backtest(read(root)) is None


def test_a_predicted_row_that_the_table_lacks_runs_the_backtest_again(root, folder, table, runs):
    fewer = replace(table, rows=table.rows[table.rows["product_id"].ne("mail")])
    try_recipe(read(root), fewer, jobs=1, progress=silent)
    assert runs == [DAY]


def test_a_backtest_that_breaks_off_leaves_the_last_one_whole(root, folder, table, monkeypatch):
    newer = read(root, sources="newer")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(backtest_files, "write_report", full)
        with pytest.raises(OSError, match="No space"):
            backtest_prepared(newer, table, jobs=1, progress=silent)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
    # and the next one takes its place, with nothing of the old
    backtest_prepared(newer, table, jobs=1, progress=silent)
    assert backtest_metrics(replace(newer, report=replace(newer.report, fingerprint="as they were"))) == {}
    assert backtest_metrics(newer)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]
