"""What the values of listed rows are compared with: themselves in an earlier month, and other companies.

Built for listed rows only. A value of an earlier month is the same feature built as of that month's end, from the facts
known then. Companies are counted, never named, and only where there are at least `FEWEST_PEERS` of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.features import assemble, build_features
from product_affinity.features.affinity import day_number, fit_affinity, read_intervals
from product_affinity.project import Project
from product_affinity.project.families import FeatureColumn, FeatureFamily, derivations, feature_columns
from product_affinity.project.feature_columns import column_name
from product_affinity.project.sentences import parse_sentence
from product_affinity.project.signals import Encoding
from product_affinity.spine import build_pairs, build_spine

#: below it a share of other companies says little, and may say too much about one of them
FEWEST_PEERS = 10
#: days that the month compared with lies back, at least: windows of a month then never overlap
FEWEST_DAYS_BACK = 60
KEYS = ["account_id", "product_id"]


@dataclass(frozen=True)
class Comparisons:
    """What sentences may name beside the values of their row.

    Attributes
    ----------
    as_of : date of the list.
    since : last day of the month compared with.
    cells : one row a listed row, in its order and with its index; columns `previous.<column>` and
        `typical.<column>` in the column's unit, `best.<column>` (a product's name), `peers.<column>` (companies)
        and `peer_share.<column>` (0–1); missing where unknown.
    """

    as_of: dt.date
    since: dt.date
    cells: pd.DataFrame


def comparison_date(as_of: dt.date) -> dt.date:
    """Return the as-of date that values are compared with: the latest month's first day ≥ 60 days back.

    What was known then covers whole months, so that a window of 28 days lies in the month before.

    >>> comparison_date(dt.date(2026, 11, 5))  # compared with the end of August
    datetime.date(2026, 9, 1)
    """
    return (as_of - dt.timedelta(days=FEWEST_DAYS_BACK)).replace(day=1)


def compare_listed(
    facts: Facts,
    project: Project,
    listed: pd.DataFrame,
    *,
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    population: pd.DataFrame,
    as_of: dt.date,
) -> Comparisons:
    """Build the comparisons that the project's sentences name, for listed rows.

    Parameters
    ----------
    facts : checked source tables.
    project : its families, catalogue, model specification and segments.
    listed : account_id, product_id, each pair once.
    spine, pairs : of the as-of date: active customers; every account × product with its status.
    population : the scored pairs of the as-of date with their features; what is typical is typical of these.
    as_of : date of the list.
    """
    columns = feature_columns(project.families)
    # what speaks for a row on one side of what is typical needs that, named or not
    levels = [c.name for c in columns if c.said in ("more", "less") and c.reason]
    then = comparison_date(as_of)
    keys = listed[KEYS].reset_index(drop=True)
    parts = [
        _previous(facts, project, keys, _named(columns, "previous"), then),
        _typical(keys, population, sorted({*_named(columns, "typical"), *levels})),
        *_behind_encodings(facts, project, keys, columns, spine, pairs, as_of),
    ]
    return Comparisons(as_of, then - dt.timedelta(days=1), pd.concat(parts, axis=1).set_axis(listed.index))


def narrowed(families: Sequence[FeatureFamily], names: Collection[str]) -> tuple[FeatureFamily, ...]:
    """Return the families with only the signals that the columns `names` need, and without words."""
    wanted = set(names)
    for step in reversed(derivations(tuple(families))):
        if step.column.name in wanted:
            wanted |= set(step.names.values())
    signals = {column_name(c.family, c.signal) for c in feature_columns(tuple(families)) if c.name in wanted}
    kept = []
    for family in families:
        parts = {
            part: {
                name: declared.model_copy(update={"reason": "none"})
                for name, declared in getattr(family, part).items()
                if column_name(family.family, name) in signals
            }
            for part in ("signals", "derived", "encodings")
        }
        if any(parts.values()):
            kept.append(family.model_copy(update=parts))
    return tuple(kept)


def _named(columns: Sequence[FeatureColumn], word: str) -> list[str]:
    """Full names of the columns that sentences name with `word`."""
    sentences = [parse_sentence(c.reason) for c in columns if c.reason]
    cited = {name for sentence in sentences for name in sentence.names if name.startswith(f"{word}.")}
    return sorted(name.partition(".")[2] for name in cited)


def _previous(facts: Facts, project: Project, keys: pd.DataFrame, names: list[str], then: dt.date) -> pd.DataFrame:
    """Build the columns as of `then`; missing for who was no customer, and for pairs that were not open, then."""
    spine = build_spine(facts, project.settings.segments, [then])
    spine = spine[spine["account_id"].isin(keys["account_id"])]
    if spine.empty or not names:
        return pd.DataFrame(index=keys.index, columns=[f"previous.{name}" for name in names], dtype="float64")
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    tables = build_features(facts, project.catalog, narrowed(project.families, names), spine, pairs)
    as_of = pd.Series(pd.Timestamp(then), index=keys.index, dtype="datetime64[us]")
    return assemble(keys.assign(as_of=as_of), tables)[names].add_prefix("previous.")


def _typical(keys: pd.DataFrame, population: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Median among the companies that may still adopt the same product."""
    by_product = population.groupby("product_id")[names]
    median = by_product.median().where(by_product.count() >= FEWEST_PEERS)
    return median.reindex(keys["product_id"]).set_axis(keys.index).add_prefix("typical.")


