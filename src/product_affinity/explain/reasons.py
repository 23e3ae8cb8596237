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
REASONS = tuple(f"reason_{k + 1}" for k in range(MOST_REASONS))


def reasons_for(
    contributions: pd.DataFrame,
    average: pd.DataFrame,
    values: pd.DataFrame,
    columns: Sequence[FeatureColumn],
    product: pd.Series,
    product_names: Mapping[str, str],
) -> pd.DataFrame:
    """Put up to three reasons for and one against into words.

    A family's share is the sum of its columns' contributions minus the product's average. It is shown with the
    words of its strongest column that has a value, points the same way and may be said on that side; a count of
    nothing speaks for no row.

    Parameters
    ----------
    contributions : additive contributions to the log-odds, rows × feature columns.
    average : the product's average contributions, product_id × feature columns; 0 where a product has none.
    values : feature values of the rows.
    columns : the feature columns with their reason templates.
    product : product_id of each row.
    product_names : words for each product_id.

    Returns
    -------
    DataFrame
        reason_1, reason_2, reason_3 and caution, null where there is none; index of `contributions`.
    """
    shown = [column for column in columns if column.name in contributions]
    names = [column.name for column in shown]
    reference = average.reindex(index=product, columns=names).fillna(0.0).to_numpy()
    relative = contributions[names].to_numpy() - reference
    cells = values[names].to_numpy(dtype=object)
    told = [
        _tell(shown, relative[row], dict(zip(names, cells[row], strict=True)), product_names[product_id])
        for row, product_id in enumerate(product)
    ]
    return pd.DataFrame(told, index=contributions.index, columns=[*REASONS, "caution"], dtype="str")


def _tell(
    columns: Sequence[FeatureColumn],
    relative: np.ndarray,
    values: Mapping[str, float | str],
    product_name: str,
) -> list[str | None]:
    """Words of one row: the reasons for it, strongest family first, then the one against it."""
    shares: dict[str, float] = {}
    for column, share in zip(columns, relative, strict=True):
        shares[column.family] = shares.get(column.family, 0.0) + float(share)
    ordered = sorted(shares, key=lambda family: (-shares[family], family))
    words = {
        family: _words([pair for pair in zip(columns, relative, strict=True) if pair[0].family == family],
                       values, shares[family], product_name)
        for family in ordered
    }  # fmt: skip
    helping = [words[f] for f in ordered if shares[f] > 0 and words[f]][:MOST_REASONS]
    hindering = [words[f] for f in reversed(ordered) if shares[f] < 0 and words[f]][:1]
    return [*helping, *[None] * (MOST_REASONS - len(helping)), *(hindering or [None])]


def _words(
    family: Sequence[tuple[FeatureColumn, float]],
    values: Mapping[str, float | str],
    share: float,
    product_name: str,
) -> str | None:
    """Words of the family's strongest column that may speak on the family's side."""
    side = "for" if share > 0 else "against"
    for column, effect in sorted(family, key=lambda pair: (-abs(pair[1]), pair[0].name)):
        value = values[column.name]
        nothing = value is None or value != value or (side == "for" and value == 0)
        if column.reason and column.said in (side, "both") and effect * share > 0 and not nothing:
            return column.say(value, product=product_name)
    return None
