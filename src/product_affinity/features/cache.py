"""Build features, but only those not built before: one part a family, date and grain, found by its key.

A key holds everything a part depends on: the family's definition and what it refers to in others, the digests of what
the source tables it reads had told before the date, the catalogue, the account and pair rows of the date, the horizon,
and the code with the libraries that compute. So a night builds one date, an edited family itself alone, and new rows of
a source nothing of the dates before they were known; a row that is edited, deleted or arrives with a date of long ago
builds every date that knows it. A key that is found holds what building would give, bit by bit, because features of one
date depend on no other date and on no fact known later, which the replay audit proves.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from product_affinity.contracts.days import known_digests
from product_affinity.contracts.facts import Facts
from product_affinity.features.build import FeatureTables, build_features
from product_affinity.features.cache_files import CacheFolder, Values
from product_affinity.features.keys import ACCOUNT_KEYS, PAIR_KEYS, FeatureRows, build_rows
from product_affinity.project.catalog import Catalog
from product_affinity.project.families import FeatureColumn, FeatureFamily, derivations, feature_columns
from product_affinity.project.queries import tables_read
from product_affinity.schema import TABLES

CODE = ("features", "spine", "contracts", "schema", "project")
LIBRARIES = ("duckdb", "numpy", "pandas")
DECLARED = ("signals", "derived", "encodings", "columns")


@dataclass(frozen=True)
class Reuse:
    """How much of a build was found.

    Attributes
    ----------
    parts : parts (family × date × grain) needed.
    found : of these, found from an earlier build.
    kept : newly built ones that could be written for the next build.
    """

    parts: int
    found: int
    kept: int

    def __str__(self) -> str:
        built = self.parts - self.found
        lost = built - self.kept
        unkept = f"; {lost:,} could not be kept, is the disk full?" if lost else ""
        return f"features: {self.found:,} of {self.parts:,} parts found, {built:,} built{unkept}"


@dataclass(frozen=True)
class _Part:
    key: str
    family: str
    day: pd.Timestamp
    grain: str
    columns: tuple[str, ...]


def build_cached(
    facts: Facts,
    catalog: Catalog,
    families: tuple[FeatureFamily, ...],
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    horizon_days: int = 90,
    folder: CacheFolder,
) -> tuple[FeatureTables, Reuse]:
    """Return what `build_features` returns, from parts found and parts built.

    Parameters
    ----------
    facts, catalog, families, spine, pairs, horizon_days : as for `build_features`.
    folder : where parts are kept.

    Raises
    ------
    UsageError, ContractError : as `build_features`.
    """
    basis = {"code": _code_fingerprint(), "catalog": catalog.model_dump(mode="json"), "horizon_days": horizon_days}
    needed = {family.family: _alone([family], families) for family in families}
    rows = build_rows(catalog, spine, pairs)
    sheet = _Sheet(rows, feature_columns(families))
    known = _known(facts, needed, rows.as_ofs)
    parts = list(_parts(sheet.columns, needed, known, basis, _row_digests(spine, pairs)))
    missing = []
    for part in parts:
        values = folder.read(part.key, part.columns, len(sheet.rows_of(part)))
        if values is None:
            missing.append(part)
        else:
            sheet.fill(part, values)
    kept = 0
    for days, names in _builds(missing):
        chosen = _alone([family for family in families if family.family in names], families)
        built = build_features(
            facts, catalog, chosen, _of_days(spine, days), _of_days(pairs, days), horizon_days=horizon_days
        )
        for part in missing:
            if part.family in names:
                values = _cut(built, part)
                sheet.fill(part, values)
                kept += folder.write(part.key, values)
    folder.drop_unused([part.key for part in parts])
    return sheet.tables(), Reuse(len(parts), len(parts) - len(missing), kept)


class _Sheet:
    """Feature columns over all rows, filled part by part.

    Parameters
    ----------
    rows : the feature rows.
    columns : all columns, in declared order.
    """

    def __init__(self, rows: FeatureRows, columns: Sequence[FeatureColumn]) -> None:
        self.columns = columns
        self._frames = {"account": rows.account[ACCOUNT_KEYS], "pair": rows.pair[PAIR_KEYS]}
        self._places = {grain: _positions(frame) for grain, frame in self._frames.items()}
        self._filled = {
            column.name: np.full(len(self._frames[column.grain]), None if column.kind == "category" else np.nan)
            for column in columns
        }

    def rows_of(self, part: _Part) -> np.ndarray:
        """Positions of a part's rows."""
        return self._places[part.grain].get(part.day, np.empty(0, dtype=np.int64))

    def fill(self, part: _Part, values: Values) -> None:
        """Lay the values of a part over its rows."""
        for name, column in values.items():
            self._filled[name][self.rows_of(part)] = column

    def tables(self) -> FeatureTables:
        """Return the columns beside their rows' keys."""
        frames = dict(self._frames)
        for grain, frame in self._frames.items():
            new = {
                column.name: pd.Series(
                    self._filled[column.name], dtype="str" if column.kind == "category" else "float64"
                )
                for column in self.columns
                if column.grain == grain
            }
            frames[grain] = pd.concat([frame, pd.DataFrame(new, index=frame.index)], axis=1)
        return FeatureTables(frames["account"], frames["pair"])


