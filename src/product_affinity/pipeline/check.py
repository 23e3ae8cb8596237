"""`affinity check`: from source tables to checked, dated facts, with a report on everything that was wrong.

The facts depend on the sources' contents, the settings, the catalogue and the code: their fingerprint tells.
While it stays the same, a check reads its last report and only looks again at what depends on the as-of date.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

import product_affinity
from product_affinity.contracts.casts import unusable_format
from product_affinity.contracts.checking import TableCheck
from product_affinity.contracts.facts import open_engine
from product_affinity.contracts.report import TableReport, Violation
from product_affinity.contracts.timeliness import nothing_known, read_timeliness
from product_affinity.errors import ContractError, FreshnessError, UsageError
from product_affinity.outcomes import merge_outcomes
from product_affinity.pipeline.checked import FACTS, QUARANTINE, facts_folder, keep, read_intact
from product_affinity.project import Project
from product_affinity.project.settings import TableSettings
from product_affinity.schema import TABLES
from product_affinity.sources import RawTables, SourceTable, load_rows, map_tables, open_sources
from product_affinity.sources.mapping import unused_tables
from product_affinity.sources.needed import named_words

CODE = ("schema", "sources", "contracts", "outcomes")


@dataclass(frozen=True)
class CheckReport:
    """What a check of all source tables found.

    Attributes
    ----------
    as_of : as-of date the facts were looked at from.
    tables : report of each table that has a source, in the order of the schema.
    absent : optional tables without a source; everything downstream of them is unknown.
    notes : what concerns no single table.
    faults : why the sources cannot be worked with, without the violations of single rows.
    stale : tables that end too long before the as-of date.
    fingerprint : SHA-256 of everything the facts depend on.
    newest : per table, its newest day usable before the as-of date; None without one.
    """

    as_of: dt.date
    tables: tuple[TableReport, ...]
    absent: tuple[str, ...]
    notes: tuple[str, ...]
    faults: tuple[str, ...]
    stale: tuple[str, ...]
    fingerprint: str
    newest: Mapping[str, dt.date | None] = field(default_factory=dict)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every kind of fault of single rows, in all tables."""
        return tuple(violation for table in self.tables for violation in table.violations)

    def render(self) -> str:
        """The report in plain words: counts, violations and notes of each table, what is absent.

        What stops a run is not in it: `raise_if_broken` says that.
        """
        said = []
        for table in self.tables:
            said.append(str(table))
            said += [f"  {violation}" for violation in table.violations]
            said += [f"  {table.name}: {note}" for note in table.notes]
        if self.absent:
            said.append(f"absent, everything that needs them is unknown: {', '.join(self.absent)}")
        return "\n".join([*said, *self.notes])

    def raise_if_broken(self) -> None:
        """Stop the run when the sources cannot be worked with.

        Raises
        ------
        ContractError : with all faults of all tables at once, and the violations of those tables.
        FreshnessError : a table ends too long before the as-of date.
        """
        if self.faults:
            behind = [str(found) for found in self.violations if self._is_at_fault(found.table)]
            raise ContractError("\n".join([*self.faults, *behind]))
        if self.stale:
            raise FreshnessError("\n".join(self.stale))

    def _is_at_fault(self, table: str) -> bool:
        return any(fault.startswith(f"{table}: ") for fault in self.faults)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        newest = {name: day and day.isoformat() for name, day in self.newest.items()}
        return {**asdict(self), "as_of": self.as_of.isoformat(), "newest": newest}


