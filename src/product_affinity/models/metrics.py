"""Metrics of propensities: who is found early, what that is worth, and whether probabilities can be believed.

Throughout, `y` is 1 for an adoption and 0 else, `p` the propensity (rank metrics take any finite score),
`sample_weight` ≥ 0 the weight of each row (default 1; integer weights equal repeated rows). Rows of equal
score count in proportion, so that the order of rows cannot matter. A figure that does not exist (no adoption,
say) is NaN; an argument out of range is a ValueError that names the range and the value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from product_affinity.models.account_metrics import hit_at_k, map_at_k, ndcg_at_k, per_account_at_k
from product_affinity.models.bootstrap import Interval, clustered_interval, paired_interval
from product_affinity.models.gain import GainCurve, Vector, checked_columns, gain_curve, ratio, refuse

__all__ = [
    "Interval",
    "average_precision",
    "calibration_in_the_large",
    "calibration_slope",
    "captured_value_at_k",
    "captured_value_at_share",
    "clustered_interval",
    "expected_calibration_error",
    "hit_at_k",
    "lift_at_share",
    "log_loss_skill",
    "map_at_k",
    "ndcg_at_k",
    "paired_interval",
    "per_account_at_k",
    "precision_at_k",
    "roc_auc",
]

#: probabilities are kept this far from 0 and 1 before a logarithm is taken
TINY = 1e-12
CALIBRATION_BINS = 10


def roc_auc(y: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
    """Probability that an adopter outranks a non-adopter: P(p₁ > p₀) + ½ P(p₁ = p₀), 0–1, NaN for one class.

    >>> roc_auc([1, 0, 1, 0], [0.8, 0.6, 0.6, 0.1])
    0.875
    """
    return float(_curve(y, p, sample_weight).auc()[0])


def average_precision(y: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
    """Average precision: Σₜ precision(t) × (recall(t) − recall(t − 1)) over distinct scores t, 0–1.

    >>> average_precision([1, 0, 1], [0.9, 0.5, 0.1])
    0.8333333333333333
    """
    return float(_curve(y, p, sample_weight).average_precision()[0])


def precision_at_k(y: npt.ArrayLike, p: npt.ArrayLike, k: float, sample_weight: npt.ArrayLike | None = None) -> float:
    """Share of adopters among the first k rows: captured(k) ÷ k, 0–1; with fewer rows than k, among all.

    Raises
    ------
    ValueError : `k` is not above 0.

    >>> precision_at_k([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1], k=2)
    0.75
    """
    curve = _curve(y, p, sample_weight)
    depth = np.minimum(_checked_k(k), curve.rows)
    return float(ratio(curve.gain_at(depth), depth)[0])


def lift_at_share(
    y: npt.ArrayLike, p: npt.ArrayLike, share: float, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Precision of the first `share` of rows ÷ base rate = captured(share) ÷ (share × all adopters), ≥ 0.

    Raises
    ------
    ValueError : `share` is not in (0, 1].

    >>> lift_at_share([1, 0, 1, 0, 0], [0.9, 0.8, 0.2, 0.1, 0.0], share=0.4)
    1.25
    """
    curve = _curve(y, p, sample_weight)
    return float(ratio(curve.gain_at(_checked_share(share) * curve.rows), share * curve.total)[0])


