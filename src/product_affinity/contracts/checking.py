"""Check one source table: type it, find its faults, quarantine those rows, write the rest as dated facts.

Everything is set-based SQL over one typed copy of the table; Python only sees counts and first examples.

Repeated keys: of rows equal in every column that is read one is kept, the others are "duplicate of another
row". Of rows with the same key and different content the one that sorts first by all columns is kept,
whatever the order of the file, the others are "same key, different content". Rows with another fault take no
part in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from product_affinity.contracts.casts import can_fail, cast_value, is_written, type_family
from product_affinity.contracts.days import SUFFIX, days_query
from product_affinity.contracts.examples import first_examples, shorten
from product_affinity.contracts.extras import REASON, Extra, find_extras, missing_columns
from product_affinity.contracts.facts import SQL_TYPES, dated_select, local_day
from product_affinity.contracts.raw_rows import RawRows
from product_affinity.contracts.report import TableReport, Violation
from product_affinity.contracts.rules import LARGEST, Rule, build_rules, row_key, unknown, unreadable
from product_affinity.errors import ContractError
from product_affinity.project.settings import TableSettings
from product_affinity.schema import KNOWN_AT, TABLES, Table
from product_affinity.schema.sql import quote_name, quote_text

MOST_REASONS = 20
DUPLICATE, CONFLICT = "duplicate of another row", "same key, different content"


@dataclass(frozen=True)
class Checked:
    """A table's report and, where its rows cannot be judged at all, why."""

    report: TableReport
    faults: tuple[str, ...]