def check_sources(project: Project, as_of: dt.date, threads: int = 2) -> CheckReport:
    """Check all source tables and write the usable rows to ``var/facts``, the others to ``var/quarantine``.

    Both appear whole or not at all, and while the sources are broken the facts stay those of the last check that
    passed; a command reads `facts_folder` of its own report, so another check beside it changes nothing under it.
    Nothing is done again while sources, settings, catalogue and code stay the same.

    Parameters
    ----------
    project : the project.
    as_of : as-of date; freshness and later rows are judged against it, never against the clock.
    threads : of the engine.

    Raises
    ------
    UsageError : the settings name something that does not exist, or ``var`` cannot be written.
    ContractError : a required table is missing, or a file, table or query cannot be read.
    """
    workspace = _make_workspace(project.var)
    connection = open_engine(threads)
    try:
        with open_sources(connection, _source_place(project), workspace) as raw:
            zone, named = project.settings.project.timezone, named_words(project.root)
            found = map_tables(raw, project.settings.sources.tables, timezone=zone, named=named)
            raw, found = merge_outcomes(
                raw,
                found,
                project.var,
                workspace,
                settings=project.settings.sources.tables.get("outcomes", TableSettings()),
                timezone=project.settings.project.timezone,
            )
            _check_formats(connection, project.settings.sources.tables)
            prints = {name: _fingerprint(project, raw, found, name) for name in found}
            report = _last_report(project, as_of, _digest(prints))
            if report is None:
                load_rows(raw, found)
                results = workspace / "results"
                check = TableCheck(connection, project.settings.project.timezone, project.catalog.product_ids, results)
                report = _check_tables(project, as_of, check, found, prints)
                report = replace(report, notes=_unused(raw, found))
                keep(project.var, results, report.fingerprint, report.to_json(), usable=not report.faults)
    finally:
        connection.close()
        shutil.rmtree(workspace, ignore_errors=True)
    return report if report.faults else look_from(project, report, as_of)


def look_from(project: Project, report: CheckReport, as_of: dt.date) -> CheckReport:
    """Complete a report by what depends on the as-of date: rows that lie after it, and freshness."""
    connection = open_engine(threads=1)
    try:
        folder = facts_folder(project.var, report.fingerprint)
        seen = {
            table.name: read_timeliness(connection, TABLES[table.name], folder / f"{table.name}.parquet", as_of)
            for table in report.tables
        }
    finally:
        connection.close()
    tables = tuple(
        replace(table, notes=(*table.notes, note)) if (note := seen[table.name].note(as_of)) else table
        for table in report.tables
    )
    unknown = nothing_known(seen, as_of)
    limits = project.settings.contracts.fresh_within_days
    stale = [seen[name].staleness(as_of, days) for name, days in limits.items() if name in seen and not unknown]
    missing = tuple(f"{name}: freshness is wanted but there is no such table" for name in limits if name not in seen)
    return replace(
        report,
        as_of=as_of,
        tables=tables,
        notes=(*report.notes, *missing),
        faults=(unknown,) if unknown else (),
        stale=tuple(line for line in stale if line),
        newest={name: table.newest for name, table in seen.items()},
    )


def _make_workspace(var: Path) -> Path:
    try:
        var.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".check-", dir=var))
    except OSError as error:
        blocked = not var.is_dir() and (var.exists() or var.is_symlink())
        reason, remedy = (
            ("it is no folder", "Remove it")
            if blocked
            else (error.strerror or type(error).__name__, "Make it writable for this user")
        )
        raise UsageError(f"{var}: cannot be written: {reason}. {remedy}; all results go there.") from None


def _check_formats(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, TableSettings]) -> None:
    faults = [
        f'affinity.toml: sources.tables.{name}.date_format: "{pattern}" reads no date: {why}. '
        'Write it like "%d.%m.%Y" or "%Y-%m-%d %H:%M".'
        for name, settings in tables.items()
        for pattern in settings.date_format
        if (why := unusable_format(connection, pattern))
    ]
    if faults:
        raise UsageError("\n".join(faults))


def _source_place(project: Project) -> Path | str:
    address = project.settings.sources.path
    return address if "://" in address else project.source_path


