"""Rates learnt at each as-of date from the facts known then: affinity, peers and the recent adoption rate.

affinity (formulas: `affinity`), over the account's owned products A and target B
    max            max_A shrunk(A, B)
    log_odds_sum   logit r_B + Σ_A (logit shrunk(A, B) − logit r_B): independent evidence added in log-odds
peers, for an account of group g (segment and further columns) in segment s, itself left out
    (own_g + k·own_s / (n_s − 1)) / (n_g − 1 + k)
recent_rate, an expected adoption per white-space pair over the horizon H, in log-odds
    h   = (Σ adopted + ½) / (Σ days + k·L)            adoptions a day, all products
    h_B = (adopted_B + k·L·h) / (days_B + k·L)
    log(exp(h_B·H) − 1) = logit(1 − exp(−h_B·H))
    days_B: account-days of the look-back on which a customer did not have B, from its first paid start and
    B's launch on, to its last end, times the share of pairs without B that are open to adoption at the date
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from product_affinity.contracts.facts import Facts
from product_affinity.features.affinity import NEVER, PaidIntervals, day_number, fit_affinity, read_intervals
from product_affinity.features.keys import FeatureRows
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import Encoding, FeatureFamily
from product_affinity.project.feature_columns import column_name


def encode(
    facts: Facts,
    families: tuple[FeatureFamily, ...],
    launched: np.ndarray,
    rows: FeatureRows,
    *,
    horizon_days: int,
) -> dict[str, np.ndarray]:
    """Return the columns of all encodings, in the order of the pair rows.

    Parameters
    ----------
    facts : checked source tables.
    families : families with their encodings.
    launched : launch day of each product, days since 1970, in catalogue order; very small where unknown.
    rows : the feature rows.
    horizon_days : H of an offset, days.
    """
    columns: dict[str, np.ndarray] = {}
    intervals = read_intervals(facts, rows.product_ids)
    for family in families:
        for name, encoding in family.encodings.items():
            prefix = column_name(family.family, name)
            if encoding.form == "affinity":
                columns |= _affinity(prefix, encoding, intervals, rows)
            elif encoding.form == "peers":
                columns[prefix] = _peers(encoding, rows)
            else:
                columns[prefix] = _recent_rate(encoding, intervals, launched, rows, horizon_days)
    return columns


def _by_date(rows: FeatureRows) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield each date's code, its day number and the positions of its pairs."""
    t = rows.pair["t"].to_numpy()
    order = np.argsort(t, kind="stable")
    bounds = np.searchsorted(t[order], np.arange(len(rows.as_ofs) + 1))
    for code, as_of in enumerate(rows.as_ofs):
        yield code, day_number(as_of), order[bounds[code] : bounds[code + 1]]


def _owned_matrix(rows: FeatureRows) -> np.ndarray:
    owned = np.zeros((len(rows.account), len(rows.product_ids)), dtype=bool)
    owned[rows.owned["spine_row"], rows.owned["k"]] = True
    return owned


def logit(share: np.ndarray) -> np.ndarray:
    """Log-odds of a share strictly between 0 and 1.

    >>> logit(np.array([0.5]))
    array([0.])
    """
    return np.asarray(np.log(share) - np.log1p(-share))


def _affinity(prefix: str, encoding: Encoding, intervals: PaidIntervals, rows: FeatureRows) -> dict[str, np.ndarray]:
    owned = _owned_matrix(rows)
    best, added = np.full(len(rows.pair), np.nan), np.full(len(rows.pair), np.nan)
    target, spine_row = rows.pair["k"].to_numpy(), rows.pair["spine_row"].to_numpy()
    for _, as_of, at in _by_date(rows):
        fitted = fit_affinity(intervals, as_of, encoding.lookback_days or 0, encoding.strength)
        base = logit(fitted.overall)[target[at]]
        evidence, maximum = np.zeros(len(at)), np.full(len(at), np.nan)
        # Products one after the other, so that sums never depend on threads.
        for product in range(len(rows.product_ids)):
            holds = owned[spine_row[at], product]
            rate = fitted.shrunk[product, target[at]]
            evidence += np.where(holds, logit(rate) - base, 0.0)
            maximum = np.where(holds, np.fmax(maximum, rate), maximum)
        best[at] = maximum
        added[at] = np.where(np.isnan(maximum), np.nan, base + evidence)
    values = {"max": best, "log_odds_sum": added}
    return {f"{prefix}_{how}": values[how] for how in encoding.combine}


