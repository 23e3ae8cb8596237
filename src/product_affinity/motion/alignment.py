"""Bring facts about accounts and pairs to the rows of a night, by position."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt
import pandas as pd

Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
NO_DAY = np.datetime64("NaT", "D")


class Alignment:
    """The rows of a night, found again by account and by pair.

    Parameters
    ----------
    rows : account_id, product_id; unique.
    as_of : the night's as-of date.

    Raises
    ------
    ValueError : a pair appears twice; the message names the first.
    """

    def __init__(self, rows: pd.DataFrame, as_of: dt.date) -> None:
        twice = rows.duplicated(["account_id", "product_id"]).to_numpy()
        if twice.any():
            first = rows.iloc[int(twice.argmax())]
            raise ValueError(f"pair {first['account_id']}, {first['product_id']} appears twice")
        self.as_of = np.datetime64(as_of, "D")
        self.size = len(rows)
        self.account, accounts = pd.factorize(rows["account_id"])
        self.product, products = pd.factorize(rows["product_id"])
        self._accounts, self._products = pd.Index(accounts), pd.Index(products)
        self._pair = self.account * len(self._products) + self.product
        self._sorted = np.argsort(self._pair)

    def lines(self, frame: pd.DataFrame) -> Positions:
        """Line of `frame` (unique account_id) that belongs to each row, −1 where it has none."""
        at = self._accounts.get_indexer(pd.Index(frame["account_id"]))
        line = np.full(len(self._accounts), -1, dtype=np.int64)
        line[at[at >= 0]] = np.flatnonzero(at >= 0)
        return line[self.account]

    def pair_lines(self, frame: pd.DataFrame) -> Positions:
        """Line of `frame` (unique account_id, product_id) that belongs to each row, −1 where it has none."""
        account = self._accounts.get_indexer(pd.Index(frame["account_id"]))
        product = self._products.get_indexer(pd.Index(frame["product_id"]))
        known = np.flatnonzero((account >= 0) & (product >= 0))
        line = np.full(self.size, -1, dtype=np.int64)
        if known.size and self.size:
            key = account[known] * len(self._products) + product[known]
            place = np.searchsorted(self._pair, key, sorter=self._sorted).clip(max=self.size - 1)
            row = self._sorted[place]
            is_here = self._pair[row] == key
            line[row[is_here]] = known[is_here]
        return line

    def any_of_account(self, flags: Flags) -> Flags:
        """Rows of accounts of which some row is flagged."""
        flagged = np.zeros(len(self._accounts), dtype=bool)
        flagged[self.account[flags]] = True
        return flagged[self.account]

    def first_row_of(self, frame: pd.DataFrame) -> Positions:
        """Position of some row of each line's account, −1 where the account has no row."""
        first = np.full(len(self._accounts), -1, dtype=np.int64)
        first[self.account[::-1]] = np.arange(self.size)[::-1]
        at = self._accounts.get_indexer(pd.Index(frame["account_id"]))
        return np.where(at >= 0, first[at] if first.size else -1, -1)


def taken(values: pd.Series, lines: Positions) -> npt.NDArray[np.float64]:
    """Numbers of `values` by line, NaN where the line is −1."""
    numbers = np.append(values.to_numpy(dtype=float, na_value=np.nan), np.nan)
    return numbers[lines]


def taken_days(values: pd.Series, lines: Positions) -> Days:
    """Days of a date column by line, NaT where the line is −1 or the date is missing."""
    return np.append(days_of(values), NO_DAY)[lines]


def days_of(values: pd.Series) -> Days:
    """Calendar days of a date column, NaT where missing."""
    return pd.to_datetime(values).to_numpy().astype("datetime64[D]")


def plus_days(days: Days, count: npt.NDArray[np.float64]) -> Days:
    """`count` days later; NaT where either is missing."""
    known = ~np.isnan(count)
    later = days + np.where(known, count, 0).astype("timedelta64[D]")
    return np.where(known, later, NO_DAY)


def plus_months(days: Days, count: float) -> Days:
    """`count` calendar months later (a fraction as thirtieths of a month), never beyond the month's last day.

    >>> plus_months(np.array(["2026-01-31"], dtype="datetime64[D]"), 1).astype(str).tolist()
    ['2026-02-28']
    """
    whole = int(count)
    shifted = pd.DatetimeIndex(days.astype("datetime64[s]")) + pd.DateOffset(
        months=whole, days=round(30 * (count - whole))
    )
    return shifted.to_numpy().astype("datetime64[D]")
