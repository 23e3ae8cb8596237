"""Build the feature tables of many as-of dates at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from product_affinity.contracts.days import days_query, days_relation
from product_affinity.contracts.facts import Facts, usable
from product_affinity.errors import ContractError
from product_affinity.features.derive import derive
from product_affinity.features.descriptors import describe_accounts, describe_targets
from product_affinity.features.encodings import encode, launch_days
from product_affinity.features.keys import ACCOUNT_KEYS, PAIR_KEYS, FeatureRows, build_rows, registered
from product_affinity.features.queries import run_queries
from product_affinity.features.scans import Change, Measure, Scan, plan_scans
from product_affinity.features.tiles import FIRST_DAY, build_days, compile_scan, source_relation
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily, derivations, feature_columns
from product_affinity.schema import TABLES

Columns = dict[str, np.ndarray]
# Account × date; in the benchmark ten million rows of use, whose tiles need less than a gigabyte.
ROWS_AT_ONCE = 250_000


@dataclass(frozen=True)
class FeatureTables:
    """Features of both grains, columns in declared order, rows sorted by their keys.

    Attributes
    ----------
    account : account_id, as_of and the columns of grain `account`.
    pair : account_id, product_id, as_of and the columns of grain `pair`; pairs in pipeline and white space.
    """

    account: pd.DataFrame
    pair: pd.DataFrame


def build_features(
    facts: Facts,
    catalog: Catalog,
    families: tuple[FeatureFamily, ...],
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    horizon_days: int = 90,
) -> FeatureTables:
    """Build every declared column for every row of the spine and every pair that may still adopt.

    Parameters
    ----------
    facts : checked source tables; only rows usable at a row's as-of date count in it.
    catalog : the products.
    families : declared signals.
    spine : active customers; account_id, as_of (midnight), segment, industry, region, country, arr_usd.
    pairs : account_id, product_id, as_of, status; every account × product of the spine.
    horizon_days : days that an offset's expected rate is scaled to.

    Raises
    ------
    UsageError : a signal or a query names a column its table does not have.
    ContractError : a sum leaves the range of exact numbers.
    """
    rows = build_rows(catalog, spine, pairs)
    if rows.account.empty:
        return _tables(families, rows, {})
    columns: Columns = {}
    with registered(facts, catalog, rows):
        scans, changes = plan_scans(families, facts, one_date=len(rows.as_ofs) == 1)
        sources = sorted({scan.reading.source for scan in scans})
        coverage = {source: _coverage(facts, source, scans) for source in sources}
        for scan in scans:
            columns |= _run(facts, scan, rows, coverage[scan.reading.source])
        for change in changes:
            columns[change.name] = _compare(change, columns, rows, coverage[change.source])
        columns |= run_queries(facts, catalog, families, rows)
        columns |= encode(facts, families, launch_days(catalog), rows, horizon_days=horizon_days)
    columns |= describe_accounts(families, rows.account) | describe_targets(families, catalog, rows)
    return _tables(families, rows, columns)


def assemble(rows: pd.DataFrame, tables: FeatureTables) -> pd.DataFrame:
    """Put both grains beside `rows`, in their order and with their index.

    Parameters
    ----------
    rows : account_id, product_id, as_of and anything else; each at most once among the pairs of `tables`.
    tables : result of `build_features`.
    """
    joined = rows.merge(tables.account, on=ACCOUNT_KEYS, how="left", validate="m:1")
    joined = joined.merge(tables.pair, on=PAIR_KEYS, how="left", validate="m:1")
    return joined.set_axis(rows.index)


@dataclass(frozen=True)
class _Coverage:
    """What a table had at each as-of date.

    Attributes
    ----------
    has_rows : whether it had a usable row.
    first_day : its first usable event day.
    fills : per optional column, whether a usable row had a value.
    """

    has_rows: np.ndarray
    first_day: np.ndarray
    fills: Mapping[str, np.ndarray]

    def holds(self, as_ofs: Sequence[dt.date], reach_days: int | None, columns: Sequence[str] = ()) -> np.ndarray:
        """Whether each date's window, `reach_days` long, lies within what the table covers."""
        covered = self.has_rows
        if reach_days is not None:
            # Comparing with NaT is false: without any dated row no window is covered.
            covered = np.array(as_ofs, dtype="datetime64[D]") - reach_days >= self.first_day
        return np.asarray(np.logical_and.reduce([covered, *(self.fills[name] for name in columns)]))


