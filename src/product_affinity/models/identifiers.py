"""Products, accounts and as-of dates of rows, as integer codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from product_affinity.models.encoding import IntVector

_EPOCH = pd.Timestamp("1970-01-01")
#: numbers beyond it are no days: today is some 21,000 since 1970 and 2.46 million on the Julian scale
LAST_DAY = 3_000_000


@dataclass(frozen=True)
class RowKeys:
    """Product, account and as-of day of each row.

    Parameters
    ----------
    codes : ndarray of int of shape (n,)
        Product code: 0 without products, -1 for an unseen one.
    accounts : ndarray of int of shape (n,) or None
        Account code.
    days : ndarray of int of shape (n,) or None
        As-of date in days.

    """

    codes: IntVector
    accounts: IntVector | None
    days: IntVector | None


def row_keys(product: Any, products: tuple[str | int, ...], account: Any, as_of: Any, row_count: int) -> RowKeys:
    """Codes of products, accounts and days, as far as they are given."""
    return RowKeys(
        product_codes(product, products, row_count),
        None if account is None else account_codes(account, row_count),
        None if as_of is None else as_of_days(as_of, row_count),
    )


def known_products(product: Any, row_count: int, counted: npt.NDArray[np.bool_]) -> tuple[str | int, ...]:
    """Distinct products of the rows that count, in order; empty without products.

    Raises
    ------
    ValueError
        If a product is missing, or neither text nor a whole number.

    Examples
    --------
    >>> known_products(["crm", "billing", "crm"], 3, np.ones(3, dtype=bool))
    ('billing', 'crm')

    """
    if product is None:
        return ()
    distinct = pd.unique(_column(product, "product", row_count)[counted])
    names = [_product_name(value) for value in distinct]
    if len({type(name) for name in names}) > 1:
        raise ValueError("product: some products are text and some are numbers. Use one of both.")
    return tuple(sorted(names))


def new_products(product: Any, products: tuple[str | int, ...], row_count: int) -> tuple[str | int, ...]:
    """Distinct products of the rows that are not among ``products``, in order; none without products.

    Examples
    --------
    >>> new_products(["new", "crm", "new"], ("billing", "crm"), 3)
    ('new',)

    """
    found = known_products(product, row_count, np.ones(row_count, dtype=bool))
    return tuple(name for name in found if name not in products)


def product_codes(product: Any, products: tuple[str | int, ...], row_count: int) -> IntVector:
    """Position of each row's product in ``products``; -1 for an unseen one, 0 without products.

    Raises
    ------
    ValueError
        If products are numbers where the known ones are text, or the reverse: all would count as unseen.

    Examples
    --------
    >>> product_codes(["crm", "new"], ("billing", "crm"), 2)
    array([ 1, -1])

    """
    if product is None:
        return np.zeros(row_count, dtype=np.int64)
    codes, distinct = pd.factorize(_column(product, "product", row_count))
    position = {name: at for at, name in enumerate(products)}
    names = [_product_name(value) for value in distinct]
    strange = next((name for name in names if type(name) is not type(products[0])), None)
    if strange is not None:
        own, known = ("a number", "text") if isinstance(strange, int) else ("text", "numbers")
        raise ValueError(f"product: {strange!r} is {own}, but the classifier was fitted with {known}: {products[0]!r}.")
    lookup = np.array([position.get(name, -1) for name in names], dtype=np.int64)
    return np.asarray(lookup[codes], dtype=np.int64)


def account_codes(account: Any, row_count: int) -> IntVector:
    """Integer code of each row's account, in order of the account's text."""
    text = _column(account, "account", row_count).astype(str)
    codes: IntVector = np.unique(text.to_numpy(dtype=str), return_inverse=True)[1]
    return codes


def as_of_days(as_of: Any, row_count: int) -> IntVector:
    """Day number of each row's as-of date; numbers count as days already.

    Raises
    ------
    ValueError
        If a value is missing or no date, or a number beyond ``LAST_DAY``: months of dates like 20260630 or of seconds
        would not be some thirty days apart.

    Examples
    --------
    >>> as_of_days(["1970-01-02", "1970-02-01"], 2)
    array([ 1, 31])

    """
    column = _column(as_of, "as_of", row_count)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    # pandas would read numbers of an object column as nanoseconds
    column = column.infer_objects()
    if pd.api.types.is_numeric_dtype(column.dtype):
        days = np.floor(column.to_numpy(dtype=np.float64))
        # infinity too
        strange = ~(np.abs(days) <= LAST_DAY)
        if strange.any():
            row = int(np.argmax(strange))
            raise ValueError(
                f"as_of: {column.iloc[row]} in row {row} is no day number. Pass dates or day numbers; "
                "read others by pandas.to_datetime(…, format='%Y%m%d') or unit='s'."
            )
        return np.asarray(days, dtype=np.int64)
    try:
        dates = pd.to_datetime(column)
    except (ValueError, TypeError) as error:
        raise ValueError(f"as_of: a value is no date ({error}). Pass dates or day numbers.") from None
    if dates.dt.tz is not None:
        dates = dates.dt.tz_localize(None)
    return np.asarray((dates - _EPOCH) // pd.Timedelta(days=1), dtype=np.int64)


def _column(values: Any, argument: str, row_count: int) -> pd.Series[Any]:
    if not isinstance(values, pd.Series | list | tuple):
        values = np.asarray(values)
        if values.ndim != 1:
            raise ValueError(f"{argument}: one value a row is needed, but its shape is {values.shape}.")
    column = values if isinstance(values, pd.Series) else pd.Series(values)
    if len(column) != row_count:
        raise ValueError(f"{argument}: {len(column)} values for {row_count} rows of X.")
    if column.isna().any():
        raise ValueError(f"{argument}: row {int(np.argmax(column.isna()))} is missing. Fill or drop it.")
    return column


def _product_name(value: object) -> str | int:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    raise ValueError(f"product: {value!r} is neither text nor a whole number. Pass text, or numbers as integers.")