def _parts(
    columns: Sequence[FeatureColumn],
    needed: Mapping[str, tuple[FeatureFamily, ...]],
    known: Mapping[str, Mapping[dt.date, str]],
    basis: Mapping[str, object],
    rows: Mapping[pd.Timestamp, str],
) -> Iterator[_Part]:
    """Every family × date × grain that has columns, with its key: definitions, and what was known at the date."""
    names: dict[tuple[str, str], list[str]] = {}
    for column in columns:
        names.setdefault((column.family, column.grain), []).append(column.name)
    for (family, grain), wanted in names.items():
        definitions = {one.family: one.fingerprint for one in needed[family]}
        tables = _tables_of(needed[family])
        for day, digest in rows.items():
            told = {table: known[table][day.date()] for table in tables}
            depends = {**basis, "definitions": definitions, "grain": grain, "columns": wanted, "rows": digest}
            key = f"{family}-{day.date()}-{grain}-{_digest({**depends, 'sources': told})[:32]}"
            yield _Part(key, family, day, grain, tuple(wanted))


def _known(
    facts: Facts, needed: Mapping[str, tuple[FeatureFamily, ...]], as_ofs: Sequence[dt.date]
) -> dict[str, dict[dt.date, str]]:
    """Of each table that some family reads, the digest of what it had told before each date."""
    tables = sorted({table for families in needed.values() for table in _tables_of(families)})
    return {table: known_digests(facts, table, as_ofs) for table in tables}


def _tables_of(families: Sequence[FeatureFamily]) -> list[str]:
    return sorted({table for family in families for table in _tables_read(family)})


def _tables_read(family: FeatureFamily) -> set[str]:
    read = {str(signal.source) for _, signal in family.resolved()} | set(tables_read(family.query or "select 1"))
    # a table that a column needs decides whether there is a value, read or not
    read |= {table for declared in family.columns.values() for table in declared.needs}
    named = read & set(TABLES)
    # which product is the core one, and all encodings, are read from the subscriptions
    named.add("subscriptions")
    # an outcome finds its account through the play it answers
    return named | {"outreach"} if "outcomes" in named else named


def _alone(wanted: Sequence[FeatureFamily], families: tuple[FeatureFamily, ...]) -> tuple[FeatureFamily, ...]:
    """The wanted families, and of the others only what those refer to; without words, which cite further columns."""
    names = {family.family for family in wanted}
    reached = _reached(names, families)
    chosen = []
    for family in families:
        signals = None if family.family in names else {signal for name, signal in reached if name == family.family}
        if signals is None or signals:
            chosen.append(_only(family, signals))
    return tuple(chosen)


