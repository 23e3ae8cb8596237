"""The rules every row of a source table must satisfy, as SQL conditions over its typed rows.

A rule's condition is true for a row that breaks it. Its `what` completes the sentence "12 of 800 rows …" and,
behind the column's name, is the reason written beside a quarantined row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from product_affinity.contracts.casts import can_fail, describe_kind, type_family
from product_affinity.contracts.facts import local_day
from product_affinity.schema import KNOWN_AT, Column, Table

FIRST_PLAUSIBLE, LAST_PLAUSIBLE = "date '1970-01-01'", "date '2100-12-31'"
# Beyond it, sums of scaled 64-bit integers over a year of rows could overflow.
LARGEST = 1e12
# Salesforce external ids end at 255 characters, and our own keys join two ids.
LONGEST_ID = 200
OUTCOME_KEY = ("account_id", "product_id", "as_of")


@dataclass(frozen=True)
class Rule:
    """One thing a row may do wrong.

    Attributes
    ----------
    column : our column it is about.
    what : what is wrong, completing "rows …".
    broken : SQL condition over the typed rows.
    shows_value : whether the first example shows the raw value of the column.
    options : values the raw value might have been meant as, for "closest".
    """

    column: str
    what: str
    broken: str
    shows_value: bool = False
    options: tuple[str, ...] = ()


def unreadable(column: str) -> str:
    """Name of the flag that a raw value was there but could not be read."""
    return f"_unreadable_{column}"


def unknown(column: str) -> str:
    """Name of the flag that a reference is not found in the table it points to."""
    return f"_unknown_{column}"


def row_key(table: Table, present: Sequence[str]) -> tuple[str, ...]:
    """Columns that may not repeat: the key, and what tells versions apart (`valid_from`, `known_at`).

    >>> from product_affinity.schema import TABLES
    >>> row_key(TABLES["usage"], ["account_id", "product_id", "date", "known_at"])
    ('account_id', 'product_id', 'date', 'known_at')
    """
    versions = ("valid_from",) if table.name == "accounts" else ()
    return tuple(name for name in (*table.key, *versions, KNOWN_AT) if name in present)


def build_rules(
    table: Table, types: Mapping[str, str], *, formats: Sequence[str], timezone: str, products: Sequence[str]
) -> tuple[Rule, ...]:
    """Build the rules of one table for the columns that are there.

    Parameters
    ----------
    table : definition of the source table.
    types : our column name to the engine's type of its raw column; only columns that are there.
    formats : `date_format` of the table, shown in messages.
    timezone : IANA zone whose days the order of events is judged in.
    products : ids of the catalogue, offered as the closest match.
    """
    present = [*(column for column in table.columns if column.name in types)]
    if KNOWN_AT in types:
        present.append(Column(KNOWN_AT, "timestamp"))
    rules = [rule for column in present for rule in _column_rules(column, types[column.name], formats, products)]
    rules += [
        Rule(late, f"before {early}", f'"{late}" < "{early}"')
        for early, late in table.closing_order
        if {early, late} <= set(types)
    ]
    return (*rules, *_known_too_early(table, types, timezone), *_unidentified(table, types))


def _column_rules(column: Column, raw_type: str, formats: Sequence[str], products: Sequence[str]) -> list[Rule]:
    name, rules = column.name, []
    if column.required:
        filled = f"coalesce(trim(\"{name}\"), '') <> ''" if column.kind in ("id", "text") else f'"{name}" is not null'
        readable = f' and not "{unreadable(name)}"' if can_fail(column.kind, type_family(raw_type)) else ""
        rules.append(Rule(name, "empty", f"not ({filled}){readable}"))
    if can_fail(column.kind, type_family(raw_type)):
        rules.append(Rule(name, describe_kind(column, formats), f'"{unreadable(name)}"', shows_value=True))
    if column.kind == "id" and not column.references:
        # A reference that is found has the form of the id it points to; testing millions again would be slow.
        rules += _id_rules(name)
    if column.kind in ("integer", "number"):
        rules += _number_rules(column)
    if column.kind in ("date", "timestamp"):
        outside = f'cast("{name}" as date) not between {FIRST_PLAUSIBLE} and {LAST_PLAUSIBLE}'
        rules.append(Rule(name, "outside 1970 to 2100", outside, shows_value=True))
    if column.choices:
        wrong = f'"{name}" not in ({", ".join(map(repr, column.choices))})'
        what = f"not one of {', '.join(column.choices)}"
        rules.append(Rule(name, what, wrong, shows_value=True, options=column.choices))
    if column.references:
        in_catalog = column.references == "catalog"
        where, options = ("the catalogue", tuple(products)) if in_catalog else (column.references, ())
        rules.append(Rule(name, f"not in {where}", f'"{unknown(name)}"', shows_value=True, options=options))
    return rules


def _id_rules(name: str) -> list[Rule]:
    return [
        Rule(name, "with control characters", f"regexp_matches(\"{name}\", '[\\x00-\\x1f\\x7f]')"),
        Rule(name, f"longer than {LONGEST_ID} characters", f'length("{name}") > {LONGEST_ID}'),
    ]


def _number_rules(column: Column) -> list[Rule]:
    name = column.name
    huge = (
        f'(isnan("{name}") or abs("{name}") >= {LARGEST:.0f})'
        if column.kind == "number"
        else f'abs("{name}") >= {LARGEST:.0f}'
    )
    rules = [Rule(name, "not finite or beyond 1e12", huge, shows_value=True)]
    if column.minimum is not None:
        what = "negative" if column.minimum == 0 else f"below {column.minimum:g}"
        rules.append(Rule(name, what, f'"{name}" < {column.minimum}', shows_value=column.minimum != 0))
    if column.maximum is not None:
        above = f'"{name}" > {column.maximum} and not ({huge})'
        rules.append(Rule(name, f"above {column.maximum:g}", above, shows_value=True))
    return rules


def _known_too_early(table: Table, types: Mapping[str, str], timezone: str) -> list[Rule]:
    """A fact that is no plan cannot be known on an earlier local day than it happened."""
    event = table.column(table.event) if table.event else None
    if event is None or event.future or not {event.name, KNOWN_AT} <= set(types):
        return []
    happened = local_day(event.name, timezone) if event.kind == "timestamp" else f'"{event.name}"'
    return [Rule(KNOWN_AT, f"before it happened ({event.name})", f"{local_day(KNOWN_AT, timezone)} < {happened}")]


def _unidentified(table: Table, types: Mapping[str, str]) -> list[Rule]:
    """An outcome belongs to a play, or to an account, product and as-of date."""
    if table.name != "outcomes":
        return []
    play = '"play_id" is null' if "play_id" in types else "true"
    missing = [f'"{name}" is null' for name in OUTCOME_KEY if name in types]
    pair = "true" if len(missing) < len(OUTCOME_KEY) else f"({' or '.join(missing)})"
    return [Rule("play_id", "without a play, or an account, product and as_of", f"{play} and {pair}")]
