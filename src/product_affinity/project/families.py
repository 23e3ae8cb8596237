"""`features/*.yml`: signal families, declared, strictly validated, never executed (docs/features.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import Field, model_validator

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.feature_columns import FeatureColumn, Grain, column, column_name
from product_affinity.project.queries import tables_read
from product_affinity.project.reading import StrictModel, read_yaml, validate
from product_affinity.project.sentences import (
    COMPARED,
    OF_PEERS,
    OWN_WORDS,
    SINCE_WORDS,
    check_reasons,
    parse_sentence,
    qualified,
    reason_for,
)
from product_affinity.project.signal_sources import check_against_schema
from product_affinity.project.signals import Derived, Encoding, QueryColumn, Signal

__all__ = [
    "Derived",
    "Encoding",
    "FeatureColumn",
    "FeatureFamily",
    "QueryColumn",
    "Signal",
    "derivations",
    "feature_columns",
    "load_families",
]


# They change no value and no model, so that rewording a reason asks for no training.
WORDS = ("reason", "said", "sayable", "missing")


class FeatureFamily(StrictModel):
    """One file of `features/`.

    Attributes
    ----------
    family, grain, source, event : its name, and what its signals have unless they say otherwise.
    signals, derived, encodings : what is declared.
    sql, query, columns : the file beside it that holds a query, or the query itself, and the columns it computes;
        once read, `query` holds the text either way.
    """

    family: str = Field(pattern=r"^[a-z][a-z0-9]*$")
    grain: Grain
    source: str | None = None
    event: str | None = None
    signals: dict[str, Signal] = Field(default={})
    derived: dict[str, Derived] = Field(default={})
    encodings: dict[str, Encoding] = Field(default={})
    sql: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*\.sql$")
    query: str | None = None
    columns: dict[str, QueryColumn] = Field(default={})

    @model_validator(mode="after")
    def _consistent(self) -> FeatureFamily:
        names = [*self.signals, *self.columns, *self.derived, *self.encodings]
        for name in names:
            if not name.replace("_", "a").isalnum() or not name.isascii() or name != name.lower():
                raise ValueError(f"{name}: a signal's name is made of a-z, 0-9 and _")
            if names.count(name) > 1:
                raise ValueError(f"{name} is declared twice")
        for name, signal in self.resolved():
            try:
                check_against_schema(signal)
            except ValueError as error:
                raise ValueError(f"signals.{name}: {error}") from None
        for derived in self.derived.values():
            check_reasons(derived.reason, (), sayable=derived.sayable)
        for encoding in self.encodings.values():
            check_reasons(encoding.reason, encoding.combine, sayable=encoding.sayable)
        self._check_query()
        return self

    def _check_query(self) -> None:
        if self.sql and self.query:
            raise ValueError("sql and query: give the one or the other")
        if self.columns and not (self.sql or self.query):
            raise ValueError("columns: belong to a query; give `sql: <file>.sql` or `query`")
        if (self.sql or self.query) and not self.columns:
            raise ValueError("columns: missing; declare each column the query computes")
        if self.query:
            try:
                tables_read(self.query)
            except ValueError as error:
                raise ValueError(f"query: {error}") from None

    @property
    def query_place(self) -> str:
        """Where the query is written, for messages."""
        return f"features/{self.sql}" if self.sql else f"features/{self.family}.yml: query"

    def resolved(self) -> Iterator[tuple[str, Signal]]:
        """Yield each signal with the family's grain, source and event filled in."""
        for name, signal in self.signals.items():
            source = signal.source or self.source
            event = signal.event or (self.event if source == self.source else None)
            yield (
                name,
                signal.model_copy(update={"grain": signal.grain or self.grain, "source": source, "event": event}),
            )

    @property
    def fingerprint(self) -> str:
        """sha256 of the definition, independent of the file's layout, of the order of keys and of words.

        The text of a query counts as it is written; a family without one is not affected by there being queries.
        """
        words = {part: {"__all__": set(WORDS)} for part in ("signals", "derived", "encodings", "columns")}
        content = self.model_dump(mode="json", exclude=words)
        if not self.query:
            content = {key: value for key, value in content.items() if key not in ("sql", "query", "columns")}
        text = json.dumps(content, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def load_families(folder: Path) -> tuple[FeatureFamily, ...]:
    """Read every `*.yml` of the project's `features/`, in file-name order.

    Raises
    ------
    UsageError : the folder is missing or empty, a file has a fault, a family or column appears twice, or a
        derived signal refers to a column there is none of; with file, key and closest match.
    """
    for misnamed in sorted(folder.glob("*.yaml")):
        raise UsageError(f"features/{misnamed.name}: would be ignored; name it {misnamed.stem}.yml")
    files = sorted(folder.glob("*.yml")) if folder.is_dir() else []
    if not files:
        state = "has no *.yml file" if folder.is_dir() else "not found"
        raise UsageError(f"{folder}: {state}. A project declares its signals there; `affinity init DIR` writes a set.")
    families = tuple(_with_query(validate(FeatureFamily, read_yaml(f), f"features/{f.name}"), folder) for f in files)
    for file, family in zip(files, families, strict=True):
        if family.family != file.stem:
            raise UsageError(f"features/{file.name}: family: {family.family} must be the file's name, {file.stem}")
    for query in sorted(folder.glob("*.sql")):
        if query.name not in {family.sql for family in families}:
            raise UsageError(f"features/{query.name}: no family reads it; name it there with `sql: {query.name}`")
    _check_names(families)
    return families


def _with_query(family: FeatureFamily, folder: Path) -> FeatureFamily:
    """Read the query a family has in a file of its own."""
    if family.sql is None:
        return family
    files = [path.name for path in sorted(folder.glob("*.sql"))]
    if family.sql not in files:
        known = did_you_mean(family.sql, files) if files else ""
        raise UsageError(f"features/{family.family}.yml: sql: {family.sql} not found in {folder}{known}")
    try:
        query = (folder / family.sql).read_text(encoding="utf-8")
        tables_read(query)
    except ValueError as error:
        raise UsageError(f"{family.query_place}: {error}") from None
    except OSError as error:
        raise UsageError(f"{family.query_place}: not readable ({error.strerror})") from None
    return family.model_copy(update={"query": query})


def _check_names(families: tuple[FeatureFamily, ...]) -> None:
    names = [c.name for c in feature_columns(families)]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"features/: column {name} is declared twice; rename one of its signals")


