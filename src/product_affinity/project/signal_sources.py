"""Check a signal against the source it reads: what it names must exist, and be known when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from product_affinity.errors import did_you_mean
from product_affinity.project.signals import (
    CATALOG_COLUMNS,
    RUNNING_UNTIL,
    SOURCES,
    SPINE_COLUMNS,
    TARGET_LISTS,
    VIRTUAL_COLUMNS,
    Signal,
    Wanted,
    value_words,
)
from product_affinity.schema import TABLES, Table


def check_against_schema(signal: Signal) -> None:
    """Check a signal whose family's defaults are filled in against the source it reads.

    Raises
    ------
    ValueError : a source, column or combination that does not exist; with the closest match.
    """
    source = signal.source
    if source not in SOURCES:
        raise ValueError(f"source: {source} is unknown{did_you_mean(str(source), SOURCES)}")
    if source in ("spine", "catalog"):
        _check_frame_signal(signal)
        return
    table = TABLES[source]
    known = [*(c.name for c in table.columns), *VIRTUAL_COLUMNS.get(source, ())]
    named = [("of", signal.of), ("event", signal.event), *(("where", name) for name in signal.where)]
    for key, name in [*named, *(("match", name) for name in signal.match)]:
        if name is not None and name not in known and (table.extras == "none" or key == "event"):
            raise ValueError(f"{key}: {source} has no column {name}{did_you_mean(name, known)}")
    for target in signal.match.values():
        if target.removeprefix("target.") not in TARGET_LISTS or not target.startswith("target."):
            options = [f"target.{name}" for name in TARGET_LISTS]
            raise ValueError(f"match: {target} is unknown{did_you_mean(target, options)}")
    check_choices(signal.where, table)
    _check_closing(signal, table)
    if signal.running and source not in RUNNING_UNTIL:
        raise ValueError(f"running: {source} has no end{did_you_mean(source, RUNNING_UNTIL)}")
    _check_products(signal, has_product=table.column("product_id") is not None)


def check_choices(where: Mapping[str, Wanted], table: Table) -> None:
    """Refuse a value that a column with a closed list of values never has: no row could meet it.

    Raises
    ------
    ValueError : such a value, or a bound on such a column; with the closest match.
    """
    for name, wanted in where.items():
        column = table.column(name)
        for value in wanted if isinstance(wanted, tuple) else (wanted,):
            if column is not None and column.choices and value is not None and value not in column.choices:
                raise ValueError(
                    f"where: {name} is never {value_words(value)}{did_you_mean(str(value), column.choices)}"
                )


def _check_closing(signal: Signal, table: Table) -> None:
    """Refuse what can never be known: a closing column is empty until its date has passed."""
    closing = {c.name for c in table.columns if c.closed_by is not None}
    for name in signal.where:
        if name in closing and (signal.running or signal.where[name] is None):
            raise ValueError(f"where: {name} is empty while a row runs; say `running: true` without it")
    if signal.of in closing and "days_until" in signal.ops:
        raise ValueError(f"of: {signal.of} is known only once it has passed; there are no days until it")


def _check_products(signal: Signal, *, has_product: bool) -> None:
    if signal.grain == "account" and signal.match:
        raise ValueError("match: compares with the target product, which grain: account has none of")
    if signal.across and (signal.grain == "pair" or not has_product):
        raise ValueError("across: brings rows of owned products to grain: account; this signal has none")
    if signal.grain == "pair" and not signal.match and not has_product:
        raise ValueError(f"{signal.source} has no product_id; say with `match` what reaches the target product")


def _check_frame_signal(signal: Signal) -> None:
    known = dict.fromkeys(SPINE_COLUMNS, "last") if signal.source == "spine" else CATALOG_COLUMNS
    if signal.of not in known:
        raise ValueError(f"of: {signal.source} has no column {signal.of}{did_you_mean(str(signal.of), known)}")
    if signal.ops != (known[signal.of],) or signal.windows or signal.where or signal.match or signal.running:
        raise ValueError(f"{signal.source}.{signal.of} takes ops: [{known[signal.of]}] and nothing else")
    if (signal.grain == "pair") != (signal.source == "catalog"):
        raise ValueError("source: spine has grain account, source: catalog grain pair")
