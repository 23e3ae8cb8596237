"""The table models learn from and score: pairs with their status, value and features."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from product_affinity.backtest.horizons import label_column
from product_affinity.errors import ContractError
from product_affinity.features import assemble
from product_affinity.features.cache import build_cached
from product_affinity.features.cache_files import CacheFolder
from product_affinity.features.unproven import Unproven, unproven_columns
from product_affinity.labels import label_adoption
from product_affinity.models.assembly import RECENT_HORIZON_DAYS
from product_affinity.pipeline.prepare import Prepared, Progress
from product_affinity.project.families import FeatureColumn, feature_columns
from product_affinity.spine import build_pairs, build_spine, training_as_ofs
from product_affinity.spine.pairs import SCORED
from product_affinity.value import expected_arr

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class PairTable:
    """Pairs at one or more as-of dates.

    Attributes
    ----------
    spine : active customers, one row an account and date.
    pairs : every account × product with its status.
    rows : the white-space and in-pipeline pairs with account attributes, expected_arr_usd and features.
    columns : the feature columns of `rows`.
    unproven : source columns without a history that training rests on.
    """

    spine: pd.DataFrame
    pairs: pd.DataFrame
    rows: pd.DataFrame
    columns: tuple[FeatureColumn, ...]
    unproven: tuple[Unproven, ...] = ()


ATTRIBUTES = ("segment", "tier", "owner_id", "owner_name", "do_not_contact", "name", "tenure_days", "open_deals")


def build_table(prepared: Prepared, as_ofs: Sequence[dt.date], *, progress: Progress) -> PairTable:
    """Build spine, pairs and features at the given dates; features built before are found in `var/features`."""
    project, facts = prepared.project, prepared.facts
    progress(f"building spine and features at {len(as_ofs)} as-of dates")
    spine = build_spine(facts, project.settings.segments, as_ofs)
    pairs = build_pairs(facts, project.catalog, project.model_spec, spine)
    scored = pairs[pairs["status"].isin(SCORED)].reset_index(drop=True)
    rows = scored.merge(
        spine[["account_id", "as_of", *ATTRIBUTES]], on=["account_id", "as_of"], how="left", validate="m:1"
    )
    rows["expected_arr_usd"] = expected_arr(facts, project.catalog, rows, spine)
    tables, reuse = build_cached(
        facts,
        project.catalog,
        project.families,
        spine,
        pairs,
        horizon_days=project.settings.time.horizon_days,
        folder=CacheFolder(project.var / "features"),
    )
    progress(str(reuse))
    return PairTable(spine, pairs, assemble(rows, tables), feature_columns(project.families))


def build_training_table(prepared: Prepared, *, progress: Progress) -> PairTable:
    """Build the table at every training date; `adopted` is missing where the horizon is still open.

    What a model is about to learn from columns without a history is said, because no replay can prove it.
    """
    time = prepared.project.settings.time
    unproven = unproven_columns(prepared.facts, prepared.project.families)
    for found in unproven:
        LOG.warning(str(found))
    table = replace(build_table(prepared, training_dates(prepared), progress=progress), unproven=unproven)
    for days in dict.fromkeys((time.horizon_days, *time.more_horizons_days, RECENT_HORIZON_DAYS)):
        table.rows[label_column(days)] = label_adoption(
            prepared.facts,
            table.rows,
            horizon_days=days,
            maturity_days=time.maturity_days,
            observed_until=prepared.as_of,
        )
    table.rows["adopted"] = table.rows[label_column(time.horizon_days)]
    return table


def training_dates(prepared: Prepared) -> tuple[dt.date, ...]:
    """Dates since the usage feed began, or since the first subscription where that leaves none."""
    time = prepared.project.settings.time
    starts = [
        _first_day(prepared, table, day)
        for table, day in (("usage", "date"), ("subscriptions", "start_on"))
        if prepared.facts.has(table)
    ]
    try:
        return training_as_ofs(time, starts[0], prepared.as_of)
    except ContractError:
        # a feed that is younger than the warm-up must not stop a project that trains without it
        return training_as_ofs(time, starts[-1], prepared.as_of)


def _first_day(prepared: Prepared, table: str, day: str) -> dt.date:
    found = prepared.facts.connection.execute(f"select min({day}) as first_day from facts.{table}").df()["first_day"]
    return prepared.as_of if found.isna().all() else found[0].date()
