"""One night alone, or accounts slice by slice: tables are read in another way, and give the same features."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd

from product_affinity.features import FeatureTables, build, build_features
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


def test_accounts_read_slice_by_slice_have_the_values_they_have_together(monkeypatch):
    names = ["", " ", "'", "-", "Z", "a", "zz", "~", "ß", "é", "ﬀ", "日本", "😀", "0"]
    called = {f"A-{number:02}": f"A{name}{number}" for number, name in enumerate(names)}
    frames = {
        name: frame.assign(account_id=frame["account_id"].map(called).astype("str")) if "account_id" in frame else frame
        for name, frame in small_frames().items()
    }
    assert set(frames["usage"]["account_id"]) <= set(called.values())
    facts, catalog = small_facts(frames), small_catalog()
    spine = build_spine(facts, SegmentSettings(), [dt.date.fromisoformat(day) for day in AS_OFS])
    pairs = build_pairs(facts, catalog, ModelSpec(), spine)
    together = build_features(facts, catalog, FAMILIES, spine, pairs)
    monkeypatch.setattr(build, "ROWS_AT_ONCE", 9)
    apart = build_features(facts, catalog, FAMILIES, spine, pairs)
    assert len(spine) > 2 * 9
    for grain in ("account", "pair"):
        pd.testing.assert_frame_equal(getattr(together, grain), getattr(apart, grain), check_exact=True)
