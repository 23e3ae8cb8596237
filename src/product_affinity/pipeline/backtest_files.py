"""A finished backtest on disk: used again only if it is whole, unaltered and of the very same inputs.

``var/backtest/<as_of>/`` appears as a whole. Its ``inputs.json`` holds what the figures depend on and the SHA-256 of
the files that are read again; where anything differs there is no backtest, and the next command runs it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import product_affinity
from product_affinity.backtest import BacktestResult, write_report
from product_affinity.pipeline.prepare import Prepared
from product_affinity.registry.evidence import KEYS
from product_affinity.registry.folder import partial_path
from product_affinity.registry.lock import sole_writer

INPUTS = "inputs.json"
METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.parquet", "report.html"
CODE = ("backtest", "features", "labels", "models", "pipeline", "project", "rules", "schema", "spine", "value")
LIBRARIES = ("duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


@dataclass(frozen=True)
class KeptBacktest:
    """A backtest as it was written.

    Attributes
    ----------
    metrics : every figure; see `BacktestResult.to_json`.
    predictions : test rows with one column of probabilities a model; see `BacktestResult`.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the baselines among the models, in the order of tables."""
        compared = {row["baseline"] for row in self.metrics["differences"]}
        return tuple(model["model"] for model in self.metrics["models"] if model["model"] in compared)

    def rests_on(self, rows: pd.DataFrame) -> bool:
        """Whether every predicted row is among these."""
        keys = list(KEYS)
        return len(self.predictions[keys].merge(rows[keys])) == len(self.predictions)


def keep_backtest(prepared: Prepared, result: BacktestResult, rests_on: Mapping[str, object]) -> None:
    """Put a result in the place of the last one of the same date.

    Parameters
    ----------
    prepared : project and date of the backtest.
    result : what it found.
    rests_on : the `inputs` when it began.

    Raises
    ------
    LockedError : another command is putting its own there and does not end.
    """
    folder = _folder(prepared)
    draft, aside = partial_path(folder), partial_path(folder)
    try:
        draft.mkdir(parents=True)
        result.write(draft)
        write_report(draft / REPORT, result, project=prepared.project.settings.project.name, as_of=prepared.as_of)
        content = {
            "inputs": rests_on,
            "files": {name: _digest((draft / name).read_bytes()) for name in (METRICS, PREDICTIONS)},
        }
        (draft / INPUTS).write_text(json.dumps(content, indent=1, sort_keys=True), "utf-8")
        with sole_writer(folder.parent / ".lock"):
            if folder.exists():
                folder.replace(aside)
            draft.replace(folder)
    finally:
        for leftover in (draft, aside):
            shutil.rmtree(leftover, ignore_errors=True)


def kept_backtest(prepared: Prepared) -> KeptBacktest | None:
    """Return the finished backtest of the same inputs and date; None where there is none, or not as written."""
    folder = _folder(prepared)
    try:
        content = json.loads((folder / INPUTS).read_bytes())
        files = {name: (folder / name).read_bytes() for name in (METRICS, PREDICTIONS)}
    except (OSError, ValueError):
        return None
    if content != {"inputs": inputs(prepared), "files": {name: _digest(files[name]) for name in files}}:
        return None
    return KeptBacktest(json.loads(files[METRICS]), pd.read_parquet(io.BytesIO(files[PREDICTIONS])))


def inputs(prepared: Prepared) -> dict[str, object]:
    """Return what a backtest's figures depend on: sources, definitions, catalogue, settings, code, libraries."""
    project = prepared.project
    return {
        "sources": prepared.report.fingerprint,
        "families": {family.family: family.fingerprint for family in project.families},
        "catalog": project.catalog.model_dump(mode="json"),
        "spec": project.model_spec.model_dump(mode="json", exclude={"gate"}),
        "time": project.settings.time.model_dump(mode="json"),
        "segments": project.settings.segments.model_dump(mode="json"),
        "plays_per_owner": project.settings.capacity.plays_per_owner,
        # the scorecard is a baseline; no other part of the playbook is read
        "readiness": project.playbook.readiness.model_dump(mode="json"),
        "code": code_fingerprint(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


@cache
def code_fingerprint() -> str:
    """Return the fingerprint of the code between facts and figures; the sources' has that of the code before."""
    package = Path(product_affinity.__file__).parent
    paths = sorted(path for part in CODE for path in (package / part).rglob("*.py"))
    code = [[str(path.relative_to(package)), _digest(path.read_bytes())] for path in paths]
    return _digest(json.dumps(code).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _folder(prepared: Prepared) -> Path:
    return prepared.project.var / "backtest" / str(prepared.as_of)
