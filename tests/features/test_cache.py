"""Parts built before are found again, only what changed is built, and nothing on disk is trusted unread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.features import FeatureTables, build_features, cache
from product_affinity.features.cache import Reuse
from product_affinity.features.cache_files import CacheFolder
from product_affinity.schema import TABLES
from tests.features.cached_company import DATES, FAMILIES
from tests.features.small_company import AS_OFS, small_facts, small_frames

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled(company, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    company.build(folder)
    return folder


@pytest.fixture
def builds(monkeypatch):
    """What `build_features` was asked for: family names with the signals of each, and dates."""
    asked: list[tuple[dict[str, set[str]], list[str]]] = []

    def spy(facts, catalog, families, spine, pairs, **options):
        named = {f.family: {*f.signals, *f.derived, *f.encodings, *f.columns} for f in families}
        asked.append((named, sorted(str(day.date()) for day in spine["as_of"].unique())))
        return build_features(facts, catalog, families, spine, pairs, **options)

    monkeypatch.setattr(cache, "build_features", spy)
    return asked


def same(one: FeatureTables, other: FeatureTables) -> None:
    for mine, theirs in ((one.account, other.account), (one.pair, other.pair)):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        for name in mine.select_dtypes("float64"):
            assert mine[name].to_numpy().tobytes() == theirs[name].to_numpy().tobytes(), name


def replaced(family: str, **parts):
    return tuple(f.model_copy(update=parts) if f.family == family else f for f in FAMILIES)


def test_what_is_found_is_what_building_gives_to_the_bit(company, tmp_path, builds):
    first, reuse = company.build(tmp_path)
    assert (reuse.found, reuse.kept) == (0, reuse.parts)
    assert len(builds) == 1, "everything is missing: one build"
    second, again = company.build(tmp_path)
    assert again == Reuse(reuse.parts, reuse.parts, 0)
    assert len(builds) == 1
    same(first, company.plain)
    same(second, company.plain)


def test_a_night_builds_one_date(company, tmp_path, builds):
    company.build(tmp_path, DATES[:2])
    tables, reuse = company.build(tmp_path)
    assert builds[1][1] == [str(DATES[2])]
    assert reuse.found == reuse.parts * 2 // 3
    same(tables, company.plain)


def test_an_edited_family_is_built_alone(company, copy, builds):
    health = next(f for f in FAMILIES if f.family == "health")
    tickets = health.signals["tickets"].model_copy(update={"windows": (28, 91)})
    edited = replaced("health", signals=health.signals | {"tickets": tickets})
    edited = tuple(
        f.model_copy(update={"derived": {k: v for k, v in f.derived.items() if k != "tickets_per_100_users"}})
        if f.family == "health"
        else f
        for f in edited
    )
    tables, reuse = company.build(copy, families=edited)
    named, dates = builds[0]
    assert len(builds) == 1
    assert dates == AS_OFS
    assert named["health"] == {*health.signals, *health.derived} - {"tickets_per_100_users"}
    # health_index falls back on usage.core_seats_used_share: of the others, what that is made of and no more
    assert set(named) == {"health", "usage", "ownership"}
    assert "core_seats_used_share" in named["usage"]
    assert "adjacent_uses" not in named["usage"]
    assert reuse.parts - reuse.found == len(DATES)
    plain = build_features(company.facts, company.catalog, edited, company.spine, company.pairs)
    same(tables, plain)


def test_a_new_wording_builds_nothing(company, copy, builds):
    usage = next(f for f in FAMILIES if f.family == "usage")
    signals = {name: s.model_copy(update={"reason": "none"}) for name, s in usage.signals.items()}
    derived = {name: s.model_copy(update={"reason": "none"}) for name, s in usage.derived.items()}
    company.build(copy, families=replaced("usage", signals=signals, derived=derived))
    assert builds == []


@pytest.mark.parametrize(
    ("table", "rebuilt"),
    [("surveys", {"health"}), ("outreach", {"commercial"}), ("subscriptions", {f.family for f in FAMILIES})],
)
def test_a_row_less_rebuilds_what_reads_its_table(company, copy, table, rebuilt):
    before = {path.name for path in copy.iterdir()}
    frames = small_frames()
    frames[table] = frames[table].drop(index=frames[table][TABLES[table].event].idxmin())
    _, reuse = company.build(copy, facts=small_facts(frames))
    new = [path.name for path in copy.iterdir() if path.name not in before]
    assert {name.split("-")[0] for name in new} == rebuilt
    assert len(new) == reuse.parts - reuse.found


def test_rows_catalogue_and_horizon_are_part_of_the_key(company, copy, builds):
    assert (company.spine["segment"] != "enterprise").any()
    on = company.spine["as_of"] == pd.Timestamp(DATES[1])
    spine = company.spine.assign(segment=company.spine["segment"].mask(on, "enterprise"))
    tables, _ = company.build(copy, spine=spine)
    assert builds[-1][1] == [str(DATES[1])], "only the date whose rows changed"
    same(tables, build_features(company.facts, company.catalog, FAMILIES, spine, company.pairs))
    _, longer = company.build(copy, horizon_days=30)
    assert longer.found == 0
    dearer = company.catalog.model_dump()
    dearer["products"][0]["list_arr_usd"] = 901
    _, priced = company.build(copy, catalog=type(company.catalog).model_validate(dearer))
    assert priced.found == 0


def test_a_change_of_the_code_builds_anew(company, copy, monkeypatch):
    monkeypatch.setattr(cache, "_code_fingerprint", lambda: "other code")
    _, reuse = company.build(copy)
    assert reuse.found == 0


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(4, len(content) // 2):
        content[at] ^= 0x55
    path.write_bytes(content)


def _swap_values(path: Path) -> None:
    """A valid file with another number under the right key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns = {name: table.column(name).to_numpy().copy() for name in table.column_names}
    columns[table.column_names[0]] = columns[table.column_names[0]] + 1.0
    pq.write_table(pa.table(columns, metadata=table.schema.metadata), path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        _flip,
        _swap_values,
        lambda path: path.write_bytes(next(path.parent.glob("health-2026-04-30-*")).read_bytes()),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["cut off", "empty", "flipped bits", "another value", "another part's file", "a folder"],
)
def test_a_damaged_or_foreign_file_is_built_again(company, copy, builds, damage):
    path = next(copy.glob("usage-2026-02-28-account-*"))
    damage(path)
    tables, reuse = company.build(copy)
    assert reuse.found == reuse.parts - 1
    assert builds[0][1] == ["2026-02-28"]
    same(tables, company.plain)


