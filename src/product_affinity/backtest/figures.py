"""The figures of scored test rows, for the data as it is and for every bootstrap resample at once.

Rankings are taken where lists are made: within one product at one as-of date (fold). A product's figure is
the mean over its folds weighted by adoptions, the headline the plain mean over products with adoptions enough.
`auc_within` and `lift_within` weight every product by its adoptions instead: they exist in small groups too. Value and
calibration are figures of all pairs of a fold together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from product_affinity.models.bootstrap import ClusterResamples
from product_affinity.models.gain import GainCurve, Matrix, Vector, gain_curve, ratio
from product_affinity.models.metrics import (
    CALIBRATION_BINS,
    calibration_line,
    log_losses,
    log_odds,
    per_account_at_k,
    quantile_bins,
)

LIFT_SHARE = 0.10
TOP_SHARE = 0.01
PRODUCTS_SHOWN = 7
#: name of each figure and how a table heads it
METRICS = {
    "auc": "AUC",
    "auc_within": "AUC within",
    "ap": "AP",
    "lift": "lift@10 %",
    "lift_within": "lift@10 % within",
    "precision_at_k": "precision@k",
    "captured_at_1pct": "ARR@1 %",
    "captured_at_k": "ARR@k",
    "log_loss_skill": "skill",
    "observed_over_expected": "O/E",
    "calibration_error": "ECE",
    "calibration_slope": "slope",
    "map_at_7": "MAP@7",
    "hit_at_7": "hit@7",
}
#: by adoptions over all products: name, and the product's figure
WITHIN = {"auc_within": "auc", "lift_within": "lift"}
PER_PRODUCT = ("auc", "ap", "lift", "precision_at_k")
#: cells of one block of row weights: small enough to stay near the processor
BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Sample:
    """Scored rows as arrays, and the weightings under which figures are wanted.

    Attributes
    ----------
    rows : fold, account_id, product_id, adopted, value, base_rate, workable_share (share of a fold's pairs
        that a team can work), numbered from 0.
    scores : per model, probability per row.
    codes : account number of each row.
    weightings : ndarray of shape (accounts, weightings)
        Weight of each account; the first column is 1.
    """

    rows: pd.DataFrame
    scores: dict[str, Vector]
    codes: npt.NDArray[np.int64]
    weightings: Matrix

    @property
    def target(self) -> Vector:
        """1 for an adoption, else 0."""
        return self.rows["adopted"].to_numpy(np.float64)

    def blocks(self, at: npt.NDArray[np.int64]) -> Iterator[Matrix]:
        """Yield the weights of the rows `at` of shape (rows, some weightings), from the first to the last."""
        width = max(1, BLOCK_CELLS // max(len(at), 1))
        for start in range(0, self.weightings.shape[1], width):
            yield self.weightings[:, start : start + width][self.codes[at]]


def build_sample(predictions: pd.DataFrame, models: tuple[str, ...], *, n_resamples: int, random_state: int) -> Sample:
    """Take rows of the predictions, with account-clustered resamples (none for `n_resamples` 0).

    Parameters
    ----------
    predictions : closed test rows, with one column of probabilities per model; not empty.
    models : their names.
    n_resamples, random_state : of the bootstrap.
    """
    rows = predictions.reset_index(drop=True)
    clusters = ClusterResamples(
        rows["account_id"].to_numpy(), n_resamples=max(n_resamples, 1), random_state=random_state
    )
    weightings = clusters.weightings if n_resamples else clusters.weightings[:, :1]
    scores = {name: rows[name].to_numpy(np.float64) for name in models}
    return Sample(rows, scores, clusters.codes.astype(np.int64), weightings)


def all_figures(sample: Sample, *, min_positives: int) -> dict[str, dict[str, Vector]]:
    """Compute every figure of every model.

    Parameters
    ----------
    sample : scored rows.
    min_positives : adoptions a product needs to enter the means over products.

    Returns
    -------
    dict
        model → figure → its value under each weighting; NaN where it does not exist.
    """
    products = product_figures(sample)
    kept = [name for name in products if _positives(sample, name) >= min_positives]
    figures = pair_figures(sample)
    for model, score in sample.scores.items():
        for metric in PER_PRODUCT:
            figures[model][metric] = _mean([products[name][model][metric] for name in kept], sample)
        for name, metric in WITHIN.items():
            figures[model][name] = _within(products, model, metric, sample)
        figures[model] |= _account_rankings(sample, score)
    return figures


def pair_figures(sample: Sample) -> dict[str, dict[str, Vector]]:
    """Value and calibration by model → figure, of all pairs together whatever their product."""
    valued = _captured_value(sample)
    return {model: valued[model] | _calibration(sample, score) for model, score in sample.scores.items()}


def product_figures(sample: Sample) -> dict[str, dict[str, dict[str, Vector]]]:
    """Rank figures by product → model → figure, ranked within each fold, folds weighted by adoptions."""
    found: dict[str, dict[str, dict[str, Vector]]] = {}
    for product, in_product in sample.rows.groupby("product_id", sort=True):
        parts: dict[str, list[Matrix]] = {model: [] for model in sample.scores}
        for at in in_product.groupby("fold", sort=True).indices.values():
            positions = in_product.index.to_numpy()[np.asarray(at)]
            for model, values in _ranked(sample, positions).items():
                parts[model].append(values)
        found[str(product)] = {
            model: dict(zip(PER_PRODUCT, _over_folds(np.stack(folds)), strict=True)) for model, folds in parts.items()
        }
    return found


def _ranked(sample: Sample, at: npt.NDArray[np.int64]) -> dict[str, Matrix]:
    """Figures of one product in one fold as (adoptions, auc, ap, lift, captured, k) × weightings."""
    target, share = sample.target[at], float(sample.rows["workable_share"].iloc[at[0]])
    parts: dict[str, list[Matrix]] = {model: [] for model in sample.scores}
    for weights in sample.blocks(at):
        for model, score in sample.scores.items():
            parts[model].append(_read(gain_curve(target, score[at], weights), share))
    return {model: np.concatenate(blocks, axis=1) for model, blocks in parts.items()}


def _read(curve: GainCurve, workable_share: float) -> Matrix:
    lift = ratio(curve.gain_at(LIFT_SHARE * curve.rows), LIFT_SHARE * curve.total)
    depth = workable_share * curve.rows
    return np.stack([curve.total, curve.auc(), curve.average_precision(), lift, curve.gain_at(depth), depth])


def _over_folds(folds: npt.NDArray[np.float64]) -> list[Vector]:
    positives, captured, depth = folds[:, 0], folds[:, 4], folds[:, 5]
    means = []
    for values in (folds[:, 1], folds[:, 2], folds[:, 3]):
        weight = np.where(np.isnan(values), 0.0, positives)
        means.append(ratio((weight * np.nan_to_num(values)).sum(axis=0), weight.sum(axis=0)))
    return [*means, ratio(captured.sum(axis=0), depth.sum(axis=0))]


def _captured_value(sample: Sample) -> dict[str, dict[str, Vector]]:
    """Share of the adopted ARR among the first pairs of each fold, ranked by propensity × expected ARR."""
    value = sample.rows["value"].to_numpy(np.float64)
    sums = {model: np.zeros((3, sample.weightings.shape[1])) for model in sample.scores}
    for at in sample.rows.groupby("fold", sort=True).indices.values():
        gain, share = (sample.target * value)[at], float(sample.rows["workable_share"].iloc[at[0]])
        start = 0
        for weights in sample.blocks(np.asarray(at)):
            columns = slice(start, start + weights.shape[1])
            start = columns.stop
            for model, score in sample.scores.items():
                curve = gain_curve(gain, (score * value)[at], weights)
                top, worked = curve.gain_at(TOP_SHARE * curve.rows), curve.gain_at(share * curve.rows)
                sums[model][:, columns] += np.stack([top, worked, curve.total])
    return {
        model: {"captured_at_1pct": ratio(top, total), "captured_at_k": ratio(worked, total)}
        for model, (top, worked, total) in sums.items()
    }


def _calibration(sample: Sample, score: Vector) -> dict[str, Vector]:
    target, base = sample.target, sample.rows["base_rate"].to_numpy(np.float64)
    gaps = np.zeros((len(target), CALIBRATION_BINS))
    gaps[np.arange(len(target)), quantile_bins(score, CALIBRATION_BINS)] = target - score
    losses = np.column_stack([log_losses(target, score), log_losses(target, base)])
    totals = _totals(sample, np.column_stack([np.ones_like(target), target, score, losses, gaps]))
    return {
        "log_loss_skill": 1 - ratio(totals[3], totals[4]),
        "observed_over_expected": ratio(totals[1], totals[2]),
        "calibration_error": ratio(np.abs(totals[5:]).sum(axis=0), totals[0]),
        "calibration_slope": _slopes(sample, log_odds(score)),
    }


def _slopes(sample: Sample, logit: Vector) -> Vector:
    """Calibration slope: the fit itself first, then one Newton step from it for each resample."""
    target = sample.target
    intercept, slope = calibration_line(target, logit, np.ones_like(target))
    if not np.isfinite(slope):
        return np.full(sample.weightings.shape[1], np.nan)
    fitted = expit(intercept + slope * logit)
    bend, miss = fitted * (1 - fitted), target - fitted
    # about its mean, so that the curvature is not a small difference of large numbers
    logit = logit - np.average(logit, weights=bend)
    parts = np.column_stack([bend, bend * logit, bend * logit**2, miss, miss * logit])
    level, cross, square, off, off_logit = _totals(sample, parts)
    return slope + ratio(level * off_logit - cross * off, level * square - cross**2)


def _account_rankings(sample: Sample, score: Vector) -> dict[str, Vector]:
    fold = pd.factorize(sample.rows["fold"], sort=True)[0]
    accounts = sample.weightings.shape[0]
    query = fold * accounts + sample.codes
    product = sample.rows["product_id"].to_numpy()
    values = per_account_at_k(query, product, sample.target, score, PRODUCTS_SHOWN)
    code = values.index.to_numpy() % accounts
    count = np.bincount(code, minlength=accounts) @ sample.weightings
    return {
        metric: ratio(np.bincount(code, weights=values[column], minlength=accounts) @ sample.weightings, count)
        for metric, column in (("map_at_7", "average_precision"), ("hit_at_7", "hit"))
    }


def _totals(sample: Sample, parts: Matrix) -> Matrix:
    """Weighted column sums of shape (columns, weightings); rows of an account share its weight."""
    accounts = sample.weightings.shape[0]
    sums = [np.bincount(sample.codes, weights=column, minlength=accounts) for column in parts.T]
    return np.stack(sums) @ sample.weightings


def _within(products: dict[str, dict[str, dict[str, Vector]]], model: str, metric: str, sample: Sample) -> Vector:
    """A figure within product and fold, each product weighted by its adoptions: no product is too thin to count."""
    values = np.stack([figures[model][metric] for figures in products.values()])
    adoptions = np.array([_positives(sample, name) for name in products])[:, None]
    weight = np.where(np.isnan(values), 0.0, adoptions)
    return ratio((weight * np.nan_to_num(values)).sum(axis=0), weight.sum(axis=0))


def _positives(sample: Sample, product: str) -> float:
    return float(sample.target[(sample.rows["product_id"] == product).to_numpy()].sum())


def _mean(values: list[Vector], sample: Sample) -> Vector:
    stacked = np.stack(values) if values else np.full((1, sample.weightings.shape[1]), np.nan)
    known = ~np.isnan(stacked)
    return ratio(np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))
