"""Reasons in words: a row's contributions by signal family, relative to its product's average.

Never causal, never the price or the calendar: a column whose specification says ``reason: none`` takes part in the
score but is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from product_affinity.explain.comparisons import Comparisons
from product_affinity.project.families import FeatureColumn

MOST_REASONS = 3
REASONS = tuple(f"reason_{k + 1}" for k in range(MOST_REASONS))
SAYABLE = tuple(f"{name}_sayable" for name in (*REASONS, "caution"))
BASELINE = "baseline"
SHARE_COLUMNS = ("account_id", "product_id", "family", "share")


def reasons_for(
    contributions: pd.DataFrame,
    average: pd.DataFrame,
    values: pd.DataFrame,
    columns: Sequence[FeatureColumn],
    product: pd.Series,
    product_names: Mapping[str, str],
    comparisons: Comparisons | None = None,
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
    comparisons : what sentences compare with, rows as in `contributions`; without it they say the value alone.

    Returns
    -------
    DataFrame
        reason_1, reason_2, reason_3 and caution, null where there is none, and beside each `<name>_sayable`:
        whether it may be said to the customer, null where there is nothing to say; index of `contributions`.
    """
    shown = [column for column in columns if column.name in contributions]
    names = [column.name for column in shown]
    relative = _relative(contributions[names], average, product)
    cells = values[names].to_numpy(dtype=object)
    compared = _compared(comparisons, contributions.index)
    told = [
        _tell(shown, relative[row], {**compared[row], **dict(zip(names, cells[row], strict=True))},
              product_names[product_id])
        for row, product_id in enumerate(product)
    ]  # fmt: skip
    words = [[reason and reason[0] for reason in row] for row in told]
    sayable = [[reason and reason[1] for reason in row] for row in told]
    index = contributions.index
    return pd.concat(
        [
            pd.DataFrame(words, index=index, columns=[*REASONS, "caution"], dtype="str"),
            pd.DataFrame(sayable, index=index, columns=[*SAYABLE]).astype("boolean"),
        ],
        axis=1,
    )


def family_shares(
    contributions: pd.DataFrame,
    average: pd.DataFrame,
    columns: Sequence[FeatureColumn],
    account: pd.Series,
    product: pd.Series,
) -> pd.DataFrame:
    """Add the contributions up by family, relative to the product's average: the parts of a score, as a chart shows it.

    ``Σ share over all families of a pair, `baseline` included = log-odds of its propensity`` at the horizon of the
    contributions. `baseline` is the log-odds of a company that is average for the product in everything. An input
    that no family declares (`is_winback`) is a family of its own name.

    Parameters
    ----------
    contributions : additive contributions to the log-odds with their `baseline`, rows × inputs.
    average : the product's average contributions, product_id × inputs; 0 where a product has none.
    columns : the feature columns with their families.
    account, product : account_id and product_id of each row.

    Returns
    -------
    DataFrame
        account_id, product_id, family, share (log-odds); per row its baseline, then its families by name.
    """
    inputs = contributions.drop(columns=BASELINE)
    relative = _relative(inputs, average, product)
    family_of = {column.name: column.family for column in columns}
    families = pd.Index([family_of.get(name, name) for name in inputs.columns])
    names = sorted(set(families))
    parts = np.column_stack([relative[:, families == name].sum(axis=1) for name in names])
    # the averages that were taken out of the families belong to the company that is average in everything
    baseline = contributions[BASELINE].to_numpy() + (inputs.to_numpy() - relative).sum(axis=1)
    shares = np.column_stack([baseline, parts])
    return pd.DataFrame(
        {
            "account_id": np.repeat(account.to_numpy(), len(names) + 1),
            "product_id": np.repeat(product.to_numpy(), len(names) + 1),
            "family": np.tile([BASELINE, *names], len(contributions)),
            "share": shares.ravel(),
        }
    ).astype({"account_id": "str", "product_id": "str", "family": "str"})


def _relative(contributions: pd.DataFrame, average: pd.DataFrame, product: pd.Series) -> np.ndarray:
    reference = average.reindex(index=product, columns=contributions.columns).fillna(0.0).to_numpy(dtype=float)
    return np.asarray(contributions.to_numpy(dtype=float) - reference)


def _compared(comparisons: Comparisons | None, index: pd.Index) -> list[dict[str, object]]:
    """What each row may be compared with, by the names sentences use."""
    if comparisons is None:
        return [{}] * len(index)
    cells = comparisons.cells.reindex(index).astype(object).to_dict("records")
    days = {"as_of": comparisons.as_of, "since": comparisons.since}
    return [{**days, **{str(name): cell for name, cell in row.items()}} for row in cells]


Told = tuple[str, bool]


def _tell(
    columns: Sequence[FeatureColumn],
    relative: np.ndarray,
    words: Mapping[str, object],
    product_name: str,
) -> list[Told | None]:
    """Words of one row: the reasons for it, strongest family first, then the one against it."""
    families: dict[str, list[tuple[FeatureColumn, float]]] = {}
    for column, share in zip(columns, relative, strict=True):
        families.setdefault(column.family, []).append((column, float(share)))
    shares = {family: sum(share for _, share in parts) for family, parts in families.items()}
    ordered = sorted(shares, key=lambda family: (-shares[family], family))
    told = {family: _words(families[family], words, shares[family], product_name) for family in ordered}
    helping = [told[f] for f in ordered if shares[f] > 0 and told[f]][:MOST_REASONS]
    hindering = [told[f] for f in reversed(ordered) if shares[f] < 0 and told[f]][:1]
    return [*helping, *[None] * (MOST_REASONS - len(helping)), *(hindering or [None])]


def _words(
    family: Sequence[tuple[FeatureColumn, float]],
    words: Mapping[str, object],
    share: float,
    product_name: str,
) -> Told | None:
    """Words of the family's strongest column that may speak on the family's side and has all it would name."""
    side = "for" if share > 0 else "against"
    for column, effect in sorted(family, key=lambda pair: (-abs(pair[1]), pair[0].name)):
        value = words[column.name]
        if value is None or value != value or not isinstance(value, int | float | str):
            continue
        if effect * share > 0 and _may_speak(column, value, side, words.get(f"typical.{column.name}")):
            said = column.say(value, product=product_name, words=_agreeing(column, value, side, words))
            if said is not None:
                return said, column.sayable
    return None


def _may_speak(column: FeatureColumn, value: float | str, side: str, typical: object) -> bool:
    """Whether a value may speak on a side: nothing counted never for a row, nor against it where less is better."""
    if value == 0 and (side == "for" or column.said == "against"):
        return False
    if column.said not in ("more", "less"):
        return column.said in (side, "both")
    if not isinstance(value, int | float) or not isinstance(typical, int | float) or typical != typical:
        return True
    return value > typical if (column.said == "more") == (side == "for") else value < typical


def _agreeing(
    column: FeatureColumn, value: float | str, side: str, words: Mapping[str, object]
) -> Mapping[str, object]:
    """Leave out the earlier value where it would speak for the other side: "down from 43" is no reason for a play."""
    before = words.get(f"previous.{column.name}")
    if not isinstance(value, int | float) or not isinstance(before, int | float) or before != before:
        return words
    wants_more = (side == "for") != (column.said == "less")
    contradicts = value < before if wants_more else value > before
    return {name: cell for name, cell in words.items() if name != f"previous.{column.name}"} if contradicts else words