def _only(family: FeatureFamily, signals: set[str] | None) -> FeatureFamily:
    """The family with some of its signals, or all, and without words."""
    parts: dict[str, Any] = {
        part: {
            name: declared.model_copy(update={"reason": "none", "said": "both"})
            for name, declared in getattr(family, part).items()
            if signals is None or name in signals
        }
        for part in DECLARED
    }
    if parts["columns"]:
        # a query gives all its columns or none
        parts["columns"] = _only(family, None).columns if signals is not None else parts["columns"]
    else:
        parts |= {"sql": None, "query": None}
    return family.model_copy(update=parts)


def _reached(names: set[str], families: tuple[FeatureFamily, ...]) -> set[tuple[str, str]]:
    """Family and signal of every column that derived columns of the named families refer to, however indirectly."""
    steps = {step.column.name: step for step in derivations(families)}
    signals = {column.name: (column.family, column.signal) for column in feature_columns(families)}
    reached = set()
    ahead = [name for name, step in steps.items() if step.column.family in names]
    while ahead:
        for used in steps[ahead.pop()].names.values():
            if signals[used] not in reached:
                reached.add(signals[used])
                if used in steps:
                    ahead.append(used)
    return reached


def _builds(missing: Sequence[_Part]) -> list[tuple[tuple[pd.Timestamp, ...], set[str]]]:
    """Dates with the families to build at them: one build where all are missing, as few as can be else."""
    days: dict[str, set[pd.Timestamp]] = {}
    for part in missing:
        days.setdefault(part.family, set()).add(part.day)
    together: dict[tuple[pd.Timestamp, ...], set[str]] = {}
    for family, wanted in days.items():
        together.setdefault(tuple(sorted(wanted)), set()).add(family)
    return list(together.items())


def _of_days(frame: pd.DataFrame, days: Sequence[pd.Timestamp]) -> pd.DataFrame:
    return frame[frame["as_of"].isin(list(days))]


def _cut(built: FeatureTables, part: _Part) -> Values:
    """The values of a part in a build of several dates and families."""
    table = built.account if part.grain == "account" else built.pair
    chosen = table.loc[table["as_of"] == part.day, list(part.columns)]
    return {name: _values(chosen[name]) for name in part.columns}


def _values(column: pd.Series) -> np.ndarray:
    if column.dtype == np.float64:
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()


def _positions(frame: pd.DataFrame) -> dict[pd.Timestamp, np.ndarray]:
    return {pd.Timestamp(str(day)): np.sort(at) for day, at in frame.groupby("as_of").indices.items()}


def _row_digests(spine: pd.DataFrame, pairs: pd.DataFrame) -> dict[pd.Timestamp, str]:
    """Digest of the account and pair rows of each date, as they stand in the order of their keys."""
    digests = {}
    sides = [
        spine.sort_values(ACCOUNT_KEYS, kind="stable"),
        pairs[[*PAIR_KEYS, "status"]].sort_values(PAIR_KEYS, kind="stable"),
    ]
    hashes = [pd.util.hash_pandas_object(side, index=False).to_numpy() for side in sides]
    places = [_positions(side) for side in sides]
    for day in sorted(places[0]):
        digest = hashlib.sha256(",".join(sides[0].columns).encode())
        for values, at in zip(hashes, places, strict=True):
            digest.update(values[at.get(day, np.empty(0, dtype=np.int64))].tobytes())
            digest.update(b"|")
        digests[day] = digest.hexdigest()
    return digests


@cache
def _code_fingerprint() -> str:
    """Fingerprint of the code and the libraries that decide what a feature's value is."""
    package = Path(__file__).parents[1]
    paths = sorted(path for part in CODE for path in (package / part).rglob("*.py"))
    code = [[str(path.relative_to(package)), hashlib.sha256(path.read_bytes()).hexdigest()] for path in paths]
    return _digest([code, [importlib.metadata.version(name) for name in LIBRARIES]])


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