def _peers(encoding: Encoding, rows: FeatureRows) -> np.ndarray:
    owned = _owned_matrix(rows).astype(float)
    segments = _group_totals(rows, ["segment"], owned)
    groups = _group_totals(rows, list(encoding.given), owned)
    at, target = rows.pair["spine_row"].to_numpy(), rows.pair["k"].to_numpy()
    size, share = segments[0][at] - 1, segments[1][at, target]
    with np.errstate(divide="ignore", invalid="ignore"):
        segment_rate = np.where(size > 0, share / size, np.nan)
    # An account without, say, an industry has no group of its own: its segment's rate alone.
    others = np.maximum(groups[0][at] - 1, 0)
    return np.asarray((groups[1][at, target] + encoding.strength * segment_rate) / (others + encoding.strength))


def _group_totals(rows: FeatureRows, names: list[str], owned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per account row: size of its group at its date, owners of each product in it; 0 without a group."""
    code = rows.account.groupby(["t", *names], dropna=True, sort=False).ngroup().to_numpy()
    code = np.where(rows.account[names].isna().any(axis=1), -1, code).astype("int64")
    grouped = code >= 0
    size = np.bincount(code[grouped], minlength=1)
    owners = np.zeros((len(size), owned.shape[1]))
    np.add.at(owners, code[grouped], owned[grouped])
    return np.where(grouped, size[code], 0), np.where(grouped[:, None], owners[code], 0.0)


def _recent_rate(
    encoding: Encoding, intervals: PaidIntervals, launched: np.ndarray, rows: FeatureRows, horizon_days: int
) -> np.ndarray:
    offset = np.full(len(rows.pair), np.nan)
    target, lookback = rows.pair["k"].to_numpy(), encoding.lookback_days or 0
    for code, as_of, at in _by_date(rows):
        adopted, days = _exposure(intervals.usable_at(as_of), as_of, lookback, launched)
        open_pairs = np.bincount(target[at], minlength=len(launched))
        without = np.maximum(open_pairs + rows.barred[code], 1)
        days = days * open_pairs / without
        weight = encoding.strength * lookback
        hazard = (adopted.sum() + 0.5) / (days.sum() + weight)
        hazards = (adopted + weight * hazard) / (days + weight)
        offset[at] = np.log(np.expm1(hazards * horizon_days))[target[at]]
    return offset


def _exposure(
    seen: PaidIntervals, as_of: int, lookback_days: int, launched: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Adoptions after an account's first start, and account-days without the product, per product."""
    since, size = as_of - lookback_days, len(launched)
    accounts = int(seen.account.max(initial=-1)) + 1
    first = np.full((accounts, size), NEVER)
    np.minimum.at(first, (seen.account, seen.product), seen.start)
    began, ended = np.full(accounts, NEVER), np.full(accounts, 0)
    np.minimum.at(began, seen.account, seen.start)
    np.maximum.at(ended, seen.account, seen.end)
    adopted = ((first >= since) & (first != NEVER) & (first > began[:, None])).sum(axis=0)
    end = np.minimum(np.minimum(first, ended[:, None]), as_of)
    begin = np.maximum(np.maximum(began[:, None], launched[None, :]), since)
    return adopted.astype(float), np.maximum(end - begin, 0).sum(axis=0).astype(float)


def launch_days(catalog: Catalog) -> np.ndarray:
    """Launch days in catalogue order, days since 1970, far in the past where unknown."""
    days = np.array([product.launched_on or "NaT" for product in catalog], dtype="datetime64[D]")
    return np.where(np.isnat(days), -NEVER // 2, days.astype("int64"))
