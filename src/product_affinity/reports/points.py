"""The scorecard's points beside points learnt from what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from product_affinity.reports.logit import fit_log_odds, indicators
from product_affinity.rules.criteria import FAIL, PASS, UNKNOWN, Answer

FULL_POINTS = 100.0
#: fewer adoptions than this a criterion, and points learnt from them are a story about chance
MIN_ADOPTIONS_PER_CRITERION = 10
POINT_COLUMNS = (
    "code", "title", "points", "learned_points", "log_odds", "low", "high", "passed", "failed", "unknown",
)  # fmt: skip


def learn_points(
    answers: Sequence[Answer], points: Mapping[str, float], pairs: pd.DataFrame, adopted: pd.Series
) -> pd.DataFrame:
    r"""Learn what each criterion of the scorecard is worth when all are known, and set it beside its points.

    Logistic regression of adoption on "passes" (unknown apart) and the product, over observed pairs:
    :math:`\text{points}_j = 100\, \max(\beta_j, 0) / \sum_i \max(\beta_i, 0)`, where the β are fitted together under
    the bound that a pass takes nothing away. The log-odds shown with its interval is that of a fit without the bound.

    Parameters
    ----------
    answers : criteria over the rows of `pairs`; only those with points count.
    points : code of a criterion to its configured points.
    pairs : account_id, product_id, same rows.
    adopted : 1, 0 or missing (open horizon, left out), same rows.

    Returns
    -------
    DataFrame
        code, title, points, learned_points (0–100, missing where everybody passes or nobody does, and all missing
        below 10 adoptions a criterion), log_odds, low, high (95 %, account-clustered), passed, failed, unknown
        (observed pairs), in the order of `answers`.
    """
    scored = [answer for answer in answers if answer.code in points]
    known = adopted.notna().to_numpy()
    y = adopted[known].to_numpy(dtype=float)
    states = np.column_stack([answer.state[known] for answer in scored]) if scored else np.empty((len(y), 0))
    counts = {side: (states == state).sum(axis=0) for side, state in _SIDES.items()}
    table = pd.DataFrame(
        {
            "code": [answer.code for answer in scored],
            "title": [answer.title for answer in scored],
            "points": [float(points[answer.code]) for answer in scored],
            **{side: count.astype("int64") for side, count in counts.items()},
        }
    )
    told = (counts["passed"] > 0) & (counts["failed"] > 0)
    fitted = np.full((4, len(scored)), np.nan)
    if told.any() and y.sum() >= MIN_ADOPTIONS_PER_CRITERION * told.sum():
        fitted[:, told] = _fit(states[:, told], y, pairs.loc[known])
    for row, name in enumerate(("learned_points", "log_odds", "low", "high")):
        table[name] = fitted[row]
    return table[list(POINT_COLUMNS)]


_SIDES = {"passed": PASS, "failed": FAIL, "unknown": UNKNOWN}


def _fit(states: np.ndarray, y: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
    size = states.shape[1]
    missing = (states == UNKNOWN).astype(float)
    design = np.hstack(
        [
            np.ones((len(y), 1)),
            (states == PASS).astype(float),
            missing[:, missing.any(axis=0)],
            indicators(pairs["product_id"]),
        ]
    )
    accounts = pairs["account_id"].to_numpy()
    free = fit_log_odds(design, y, accounts)
    worth = np.maximum(fit_log_odds(design, y, accounts, only_up=size).estimate[1 : size + 1], 0.0)
    learned = FULL_POINTS * worth / worth.sum() if worth.sum() > 0 else np.full(size, np.nan)
    own = slice(1, size + 1)
    return np.stack([learned, free.estimate[own], free.low[own], free.high[own]])
