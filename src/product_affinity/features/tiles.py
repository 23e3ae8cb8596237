"""Compile a scan to DuckDB SQL: rows → tiles → per date → feature columns (see `scans`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.features.scans import Measure, Reading, Scan, Value
from product_affinity.schema.sql import quote_text

# Days are counted from here in slopes; any fixed day gives the same slope.
EPOCH = "date '2000-01-01'"
FIRST_DAY, LAST_DAY = "date '0001-01-01'", "date '9999-12-31'"


def build_days(as_ofs: Sequence[dt.date], scan: Scan) -> pd.DataFrame:
    """Build the calendar a scan looks days up in.

    Parameters
    ----------
    as_ofs : as-of dates, ascending.
    scan : its windows give the cut points.

    Returns
    -------
    DataFrame
        one row a day from before every window to the last as-of date: `day`, `start_on` (the latest window
        start not after it), `first_after` (position of the first as-of date after it), `last_until` (position
        of the last as-of date not after it, -1 for none), `last_within` (position of the last as-of date
        whose longest window still holds it).
    """
    dates = np.array(as_ofs, dtype="datetime64[D]") - scan.reading.shift_days
    reaches = _reaches(scan)
    halves = {measure.window for measure in scan.measures if measure.window is not None}
    cuts = np.unique(np.concatenate([dates - days for days in sorted(reaches | halves)]))
    days = np.arange(dates[0] - max(reaches) - 1, dates[-1] + 1)
    segment = np.searchsorted(cuts, days, side="right")
    starts = np.concatenate([[np.datetime64("0001-01-01", "D")], cuts])[segment]
    longest = max(reaches) if scan.reading.longest_days else None
    within = len(dates) - 1 if longest is None else np.searchsorted(dates - longest, days, side="right") - 1
    return pd.DataFrame(
        {
            "day": days.astype("datetime64[s]"),
            "start_on": starts.astype("datetime64[s]"),
            "first_after": np.searchsorted(dates, days, side="right"),
            "last_until": np.searchsorted(dates, days, side="right") - 1,
            "last_within": within,
        }
    )


def _reaches(scan: Scan) -> set[int]:
    """Days the scan's measures look back, and 0 for those that look at all that is known."""
    return {0} | {measure.reach_days for measure in scan.measures if measure.reach_days is not None}


@dataclass(frozen=True)
class _Parts:
    """Aggregates of one value that its operations are made of, by name."""

    position: int
    value: Value
    ops: frozenset[str]

    def needed(self) -> dict[str, tuple[str, str]]:
        """Name to (aggregate over rows, aggregate over tiles)."""
        x, k = f"x{self.position}", self.position
        last = f"max({{'moment': moment, 'known_at': known_at, 'value': {x}}}) filter (where {x} is not null)"
        dated = f"case when {x} is not null and event_on > {FIRST_DAY} then event_on end"
        weighted = f"sum({x} * cast(event_on - {EPOCH} as bigint))"
        parts = {f"n{k}": (f"count({x})", "sum")}
        for ops, name, over_rows, over_tiles in (
            ({"sum", "mean", "trend", "slope"}, f"s{k}", f"sum({x})", "sum"),
            ({"slope"}, f"w{k}", weighted, "sum"),
            ({"max"}, f"m{k}", f"max({x})", "max"),
            ({"last"}, f"l{k}", last, "max"),
            ({"days_since"}, f"e{k}", f"max({dated})", "max"),
            ({"age"}, f"a{k}", f"min({dated})", "min"),
            ({"days_until"}, f"u{k}", f"min({x})", "min"),
        ):
            if ops & self.ops:
                parts[name] = (over_rows, over_tiles)
        return parts


def compile_scan(scan: Scan, first: dt.date, last: dt.date, between: tuple[str, str] | None = None) -> str:
    """Write the SQL of a scan.

    Parameters
    ----------
    scan : what to read and measure.
    first, last : first and last as-of date, already shifted.
    between : first and last id of the accounts to read; default all.

    Returns
    -------
    str
        a query over `facts` and the temporary relations of `keys`; one row per feature row that has any
        fact, `row` and one column per measure.
    """
    parts = [
        _Parts(k, value, frozenset(m.op for m in scan.measures if m.value == value))
        for k, value in enumerate(scan.values)
    ]
    stages = [
        f"rows as ({_rows(scan, first, last, between)})",
        f"tiles as ({_tiles(scan, parts, first, last)})",
        f"placed as ({_placed(scan.reading)})",
        f"grouped as ({_grouped(scan, parts)})",
    ]
    return "with " + ",\n".join(stages) + "\n" + _columns(scan)