def _check_tables(
    project: Project,
    as_of: dt.date,
    check: TableCheck,
    found: Mapping[str, SourceTable],
    prints: Mapping[str, str],
) -> CheckReport:
    tables, faults = [], list[str]()
    for folder in (FACTS, QUARANTINE):
        (check.folder / folder).mkdir(parents=True)
    for name, source in found.items():
        settings = project.settings.sources.tables.get(name, TableSettings())
        checked = check.check(source, settings, prints[name])
        tables.append(checked.report)
        faults += checked.faults or _too_little(project, checked.report)
    absent = tuple(name for name in TABLES if name not in found)
    return CheckReport(as_of, tuple(tables), absent, (), tuple(faults), (), _digest(prints))


def _too_little(project: Project, report: TableReport) -> list[str]:
    """Say that too much of a table is quarantined, or that nothing is left of a required one."""
    contracts = project.settings.contracts
    tolerated = contracts.tolerated_shares.get(report.name, contracts.tolerated_share)
    if not report.rows_in and TABLES[report.name].required:
        return [f"{report.name}: {report.origin} has no rows, and nothing can be done without {report.name}"]
    if report.quarantined_share > tolerated:
        return [
            f"{report.name}: {report.quarantined:,} of {report.rows_in:,} rows quarantined "
            f"({report.quarantined_share:.1%}, tolerated {tolerated:.1%}), "
            f"see var/quarantine/{report.name}.parquet; mend the source, or raise {report.name} under "
            "[contracts.tolerated_shares] in affinity.toml"
        ]
    if TABLES[report.name].required and not report.used:
        return [f"{report.name}: all {report.rows_in:,} rows of {report.origin} are quarantined"]
    return []


def _unused(raw: RawTables, found: Mapping[str, SourceTable]) -> tuple[str, ...]:
    names = unused_tables(raw, found)
    return (f"not read, no table of ours and in no query: {', '.join(names)}",) if names else ()


def _fingerprint(project: Project, raw: RawTables, found: Mapping[str, SourceTable], name: str) -> str:
    """Fingerprint of what a table's facts depend on; all tables depend on the accounts they refer to."""
    settings = project.settings.sources.tables.get(name, TableSettings())
    inputs = {other for table in {name, "accounts"} & set(found) for other in found[table].inputs}
    if settings.query:
        # A query may name tables in ways we do not parse, so it depends on all of them.
        inputs = set(raw.tables)
    accounts = project.settings.sources.tables.get("accounts", TableSettings())
    if accounts.query:
        inputs = set(raw.tables)
    return _digest(
        {
            "code": _code_fingerprint(),
            "catalog": list(project.catalog.product_ids),
            "timezone": project.settings.project.timezone,
            "contracts": project.settings.contracts.model_dump(mode="json", exclude={"fresh_within_days"}),
            "settings": [settings.model_dump(mode="json"), accounts.model_dump(mode="json")],
            "inputs": {other: [raw.tables[other].origin, raw.tables[other].fingerprint] for other in sorted(inputs)},
        }
    )


def _code_fingerprint() -> str:
    """Fingerprint of the code that decides what becomes a fact, so that a change of it checks again."""
    package = Path(product_affinity.__file__).parent
    paths = sorted(path for part in CODE for path in (package / part).glob("*.py"))
    return _digest([[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in paths])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _last_report(project: Project, as_of: dt.date, fingerprint: str) -> CheckReport | None:
    """Return the report of the facts in place if they have this fingerprint and are as they were written."""
    content = read_intact(project.var, fingerprint)
    if content is None:
        return None
    tables = tuple(_read_table(table) for table in content["tables"])
    lists: dict[str, Any] = {name: tuple(content[name]) for name in ("absent", "notes", "faults", "stale")}
    return CheckReport(as_of, tables, fingerprint=fingerprint, **lists)


def _read_table(content: Mapping[str, Any]) -> TableReport:
    violations = tuple(Violation(**violation) for violation in content["violations"])
    return TableReport(**{**content, "violations": violations, "notes": tuple(content["notes"])})