@dataclass(frozen=True)
class TableCheck:
    """The check of source tables within one engine.

    Attributes
    ----------
    connection : engine that can read the raw rows and write into `folder`.
    timezone : IANA zone whose midnight is the as-of instant.
    products : ids of the catalogue.
    folder : gets ``facts/<table>.parquet`` and ``quarantine/<table>.parquet``.
    """

    connection: duckdb.DuckDBPyConnection
    timezone: str
    products: tuple[str, ...]
    folder: Path

    def check(self, raw: RawRows, settings: TableSettings, fingerprint: str) -> Checked:
        """Check one table; `accounts` must come first, because the others refer to the accounts in use.

        Parameters
        ----------
        raw : the raw rows.
        settings : `[sources.tables.X]` of the table.
        fingerprint : of everything the result depends on, copied into the report.
        """
        table = TABLES[raw.name]
        faults = missing_columns(table, raw.columns, list(raw.types), raw.origin)
        extras, notes = find_extras(self.connection, table, raw.relation, raw.columns, raw.types)
        self._type_rows(table, raw, settings, extras)
        notes += raw.notes + self._leave_out(table, raw, settings)
        rows_in = self._count("typed")
        rules = self._rules(table, raw, settings, extras)
        if faults:
            rules = [Rule("", faults[0].split(" (")[0].removeprefix(f"{table.name}: "), "true")]
        broken = self._find_broken(rules, rows_in)
        self._mark_bad([rule for rule, _, _ in broken])
        broken += self._find_repeated(table, raw, extras)
        violations = self._violations(table, raw, broken, rows_in) if not faults else ()
        quarantined = self._write_quarantine(table, raw)
        used = self._write_facts(table, raw, settings, extras)
        self._clear(table, used)
        report = TableReport(
            table.name,
            raw.origin,
            rows_in,
            used,
            quarantined,
            violations,
            notes + _static(table, raw),
            fingerprint,
        )
        return Checked(report, tuple(faults))

    def _type_rows(self, table: Table, raw: RawRows, settings: TableSettings, extras: tuple[Extra, ...]) -> None:
        lines = ["_row"]
        for name, theirs in raw.columns.items():
            kind = _kind(table, name)
            if kind is None:
                continue
            quoted, family = quote_name(theirs), type_family(raw.types[theirs])
            value = cast_value(kind, quoted, family, formats=settings.date_format, timezone=self.timezone)
            lines.append(f'cast({value} as {SQL_TYPES[kind]}) as "{name}"')
            if can_fail(kind, family):
                lines.append(f'({is_written(quoted, family)} and {value} is null) as "{unreadable(name)}"')
        for extra in extras:
            lines.append(f'{extra.value} as "{extra.name}"')
            if extra.unreadable is not None:
                lines.append(f'({extra.unreadable}) as "{unreadable(extra.name)}"')
        if REASON in raw.types:
            lines.append(f"nullif(cast({REASON} as varchar), '') as {REASON}")
        flags = "".join(f", {flag}" for flag in self._reference_flags(table, raw))
        self.connection.execute(
            f"create temp table typed as select *{flags} from (select {', '.join(lines)} from {raw.relation})"
        )

    def _leave_out(self, table: Table, raw: RawRows, settings: TableSettings) -> tuple[str, ...]:
        """Drop the rows that happened before `since`, and say how many; one without a readable day is a fault."""
        event = table.column(table.event or "")
        if settings.since is None or event is None or event.name not in raw.columns:
            return ()
        day = local_day(event.name, self.timezone) if event.kind == "timestamp" else event.name
        (rows,) = self._row(f"delete from temp.typed where {day} < date '{settings.since}'")
        return (f"{rows:,} rows before {settings.since} left out",) if rows else ()

    def _reference_flags(self, table: Table, raw: RawRows) -> list[str]:
        flags = []
        for column in table.columns:
            if column.references is not None and column.name in raw.columns:
                known = self._known(column.references)
                missing = f'"{column.name}" is not null and "{column.name}" not in ({known})' if known else "false"
                flags.append(f'({missing}) as "{unknown(column.name)}"')
        return flags

    def _known(self, references: str) -> str | None:
        """Subselect of the ids a reference may hold, None where they are not known (accounts are broken)."""
        if references == "catalog":
            values = ", ".join(f"({quote_text(product)})" for product in self.products)
            return f"select product_id from (values {values}) catalog(product_id)"
        found = self.connection.execute("select 1 from duckdb_tables() where table_name = 'known_accounts'").fetchone()
        return "select account_id from temp.known_accounts" if found else None

    def _rules(self, table: Table, raw: RawRows, settings: TableSettings, extras: tuple[Extra, ...]) -> list[Rule]:
        types = {ours: raw.types[theirs] for ours, theirs in raw.columns.items() if ours in table.names}
        rules = list(
            build_rules(table, types, formats=settings.date_format, timezone=self.timezone, products=self.products)
        )
        for extra in extras:
            if extra.unreadable is not None:
                rules.append(Rule(extra.name, "not a number", f'"{unreadable(extra.name)}"', shows_value=True))
            if extra.is_float:
                huge = f'(isnan("{extra.name}") or abs("{extra.name}") >= {LARGEST:.0f})'
                rules.append(Rule(extra.name, "not finite or beyond 1e12", huge, shows_value=True))
        return [*rules, *self._given_rules(raw)]

    def _given_rules(self, raw: RawRows) -> list[Rule]:
        """A source may say itself why a row is bad, in a column `_reason`: one rule for each reason."""
        if REASON not in raw.types:
            return []
        texts = self.connection.execute(
            f"select distinct {REASON} from temp.typed where {REASON} is not null order by 1"
        ).fetchall()
        if len(texts) > MOST_REASONS:
            raise ContractError(
                f"{raw.name}: {len(texts):,} different texts in {REASON} of {raw.origin}, "
                f"at most {MOST_REASONS} (first: {shorten(texts[0][0])}). Name kinds of faults, not rows."
            )
        return [Rule("query", text, f"{REASON} = {quote_text(text)}") for (text,) in texts]

    def _find_broken(self, rules: list[Rule], rows_in: int) -> list[tuple[Rule, int, int]]:
        """Return the rules that some row breaks, each with the count and the first row."""
        if not rules or not rows_in:
            return []
        counts = self._row(f"select {', '.join(f'count_if({rule.broken})' for rule in rules)} from temp.typed")
        hit = [(rule, int(count)) for rule, count in zip(rules, counts, strict=True) if count]
        if not hit:
            return []
        firsts = self._row(
            f"select {', '.join(f'min(_row) filter ({rule.broken})' for rule, _ in hit)} from temp.typed"
        )
        return [(rule, count, int(first)) for (rule, count), first in zip(hit, firsts, strict=True)]

    def _mark_bad(self, rules: list[Rule]) -> None:
        self.connection.execute("create temp table bad (_row bigint, _reason varchar)")
        if rules:
            reasons = ", ".join(f"case when {rule.broken} then {quote_text(_reason(rule))} end" for rule in rules)
            any_broken = " or ".join(f"({rule.broken})" for rule in rules)
            self.connection.execute(
                f"insert into bad select _row, concat_ws('; ', {reasons}) from temp.typed where {any_broken}"
            )

    def _find_repeated(self, table: Table, raw: RawRows, extras: tuple[Extra, ...]) -> list[tuple[Rule, int, int]]:
        key = row_key(table, list(raw.columns))
        content = [name for name in raw.columns if _kind(table, name)] + [extra.name for extra in extras]
        names = ", ".join(map(quote_name, key)) or "_row"
        everything = ", ".join(map(quote_name, sorted(content))) or "_row"
        self._find_versions(table, raw)
        self.connection.execute(
            f"""
            create temp table repeated as
            with placed as (
                select _row,
                    row_number() over (partition by {names} order by {everything}, _row) as place,
                    row_number() over (partition by {everything} order by _row) as copy
                from temp.typed semi join temp.versions using (_row)
            )
            select _row, case when copy > 1 then '{DUPLICATE}' else '{CONFLICT}' end as what
            from placed where place > 1
            """
        )
        found = self.connection.execute(
            "select what, count(*), min(_row) from temp.repeated group by what order by what"
        ).fetchall()
        if found:
            self.connection.execute("insert into bad select _row, what from temp.repeated")
        plain = [name for name in key if name != KNOWN_AT]
        shown = plain[0] if len(plain) == 1 else f"({', '.join(plain)})"
        return [(Rule(shown, what, ""), int(count), int(first)) for what, count, first in found]

    def _find_versions(self, table: Table, raw: RawRows) -> None:
        """Collect the rows whose identity repeats: versions, duplicates and a few hash collisions."""
        identity = _identity(table, raw)
        good = "(from temp.typed anti join temp.bad using (_row))"
        self.connection.execute(
            f"create temp table versions as with twice as "
            f"(select hash({identity}) as h from {good} group by h having count(*) > 1) "
            f"select _row from {good} where hash({identity}) in (select h from twice)"
        )

    def _violations(
        self, table: Table, raw: RawRows, broken: list[tuple[Rule, int, int]], rows_in: int
    ) -> tuple[Violation, ...]:
        examples = first_examples(self.connection, table, raw, [(rule, first) for rule, _, first in broken])
        return tuple(
            Violation(table.name, rule.column, count, rows_in, rule.what, example)
            for (rule, count, _), example in zip(broken, examples, strict=True)
        )

    def _write_quarantine(self, table: Table, raw: RawRows) -> int:
        quarantined = self._count("bad")
        if quarantined:
            path = quote_text(str(self.folder / "quarantine" / f"{table.name}.parquet"))
            number = "_row" if raw.numbered else "cast(null as bigint) as _row"
            columns = "".join(f", r.{quote_name(name)}" for name in raw.types if name != REASON)
            self.connection.execute(
                f"copy (select {number}, b._reason{columns} from {raw.relation} r "
                f"join temp.bad b using (_row) order by r._row) to {path} (format parquet, compression zstd)"
            )
        return quarantined

    def _write_facts(self, table: Table, raw: RawRows, settings: TableSettings, extras: tuple[Extra, ...]) -> int:
        select = self._dated(table, raw, settings, extras)
        order = ", ".join(map(quote_name, row_key(table, table.names)))
        path = quote_text(str(self.folder / "facts" / f"{table.name}.parquet"))
        self.connection.execute(f"copy (from ({select}) order by {order}) to {path} (format parquet, compression zstd)")
        days = days_query(table, [extra.name for extra in extras], f"read_parquet({path})")
        beside = quote_text(str(self.folder / "facts" / f"{table.name}{SUFFIX}"))
        self.connection.execute(f"copy (from ({days}) order by all) to {beside} (format parquet, compression zstd)")
        return int(self._row(f"select count(*) from read_parquet({path})")[0])

    def _dated(self, table: Table, raw: RawRows, settings: TableSettings, extras: tuple[Extra, ...]) -> str:
        """SQL of the good rows with their dates; only rows whose key repeats are put in the order of their versions."""
        good = "from temp.typed anti join temp.bad using (_row)"
        parts = {f"({good})": False}
        if self._has_versions(table, raw):
            parts = {f"({good} {join} join temp.versions using (_row))": join == "semi" for join in ("anti", "semi")}
        return "\nunion all by name\n".join(
            "from ("
            + dated_select(
                table,
                relation,
                {name for name in raw.columns if name in table.names},
                timezone=self.timezone,
                lag_days=settings.lag_days,
                extras=tuple(extra.name for extra in extras),
                several_versions=several,
            )
            + ")"
            for relation, several in parts.items()
        )

    def _has_versions(self, table: Table, raw: RawRows) -> bool:
        """Whether a key still comes in several versions once duplicates are in quarantine."""
        identity = _identity(table, raw)
        good = "(from temp.typed semi join temp.versions using (_row) anti join temp.bad using (_row))"
        again = f"select 1 from {good} group by {identity} having count(*) > 1"
        return bool(self._row(f"select exists ({again})")[0])

    def _clear(self, table: Table, used: int) -> None:
        if table.name == "accounts" and used:
            self.connection.execute(
                "create temp table known_accounts as select distinct account_id "
                "from temp.typed anti join temp.bad using (_row)"
            )
        self.connection.execute("drop table typed; drop table bad; drop table versions; drop table repeated")

    def _count(self, relation: str) -> int:
        return int(self._row(f"select count(*) from temp.{relation}")[0])

    def _row(self, query: str) -> tuple[int, ...]:
        return self.connection.execute(query).fetchone() or ()


def _identity(table: Table, raw: RawRows) -> str:
    return ", ".join(quote_name(name) for name in table.key if name in raw.columns) or "_row"


def _reason(rule: Rule) -> str:
    return rule.what if rule.column in ("query", "") else f"{rule.column} {rule.what}"


def _static(table: Table, raw: RawRows) -> tuple[str, ...]:
    if table.name == "accounts" and not {"valid_from", KNOWN_AT} & set(raw.columns):
        return ("no valid_from: attributes are static, what they say of the past is not point-in-time",)
    return ()


def _kind(table: Table, name: str) -> str | None:
    column = table.column(name)
    return "timestamp" if name == KNOWN_AT else column.kind if column else None
