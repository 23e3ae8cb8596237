"""The features of one night are those of the whole history, though their tables are read in another way."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd

from product_affinity.features import FeatureTables, build_features
from product_affinity.project.families import load_families
from product_affinity.project.model_spec import ModelSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.spine import build_pairs, build_spine
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

FAMILIES = load_families(Path(__file__).parents[2] / "features")


def test_one_date_alone_has_the_values_it_has_among_all():
    facts, catalog = small_facts(small_frames()), small_catalog()

    def build(days: list[dt.date]) -> FeatureTables:
        spine = build_spine(facts, SegmentSettings(), days)
        return build_features(facts, catalog, FAMILIES, spine, build_pairs(facts, catalog, ModelSpec(), spine))

    days = [dt.date.fromisoformat(day) for day in AS_OFS]
    history = build(days)
    for day in days:
        night = build([day])
        for grain in ("account", "pair"):
            whole, alone = getattr(history, grain), getattr(night, grain)
            then = whole[whole["as_of"] == pd.Timestamp(day)].reset_index(drop=True)
            assert len(then)
            pd.testing.assert_frame_equal(then, alone, check_exact=True)
