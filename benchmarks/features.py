"""CPU time and memory of point-in-time features: ours, a careful pandas loop over the dates, and a range join.

Run ``python -m benchmarks.features`` (``--rows 10_000_000``, ``--night``). The usage family of an account, over its
owned products, at 24 month ends. Usage has string ids, days without a row, duplicate days (corrected later, so two
versions with their own `known_at`), rows that arrive days late, and the local days of a zone with daylight saving.
Each way runs in a process of its own with one thread and reads the same Parquet file of checked facts (beside it lie
its days, as a check leaves them); time is CPU time of reading and computing, memory the process's peak, ours with the
limits of the product. All ways must agree to 1e-9, or the run stops.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset  # noqa: F401 - loading what reads the rows asked for is no part of computing features
from rich.console import Console
from rich.table import Table as Printed

from benchmarks.feature_rivals import pandas_loop, range_join, scan_and_group
from product_affinity.contracts.days import SUFFIX, days_query
from product_affinity.contracts.facts import Facts, dated_select, open_engine
from product_affinity.features import build_features
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureFamily
from product_affinity.project.reading import validate
from product_affinity.schema import TABLES

ZONE = "Europe/Berlin"
PRODUCTS = ("crm", "ads", "support", "billing", "analytics")
OWNED, ROWS_A_PRODUCT = 2, 500
LAST = dt.date(2026, 6, 30)
HISTORY_DAYS = 24 * 30 + 200
DESCRIBED = {"unit": "things", "missing": "unknown", "direction": "none", "reason": "none"}
SIGNALS = {
    "active_users": {"of": "active_users", "across": "sum", "ops": ["mean", "trend"], "windows": [28, 90]},
    "events": {"of": "events", "across": "sum", "ops": ["sum", "slope"], "windows": [28]},
    "active_days": {
        "of": "active_users",
        "where": {"active_users": {"above": 0}},
        "across": "max",
        "ops": ["count"],
        "windows": [28],
    },
    "limit_share": {"of": "limit_share", "across": "max", "ops": ["max", "mean"], "windows": [28]},
}
MEASURES = ("active_users", "events", "limit_share")
COLUMNS = {"account_id", "product_id", "date", *MEASURES, "known_at"}
MADE = 10_000_000
Way = Callable[[Path, tuple[dt.date, ...]], pd.DataFrame]


def as_ofs(count: int) -> tuple[dt.date, ...]:
    """The last `count` month ends, ascending."""
    return tuple(day.date() for day in pd.date_range(end=LAST, periods=count, freq="ME"))


def write_facts(folder: Path, rows: int) -> None:
    """Write checked usage facts of about `rows` rows; beyond `MADE` rows companies repeat under other ids."""
    engine = open_engine(threads=1)
    engine.execute(f"set memory_limit = '3GB'; set temp_directory = '{folder / 'spill'}'")
    copies = max(1, round(rows / MADE))
    accounts, size = rows // (copies * OWNED * ROWS_A_PRODUCT), 2_000
    parts = []
    for first in range(0, accounts, size):
        engine.execute(f"create or replace temp table raw as {_usage(first, min(first + size, accounts))}")
        # 2 % of the days are corrected 5 days later
        engine.execute(
            "insert into raw select * replace (active_users + 1 as active_users, "
            "known_at + interval 5 day as known_at) from raw where hash(account_id, product_id, date) % 50 = 1"
        )
        select = dated_select(TABLES["usage"], "raw", COLUMNS, timezone=ZONE, lag_days=0, extras=())
        parts.append(f"{folder}/usage-{first:09d}.parquet")
        engine.execute(f"copy (from ({select}) order by account_id, product_id, date, known_at) to '{parts[-1]}'")
    repeated = [
        f"select * replace (printf('%s-%d', account_id, {copy}) as account_id) from read_parquet({parts})"
        for copy in range(copies)
    ]
    engine.execute(f"copy ({' union all '.join(repeated)}) to '{folder}/usage.parquet'")
    days = days_query(TABLES["usage"], MEASURES, f"read_parquet('{folder}/usage.parquet')")
    engine.execute(f"copy (from ({days}) order by all) to '{folder}/usage{SUFFIX}'")
    engine.close()
    for part in parts:
        Path(part).unlink()


def _usage(first: int, end: int) -> str:
    """SQL of the raw usage rows of accounts `first` to `end`."""
    return f"""
        with daily as (
            select printf('A-%07d', a) as account_id, (a * 7 + j * 3) % {len(PRODUCTS)} as k,
                date '{LAST}' - d::int as date, hash(a, j, d) as h, hash(d, a, j) as g
            from range({first}, {end}) as accounts(a), range({OWNED}) as owned(j), range({HISTORY_DAYS}) as days(d)
            where hash(a, d, j, 1) % {HISTORY_DAYS} < {int(ROWS_A_PRODUCT / 1.02)}
        )
        select account_id, {list(PRODUCTS)}[k + 1] as product_id, date, (h % 50)::double as active_users,
            (g % 500)::double as events, case when k < 3 then (h % 1000) / 1000 end as limit_share,
            -- 2 % arrive up to three weeks late
            date + interval 1 day + to_hours((h % 20)::int)
                + to_days(case when g % 50 = 0 then (g % 21)::int else 0 end) as known_at
        from daily
    """


def write_rows(path: Path, dates: tuple[dt.date, ...]) -> None:
    """Write spine and owned pairs of all accounts in a facts file beside it: what is asked for, on every way's side."""
    values = ", ".join(f"(timestamp '{date}')" for date in dates)
    static = ", ".join(f"cast(null as varchar) as {name}" for name in ("segment", "industry", "region", "country"))
    engine = open_engine(threads=1)
    engine.execute(f"create temp table pairs as select distinct account_id, product_id from '{path}' order by all")
    for name, columns in (("spine", f"account_id, as_of, {static}, 1.0 as arr_usd"), ("pairs", "pairs.*, as_of")):
        rows = f"select distinct {columns} from pairs, (values {values}) as dates(as_of) order by all"
        engine.execute(f"copy ({rows}) to '{path.with_name(name)}.rows' (format parquet)")
    engine.close()


