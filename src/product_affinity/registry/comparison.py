"""Figures of challenger, champion and baselines on the same test rows, with paired intervals over accounts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.backtest.figures import Sample, all_figures, build_sample, pair_figures, product_figures
from product_affinity.models.bootstrap import Interval, recentred_interval
from product_affinity.models.gain import Vector, ratio
from product_affinity.models.metrics import log_odds
from product_affinity.project.model_spec import GateSpec, ModelSpec
from product_affinity.registry.evidence import BUNDLE, CHALLENGER, CHAMPION, Evidence, Sides

METRICS = ("auc", "ap", "lift", "captured_at_k", "log_loss_skill", "observed_over_expected", "calibration_slope")
#: log-odds that lie closer together than 1 % of the odds tell nobody apart: a slope along them means nothing
LEAST_SPREAD = 0.01
NONE = Interval(float("nan"), float("nan"), float("nan"))
#: figures by model and name, each under every weighting
Figures = dict[str, dict[str, Vector]]


@dataclass(frozen=True)
class Group:
    """One product or segment.

    Attributes
    ----------
    name : such as `product crm`.
    adoptions : first-time adoptions in the test windows.
    skill : log-loss skill over the base rate.
    observed_over_expected : of the challenger.
    """

    name: str
    adoptions: int
    skill: Interval
    observed_over_expected: Interval


@dataclass(frozen=True)
class Judged:
    """Everything the checks read.

    Attributes
    ----------
    evidence : as kept.
    gate : thresholds.
    rows : headline test rows.
    over_all, beside : figures of the challenger and baselines on all headline rows; of challenger and champion
        on the rows the champion can be judged on.
    groups : products, then segments, with adoptions enough to be judged alone.
    seed : of the resamples.
    metrics : figures shown of both sides.
    """

    evidence: Evidence
    gate: GateSpec
    rows: pd.DataFrame
    over_all: Figures
    beside: Figures
    groups: tuple[Group, ...]
    seed: int
    metrics: tuple[str, ...] = METRICS

    @property
    def sides(self) -> Sides:
        """Who is compared with whom."""
        return self.evidence.sides

    @property
    def adoptions(self) -> int:
        """First-time adoptions in the test windows."""
        return int(self.rows["adopted"].sum())

    def figure(self, model: str, metric: str) -> Interval:
        """A model's figure with its interval, NaN where there is none."""
        figures = self.over_all if model in self.over_all else self.beside
        return _interval(figures[model][metric]) if model in figures else NONE

    def rank_skill(self) -> Interval:
        """AUC of the challenger within product and fold, every product weighted by its adoptions."""
        if not self.over_all:
            return NONE
        products = product_figures(_sample(self.rows, (CHALLENGER,), self.gate, self.seed))
        weights = self.rows.groupby("product_id")["adopted"].sum()
        named = [name for name in products if np.isfinite(products[name][CHALLENGER]["auc"][0])]
        draws = np.stack([products[name][CHALLENGER]["auc"] for name in named])
        weight = np.where(np.isnan(draws), 0.0, weights[named].to_numpy(np.float64)[:, None])
        return _interval(ratio((weight * np.nan_to_num(draws)).sum(axis=0), weight.sum(axis=0)))

    def against_baseline(self, baseline: str, metric: str) -> Interval:
        """Challenger − baseline, paired."""
        return _interval(self.over_all[CHALLENGER][metric] - self.over_all[baseline][metric])

    def against_champion(self, metric: str) -> Interval:
        """Challenger − champion, paired, on the rows the champion can be judged on."""
        if not self.beside:
            return NONE
        return _interval(self.beside[CHALLENGER][metric] - self.beside[CHAMPION][metric])

    def ap_ratios(self) -> list[tuple[str, float]]:
        """Average precision ÷ that of each comparable champion, with whose it is; without those unknown."""
        found = []
        if self.beside:
            ours, theirs = (float(self.beside[model]["ap"][0]) for model in (CHALLENGER, CHAMPION))
            found.append(("the champion on the same rows", ours / max(theirs, 1e-9)))
        before = self.sides.champion_ap_over_base_rate
        if before and self.over_all:
            now = float(self.over_all[CHALLENGER]["ap"][0]) / max(float(self.rows["adopted"].mean()), 1e-9)
            found.append(("the champion's own backtest, both ÷ base rate", now / before))
        return [(whose, ratio) for whose, ratio in found if math.isfinite(ratio)]

    def last_fold(self) -> pd.DataFrame:
        """Headline rows of the latest origin."""
        return self.rows[self.rows["fold"].eq(self.rows["fold"].max())]

    def bundle_on_last_fold(self) -> tuple[Interval, Interval]:
        """Of the bundle itself: observed ÷ expected, and log-loss skill − that of the model tried there."""
        if self.rows.empty:
            return NONE, NONE
        figures = pair_figures(_sample(self.last_fold(), (BUNDLE, CHALLENGER), self.gate, self.seed))
        gained = figures[BUNDLE]["log_loss_skill"] - figures[CHALLENGER]["log_loss_skill"]
        return _interval(figures[BUNDLE]["observed_over_expected"]), _interval(gained)


def judge(evidence: Evidence, spec: ModelSpec) -> Judged:
    """Compute the figures of both sides.

    Parameters
    ----------
    evidence : predictions of both sides.
    spec : thresholds, seed, and the adoptions a product needs to be judged alone.
    """
    gate, seed, rows = spec.gate, spec.estimator.random_state, evidence.headline
    models = (CHALLENGER, *evidence.sides.baselines)
    over_all: Figures = {}
    if rows["adopted"].sum() > 0:
        over_all = _figures(rows, models, spec)
    common = rows[rows[CHAMPION].notna()] if CHAMPION in rows else rows.head(0)
    beside: Figures = {}
    if len(common) and common["adopted"].sum() > 0:
        beside = _figures(common, (CHALLENGER, CHAMPION), spec)
    return Judged(evidence, gate, rows, over_all, beside, _groups(rows, spec), seed)


def _sample(rows: pd.DataFrame, models: tuple[str, ...], gate: GateSpec, seed: int) -> Sample:
    return build_sample(rows, models, n_resamples=gate.n_resamples, random_state=seed)


def _figures(rows: pd.DataFrame, models: tuple[str, ...], spec: ModelSpec) -> Figures:
    """All figures, without the slope of a model that says the same of everybody but for a trace."""
    sample = _sample(rows, models, spec.gate, spec.estimator.random_state)
    found = all_figures(sample, min_positives=spec.min_test_positives)
    for name in models:
        if np.ptp(log_odds(rows[name].to_numpy(np.float64))) < LEAST_SPREAD:
            found[name]["calibration_slope"] = np.full_like(found[name]["calibration_slope"], np.nan)
    return found


def _groups(rows: pd.DataFrame, spec: ModelSpec) -> tuple[Group, ...]:
    found = []
    for kind, column in (("product", "product_id"), ("segment", "segment")):
        for name, chosen in rows.groupby(column, sort=True):
            adoptions = int(chosen["adopted"].sum())
            if adoptions >= spec.min_test_positives:
                figures = pair_figures(_sample(chosen, (CHALLENGER,), spec.gate, spec.estimator.random_state))[
                    CHALLENGER
                ]
                skill, level = _interval(figures["log_loss_skill"]), _interval(figures["observed_over_expected"])
                found.append(Group(f"{kind} {name}", adoptions, skill, level))
    return tuple(found)


def _interval(values: Vector) -> Interval:
    return recentred_interval(float(values[0]), values[1:])