def _coverage(facts: Facts, source: str, scans: Sequence[Scan]) -> _Coverage:
    measures = [measure for scan in scans if scan.reading.source == source for measure in scan.measures]
    columns = sorted({column for measure in measures for column in measure.columns})
    filled = "".join(f', coalesce(bool_or(days."has_{name}"), false) as "{name}"' for name in columns)
    frame = facts.connection.execute(
        f"""
        select
            dates.t, count(days._event_on) > 0 as has_rows,
            min(case when days._event_on > {FIRST_DAY} then days._event_on end) as first_day{filled}
        from fe_dates as dates
        left join {_days(facts, source)} as days on {usable("days", "dates.as_of")}
        group by all
        order by dates.t
        """
    ).df()
    return _Coverage(
        has_rows=frame["has_rows"].to_numpy(dtype=bool),
        first_day=frame["first_day"].to_numpy().astype("datetime64[D]"),
        fills={name: frame[name].to_numpy(dtype=bool) for name in columns},
    )


def _days(facts: Facts, source: str) -> str:
    """SQL relation of the days of a source as it is read: an outcome counts from when its play is known."""
    if source != "outcomes":
        return days_relation(facts, source)
    return f"({days_query(TABLES[source], facts.extras[source], source_relation(source))})"


def _run(facts: Facts, scan: Scan, rows: FeatureRows, coverage: _Coverage) -> Columns:
    """Execute a scan and lay its columns out over the feature rows."""
    shift = dt.timedelta(days=scan.reading.shift_days)
    days = build_days(rows.as_ofs, scan)
    facts.connection.register("fe_frame", days)
    facts.connection.execute(
        "create or replace temp table fe_days as select * replace (cast(day as date) as day, "
        "cast(start_on as date) as start_on) from fe_frame"
    )
    facts.connection.unregister("fe_frame")
    first, last = rows.as_ofs[0] - shift, rows.as_ofs[-1] - shift
    try:
        parts = [facts.connection.execute(compile_scan(scan, first, last, ids)).df() for ids in _slices(rows)]
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        reason = str(error).splitlines()[0]
        raise ContractError(f"{scan.reading.source}: a number is too large to be summed exactly ({reason})") from None
    finally:
        facts.connection.execute("drop table if exists fe_days")
    found = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    t, at = rows.of_role(scan.reading.role)["t"].to_numpy(), found["row"].to_numpy()
    return {m.name: _lay_out(m, at, found[m.name], t, rows, coverage) for m in scan.measures}


def _slices(rows: FeatureRows) -> list[tuple[str, str] | None]:
    """First and last id of accounts that are read together, one slice after the other; None where all go at once.

    Facts are sorted by account, so a slice reads its own row groups of the file, and what is aggregated fits into
    memory however many accounts there are.
    """
    ids = rows.account_ids
    count = -(-len(rows.account) // ROWS_AT_ONCE)
    if count == 1:
        return [None]
    size = -(-len(ids) // count)
    return [(str(ids[at]), str(ids[min(at + size, len(ids)) - 1])) for at in range(0, len(ids), size)]


def _lay_out(
    measure: Measure, at: np.ndarray, found: pd.Series, t: np.ndarray, rows: FeatureRows, coverage: _Coverage
) -> np.ndarray:
    covered = coverage.holds(rows.as_ofs, measure.reach_days, measure.columns)[t]
    if measure.value.type == "text" and measure.op == "last":
        words = np.full(len(t), None, dtype=object)
        words[at] = found.astype(object).where(found.notna(), None)
        words[~covered] = None
        return words
    values = np.full(len(t), np.nan)
    values[at] = found.to_numpy(dtype=float)
    if measure.empty_is_zero:
        values[np.isnan(values)] = 0.0
    return np.where(covered, values, np.nan)


def _compare(change: Change, columns: Columns, rows: FeatureRows, coverage: _Coverage) -> np.ndarray:
    """Relative change of a measure since `window` days before; missing where there was nothing then."""
    now, then = columns.pop(change.now), columns.pop(change.then)
    t = rows.of_role(change.role)["t"].to_numpy()
    covered = coverage.holds(rows.as_ofs, change.window)[t]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(covered & (then > 0), now / then - 1, np.nan)


def _tables(families: tuple[FeatureFamily, ...], rows: FeatureRows, columns: Mapping[str, np.ndarray]) -> FeatureTables:
    declared = feature_columns(families)
    lengths = {"account": len(rows.account), "pair": len(rows.pair)}
    filled = {
        c.name: columns.get(c.name, np.full(lengths[c.grain], None if c.kind == "category" else np.nan))
        for c in declared
    }
    derive(derivations(families), filled, rows.pair["spine_row"].to_numpy(), {c.name: c.grain for c in declared})
    frames = {"account": rows.account[ACCOUNT_KEYS], "pair": rows.pair[PAIR_KEYS]}
    for grain, frame in frames.items():
        new = {
            c.name: pd.Series(filled[c.name], dtype="str" if c.kind == "category" else "float64")
            for c in declared
            if c.grain == grain
        }
        frames[grain] = pd.concat([frame, pd.DataFrame(new, index=frame.index)], axis=1)
    return FeatureTables(frames["account"], frames["pair"])
