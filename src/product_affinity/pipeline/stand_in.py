"""The baseline that ranks while no model passes: chosen on the challenger's own folds, fitted at its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from product_affinity.backtest.baselines import SCORECARD, Baseline, available_baselines
from product_affinity.backtest.fitted import Fitted
from product_affinity.backtest.horizons import label_column
from product_affinity.pipeline.backtest import with_scorecard
from product_affinity.pipeline.prepare import Prepared, Progress
from product_affinity.pipeline.scoring import average_contributions, scorecard_fingerprint
from product_affinity.pipeline.table import PairTable
from product_affinity.project import Project
from product_affinity.project.families import FeatureColumn
from product_affinity.registry.champion import CHAMPION, has_pointer
from product_affinity.registry.evidence import has_evidence, read_evidence
from product_affinity.registry.gains import unproven_beyond_chance
from product_affinity.registry.stand_in import BaselineScorer, StandIn, keep_baseline, let_stand_in

if TYPE_CHECKING:
    from product_affinity.registry.bundle import Bundle

#: which may rank where no backtest can choose: rules with two fitted numbers, what owners of the same took first
UNTESTED = ("affinity", "popularity")
#: figures that say why a baseline ranks, in words
_FIGURES = {
    "captured_at_k": "{:.1%} of the adopted ARR in what a team can work",
    "log_loss_skill": "log-loss skill {:+.3f}",
    "observed_over_expected": "observed ÷ expected {:.2f}",
}


@dataclass(frozen=True)
class Choice:
    """A baseline and why it is the best one.

    Attributes
    ----------
    baseline : its name in the backtest.
    why : in words, with its figures.
    """

    baseline: str
    why: str


def keep_stand_in(
    prepared: Prepared, table: PairTable, challenger: Bundle, metrics: Mapping[str, Any], *, progress: Progress
) -> str:
    """Fit the best baseline and keep it beside the challenger; done only while there is no champion.

    A challenger that was tested waits for `affinity promote`. One that could not be tested cannot pass, so its
    baseline ranks at once.

    Parameters
    ----------
    prepared : project and facts of the training.
    table : the training table with its labels.
    challenger : as trained on it.
    metrics : of the challenger's backtest, empty where it could not be tested.
    progress : called with one line a step.

    Returns
    -------
    str
        A sentence to append on what ranks now; empty where `affinity promote` decides that.
    """
    project = prepared.project
    if has_pointer(project.var, CHAMPION):
        return ""
    lineup = _lineup(project, table.columns, suspected_inputs(project, challenger.version))
    if not lineup:
        return ""
    choice = choose_baseline(metrics, lineup)
    progress(f"fitting baseline {choice.baseline}, which ranks where no model passes")
    rows = with_scorecard(prepared, table, progress=progress) if "scorecard" in choice.baseline else table.rows
    label = rows[label_column(project.settings.time.horizon_days)]
    closed = rows[label.notna()].assign(adopted=label[label.notna()].astype("int64"))
    fitted = lineup[choice.baseline]().fit(closed, table.columns)
    keep_baseline(project.var, fitted, _manifest(project, table.columns, rows, fitted, challenger, choice))
    return "" if metrics else f". {say_stand_in(let_stand_in(project.var, challenger.version))}"


def _lineup(
    project: Project, columns: tuple[FeatureColumn, ...], suspected: set[str]
) -> dict[str, Callable[[], Baseline]]:
    """Return the baselines that may rank: those of the backtest that read no suspected input."""
    others = (SCORECARD,) if project.playbook.readiness.scorecard.criteria else ()
    lineup, _ = available_baselines(columns, others)
    return {name: make for name, make in lineup.items() if suspected.isdisjoint(make().reads(columns))}


def suspected_inputs(project: Project, challenger: str) -> set[str]:
    """Return the inputs with so much of a tested challenger's gain, alone or together, that they may know the answer.

    Check P09 says the same of them.

    A baseline that reads one would look like the best of all, and be worth as little as the challenger.
    """
    if not has_evidence(project.var, challenger):
        return set()
    sides, gate = read_evidence(project.var, challenger).sides, project.model_spec.gate
    limits = ((name, gate.warn_gain_share if name in sides.unproven else gate.max_gain_share, share)
              for name, share in sides.gain_shares)  # fmt: skip
    together = unproven_beyond_chance(dict(sides.gain_shares), sides.unproven, gate.warn_gain_share)
    return {*together, *(name for name, limit, share in limits if share > limit)}


def choose_baseline(metrics: Mapping[str, Any], available: Collection[str]) -> Choice:
    """Choose by captured ARR at capacity over all folds, among the baselines whose chances can be believed.

    Captured ARR at capacity is the share of the ARR adopted in the test windows that lies among the pairs that a
    team can work, ranked by chance × ARR: what a list is for. A baseline whose log-loss is worse than the products'
    base rates at 95 % is left out, because its chances would be shown to people; where that leaves none, log-loss
    decides. Ties go by log-loss, then in the order of `available`. Without a backtest nothing can be compared, and
    the first of `UNTESTED` ranks.

    Parameters
    ----------
    metrics : `metrics.json` of the backtest, or empty.
    available : names of the baselines that today's columns allow.

    >>> rows = [{"population": "first_time", "model": m, "metric": k, "value": v, "high": v + 0.1}
    ...         for m, k, v in [("popularity", "captured_at_k", 0.1), ("popularity", "log_loss_skill", 0.0),
    ...                         ("affinity", "captured_at_k", 0.3), ("affinity", "log_loss_skill", 0.0),
    ...                         ("logistic", "captured_at_k", 0.4), ("logistic", "log_loss_skill", -0.5)]]
    >>> choose_baseline({"overall": rows, "folds": [1, 2]}, ["popularity", "affinity", "logistic"]).baseline
    'affinity'
    """
    rows = [row for row in metrics.get("overall", []) if row["population"] == "first_time"]
    figures = {(row["model"], row["metric"]): row["value"] for row in rows}
    highest = {row["model"]: _number(row["high"]) for row in rows if row["metric"] == "log_loss_skill"}
    tested = [name for name in available if name in highest]
    if not tested:
        untested = next(name for name in UNTESTED if name in available)
        return Choice(untested, "history is too short for a backtest, so it could not be compared with the others")

    def found(name: str, metric: str) -> float:
        return _number(figures.get((name, metric)))

    believed = [name for name in tested if highest[name] >= 0]
    if believed:
        best = max(believed, key=lambda name: (found(name, "captured_at_k"), found(name, "log_loss_skill")))
    else:
        best = max(tested, key=lambda name: found(name, "log_loss_skill"))
    said = [words.format(value) for metric, words in _FIGURES.items() if math.isfinite(value := found(best, metric))]
    why = f"best of {len(tested)} baselines on {len(metrics['folds'])} backtest folds: {', '.join(said)}"
    return Choice(best, why if believed else f"{why}; every baseline is worse than the base rates")


def _number(value: float | None) -> float:
    """Return a figure, −∞ where it does not exist."""
    return -math.inf if value is None else float(value)


def say_stand_in(kept: StandIn) -> str:
    """Say what ranks the nights from now on, and why."""
    return (
        f"Until a model passes, nights are ranked by the baseline {kept.title} ({kept.version}; {kept.manifest.why}); "
        "`affinity nightly --strict` refuses that"
    )


def _manifest(
    project: Project,
    columns: tuple[FeatureColumn, ...],
    rows: pd.DataFrame,
    fitted: Fitted,
    challenger: Bundle,
    choice: Choice,
) -> dict[str, Any]:
    """Return the challenger's manifest with what is the baseline's own."""
    reads_points = SCORECARD in fitted.inputs
    known = challenger.manifest.model_dump(mode="json")
    points = {"name": SCORECARD, "kind": "number", "family": None}
    return {
        **known,
        "columns": [*known["columns"], *([points] if reads_points else [])],
        "thresholds": {},
        "estimator": None,
        "average_contributions": average_contributions(BaselineScorer(fitted), rows, columns, fitted.inputs),
        "baseline": choice.baseline,
        "challenger": challenger.version,
        "why": choice.why,
        "fitted_horizon_days": project.settings.time.horizon_days,
        "scorecard": scorecard_fingerprint(project) if reads_points else None,
    }