def captured_value_at_k(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    value: npt.ArrayLike,
    k: float,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the adopted value that the first k rows hold: Σ_{rank ≤ k} y·value ÷ Σ y·value, 0–1.

    Rows are ranked by `p`; pass propensity × value there to rank as the lists do.

    Raises
    ------
    ValueError : `k` is not above 0.

    >>> captured_value_at_k([1, 0, 1], [0.9, 0.5, 0.1], [100.0, 50.0, 300.0], k=1)
    0.25
    """
    curve = _curve(y, p, sample_weight, value)
    return float(ratio(curve.gain_at(_checked_k(k)), curve.total)[0])


def captured_value_at_share(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    value: npt.ArrayLike,
    share: float,
    sample_weight: npt.ArrayLike | None = None,
) -> float:
    """Share of the adopted value that the first `share` of rows holds; see `captured_value_at_k`.

    Raises
    ------
    ValueError : `share` is not in (0, 1].

    >>> captured_value_at_share([1, 0, 1, 0], [0.9, 0.5, 0.1, 0.0], [100.0, 50.0, 300.0, 9.0], share=0.25)
    0.25
    """
    curve = _curve(y, p, sample_weight, value)
    return float(ratio(curve.gain_at(_checked_share(share) * curve.rows), curve.total)[0])


def log_losses(y: Vector, p: Vector) -> Vector:
    """Log-loss of each row, −log of the probability given to what happened, in nats.

    >>> log_losses(np.array([1.0, 0.0]), np.array([0.5, 0.5])).round(3).tolist()
    [0.693, 0.693]
    """
    safe = np.clip(p, TINY, 1 - TINY)
    return np.asarray(-np.where(y == 1, np.log(safe), np.log1p(-safe)), dtype=np.float64)


def log_loss_skill(
    y: npt.ArrayLike, p: npt.ArrayLike, p_base: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Share of the base rate's log-loss that the model removes: 1 − LL(p) ÷ LL(p_base); ≤ 1, below 0 is harm.

    Raises
    ------
    ValueError : `p` or `p_base` is not in [0, 1].

    >>> log_loss_skill([1, 0], [0.5, 0.5], [0.5, 0.5])
    0.0
    """
    target, probability, weight = checked_columns(y, p, sample_weight)
    base = np.broadcast_to(np.asarray(p_base, dtype=np.float64), target.shape)
    loss = weight @ log_losses(target, _checked_probability(probability, "p"))
    return float(1 - loss / (weight @ log_losses(target, _checked_probability(base, "p_base"))))


def calibration_in_the_large(y: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
    """Observed ÷ expected adoptions: Σ y ÷ Σ p, ≥ 0; 1 is right, above 1 the model promised too little.

    >>> calibration_in_the_large([1, 0, 0, 1], [0.5, 0.5, 0.25, 0.25])
    1.3333333333333333
    """
    target, probability, weight = checked_columns(y, p, sample_weight)
    observed, expected = weight @ target, weight @ _checked_probability(probability, "p")
    return float(observed / expected) if expected > 0 else float("nan")


def calibration_slope(y: npt.ArrayLike, p: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
    """Slope b of the maximum-likelihood fit logit P(y = 1) = a + b·logit(p) (Cox 1958).

    1 is right, below 1 the propensities are too extreme, above 1 too timid; NaN where the classes do not
    overlap in `p` and for one class.

    >>> round(calibration_slope([0, 1, 1, 1, 0, 0, 0, 1], [0.75] * 4 + [0.25] * 4), 6)
    1.0
    """
    target, probability, weight = checked_columns(y, p, sample_weight)
    return float(calibration_line(target, log_odds(_checked_probability(probability, "p")), weight)[1])


def expected_calibration_error(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    bins: int = CALIBRATION_BINS,
) -> float:
    """Mean gap between rate and propensity: Σ_b |Σ_{i∈b} w·(y − p)| ÷ Σ w over bins b of equal count, 0–1.

    Bins are cut at quantiles of `p` over the rows as given; equal propensities share a bin.

    Raises
    ------
    ValueError : `bins` is below 1, or `p` is not in [0, 1].

    >>> expected_calibration_error([1, 0, 1, 1], [0.25, 0.25, 0.75, 0.75], bins=2)
    0.25
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    target, probability, weight = checked_columns(y, p, sample_weight)
    bin_of = quantile_bins(_checked_probability(probability, "p"), bins)
    return float(np.abs(np.bincount(bin_of, weights=weight * (target - probability))).sum() / weight.sum())


def log_odds(p: Vector) -> Vector:
    """log(p ÷ (1 − p)), finite for every p in [0, 1].

    >>> log_odds(np.array([0.5])).tolist()
    [0.0]
    """
    safe = np.clip(p, TINY, 1 - TINY)
    return np.asarray(np.log(safe) - np.log1p(-safe), dtype=np.float64)


def quantile_bins(p: Vector, bins: int) -> npt.NDArray[np.int64]:
    """Bin of each row, cut at quantiles of `p`; equal values share a bin.

    >>> quantile_bins(np.array([0.1, 0.1, 0.2, 0.3]), 2).tolist()
    [0, 0, 1, 1]
    """
    edges = np.quantile(p, np.arange(1, bins) / bins)
    return np.searchsorted(edges, p, side="right").astype(np.int64)


def calibration_line(y: Vector, z: Vector, weight: Vector, iterations: int = 50) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of `y` on `z` (Newton's method), NaN where none is."""
    observed = weight @ y
    ones, zeros = z[(weight > 0) & (y == 1)], z[(weight > 0) & (y == 0)]
    # classes that do not overlap have no finite slope; equal values have none at all
    if not (len(ones) and len(zeros)) or ones.min() >= zeros.max() or ones.max() <= zeros.min():
        return float("nan"), float("nan")
    centre, scale = float(np.average(z, weights=weight)), float(np.std(z[weight > 0]))
    design = np.column_stack([np.ones_like(z), (z - centre) / scale])
    beta = np.array([np.log(observed / (weight.sum() - observed)), 0.0])
    for _ in range(iterations):
        fitted = 1 / (1 + np.exp(-np.clip(design @ beta, -35, 35)))
        curvature = weight * fitted * (1 - fitted)
        hessian = design.T @ (curvature[:, None] * design) + 1e-10 * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (weight * (y - fitted)))
        # a longer step can overshoot from the flat start when classes are nearly separated
        beta = beta + step * min(1.0, 5.0 / float(np.abs(step).max(initial=TINY)))
        if np.abs(step).max() < 1e-10:
            break
    slope = float(beta[1] / scale)
    return float(beta[0] - slope * centre), slope


def _curve(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    value: npt.ArrayLike | None = None,
) -> GainCurve:
    target, score, weight = checked_columns(y, p, sample_weight)
    gain = target if value is None else target * np.asarray(value, dtype=np.float64)
    return gain_curve(gain, score, weight[:, None])


def _checked_probability(p: Vector, name: str) -> Vector:
    refuse(~((p >= 0) & (p <= 1)), p, f"{name} must be in [0, 1]")
    return p


def _checked_share(share: float) -> float:
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share}")
    return share


def _checked_k(k: float) -> float:
    if not k > 0:
        raise ValueError(f"k must be above 0, got {k}")
    return k
