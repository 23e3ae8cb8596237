"""Make recorded outcomes part of the source table `outcomes`, beside the company's own ones.

The union goes through the same contract as every source table. Its raw cells are text: one shape that the
company's formats, our ISO dates and unreadable values all fit into.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from product_affinity.contracts.casts import can_fail, cast_value, type_family
from product_affinity.outcomes.store import OUTCOMES, SCHEMA
from product_affinity.project.settings import TableSettings
from product_affinity.schema import KNOWN_AT, TABLES
from product_affinity.schema.sql import quote_name, quote_text
from product_affinity.sources import RawTables, SourceTable
from product_affinity.sources.mapping import RawTable
from product_affinity.sources.opening import file_fingerprint

ORIGIN = f"var/outcomes/{OUTCOMES}"
_TABLE = TABLES["outcomes"]
_COLUMNS = tuple(name for name in _TABLE.names if name in SCHEMA.names)


def merge_outcomes(
    raw: RawTables,
    found: Mapping[str, SourceTable],
    var: Path,
    workspace: Path,
    *,
    settings: TableSettings,
    timezone: str,
) -> tuple[RawTables, dict[str, SourceTable]]:
    """Return the raw tables and our tables with the recorded outcomes in them; unchanged where none are recorded.

    An outcome the company's own table holds as well (same play or pair, same instant) is taken from there.

    Parameters
    ----------
    raw, found : from `open_sources` and `map_tables`.
    var : folder of everything generated.
    workspace : folder the engine may read; gets a copy of the log, so that a file that comes back meanwhile does
        not change what is being checked.
    settings : `[sources.tables.outcomes]`.
    timezone : IANA zone of the project.
    """
    log = var / "outcomes" / OUTCOMES
    if not log.exists():
        return raw, dict(found)
    copy = workspace / "recorded_outcomes.parquet"
    shutil.copyfile(log, copy)
    theirs = found.get("outcomes")
    merged = _alone(copy) if theirs is None else _beside(theirs, copy, settings, timezone)
    recorded = RawTable(ORIGIN, ORIGIN, dict(merged.types), merged.relation, None, file_fingerprint(copy))
    tables = {**found, "outcomes": replace(merged, inputs=(*merged.inputs, ORIGIN))}
    ordered = {name: tables[name] for name in TABLES if name in tables}
    return replace(raw, tables={**raw.tables, ORIGIN: recorded}), ordered


def _alone(copy: Path) -> SourceTable:
    names = ", ".join(map(quote_name, _COLUMNS))
    relation = f"(select file_row_number + 1 as _row, {names} from {_read(copy)})"
    return SourceTable("outcomes", ORIGIN, relation, {name: name for name in _COLUMNS}, _types(), True, ())


def _beside(theirs: SourceTable, copy: Path, settings: TableSettings, timezone: str) -> SourceTable:
    columns = {**{name: _free_name(name, theirs.types) for name in _COLUMNS}, **theirs.columns}
    mapped = {raw_name: ours for ours, raw_name in theirs.columns.items()}
    own, recorded, types = [], [], {}
    for raw_name, engine_type in theirs.types.items():
        ours, quoted = mapped.get(raw_name), quote_name(raw_name)
        own.append(f"{_as_text(ours, quoted, engine_type, settings, timezone) if ours else quoted} as {quoted}")
        recorded.append(_recorded(ours, settings) if ours else f"cast(null as {engine_type})")
        types[raw_name] = "VARCHAR" if ours else engine_type
    for name in _COLUMNS:
        if name not in theirs.columns:
            own.append(f"cast(null as varchar) as {quote_name(columns[name])}")
            recorded.append(_recorded(name, settings))
            types[columns[name]] = "VARCHAR"
    relation = (
        f"(select _row, {', '.join(own)} from {theirs.relation} union all "
        f"select (select coalesce(max(_row), 0) from {theirs.relation}) + file_row_number + 1, {', '.join(recorded)} "
        f"from {_read(copy)} as recorded where not exists ({_same(theirs, settings, timezone)}))"
    )
    origin = f"{theirs.origin} with {ORIGIN}"
    return replace(theirs, origin=origin, relation=relation, columns=columns, types=types)


def _read(copy: Path) -> str:
    return f"read_parquet({quote_text(str(copy))}, file_row_number = true)"


def _types() -> dict[str, str]:
    kinds = {"id": "VARCHAR", "text": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP", "number": "DOUBLE"}
    return {name: kinds[_kind(name)] for name in _COLUMNS}


def _kind(name: str) -> str:
    column = _TABLE.column(name)
    return "timestamp" if name == KNOWN_AT or column is None else column.kind


def _free_name(name: str, types: Mapping[str, str]) -> str:
    taken = {raw_name.lower() for raw_name in types}
    return name if name not in taken else f"{name} (recorded)"


def _as_text(ours: str, quoted: str, engine_type: str, settings: TableSettings, timezone: str) -> str:
    """SQL text of a raw cell of the company's; what the contract could not read stays as it was written."""
    kind, family = _kind(ours), type_family(engine_type)
    if family == "text" or can_fail(kind, family):
        return f"cast({quoted} as varchar)"
    return _written(kind, cast_value(kind, quoted, family, formats=(), timezone=timezone), settings)


def _recorded(ours: str, settings: TableSettings) -> str:
    if ours not in _COLUMNS:
        return "cast(null as varchar)"
    return _written(_kind(ours), f"recorded.{quote_name(ours)}", settings)


def _written(kind: str, value: str, settings: TableSettings) -> str:
    # days are read by the table's own formats alone where it has some; instants always in ISO 8601 as well
    if kind == "date" and settings.date_format:
        return f"strftime({value}, {quote_text(settings.date_format[0])})"
    if kind == "timestamp":
        return f"strftime({value}, '%Y-%m-%d %H:%M:%S.%fZ')"
    return f"cast({value} as varchar)"


def _same(theirs: SourceTable, settings: TableSettings, timezone: str) -> str:
    """SQL subselect: the company's table holds this recorded outcome."""

    def value(name: str) -> str:
        if name not in theirs.columns:
            return "null"
        raw_name = theirs.columns[name]
        family = type_family(theirs.types[raw_name])
        column = f"own.{quote_name(raw_name)}"
        return cast_value(_kind(name), column, family, formats=settings.date_format, timezone=timezone)

    pair = " and ".join(f"{value(name)} = recorded.{name}" for name in ("account_id", "product_id"))
    play = f"coalesce({value('play_id')} = recorded.play_id, {pair})"
    return f"select 1 from {theirs.relation} as own where {value('noted_at')} = recorded.noted_at and {play}"