def _rows(scan: Scan, first: dt.date, last: dt.date, between: tuple[str, str] | None) -> str:
    reading = scan.reading
    joins, key = ["join fe_accounts as a on a.account_id = f.account_id"], "0"
    if reading.role in ("owned", "target"):
        joins.append("join fe_products as p on p.product_id = f.product_id")
        key = "p.code"
    if reading.match:
        name, target_list = reading.match
        joins.append(f"join fe_matches as p on p.list = '{target_list}' and p.value = f.\"{name}\"")
        key = "p.code"
    event, values = reading.event, ", ".join(f"{v.sql} as x{k}" for k, v in enumerate(scan.values))
    begins = tuple(dict.fromkeys(["f._event_on", "f._known_on", event, *reading.known_from]))
    from_on, to_on = f"greatest({', '.join(begins)})", f"least({', '.join(['f._superseded_on', *reading.until])})"
    # one by one, which leaves out whole row groups of a file, and rows without one of the days
    conditions = [f"{day} < date '{last}'" for day in begins] + [f"{to_on} >= date '{first}'"]
    if reading.longest_days:
        conditions.append(f"{event} >= date '{first - dt.timedelta(days=max(_reaches(scan)))}'")
    if between is not None:
        conditions.append("f.account_id between {} and {}".format(*map(quote_text, between)))
    conditions.append("(" + " or ".join(f"({v.sql}) is not null" for v in scan.values) + ")")
    if any(m.op == "days_until" for m in scan.measures):
        conditions.append(f"{reading.until[-1]} is not null")
    return (
        f"select a.code as account, {key} as k, {event} as event_on, {from_on} as from_on, {to_on} as to_on, "
        f"{reading.moment} as moment, coalesce(f.known_at, f._known_on) as known_at, {values}\n"
        f"from {source_relation(reading.source)} as f {' '.join(joins)}\nwhere {' and '.join(conditions)}"
    )


def _tiles(scan: Scan, parts: Sequence[_Parts], first: dt.date, last: dt.date) -> str:
    aggregates = [f"{sql} as {name}" for part in parts for name, (sql, _) in part.needed().items()]
    distinct = "x0 as v, " if scan.reading.distinct else ""
    lowest = f"date '{first - dt.timedelta(days=max(_reaches(scan)) + 1)}'"
    joins, dates = f"join fe_days as happened on happened.day = greatest(event_on, {lowest})", "0 as t_from, 0 as t_to"
    if first < last:
        # at a single date each row left counts
        dates = "arrived.first_after as t_from, least(ended.last_until, happened.last_within) as t_to"
        joins += (
            f"\njoin fe_days as arrived on arrived.day = greatest(from_on, {lowest})\n"
            f"join fe_days as ended on ended.day = least(to_on, date '{last}')\n"
            "where arrived.first_after <= least(ended.last_until, happened.last_within)"
        )
    return (
        f"select account, k, {distinct}happened.start_on, {dates},\n{', '.join(aggregates)}\nfrom rows\n"
        f"{joins}\ngroup by all"
    )


def _placed(reading: Reading) -> str:
    """Tiles at every as-of date they count for, beside the feature row they count in."""
    spread = "(select *, unnest(range(t_from, t_to + 1)) as t from tiles) as tile"
    dates = f"join (select t, as_of - {reading.shift_days} as as_of from fe_dates) as dates using (t)"
    target = {
        "account": "join fe_spine as cell using (account, t)",
        "owned": "join fe_owned as cell using (account, k, t)",
        "target": "join fe_pairs as cell using (account, k, t)",
        "match": "join fe_match_targets as mt on mt.code = tile.k "
        "join fe_pairs as cell on cell.account = tile.account and cell.k = mt.target and cell.t = tile.t",
    }[reading.role]
    core = "cell.is_core" if reading.role == "owned" else "false"
    product = "tile.k" if reading.role == "owned" else "0"
    return (
        f"select cell.row as row, {product} as product, {core} as is_core, dates.as_of as as_of, "
        f"tile.* exclude (account, k, t, t_from, t_to)\nfrom {spread} {dates} {target}"
    )


def _grouped(scan: Scan, parts: Sequence[_Parts]) -> str:
    """One row per feature row and owned product; a column per part and window."""
    if scan.reading.distinct:
        counts = ", ".join(
            f"count(distinct v) filter (where {_inside(window, 0)}) as {_at('d0', window)}"
            for window in _windows(scan, parts[0])
        )
        return f"select row, product, is_core, as_of, {counts} from placed group by all"
    columns = []
    for part in parts:
        for window in _windows(scan, part):
            columns += [
                f"{over_tiles}({name}) filter (where {_inside(window, 0)}) as {_at(name, window)}"
                for name, (_, over_tiles) in part.needed().items()
            ]
        for window in sorted({m.window or 0 for m in scan.measures if m.value == part.value and m.op == "trend"}):
            previous = _inside(window, 1)
            columns.append(f"sum(s{part.position}) filter (where {previous}) as p{part.position}_{window}")
    return f"select row, product, is_core, as_of, {', '.join(columns)} from placed group by all"


