"""Reasons in words: a row's contributions by signal family, relative to its product's average.

Never causal, never the price or the calendar: a column whose specification says ``reason: none`` takes part in the
score but is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from product_affinity.project.families import FeatureColumn

MOST_REASONS = 3


def reasons_for(
    contributions: pd.DataFrame,
    average: pd.DataFrame,
    values: pd.DataFrame,
    columns: Sequence[FeatureColumn],
    product: pd.Series,
    product_names: Mapping[str, str],
) -> pd.DataFrame:
    """Put up to three reasons for and one against into words.

    A family's share is the sum of its columns' contributions minus the product's average; it is shown with the
    words of its strongest column that has a value and points the same way.

    Parameters
    ----------
    contributions : additive contributions to the log-odds, rows × feature columns.
    average : the product's average contributions, product_id × feature columns.
    values : feature values of the rows.
    columns : the feature columns with their reason templates.
    product : product_id of each row.
    product_names : words for each product_id.

    Returns
    -------
    DataFrame
        reason_1, reason_2, reason_3 and caution, null where there is none; index of `contributions`.
    """
    told = [c for c in columns if c.name in contributions and c.reason]
    names = [c.name for c in told]
    relative = contributions[names].to_numpy() - average.reindex(product)[names].fillna(0.0).to_numpy()
    seen = values[names].notna().to_numpy()
    families = np.array([c.family for c in told])
    rows = []
    for position, product_id in enumerate(product):
        shares = {
            family: float(relative[position, families == family].sum()) for family in dict.fromkeys(families.tolist())
        }
        words = {
            family: _words(told, relative[position], seen[position], values.iloc[position], family, share, product_names[product_id])
            for family, share in shares.items()
        }
        ordered = sorted((family for family in shares if words[family]), key=lambda f: (-shares[f], f))
        helping = [words[f] for f in ordered if shares[f] > 0][:MOST_REASONS]
        hindering = [words[f] for f in reversed(ordered) if shares[f] < 0][:1]
        rows.append([*helping, *[None] * (MOST_REASONS - len(helping)), *(hindering or [None])])
    labels = [f"reason_{k + 1}" for k in range(MOST_REASONS)]
    return pd.DataFrame(rows, index=contributions.index, columns=[*labels, "caution"], dtype="str")


def _words(
    told: Sequence[FeatureColumn],
    relative: np.ndarray,
    seen: np.ndarray,
    values: pd.Series,
    family: str,
    share: float,
    product_name: str,
) -> str | None:
    """Words of the family's strongest column with a value that points the family's way."""
    candidates = [
        (abs(relative[k]), column.name, column)
        for k, column in enumerate(told)
        if column.family == family and seen[k] and relative[k] * share > 0
    ]
    if not candidates:
        return None
    column = max(candidates, key=lambda item: item[:2])[2]
    return column.say(values[column.name], product=product_name)
