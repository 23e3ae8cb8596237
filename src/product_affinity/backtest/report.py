"""The report of a backtest: one HTML file that needs nothing from outside and runs no script."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined, Template

from product_affinity.backtest import charts
from product_affinity.backtest.compare import populations
from product_affinity.backtest.curves import gain_by_depth, reliability
from product_affinity.backtest.report_tables import (
    ReportTable,
    apart_tables,
    calibration_table,
    candidate_table,
    difference_rows,
    fold_table,
    group_rows,
    horizon_rows,
    model_rows,
    overlap_table,
)
from product_affinity.backtest.report_words import LIMITS, WORDS, tiles, verdict
from product_affinity.backtest.result import COMPARED, POPULATIONS, BacktestResult
from product_affinity.backtest.scored import LEVEL_BASELINE
from product_affinity.backtest.tables import headline

N_RESAMPLES = 200
STYLES = 8


def write_report(path: Path, result: BacktestResult, *, project: str, as_of: dt.date) -> None:
    """Write the report; equal results give equal bytes, and the file appears whole or not at all.

    Parameters
    ----------
    path : of the HTML file.
    result : what the backtest found.
    project : name of the company.
    as_of : date of the run.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(render_report(result, project=project, as_of=as_of), "utf-8")
    draft.replace(path)


def render_report(result: BacktestResult, *, project: str, as_of: dt.date) -> str:
    """Return the report's HTML; see `write_report`."""
    rows = result.predictions[populations(result.predictions)[POPULATIONS[0]]]
    styles = model_styles(result)
    style = _asset("report.css")
    return _template().render(
        policy=_policy(style),
        style=style,
        project=project,
        as_of=as_of,
        headline=headline([str(fold.origin) for fold in result.folds], result.headline_counts),
        horizon_days=result.folds[0].horizon_days,
        maturity_days=result.folds[0].maturity_days,
        tiles=tiles(result),
        verdict=verdict(result),
        charts=_charts(result, rows, styles),
        keys=[*((name, styles[name]) for name in _drawn(result)), ("chance", "chance")],
        level_keys=[(COMPARED, styles[COMPARED]), *_level_key(result, styles), ("right", "chance")],
        tables=_tables(result),
        limits=LIMITS,
        notes=result.notes,
        words=WORDS,
    )


def model_styles(result: BacktestResult) -> dict[str, str]:
    """Return the class of each model drawn: the blend strongest, then the baselines in their order."""
    return {name: f"m{min(number, STYLES - 1)}" for number, name in enumerate(_drawn(result))}


def _drawn(result: BacktestResult) -> tuple[str, ...]:
    return (COMPARED, *result.baselines)


def _level_key(result: BacktestResult, styles: dict[str, str]) -> list[tuple[str, str]]:
    return [(LEVEL_BASELINE, styles[LEVEL_BASELINE])] if LEVEL_BASELINE in result.baselines else []


def _charts(result: BacktestResult, rows: pd.DataFrame, styles: dict[str, str]) -> dict[str, str]:
    gains = gain_by_depth(rows, _drawn(result))
    # the blend is drawn last, over the others
    order = dict(reversed(styles.items()))
    workable = float(np.average(rows["workable_share"]))
    shown = [COMPARED, *(name for name, _ in _level_key(result, styles))]
    tenths = {name: reliability(rows, name, n_resamples=N_RESAMPLES, random_state=0) for name in reversed(shown)}
    return {
        "gain": charts.gain_chart(gains, order, workable),
        "lift": charts.lift_chart(gains, order, workable),
        "reliability": charts.reliability_chart(tenths, styles),
        "levels": charts.level_chart(result.levels, styles),
        "folds": charts.fold_chart(result.folds),
    }


def _tables(result: BacktestResult) -> dict[str, ReportTable | Sequence[ReportTable] | None]:
    groups: dict[str, Any] = {name: group_rows(result, name) for name in ("product", "segment", "tenure")}
    return groups | {
        "models": model_rows(result),
        "differences": difference_rows(result),
        "candidates": candidate_table(result),
        "calibration": calibration_table(result),
        "overlaps": overlap_table(result) if len(result.overlaps) else None,
        "fold": fold_table(result),
        "horizons": horizon_rows(result),
        "apart": apart_tables(result),
    }


@cache
def _asset(name: str) -> str:
    return (files("product_affinity.backtest") / "templates" / name).read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(_asset("report.html.j2"))


def _policy(style: str) -> str:
    """Return the content-security policy: this style and nothing else, no script, no picture from outside."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
