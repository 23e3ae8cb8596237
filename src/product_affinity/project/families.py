"""`features/*.yml`: signal families, declared, strictly validated, never executed (docs/features.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import Field, model_validator

from product_affinity.errors import UsageError, did_you_mean
from product_affinity.project.feature_columns import FeatureColumn, Grain, check_reasons, column, reason_for
from product_affinity.project.reading import StrictModel, read_yaml, validate
from product_affinity.project.signals import Derived, Encoding, Signal, check_against_schema

__all__ = [
    "Derived",
    "Encoding",
    "FeatureColumn",
    "FeatureFamily",
    "Signal",
    "derivations",
    "feature_columns",
    "load_families",
]


class FeatureFamily(StrictModel):
    """One file of `features/`."""

    family: str = Field(pattern=r"^[a-z][a-z0-9]*$")
    grain: Grain
    source: str | None = None
    event: str | None = None
    signals: dict[str, Signal] = Field(default={})
    derived: dict[str, Derived] = Field(default={})
    encodings: dict[str, Encoding] = Field(default={})

    @model_validator(mode="after")
    def _consistent(self) -> FeatureFamily:
        names = [*self.signals, *self.derived, *self.encodings]
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
            check_reasons(derived.reason, ())
        for encoding in self.encodings.values():
            check_reasons(encoding.reason, encoding.combine)
        return self

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
        """sha256 of the definition, independent of the file's layout and of the order of keys."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
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
    families = tuple(validate(FeatureFamily, read_yaml(file), f"features/{file.name}") for file in files)
    for file, family in zip(files, families, strict=True):
        if family.family != file.stem:
            raise UsageError(f"features/{file.name}: family: {family.family} must be the file's name, {file.stem}")
    _check_names(families)
    return families


def _check_names(families: tuple[FeatureFamily, ...]) -> None:
    names = [c.name for c in feature_columns(families)]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"features/: column {name} is declared twice; rename one of its signals")


def feature_columns(families: tuple[FeatureFamily, ...]) -> tuple[FeatureColumn, ...]:
    """Return every column the families declare: per family its signals, encodings, then derived ones.

    Raises
    ------
    UsageError : a derived signal refers to a column there is none of, or to itself.
    """
    plain = {family.family: [*_signal_columns(family), *_encoding_columns(family)] for family in families}
    for step in derivations(families):
        plain[step.column.family].append(step.column)
    return tuple(c for columns in plain.values() for c in columns)


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
    known = {c.name: c for family in families for c in (*_signal_columns(family), *_encoding_columns(family))}
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
        definition=derived.describe(),
    )


def _resolve(name: str, family: str, key: str, known: list[FeatureColumn], declared: Collection[str]) -> str:
    """Find the column a name stands for: the column itself, or the only column of a signal."""
    place = f"features/{family}.yml: derived.{key}"
    prefix, _, rest = name.rpartition(".")
    prefix = prefix or family
    full = column(prefix, rest).name
    matches = [c for c in known if c.name == full or (c.family, c.signal) == (prefix, rest)]
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