def feature_columns(families: tuple[FeatureFamily, ...]) -> tuple[FeatureColumn, ...]:
    """Return every column the families declare: per family its signals, encodings, then derived ones.

    Raises
    ------
    UsageError : a derived signal or a sentence refers to a column there is none of, or a signal to itself.
    """
    plain = {family.family: _plain_columns(family) for family in families}
    for step in derivations(families):
        plain[step.column.family].append(step.column)
    columns = tuple(c for columns in plain.values() for c in columns)
    encoded = {
        column_name(family.family, name): encoding.form
        for family in families
        for name, encoding in family.encodings.items()
    }
    return tuple(_with_words(c, columns, encoded) for c in columns)


def _with_words(spoken: FeatureColumn, columns: tuple[FeatureColumn, ...], encoded: Mapping[str, str]) -> FeatureColumn:
    """Check the names in a column's sentence and write them in full."""
    if spoken.reason is None:
        return spoken
    place = f"features/{spoken.family}.yml: {spoken.signal}"

    def resolve(name: str) -> str:
        found = _matches(name, spoken.family, columns)
        if len(found) == 1:
            return found[0].name
        if found:
            raise ValueError(f"reason: {name} stands for {', '.join(c.name for c in found)}; name one of them")
        words = [*OWN_WORDS, *COMPARED, *OF_PEERS, *SINCE_WORDS, *(c.name for c in columns)]
        raise ValueError(f"reason: unknown placeholder {{{name}}}{did_you_mean(name, words)}")

    form = encoded.get(column_name(spoken.family, spoken.signal))
    has_peers = form in ("affinity", "peers")
    try:
        reason = qualified(spoken.reason, spoken.name, spoken.op, has_peers=has_peers, resolve=resolve)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    cited = {name.partition(".")[::2] for name in parse_sentence(reason).names if "." in name}
    if spoken.said in ("more", "less"):
        cited.add(("typical", spoken.name))
    for c in columns:
        if ("previous", c.name) in cited and column_name(c.family, c.signal) in encoded:
            raise UsageError(f"{place}: reason: {c.name} is learnt anew at each date; it has no previous value")
        if ("typical", c.name) in cited and c.kind == "category":
            raise UsageError(f"{place}: {c.name} is a text; no text is typical, nor more or less than another")
    return replace(spoken, reason=reason)


def _plain_columns(family: FeatureFamily) -> list[FeatureColumn]:
    """All columns but the derived ones."""
    return [*_signal_columns(family), *_query_columns(family), *_encoding_columns(family)]


