"""Judge conditions over the evidence: does it hold, what was seen, and on which day will time alone turn it?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.project.playbook.conditions import Comparison, EvidenceCondition
from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS, EvidenceColumn
from product_affinity.rules.criteria import FAIL, PASS, UNKNOWN, Scope
from product_affinity.rules.months import day_of_month_count

_COMPARE = {"above": np.greater, "at_least": np.greater_equal, "below": np.less, "at_most": np.less_equal}
_FEEDS = {
    "accounts": "account feed",
    "subscriptions": "subscription feed",
    "tickets": "ticket feed",
    "surveys": "survey feed",
    "contacts": "contact feed",
    "signals": "signal feed",
    "problems": "record of problems",
    "implementations": "record of implementations",
    "feature_usage": "feature usage feed",
    "usage": "usage feed",
    "health": "health feed",
}
# Of a value that grows: the comparisons that turn true once it has strictly passed the bound, or false.
_STRICT: tuple[Comparison, ...] = ("above", "at_most")
_GROWS_TRUE: tuple[Comparison, ...] = ("above", "at_least")


@dataclass(frozen=True)
class Judged:
    """One condition over many rows.

    Attributes
    ----------
    condition : the condition.
    holds : int8 per row: `PASS` it holds, `FAIL` it does not, `UNKNOWN`.
    value : the number seen, NaN where unknown and for texts.
    bound : the bound for the row, NaN for texts.
    source : position in `condition.columns` of the column used, per row.
    absent : whether nobody could answer it: its tables are absent, or the column has not a single value.
    why_unknown : why it is unknown where it is.
    evidence : the rows it was judged over.
    """

    condition: EvidenceCondition
    holds: np.ndarray
    value: np.ndarray
    bound: np.ndarray
    source: np.ndarray
    absent: bool
    why_unknown: str
    evidence: pd.DataFrame

    def column(self, position: int) -> EvidenceColumn:
        """Return the definition of the column used by rows whose `source` is `position`."""
        return EVIDENCE_COLUMNS[self.condition.columns[position]]

    def turns_on(self, rows: np.ndarray, *, wanted: bool) -> np.ndarray:
        """Return the day these rows' answer turns to `wanted` by time alone, datetime64[D]; NaT where it does not.

        Parameters
        ----------
        rows : positions of rows whose answer is not `wanted` now.
        wanted : whether the condition shall hold.
        """
        turned = np.full(len(rows), "NaT", dtype="datetime64[D]")
        condition = self.condition
        if condition.one_of or (condition.comparison in _GROWS_TRUE) != wanted:
            return turned
        for position in range(len(condition.columns)):
            column = self.column(position)
            chosen = (self.source[rows] == position) & np.isfinite(self.value[rows])
            if column.since is None or not chosen.any():
                continue
            since = self.evidence[column.since].to_numpy().astype("datetime64[D]")[rows[chosen]]
            turned[chosen] = _reached(column, since, self.bound[rows[chosen]], condition.comparison in _STRICT)
        return turned


def judge(condition: EvidenceCondition, evidence: pd.DataFrame, tables: Collection[str]) -> Judged:
    """Judge one condition for every row of the evidence.

    Parameters
    ----------
    condition : the condition.
    evidence : rows of `build_evidence`.
    tables : source tables the company has.
    """
    columns = [EVIDENCE_COLUMNS[name] for name in condition.columns]
    absent = all(_is_absent(column, evidence, tables) for column in columns)
    if condition.one_of:
        return _judge_text(condition, columns[0], evidence, absent, _why_unknown(columns[0], tables))
    value = np.full(len(evidence), np.nan)
    source = np.zeros(len(evidence), dtype=np.int8)
    for position, name in enumerate(condition.columns):
        seen = evidence[name].to_numpy(dtype=float, na_value=np.nan)
        missing = np.isnan(value)
        source[missing & ~np.isnan(seen)] = position
        value = np.where(missing, seen, value)
    bound = _bounds(condition, evidence)
    with np.errstate(invalid="ignore"):
        holds = np.where(_COMPARE[condition.comparison](value, bound), PASS, FAIL).astype(np.int8)
    holds[np.isnan(value)] = UNKNOWN
    return Judged(condition, holds, value, bound, source, absent, _why_unknown(columns[-1], tables), evidence)


def _judge_text(
    condition: EvidenceCondition, column: EvidenceColumn, evidence: pd.DataFrame, absent: bool, why: str
) -> Judged:
    text = evidence[column.name]
    holds = np.where(text.isin(condition.one_of), PASS, FAIL).astype(np.int8)
    if column.tables:
        holds[text.isna().to_numpy()] = UNKNOWN
    nothing = np.full(len(evidence), np.nan)
    return Judged(condition, holds, nothing, nothing, np.zeros(len(evidence), dtype=np.int8), absent, why, evidence)


def _why_unknown(column: EvidenceColumn, tables: Collection[str]) -> str:
    if any(table in tables for table in column.tables):
        return column.missing
    return f"no {' and no '.join(_FEEDS[table] for table in column.tables)}" if column.tables else column.missing


def _is_absent(column: EvidenceColumn, evidence: pd.DataFrame, tables: Collection[str]) -> bool:
    if not column.tables:
        return False
    if not any(table in tables for table in column.tables):
        return True
    return not column.expires and bool(evidence[column.name].isna().all())


def _bounds(condition: EvidenceCondition, evidence: pd.DataFrame) -> np.ndarray:
    """The bound of each row; the last override that matches counts."""
    bound = np.full(len(evidence), condition.bound)
    for override in condition.overrides:
        matches = np.ones(len(evidence), dtype=bool)
        for column, wanted in (
            ("segment", override.segment),
            ("product_id", override.product),
            ("rule_set", override.rule_set),
        ):
            if wanted is not None:
                matches &= evidence[column].eq(wanted).fillna(False).to_numpy(dtype=bool)
        bound[matches] = override.bound
    return bound


def _reached(column: EvidenceColumn, since: np.ndarray, bound: np.ndarray, strictly: bool) -> np.ndarray:
    if column.unit == "months":
        return day_of_month_count(since, bound, strictly=strictly)
    days = np.floor(bound) + 1 if strictly else np.ceil(bound)
    reached: np.ndarray = since + days.astype("timedelta64[D]")
    return reached


def scope_of(conditions: Iterable[EvidenceCondition]) -> Scope:
    """Pair where a column of pair grain is asked or a bound differs by product, else account."""
    of_pair = [
        any(EVIDENCE_COLUMNS[name].grain == "pair" for name in condition.columns)
        or any(override.product is not None for override in condition.overrides)
        for condition in conditions
    ]
    return "pair" if any(of_pair) else "account"


def join_all(judged: Sequence[Judged]) -> np.ndarray:
    """All must hold: one that does not decides, then one unknown."""
    states = np.stack([each.holds for each in judged])
    joined = np.where((states == UNKNOWN).any(axis=0), UNKNOWN, PASS)
    return np.where((states == FAIL).any(axis=0), FAIL, joined).astype(np.int8)


def join_any(judged: Sequence[Judged]) -> np.ndarray:
    """One must hold: one that does decides, then one unknown."""
    states = np.stack([each.holds for each in judged])
    joined = np.where((states == UNKNOWN).any(axis=0), UNKNOWN, FAIL)
    return np.where((states == PASS).any(axis=0), PASS, joined).astype(np.int8)