def _windows(scan: Scan, part: _Parts) -> list[int | None]:
    windows = {m.window for m in scan.measures if m.value == part.value}
    return sorted(windows, key=lambda window: window or 0)


def _inside(window: int | None, earlier: int) -> str:
    """Condition that a tile lies in the window, or in the one `earlier` windows before."""
    if window is None:
        return "true"
    start = f"start_on >= as_of - {(earlier + 1) * window}"
    return start if not earlier else f"{start} and start_on < as_of - {earlier * window}"


def _at(name: str, window: int | None) -> str:
    return name if window is None else f"{name}_{window}"


def _columns(scan: Scan) -> str:
    position = {value: k for k, value in enumerate(scan.values)}
    combined = scan.reading.role == "owned"
    selected = [
        f'{_combined(m, position[m.value]) if combined else _operation(m, position[m.value])} as "{m.name}"'
        for m in scan.measures
    ]
    grouping = "group by row, as_of" if combined else ""
    return f"select row, {', '.join(selected)}\nfrom grouped {grouping}"


def _combined(measure: Measure, k: int) -> str:
    """SQL of a measure over an account's owned products."""
    if measure.across == "core":
        return f"max({_operation(measure, k)}) filter (where is_core)"
    # The most recent day is of all products together, whatever the other operations do.
    if measure.op in ("days_since", "age", "days_until"):
        return f"min({_operation(measure, k)})" if measure.op != "age" else f"max({_operation(measure, k)})"
    if measure.across == "max":
        return f"max({_operation(measure, k)})"
    if measure.op in ("sum", "count", "trend", "slope"):
        return _operation(measure, k, over="sum")
    return f"sum({_operation(measure, k)} order by product)"


def _operation(measure: Measure, k: int, over: str = "") -> str:
    """SQL of a measure from its parts; `over` aggregates the parts first."""

    def part(letter: str) -> str:
        return f"{over}({_at(f'{letter}{k}', measure.window)})"

    w = measure.window or 0
    rows = part("n")
    formulas = {
        "sum": lambda: f"case when {rows} > 0 then cast({part('s')} as double) end",
        "count": lambda: f"cast({rows} as double)",
        "mean": lambda: f"cast({part('s')} as double) / nullif({rows}, 0)",
        "max": lambda: f"cast({part('m')} as double)",
        "last": lambda: _last(part("l"), measure),
        "distinct": lambda: f"cast(nullif({part('d')}, 0) as double)",
        "days_since": lambda: f"cast(as_of - {part('e')} as double)",
        "age": lambda: f"cast(as_of - {part('a')} as double)",
        "days_until": lambda: f"cast({part('u')} - as_of as double)",
        "trend": lambda: _trend(rows, part("s"), part("p")),
        "slope": lambda: _slope(rows, part("s"), part("w"), w),
    }
    return formulas[measure.op]()


def _last(part: str, measure: Measure) -> str:
    value = f"{part}.value"
    return value if measure.value.type == "text" else f"cast({value} as double)"


def _trend(rows: str, now: str, before: str) -> str:
    now, before = f"(1 + cast({now} as double))", f"(1 + coalesce(cast({before} as double), 0))"
    return f"case when {rows} > 0 and {now} > 0 and {before} > 0 then ln({now} / {before}) end"


def _slope(rows: str, total: str, weighted: str, window: int) -> str:
    """Least squares over the window's days: twice the centred moment is a whole number of units, so exact."""
    first_day = f"cast(as_of - {window} - {EPOCH} as bigint)"
    moment = f"2 * {weighted} - (2 * {first_day} + {window - 1}) * {total}"
    return f"case when {rows} > 0 then cast({moment} as double) * 6 / {window * (window**2 - 1)} end"


def source_relation(source: str) -> str:
    """SQL relation of a source table; outcomes find account and product through the play they answer."""
    if source != "outcomes":
        return f"facts.{source}"
    return (
        "(select o.* replace (coalesce(o.account_id, play.account_id) as account_id, "
        "coalesce(o.product_id, play.product_id) as product_id, "
        "case when o.account_id is null then greatest(o._known_on, play._known_on) else o._known_on end "
        "as _known_on) "
        "from facts.outcomes as o left join (select play_id, arg_min(account_id, _known_on) as account_id, "
        "arg_min(product_id, _known_on) as product_id, min(_known_on) as _known_on from facts.outreach "
        "group by play_id) as play on play.play_id = o.play_id)"
    )
