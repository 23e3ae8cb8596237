"""What owners of one product adopt next, learnt at an as-of date from the starts known then.

For as-of T and look-back L, with b = day of an account's first paid start of target B:

    exposed(A, B)  accounts with a paid interval of A that began before b and ran at some time in [T − L, T),
                   where B was not adopted before T − L
    adopted(A, B)  those of them with T − L ≤ b < T that owned A on day b
    overall(B)     the same with "any other product" for A:  r_B = (adopted_B + k·r) / (exposed_B + k),
                   r = (Σ adopted + ½) / (Σ exposed + 1) over all products
    shrunk(A, B)   (adopted + k·r_B) / (exposed + k),  k = strength in accounts (empirical Bayes with fixed k)

Products started on the same day are no adoption of one by owners of the other: neither came first.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.spine.accounts import PAID

NEVER = np.iinfo(np.int64).max
# Which of them are usable at a date is decided when a rate is learnt at it.
PAID_INTERVALS = f"""
select sub.account_id, sub.product_id, sub.start_on, sub.end_on, sub._known_on, sub._superseded_on
from facts.subscriptions as sub
where {PAID}
order by all
"""


@dataclass(frozen=True)
class PaidIntervals:
    """Paid subscriptions as integer arrays, days since 1970; `end` is NEVER where none is known.

    Attributes
    ----------
    account, product : codes, products in the order of `product_ids`.
    start, end, known, superseded : days.
    product_ids : what the product codes stand for.
    """

    account: np.ndarray
    product: np.ndarray
    start: np.ndarray
    end: np.ndarray
    known: np.ndarray
    superseded: np.ndarray
    product_ids: tuple[str, ...]

    def usable_at(self, as_of: int) -> PaidIntervals:
        """Return what was known at `as_of`, with ends that lay ahead forgotten."""
        keep = (self.start < as_of) & (self.known < as_of) & (self.superseded >= as_of)
        return PaidIntervals(
            account=self.account[keep],
            product=self.product[keep],
            start=self.start[keep],
            end=np.where(self.end[keep] < as_of, self.end[keep], NEVER),
            known=self.known[keep],
            superseded=self.superseded[keep],
            product_ids=self.product_ids,
        )


def read_intervals(facts: Facts, product_ids: Sequence[str] | None = None) -> PaidIntervals:
    """Read the paid subscriptions.

    Parameters
    ----------
    facts : checked source tables.
    product_ids : products to consider, in the order of their codes; default those ever subscribed, sorted.
    """
    frame = facts.connection.execute(PAID_INTERVALS).df()
    ids = tuple(sorted(frame["product_id"].unique())) if product_ids is None else tuple(product_ids)
    product = pd.Index(ids).get_indexer(pd.Index(frame["product_id"]))
    known = product >= 0
    frame = frame[known]
    return PaidIntervals(
        account=pd.factorize(frame["account_id"], sort=True)[0],
        product=product[known],
        start=_days(frame["start_on"]),
        end=_days(frame["end_on"]),
        known=_days(frame["_known_on"]),
        superseded=_days(frame["_superseded_on"]),
        product_ids=ids,
    )


def _days(dates: pd.Series) -> np.ndarray:
    days = dates.to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(days), NEVER, days.astype("int64"))


def day_number(day: dt.date) -> int:
    """Days since 1970-01-01.

    >>> day_number(dt.date(1970, 1, 2))
    1
    """
    return (day - dt.date(1970, 1, 1)).days


@dataclass(frozen=True)
class Affinity:
    """Counts and rates of one as-of date, arrays of owned × target product.

    Attributes
    ----------
    exposed, adopted : accounts.
    shrunk : rate of adopting the target over the look-back, given the owned product (0–1).
    overall : rate of adopting each target, given any other product (0–1).
    """

    exposed: np.ndarray
    adopted: np.ndarray
    shrunk: np.ndarray
    overall: np.ndarray


def fit_affinity(intervals: PaidIntervals, as_of: int, lookback_days: int, strength: float) -> Affinity:
    """Learn the affinity of every pair of products at a date (formulas: module).

    Parameters
    ----------
    intervals : all paid intervals; those not usable at `as_of` are left out here.
    as_of : days since 1970.
    lookback_days : L, days.
    strength : k, accounts.
    """
    seen = intervals.usable_at(as_of)
    since, size = as_of - lookback_days, len(intervals.product_ids)
    accounts = int(intervals.account.max(initial=-1)) + 1
    first = np.full((accounts, size), NEVER)
    np.minimum.at(first, (seen.account, seen.product), seen.start)
    recent = seen.end > since
    owned = np.zeros((accounts, size))
    owned[seen.account[recent], seen.product[recent]] = 1
    missing = (first == NEVER).astype(float)
    exposed = owned.T @ missing
    exposed_any = _owns_another(owned, missing)

    adopters = _adopters(seen, recent, first, since)
    by_owned = adopters.groupby(["account", "target", "owned"], as_index=False)["held"].max()
    by_any = adopters.groupby(["account", "target"], as_index=False)["held"].max()
    adopted = np.zeros((size, size))
    np.add.at(exposed, (by_owned["owned"], by_owned["target"]), 1)
    np.add.at(adopted, (by_owned["owned"], by_owned["target"]), by_owned["held"])
    exposed_any += np.bincount(by_any["target"], minlength=size)
    adopted_any = np.bincount(by_any["target"], weights=by_any["held"], minlength=size)
    np.fill_diagonal(exposed, 0)

    base = (adopted_any.sum() + 0.5) / (exposed_any.sum() + 1)
    overall = (adopted_any + strength * base) / (exposed_any + strength)
    shrunk = (adopted + strength * overall) / (exposed + strength)
    return Affinity(exposed, adopted, shrunk, overall)


def _owns_another(owned: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Per target, the accounts that never had it and owned anything."""
    return np.asarray(owned.max(axis=1, initial=0.0) @ missing)


