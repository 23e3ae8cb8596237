"""Forgetting the future, or scrambling it, changes no evidence."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from product_affinity.features.audit import _scrambled, _truncated, rebuild
from product_affinity.project.playbook.evidence_columns import EVIDENCE_COLUMNS
from product_affinity.project.playbook.readiness import ReadinessSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.rules import build_evidence
from product_affinity.spine import build_spine
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

DATES = [dt.date.fromisoformat(day) for day in AS_OFS]
# of the catalogue: adjacent and core features, categories and problems
PRODUCTS = small_catalog().model_dump()
for product in PRODUCTS["products"]:
    product |= {"core_features": ("export", "macro"), "category": "sales", "solves": ("slow", "loud")}
CATALOG = type(small_catalog()).model_validate(PRODUCTS)


def evidence(facts, spine, **how):
    products = pd.DataFrame({"product_id": CATALOG.product_ids}, dtype="str")
    pairs = spine[["account_id", "as_of"]].merge(products, how="cross")
    return build_evidence(facts, CATALOG, ReadinessSpec(), spine, pairs, **how)


@pytest.fixture(scope="module")
def facts():
    frames = small_frames()
    frames["contacts"]["name"] = "Ann"
    return small_facts(frames)


@pytest.mark.parametrize("as_of", DATES, ids=str)
@pytest.mark.parametrize("replay", [_truncated, _scrambled], ids=["truncated", "scrambled"])
def test_evidence_does_not_depend_on_the_future(facts, as_of, replay):
    spine = build_spine(facts, SegmentSettings(), [as_of])
    again = rebuild(facts, as_of, replay)
    try:
        pd.testing.assert_frame_equal(evidence(facts, spine), evidence(again, spine))
    finally:
        again.connection.close()


def test_the_company_fills_every_column_with_more_than_one_value(facts):
    """So that the test above is about something."""
    found = evidence(facts, build_spine(facts, SegmentSettings(), DATES))
    constant = {"rule_set", "core_features_listed", "problem_source", "stakeholder_name", "stakeholder_role"}
    constant |= {"problem_statement", "stakeholder_area", "segment", "onboarding_done_on", "quadrant", "tier"}
    for name in set(EVIDENCE_COLUMNS) - constant:
        values = found[name].replace(np.inf, np.nan).dropna()
        assert len(values.unique()) > 1, name


def test_what_a_source_overwrote_is_seen_tonight_and_in_nothing_learnt():
    """Two states of the same tables without versions, as a system that overwrites would hand them out."""
    frames = small_frames()
    for table, key in (("contacts", "contact_id"), ("tickets", "ticket_id")):
        frames[table] = frames[table].drop_duplicates(key).drop(columns="known_at").assign(name="Ann")
    frames["tickets"] = frames["tickets"].drop(columns="name")
    later = dict(frames)
    for table, names in (("contacts", ["is_champion", "area", "last_touch_at"]), ("tickets", ["escalated"])):
        order = np.random.default_rng(1).permutation(len(frames[table]))
        later[table] = frames[table].assign(**{name: frames[table][name].to_numpy()[order] for name in names})
    one, other = small_facts(frames), small_facts(later)
    spine = build_spine(one, SegmentSettings(), DATES)
    learnt = evidence(one, spine, for_learning=True)
    pd.testing.assert_frame_equal(learnt, evidence(other, spine, for_learning=True))
    asked = ["champion_count", "escalated_days_ago", "stakeholders"]
    assert learnt[asked].isna().all(axis=None), "unknown, not none"
    tonight, changed = evidence(one, spine), evidence(other, spine)
    for name in asked:
        assert tonight[name].notna().any()
        assert not tonight[name].equals(changed[name])