def test_a_folder_that_cannot_be_written_costs_only_time(company, tmp_path):
    blocked = tmp_path / "features"
    blocked.write_text("no folder")
    tables, reuse = company.build(blocked)
    assert (reuse.found, reuse.kept) == (0, 0)
    assert "could not be kept" in str(reuse)
    same(tables, company.plain)


def test_the_longest_unused_files_are_dropped_and_used_ones_never(tmp_path):
    folder = CacheFolder(tmp_path)
    values = {"x": np.random.default_rng(0).random(200)}
    for age, key in enumerate("abcdef"):
        assert folder.write(key, values)
        os.utime(folder.file(key), (1_000_000 + age, 1_000_000 + age))
    assert folder.read("b", ["x"], 200) is not None, "used now"
    (tmp_path / ".b.left").write_bytes(b"")
    os.utime(tmp_path / ".b.left", (1000, 1000))
    (tmp_path / ".c.written").write_bytes(b"")
    three = 3 * folder.file("a").stat().st_size
    assert CacheFolder(tmp_path, kept_bytes=three).drop_unused({"a"}) == 4
    left = {path.name for path in tmp_path.iterdir()}
    # a is in use now, b was used last, f was written last; one file is being written, one is of a process that died
    assert left == {"a.parquet", "b.parquet", "f.parquet", ".c.written"}
    assert CacheFolder(tmp_path, kept_bytes=0).drop_unused({"a", "f"}) == 1
    assert {path.name for path in tmp_path.glob("*.parquet")} == {"a.parquet", "f.parquet"}


SIDE_BY_SIDE = """
import hashlib, sys
from pathlib import Path
from product_affinity.features import cache
from tests.features.cached_company import DATES, Company
cache._code_fingerprint = lambda: "the same code"
company = Company()
for _ in range(2):
    tables, reuse = company.build(Path(sys.argv[1]), DATES[:2])
    print(reuse.parts, hashlib.sha256(b"".join(
        frame[name].to_numpy().tobytes() for frame in (tables.account, tables.pair)
        for name in frame.select_dtypes("float64"))).hexdigest())
"""


def test_processes_side_by_side_agree_and_leave_whole_files(company, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_code_fingerprint", lambda: "the same code")
    command = [sys.executable, "-c", SIDE_BY_SIDE, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len({line for text in said for line in text.splitlines()}) == 1
    tables, reuse = company.build(tmp_path)
    assert reuse.found == reuse.parts * 2 // 3
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".parquet"] == []
    same(tables, company.plain)


def test_no_customer_at_all_needs_no_part(company, tmp_path):
    tables, reuse = company.build(tmp_path, dates=[])
    assert reuse == Reuse(0, 0, 0)
    same(tables, build_features(company.facts, company.catalog, FAMILIES, company.spine[:0], company.pairs[:0]))
