"""Check a few rows of one table against its contract, without any source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd

from product_affinity.contracts.checking import Checked, TableCheck
from product_affinity.contracts.facts import open_engine
from product_affinity.project.settings import TableSettings
from product_affinity.schema import TABLES

Row = Mapping[str, object]


@dataclass(frozen=True)
class Rows:
    """Raw rows for a contract: texts, or what pandas makes of other values."""

    name: str
    origin: str
    relation: str
    columns: dict[str, str]
    types: dict[str, str]
    numbered: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a check made of a table."""

    checked: Checked
    facts: pd.DataFrame
    quarantine: pd.DataFrame
    facts_bytes: bytes

    @property
    def reasons(self) -> dict[int, str]:
        """Row number to reason."""
        return dict(zip(self.quarantine["_row"], self.quarantine["_reason"], strict=True))

    @property
    def said(self) -> list[str]:
        """Violations as shown."""
        return [str(violation) for violation in self.checked.report.violations]


def raw_rows(engine: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> Rows:
    engine.register("given", frame)
    engine.execute(f'create table "raw {name}" as select row_number() over () as _row, * from given')
    engine.unregister("given")
    types = {row[0]: row[1] for row in engine.execute(f'describe "raw {name}"').fetchall() if row[0] != "_row"}
    columns = {column: column for column in TABLES[name].names if column in types}
    return Rows(name, f"{name}.csv", f'"raw {name}"', columns, types)


def check(
    name: str,
    rows: Sequence[Row] | pd.DataFrame,
    *,
    accounts: Sequence[str] = ("A-1", "A-2"),
    products: Sequence[str] = ("crm", "ads"),
    timezone: str = "UTC",
    **settings: object,
) -> Outcome:
    """Check rows of one table beside given accounts and products."""
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    with TemporaryDirectory() as place, open_engine(threads=1) as engine:
        folder = Path(place)
        for part in ("facts", "quarantine"):
            (folder / part).mkdir()
        table_check = TableCheck(engine, timezone, tuple(products), folder)
        if name != "accounts" and accounts:
            base = raw_rows(engine, "accounts", pd.DataFrame({"account_id": list(accounts), "name": "Company"}))
            table_check.check(base, TableSettings(), "")
        wanted = TableSettings.model_validate(settings)
        checked = table_check.check(raw_rows(engine, name, frame), wanted, "")
        path, bad = folder / "facts" / f"{name}.parquet", folder / "quarantine" / f"{name}.parquet"
        quarantine = pd.read_parquet(bad) if bad.exists() else pd.DataFrame({"_row": [], "_reason": []})
        return Outcome(checked, pd.read_parquet(path), quarantine, path.read_bytes())
