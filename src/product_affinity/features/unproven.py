"""Feature columns whose point in time no replay can prove, because their source kept no log to cut off.

They are named by the check, the audit, the training, the model card and `affinity compare`. What is withheld
(`overwritten`) is missing at every date and cannot leak; the rest is used as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from product_affinity.contracts.facts import Facts, overwritten_columns
from product_affinity.features.overwritten import is_withheld
from product_affinity.project.families import FeatureFamily, derivations, feature_columns
from product_affinity.project.queries import tables_read
from product_affinity.project.signals import Signal
from product_affinity.schema import KNOWN_AT
from product_affinity.schema.sql import quote_name

Source = tuple[str, str]

TODAY = "so at past dates it says what is true today"
LEFT_OUT = "so nothing is learnt from it"
# What the spine says of an account, and where it has it from.
_SPINE: dict[str, Source] = {
    "segment": ("accounts", "employees"),
    "industry": ("accounts", "industry"),
    "region": ("accounts", "region"),
    "country": ("accounts", "country"),
    "arr_usd": ("subscriptions", "arr_usd"),
}
_USES = ("usage", "feature_usage")
# Of a table's own rows: use of products that the account does not have.
NOT_OWNED = "rows before the first start"


@dataclass(frozen=True)
class Unproven:
    """A source column without a history, and what rests on it.

    Attributes
    ----------
    source : table.column.
    why : what is wrong with it, in words that follow its name.
    columns : feature columns that rest on it, in declared order.
    withheld : whether they are left out at every date for it, so that nothing is learnt from it.
    """

    source: str
    why: str
    columns: tuple[str, ...]
    withheld: bool = False

    def __str__(self) -> str:
        """One sentence.

        >>> str(Unproven("tickets.escalated", "has no history", ("health_escalations_count_30d",), withheld=True))
        'left out: tickets.escalated has no history: health_escalations_count_30d'
        """
        how = "left out" if self.withheld else "not provable"
        return f"{how}: {self.source} {self.why}: {', '.join(self.columns)}"


def unproven_columns(facts: Facts, families: tuple[FeatureFamily, ...]) -> tuple[Unproven, ...]:
    """Return each source column without a history that a feature rests on, with the features.

    That is a column its source overwrites in a table without `known_at`, an attribute of accounts without `valid_from`,
    one of your own that is the same on every version of every account, and use before a product's first start where a
    signal reads the use of products that are not owned.

    Parameters
    ----------
    facts : checked source tables.
    families : declared signals.
    """
    read = dict(_read(families))
    found = []
    for (table, name), why in _without_history(facts, {source for used in read.values() for source in used}).items():
        resting = _resting((table, name), read, families)
        if resting:
            found.append(Unproven(f"{table}.{name}", why, resting, is_withheld(table, name)))
    return tuple(found)


def _read(families: tuple[FeatureFamily, ...]) -> Iterator[tuple[str, frozenset[Source]]]:
    """Yield each column that is not derived with the source columns it reads."""
    signals = {(family.family, name): signal for family in families for name, signal in family.resolved()}
    queries = {family.family: family for family in families if family.query}
    for column in feature_columns(families):
        if signal := signals.get((column.family, column.signal)):
            yield column.name, frozenset(_read_by(signal))
        elif column.family in queries and column.signal in queries[column.family].columns:
            yield column.name, frozenset(_named_in(str(queries[column.family].query)))


def _read_by(signal: Signal) -> Iterator[Source]:
    source = str(signal.source)
    if source == "spine":
        yield _SPINE[str(signal.of)]
        return
    for name in (signal.event, signal.of, *signal.where):
        if name:
            yield source, name
    if signal.across == "core":
        yield "subscriptions", "arr_usd"
    if source in _USES and signal.across is None and not signal.match:
        yield source, NOT_OWNED


def _named_in(query: str) -> Iterator[Source]:
    """Every word of a query, for each table it reads: rather one column too many than one too few."""
    words = set(re.findall(r"\w+", query))
    for table in tables_read(query):
        yield from ((table, word) for word in words)


def _without_history(facts: Facts, read: set[Source]) -> dict[Source, str]:
    """Say of each source column without a history what is wrong with it."""
    found: dict[Source, str] = {}
    for table, names in overwritten_columns(facts).items():
        for name in names:
            consequence = LEFT_OUT if is_withheld(table, name) else TODAY
            found[table, name] = f"has no history (no known_at), {consequence}"
    attributes = sorted(name for table, name in read if table == "accounts" and name in _attributes(facts))
    found |= {("accounts", name): why for name, why in _static(facts, attributes).items()}
    for table in _USES:
        if (table, NOT_OWNED) in read and (rows := _early_rows(facts, table)):
            found[table, NOT_OWNED] = f"({rows:,}: provisioned before billing) tell of a sale that is made"
    return found


def _attributes(facts: Facts) -> set[str]:
    return {*(name for table, name in _SPINE.values() if table == "accounts"), *facts.extras["accounts"]} - {KNOWN_AT}


def _static(facts: Facts, names: Iterable[str]) -> Mapping[str, str]:
    """Attributes of accounts that have no history, or whose history never says anything new."""
    own = {"employees", *facts.extras["accounts"]}
    found = {}
    for name in names:
        value = quote_name(name)
        has_history, several, filled, changes = facts.connection.execute(
            f"select bool_or(dated), count(*) filter (where versions > 1), coalesce(bool_or(filled > 0), false), "
            f"coalesce(bool_or(different > 1 or filled between 1 and versions - 1), false) from ("
            f"select bool_or(valid_from is not null or {KNOWN_AT} is not null) as dated, count(*) as versions, "
            f"count({value}) as filled, count(distinct {value}) as different from facts.accounts group by account_id)"
        ).fetchall()[0]
        if filled and not has_history:
            found[name] = f"has no history (no valid_from), {TODAY}"
        elif filled and name in own and several and not changes:
            found[name] = (
                f"is the same on every version of all {several:,} accounts that have several, "
                "so at past dates it may say what is true today"
            )
    return found


def _early_rows(facts: Facts, table: str) -> int:
    found = facts.connection.execute(
        f"select count(*) from facts.{table} as used join (select account_id, product_id, min(start_on) as first_on "
        "from facts.subscriptions group by all) as bought using (account_id, product_id) "
        "where used.date < bought.first_on"
    ).fetchall()
    return int(found[0][0])


def _resting(
    source: Source, read: Mapping[str, frozenset[Source]], families: tuple[FeatureFamily, ...]
) -> tuple[str, ...]:
    """Columns that read the source, and those derived from them, in declared order."""
    resting = {name for name, sources in read.items() if source in sources}
    for step in derivations(families):
        if resting.intersection(step.names.values()):
            resting.add(step.column.name)
    return tuple(column.name for column in feature_columns(families) if column.name in resting)
