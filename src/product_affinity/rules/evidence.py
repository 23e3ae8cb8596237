"""Build the evidence: what gates and readiness criteria ask of every scored pair, as known at its as-of date.

The columns are those of `project.playbook.evidence_columns`, which says of each what it means, what it rests on and
when it is unknown. Account level: segment, tier, rule_set, customer_since_on, tenure_days, tenure_months,
implementation_running, implementation_since_on, implementation_product_id, last_implementation_ended_on,
implemented_months, onboarding_done_on, onboardings, milestone_on, milestones, proven_months, open_urgent,
open_urgent_oldest_days, open_urgent_priorities, escalated_on, escalated_days_ago, renewal_on, renewal_in_days,
renewal_in_months, account_health, account_health_change, nps, nps_answers, tickets_per_100_users, tickets_percentile,
growth_signals, growth_signal, growth_signal_on, seats_growth, employees_growth, champion_count. Pair level:
anchor_product_id, anchor_name, quadrant, anchor_health, licence_use, weekly_active_weeks,
core_features_used, core_features_listed, core_adoption, adjacent_uses, problems, problem_id, problem_tag,
problem_statement, problem_source, problem_noted_on, stakeholder_area, stakeholders, stakeholder_id,
stakeholder_name, stakeholder_role, request_on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from product_affinity.contracts.facts import Facts
from product_affinity.features.overwritten import as_it_stands, as_learnt
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS
from product_affinity.project.playbook.readiness import ReadinessSpec
from product_affinity.rules.evidence_accounts import account_evidence
from product_affinity.rules.evidence_needs import need_evidence
from product_affinity.rules.evidence_owned import anchors_of, owned_evidence
from product_affinity.rules.readiness import choose_rule_sets
from product_affinity.spine.accounts import register_dates

KEYS = ("account_id", "product_id", "as_of")


def build_evidence(
    facts: Facts,
    catalog: Catalog,
    readiness: ReadinessSpec,
    spine: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    for_learning: bool = False,
) -> pd.DataFrame:
    """Build the evidence of every pair, for one as-of date or many.

    Parameters
    ----------
    facts : checked source tables.
    catalog : products, their features, problems solved and adjacency.
    readiness : look-backs and rule sets of `playbook/readiness.yml`.
    spine : every active customer at the dates of `pairs`, as `build_spine` returns it.
    pairs : account_id, product_id and as_of of the scored pairs.
    for_learning : whether something is learnt or measured from it. Then what a source overwrites is unknown in rows
        without `known_at`, at every date, as it is to features; tonight's gates and readiness ask what is true today.

    Returns
    -------
    DataFrame
        One row a pair, in the order of `pairs`: its keys and the columns of `EVIDENCE_COLUMNS`. Numbers are
        floats, NaN where unknown; counts are 0 where known to be none; `escalated_days_ago` is infinite where
        known that there was none.
    """
    register_dates(facts, list(spine["as_of"].dt.date.unique()))
    base = spine[["account_id", "as_of"]].assign(spine_row=np.arange(len(spine)))
    facts.connection.register("evidence_spine_frame", base)
    facts.connection.execute(
        "create or replace temp table evidence_spine as "
        "select account_id, cast(as_of as date) as as_of, spine_row from evidence_spine_frame"
    )
    facts.connection.unregister("evidence_spine_frame")
    read = as_learnt if for_learning else as_it_stands
    owned = owned_evidence(facts, catalog, readiness.definitions, len(spine))
    accounts = account_evidence(facts, readiness.definitions, spine, owned.active_users, read)
    if not facts.has("health"):
        owned = owned.with_composed_health(accounts["open_urgent"])
    accounts["account_health"] = accounts["account_health"].fillna(pd.Series(owned.core_health))

    keys = pairs[list(KEYS)].reset_index(drop=True)
    at = keys.merge(base, on=["account_id", "as_of"], how="left", validate="m:1")["spine_row"].to_numpy(dtype=int)
    product = pd.Index(catalog.product_ids).get_indexer(pd.Index(keys["product_id"]))
    evidence = pd.concat([keys, _taken(accounts, at)], axis=1)
    anchors = anchors_of(catalog, owned, at, product)
    needs = need_evidence(facts, catalog, readiness.definitions, at, product, read)
    evidence = pd.concat([evidence, anchors, needs], axis=1)
    evidence["anchor_health"] = evidence["anchor_health"].fillna(evidence["account_health"])
    evidence["rule_set"] = pd.Series(choose_rule_sets(readiness, evidence["segment"], evidence["tier"])[0], dtype="str")
    facts.connection.execute("drop table evidence_spine")
    numbers = {name: "float64" for name, column in EVIDENCE_COLUMNS.items() if column.is_number}
    return evidence[["account_id", "as_of", *EVIDENCE_COLUMNS]].astype(numbers)


def _taken(accounts: pd.DataFrame, at: np.ndarray) -> pd.DataFrame:
    return accounts.take(at).reset_index(drop=True)
