"""Whatever happens to the facts, a cached build equals a plain one, and builds no date that could not know of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from product_affinity.features import build_features
from product_affinity.features.cache import Reuse
from product_affinity.schema import TABLES
from tests.features.builders import family
from tests.features.cached_company import FAMILIES, Company
from tests.features.small_company import AS_OFS, small_facts, small_frames
from tests.features.test_cache import same

FRAMES = small_frames()
# usage and health, and what their derived columns refer to
FEW = tuple(family for family in FAMILIES if family.family in ("usage", "health", "ownership"))
CLOSING = {
    name: [column.name for column in table.columns if column.closed_by == column.name]
    for name, table in TABLES.items()
    if name in FRAMES
}


@pytest.fixture(scope="module")
def filled(company, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    company.build(folder, families=FEW)
    return folder


def dates_built(folder: Path, before: set[str], family: str) -> list[str]:
    """Dates of the parts of a family that were built since."""
    new = {path.name for path in folder.iterdir()} - before
    return sorted({name.removeprefix(f"{family}-")[:10] for name in new if name.startswith(f"{family}-")})


def rebuilt(company: Company, folder: Path, changed: dict[str, pd.DataFrame], family: str) -> list[str]:
    """Build after a change of the frames, check it against a plain build, and return the family's dates built."""
    before = {path.name for path in folder.iterdir()}
    facts = small_facts(FRAMES | changed)
    tables, _ = company.build(folder, facts=facts, families=FEW)
    same(tables, build_features(facts, company.catalog, FEW, company.spine, company.pairs))
    return dates_built(folder, before, family)


def a_use(**values: object) -> pd.DataFrame:
    """The usage table with one more row."""
    row = FRAMES["usage"].iloc[[0]].assign(**values)
    return pd.concat([FRAMES["usage"], row], ignore_index=True).astype(FRAMES["usage"].dtypes.to_dict())


@pytest.mark.parametrize(
    ("date", "known_at", "dates"),
    [
        ("2026-05-20", "2026-05-21", []),
        ("2025-11-03", "2026-05-21", []),
        ("2025-11-03", "2026-03-01 17:00", AS_OFS[2:]),
        ("2025-11-03", "2025-11-04", AS_OFS),
        # New York's midnight is 05:00 UTC: an instant before it was known on the as-of date's eve
        ("2026-02-01", "2026-02-28 04:59", AS_OFS[1:]),
        ("2026-02-01", "2026-02-28 05:00", AS_OFS[2:]),
    ],
    ids=["new", "late, after all", "late", "as of long ago", "just before midnight", "at midnight"],
)
def test_a_new_row_builds_the_dates_that_know_it(company, copy, date, known_at, dates):
    usage = a_use(date=pd.Timestamp(date), known_at=pd.Timestamp(known_at), active_users=777)
    assert rebuilt(company, copy, {"usage": usage}, "usage") == dates


def test_a_closing_builds_the_dates_after_it(company, copy):
    tickets = FRAMES["tickets"].copy()
    first = (tickets["closed_at"].isna() & (tickets["known_at"] < "2025-10-01")).idxmax()
    assert pd.isna(tickets.loc[first, "closed_at"])
    tickets.loc[first, "closed_at"] = pd.Timestamp("2026-01-20 12:00")
    assert rebuilt(company, copy, {"tickets": tickets}, "health") == AS_OFS[1:]


def test_an_edit_in_place_builds_every_date_that_sees_it(company, copy):
    usage = FRAMES["usage"].copy()
    known = usage["known_at"].between("2026-01-05", "2026-02-20") & usage["active_users"].notna()
    usage.loc[known.idxmax(), "active_users"] += 1
    assert rebuilt(company, copy, {"usage": usage}, "usage") == AS_OFS[1:]


def test_two_rows_that_swap_a_value_are_a_change(company, copy):
    usage = FRAMES["usage"].copy()
    places = usage.index[usage["known_at"] < "2025-10-01"][:2]
    usage.loc[places, "events"] = usage.loc[places, "events"].to_numpy()[::-1]
    assert usage.loc[places, "events"].nunique() == 2
    assert rebuilt(company, copy, {"usage": usage}, "usage") == AS_OFS


def test_another_order_of_rows_is_no_change(company, copy):
    shuffled = {name: frame.sample(frac=1, random_state=3).reset_index(drop=True) for name, frame in FRAMES.items()}
    _, reuse = company.build(copy, facts=small_facts(shuffled), families=FEW)
    assert reuse == Reuse(reuse.parts, reuse.parts, 0)


def test_a_table_that_comes_back_builds_what_needs_it_though_it_reads_no_row(company, tmp_path):
    query = "select account_id, as_of, 1 as n from rows"
    needy = (family("own", query=query, columns={"n": {"needs": ["tickets"]}}),)
    without = small_facts({name: frame for name, frame in FRAMES.items() if name != "tickets"})
    before, _ = company.build(tmp_path, facts=without, families=needy)
    assert before.account["own_n"].isna().all()
    after, reuse = company.build(tmp_path, families=needy)
    assert after.account["own_n"].eq(1).all()
    assert reuse.found == 0


_change = st.tuples(
    st.sampled_from(sorted(FRAMES)),
    st.sampled_from(["append", "correct", "delete", "edit", "close"]),
    st.integers(0, 10**6),
)


def changed(frames: dict[str, pd.DataFrame], table: str, how: str, seed: int) -> dict[str, pd.DataFrame]:
    """The frames after something happened to one row of a table."""
    rng, frame = np.random.default_rng(seed), frames[table]
    at = int(rng.integers(len(frame)))
    if how == "delete":
        return frames | {table: frame.drop(index=frame.index[at]).reset_index(drop=True)}
    row = frame.iloc[[at]].copy()
    days = [name for name in row if pd.api.types.is_datetime64_any_dtype(row[name]) and row[name].notna().all()]
    if how in ("append", "correct"):
        moved = days if how == "append" else [name for name in days if name == "known_at"]
        for name in moved:
            row[name] += pd.Timedelta(days=int(rng.integers(1, 120)))
    elif how == "close" and CLOSING[table]:
        row[CLOSING[table][0]] = pd.Timestamp("2025-06-01") + pd.Timedelta(days=int(rng.integers(0, 400)))
    numbers = [name for name in row if pd.api.types.is_numeric_dtype(row[name]) and row[name].dtype != "boolean"]
    if how in ("correct", "edit") and numbers:
        name = numbers[int(rng.integers(len(numbers)))]
        row[name] = row[name].fillna(0) + 1
    kept = frame if how in ("append", "correct") else frame.drop(index=frame.index[at])
    return frames | {table: pd.concat([kept, row.astype(frame.dtypes.to_dict())], ignore_index=True)}


_histories = st.lists(st.lists(_change, min_size=1, max_size=3), min_size=2, max_size=3)


def check_history(company: Company, history: list[list[tuple[str, str, int]]]) -> None:
    """Build every family after each of a row of changes, in one cache, and compare with a plain build."""
    frames = FRAMES
    with tempfile.TemporaryDirectory() as place:
        company.build(Path(place))
        for changes in history:
            for table, how, seed in changes:
                frames = changed(frames, table, how, seed)
            facts = small_facts(frames)
            tables, _ = company.build(Path(place), facts=facts)
            same(tables, build_features(facts, company.catalog, FAMILIES, company.spine, company.pairs))


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=_histories)
def test_the_cached_result_is_the_plain_one_after_any_change(company, history):
    check_history(company, history)


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=_histories)
def test_the_cached_result_is_the_plain_one_after_many_changes(company, history):
    check_history(company, history)