def ours(path: Path, dates: tuple[dt.date, ...]) -> pd.DataFrame:
    """Build the family as `affinity features` does."""
    signals = {name: {**DESCRIBED, **signal} for name, signal in SIGNALS.items()}
    family = validate(
        FeatureFamily,
        {"family": "usage", "grain": "account", "source": "usage", "signals": signals},
        "features/usage.yml",
    )
    catalog = Catalog.model_validate({"products": [{"product_id": name, "name": name} for name in PRODUCTS]})
    spine = pd.read_parquet(path.with_name("spine.rows"))
    pairs = pd.read_parquet(path.with_name("pairs.rows")).assign(status="owned")
    facts = Facts.from_folder(path.parent, timezone=ZONE)
    table = build_features(facts, catalog, (family,), spine, pairs).account
    facts.connection.close()
    return table


WAYS: dict[str, Way] = {
    "ours": ours,
    "pandas loop": pandas_loop,
    "DuckDB range join": range_join,
    "scan and group": scan_and_group,
}


def run_one(way: str, path: Path, count: int) -> None:
    """Run one way in this process and print its figures as JSON; its result goes beside the facts."""
    dates = as_ofs(count)
    started, cpu = time.perf_counter(), time.process_time()
    table = WAYS[way](path, dates)
    figures = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - started, "rows": len(table)}
    # not ru_maxrss, which a process inherits from the one that started it
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    figures["peak_gb"] = int(status["VmHWM"].split()[0]) / 1024**2
    if len(table) < 2_000_000:
        table.to_parquet(path.with_name(f"{way}.result"))
    sys.stdout.write(json.dumps(figures) + "\n")


def measure(way: str, path: Path, count: int) -> dict[str, float]:
    """Run one way in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "benchmarks.features", "--way", way, "--facts", str(path), "--dates", str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)  # noqa: S603 - us
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def check_equal(path: Path, ways: list[str]) -> None:
    """Compare the results of several ways, column by column."""
    results = {way: pd.read_parquet(path.with_name(f"{way}.result")) for way in ways}
    keys = ["account_id", "as_of"]
    reference = results[ways[0]].sort_values(keys).reset_index(drop=True)
    for way in ways[1:]:
        other = reference[keys].merge(results[way], on=keys, how="left", validate="1:1")
        for name in reference.columns.drop(keys):
            if not np.allclose(reference[name], other[name], rtol=1e-9, atol=1e-12, equal_nan=True):
                bad = int((~np.isclose(reference[name], other[name], rtol=1e-9, equal_nan=True)).sum())
                raise SystemExit(f"{ways[0]} and {way} differ in {bad:,} of {len(other):,} values of {name}")


def compare(rows: int, count: int, ways: list[str]) -> None:
    """Measure the ways on one set of facts, compare their results, and print a table."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:
        path = Path(folder) / "usage.parquet"
        write_facts(Path(folder), rows)
        write_rows(path, as_ofs(count))
        figures = {way: measure(way, path, count) for way in ways}
        if count > 1 and len(ways) > 1:
            check_equal(path, ways)
    printed = Printed("way", "CPU s", "of ours", "wall s", "peak GB", title=f"{rows:,} rows, {count} as-of date(s)")
    for way, found in figures.items():
        ratio = f"{found['cpu'] / figures['ours']['cpu']:.2f} ×"
        printed.add_row(way, f"{found['cpu']:.1f}", ratio, f"{found['wall']:.1f}", f"{found['peak_gb']:.2f}")
    Console().print(printed)


def main() -> None:
    """Measure history and one night."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dates", type=int, default=24)
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("--way")
    parser.add_argument("--facts", type=Path)
    told = parser.parse_args()
    if told.way:
        run_one(told.way, told.facts, told.dates)
        return
    compare(told.rows, told.dates, ["ours"] if told.only_ours else ["ours", "pandas loop", "DuckDB range join"])
    if not told.only_ours:
        compare(told.rows, 1, ["ours", "scan and group"])


if __name__ == "__main__":
    main()