def _adopters(seen: PaidIntervals, recent: np.ndarray, first: np.ndarray, since: int) -> pd.DataFrame:
    """Recent first starts beside every interval that began before: account, target, owned, held (0 or 1)."""
    account, target = np.nonzero((first != NEVER) & (first >= since))
    starts = pd.DataFrame({"account": account, "target": target, "on": first[account, target]})
    intervals = pd.DataFrame(
        {
            "account": seen.account[recent],
            "owned": seen.product[recent],
            "start": seen.start[recent],
            "end": seen.end[recent],
        }
    )
    beside = starts.merge(intervals, on="account")
    beside = beside[(beside["owned"] != beside["target"]) & (beside["start"] < beside["on"])]
    return beside.assign(held=(beside["on"] < beside["end"]).astype(float))


def affinity_matrix(facts: Facts, as_of: dt.date, lookback_days: int = 365, strength: float = 20.0) -> pd.DataFrame:
    """Learn the affinity matrix of a date from the subscriptions known then (formulas: module).

    Parameters
    ----------
    facts : checked source tables.
    as_of : only facts strictly before it are used.
    lookback_days : L, days.
    strength : k, accounts; weight of the target's overall rate.

    Returns
    -------
    DataFrame
        owned_product, target_product, exposed and adopted (accounts), rate (adopted ÷ exposed, missing where
        nobody was exposed) and shrunk_rate, 0–1; every ordered pair of products ever subscribed, sorted.
    """
    intervals = read_intervals(facts)
    fitted = fit_affinity(intervals, day_number(as_of), lookback_days, strength)
    ids = np.array(intervals.product_ids, dtype=object)
    owned, target = np.nonzero(~np.eye(len(ids), dtype=bool))
    exposed, adopted = fitted.exposed[owned, target], fitted.adopted[owned, target]
    return pd.DataFrame(
        {
            "owned_product": pd.Series(ids[owned], dtype="str"),
            "target_product": pd.Series(ids[target], dtype="str"),
            "exposed": exposed.astype("int64"),
            "adopted": adopted.astype("int64"),
            "rate": np.divide(adopted, exposed, out=np.full(len(owned), np.nan), where=exposed > 0),
            "shrunk_rate": fitted.shrunk[owned, target],
        }
    )
