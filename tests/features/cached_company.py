"""The small company with builds of its features through the cache."""

from __future__ import annotations

import datetime as dt
from functools import cached_property
from pathlib import Path

import pandas as pd

from product_affinity.features import FeatureTables, build_features
from product_affinity.features.cache import build_cached
from product_affinity.features.cache_files import CacheFolder
from product_affinity.project.families import load_families
from product_affinity.project.model_spec import ModelSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.spine import build_pairs, build_spine
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

FAMILIES = load_families(Path(__file__).parents[2] / "features")
DATES = [dt.date.fromisoformat(day) for day in AS_OFS]


class Company:
    """The small company, and builds of it that say what was built."""

    def __init__(self) -> None:
        self.facts, self.catalog = small_facts(small_frames()), small_catalog()
        self.spine = build_spine(self.facts, SegmentSettings(), DATES)
        self.pairs = build_pairs(self.facts, self.catalog, ModelSpec(), self.spine)

    @cached_property
    def plain(self) -> FeatureTables:
        return build_features(self.facts, self.catalog, FAMILIES, self.spine, self.pairs)

    def build(self, folder: Path, dates=DATES, families=FAMILIES, facts=None, **changes):
        days = pd.to_datetime(dates)
        inputs = {"catalog": self.catalog, "spine": self.spine, "pairs": self.pairs} | changes
        return build_cached(
            facts or self.facts,
            inputs["catalog"],
            families,
            *(inputs[name][inputs[name]["as_of"].isin(days)] for name in ("spine", "pairs")),
            horizon_days=changes.get("horizon_days", 90),
            folder=CacheFolder(folder),
        )