def _query_columns(family: FeatureFamily) -> Iterator[FeatureColumn]:
    for name, declared in family.columns.items():
        yield column(
            family.family,
            name,
            grain=family.grain,
            unit=declared.unit,
            missing=declared.missing,
            direction=declared.direction,
            reason=reason_for(declared.reason, "", ()),
            said=declared.said,
            sayable=declared.sayable,
            definition=f"{name} of the query in {family.query_place}",
        )


def _signal_columns(family: FeatureFamily) -> Iterator[FeatureColumn]:
    for name, signal in family.resolved():
        for op in signal.ops:
            for window in signal.windows or (None,):
                yield column(
                    family.family,
                    name,
                    op,
                    window,
                    grain=signal.grain or family.grain,
                    unit=signal.unit,
                    missing=signal.missing,
                    direction=signal.direction,
                    reason=reason_for(signal.reason, op, signal.ops),
                    said=signal.said,
                    sayable=signal.sayable,
                    definition=signal.describe(op, window),
                )


def _encoding_columns(family: FeatureFamily) -> Iterator[FeatureColumn]:
    for name, encoding in family.encodings.items():
        for op in encoding.combine or ("",):
            yield column(
                family.family,
                name,
                op,
                grain="pair",
                unit="log-odds" if op == "log_odds_sum" or encoding.role == "offset" else encoding.unit,
                missing=encoding.missing,
                direction=encoding.direction,
                reason=reason_for(encoding.reason, op, encoding.combine),
                said=encoding.said,
                sayable=encoding.sayable,
                role=encoding.role,
                definition=encoding.describe(op),
            )


@dataclass(frozen=True)
class Derivation:
    """A derived column, its declaration, and the columns its names stand for."""

    column: FeatureColumn
    derived: Derived
    names: Mapping[str, str]


def derivations(families: tuple[FeatureFamily, ...]) -> tuple[Derivation, ...]:
    """Return the derived columns in an order in which each follows what it refers to.

    Raises
    ------
    UsageError : a name refers to no column, to a text column, or in a circle.
    """
    known = {c.name: c for family in families for c in _plain_columns(family)}
    declared = {
        column(family.family, name).name: (family.family, name, derived)
        for family in families
        for name, derived in family.derived.items()
    }
    names = {
        target: {name: _resolve(name, family, key, [*known.values()], declared) for name in derived.references}
        for target, (family, key, derived) in declared.items()
    }
    sorter = TopologicalSorter({target: set(used.values()) & set(declared) for target, used in names.items()})
    try:
        ordered = [target for target in sorter.static_order() if target in declared]
    except CycleError as error:
        circle = " → ".join(error.args[1])
        raise UsageError(f"features/: derived signals refer to each other in a circle: {circle}") from None
    steps = []
    for target in ordered:
        family, key, derived = declared[target]
        used = [known[name] for name in names[target].values()]
        known[target] = _derived_column(family, key, derived, used)
        steps.append(Derivation(known[target], derived, names[target]))
    return tuple(steps)


def _derived_column(family: str, name: str, derived: Derived, used: list[FeatureColumn]) -> FeatureColumn:
    return column(
        family,
        name,
        grain="pair" if any(c.grain == "pair" for c in used) else "account",
        unit=derived.unit,
        missing=derived.missing,
        direction=derived.direction,
        reason=reason_for(derived.reason, "", ()),
        said=derived.said,
        sayable=derived.sayable,
        definition=derived.describe(),
    )


def _resolve(name: str, family: str, key: str, known: list[FeatureColumn], declared: Collection[str]) -> str:
    """Find the column a name stands for: the column itself, or the only column of a signal."""
    place = f"features/{family}.yml: derived.{key}"
    full = _full_name(name, family)
    matches = _matches(name, family, known)
    if full in declared:
        return full
    if len(matches) > 1:
        raise UsageError(f"{place}: {name} stands for {', '.join(c.name for c in matches)}; name one of them")
    if not matches:
        options = [c.name for c in known] + list(declared)
        raise UsageError(f"{place}: no column {full}{did_you_mean(full, options)}")
    if matches[0].kind == "category":
        raise UsageError(f"{place}: {full} is a text, not a number")
    return matches[0].name


def _full_name(name: str, family: str) -> str:
    prefix, _, rest = name.rpartition(".")
    return column_name(prefix or family, rest)


def _matches(name: str, family: str, columns: Iterable[FeatureColumn]) -> list[FeatureColumn]:
    """Columns a name in a family's file may stand for: the one called so, else all of the signal called so."""
    full = _full_name(name, family)
    exact = [c for c in columns if c.name == full]
    return exact or [c for c in columns if column_name(c.family, c.signal) == full]