def _behind_encodings(
    facts: Facts,
    project: Project,
    keys: pd.DataFrame,
    columns: Sequence[FeatureColumn],
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    as_of: dt.date,
) -> list[pd.DataFrame]:
    """Count the companies behind each encoding: owners of the best product, or similar ones."""
    frames = []
    for family in project.families:
        for name, encoding in family.encodings.items():
            if encoding.form == "affinity":
                found = _best_owned(facts, project, keys, encoding, pairs, as_of)
            elif encoding.form == "peers":
                found = _similar(keys, encoding, spine, pairs)
            else:
                continue
            found["peer_share"] = found["peer_share"].where(found["peers"] >= FEWEST_PEERS)
            own = [c.name for c in columns if (c.family, c.signal) == (family.family, name) and c.reason]
            frames += [found.add_suffix(f".{column}") for column in own]
    return frames


def _similar(keys: pd.DataFrame, encoding: Encoding, spine: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Other companies alike in every given column, and the share of them that owns the product."""
    given = list(encoding.given)
    alike = spine.dropna(subset=given).groupby(given)["account_id"].transform("size").rename("peers")
    known = spine[["account_id", *given]].join(alike)
    owned = pairs.loc[pairs["status"].eq("owned"), KEYS].merge(known, on="account_id", validate="m:1")
    owners = owned.groupby([*given, "product_id"], as_index=False).size()
    rows = keys.merge(known, on="account_id", how="left", validate="m:1").merge(
        owners, on=[*given, "product_id"], how="left", validate="m:1"
    )
    peers = rows["peers"].astype("float64") - 1
    # a company without, say, an industry is like nobody in particular; a product that none of them owns says nothing
    return pd.DataFrame({"best": None, "peers": peers, "peer_share": rows["size"] / peers.where(peers > 0)})


def _best_owned(
    facts: Facts, project: Project, keys: pd.DataFrame, encoding: Encoding, pairs: pd.DataFrame, as_of: dt.date
) -> pd.DataFrame:
    """The owned product whose owners adopt the target most, how many they are and the share that did."""
    ids = pd.Index(project.catalog.product_ids)
    fitted = fit_affinity(
        read_intervals(facts, project.catalog.product_ids),
        day_number(as_of),
        encoding.lookback_days or 0,
        encoding.strength,
    )
    held = pairs.loc[pairs["status"].eq("owned"), KEYS]
    accounts = pd.Index(keys["account_id"].unique())
    held = held[held["account_id"].isin(accounts)]
    owned = np.zeros((len(accounts), len(ids)), dtype=bool)
    owned[accounts.get_indexer(pd.Index(held["account_id"])), ids.get_indexer(pd.Index(held["product_id"]))] = True
    target = ids.get_indexer(pd.Index(keys["product_id"]))
    rates = np.where(owned[accounts.get_indexer(pd.Index(keys["account_id"]))], fitted.shrunk[:, target].T, -1.0)
    best = rates.argmax(axis=1)
    exposed, adopted = fitted.exposed[best, target], fitted.adopted[best, target]
    names = np.array([product.name for product in project.catalog], dtype=object)
    known = (rates.max(axis=1, initial=-1.0) >= 0) & (adopted > 0)
    return pd.DataFrame(
        {
            "best": pd.Series(names[best], dtype="str").where(known),
            "peers": exposed,
            "peer_share": np.divide(adopted, exposed, out=np.full(len(best), np.nan), where=known),
        }
    )
