"""Forgetting the future changes nothing, for every family we ship; and the audit sees a leak there is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from product_affinity.errors import LeakageError
from product_affinity.features import FeatureTables, build_features
from product_affinity.features.audit import audit, compare, replay
from product_affinity.project.families import load_families
from product_affinity.project.model_spec import ModelSpec
from product_affinity.project.settings import SegmentSettings
from product_affinity.spine import build_pairs, build_spine
from tests.company import account, subscription
from tests.company import company as small_company
from tests.features.builders import read_carelessly
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

FOLDER = Path(__file__).parents[2] / "features"
FAMILIES = load_families(FOLDER)
DATES = [dt.date.fromisoformat(day) for day in AS_OFS]


@pytest.fixture(scope="module")
def frames():
    return small_frames()


@pytest.fixture(scope="module")
def company(frames):
    facts = small_facts(frames)
    spine = build_spine(facts, SegmentSettings(), DATES)
    pairs = build_pairs(facts, small_catalog(), ModelSpec(), spine)
    return facts, spine, pairs


@pytest.fixture(scope="module")
def built(company) -> FeatureTables:
    return build_features(company[0], small_catalog(), FAMILIES, *company[1:])


@pytest.mark.parametrize("as_of", DATES, ids=str)
def test_no_family_depends_on_the_future(company, as_of):
    facts, spine, pairs = company
    report = audit(facts, small_catalog(), FAMILIES, spine, pairs, as_of)
    assert report.passed, report.render()
    assert report.rows > 20
    assert "stay the same" in report.render()
    report.raise_if_broken()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.family)
def test_raw_logs_cut_at_the_instant_give_the_same_family(frames, company, built, family):
    """Independent of the audit: rows dropped from the raw frames by UTC instants, not by derived days."""
    as_of = DATES[1]
    instant = pd.Timestamp(as_of, tz="America/New_York").tz_convert("UTC").tz_localize(None)
    known = {
        name: frame[(frame["known_at"] < instant)] if "known_at" in frame else frame for name, frame in frames.items()
    }
    cut = small_facts({name: frame.reset_index(drop=True) for name, frame in known.items()})
    day = pd.Timestamp(as_of)
    needed = {step for step in ("usage", "ownership", "health", family.family)}
    families = tuple(f for f in FAMILIES if f.family in needed)
    spine, pairs = (frame[frame["as_of"] == day] for frame in company[1:])
    replayed = build_features(cut, small_catalog(), families, spine, pairs)
    columns = [name for name in (*replayed.account, *replayed.pair) if name.startswith(f"{family.family}_")]
    for full, again in ((built.account, replayed.account), (built.pair, replayed.pair)):
        assert list(compare(_of_day(full, day, columns), _of_day(again, day, columns), "truncated")) == []
    assert len(columns) >= 5


def _of_day(table: pd.DataFrame, day: pd.Timestamp, columns: list[str]) -> pd.DataFrame:
    keys = [name for name in ("account_id", "product_id", "as_of") if name in table]
    return table.loc[table["as_of"] == day, [*keys, *(c for c in table if c in columns)]].reset_index(drop=True)


def test_every_column_has_values_somewhere(built):
    """The company above exercises every signal, so that the audit is about something."""
    values = pd.concat([built.account, built.pair])
    assert [name for name in values if values[name].isna().all()] == []


def test_one_date_alone_gives_what_the_history_gives(company, built):
    facts, spine, pairs = company
    day = pd.Timestamp(DATES[-1])
    alone = build_features(facts, small_catalog(), FAMILIES, spine[spine["as_of"] == day], pairs[pairs["as_of"] == day])
    for one, other in ((built.account, alone.account), (built.pair, alone.pair)):
        pd.testing.assert_frame_equal(one[one["as_of"] == day].reset_index(drop=True), other, check_exact=True)


def test_rows_in_any_order_and_threads_give_the_same_bytes(frames, company, built):
    shuffled = {name: frame.sample(frac=1, random_state=3).reset_index(drop=True) for name, frame in frames.items()}
    facts = small_facts(shuffled)
    facts.connection.execute("set threads = 2")
    again = build_features(facts, small_catalog(), FAMILIES, *company[1:])
    for one, other in ((built.account, again.account), (built.pair, again.pair)):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize(
    "careless",
    [
        {"f._known_on": "f._event_on"},  # a day that landed late counts before it arrived
        {"f._known_on": "(f._known_on - 1)", "f._event_on": "(f._event_on - 1)"},  # the look-back ends one day too late
    ],
    ids=["arrival", "off by one"],
)
def test_the_audit_sees_a_leak(company, monkeypatch, careless):
    read_carelessly(monkeypatch, careless)
    facts, spine, pairs = company
    usage = tuple(family for family in FAMILIES if family.family in ("usage", "ownership"))
    report = audit(facts, small_catalog(), usage, spine, pairs, DATES[1])
    assert not report.passed
    assert {difference.replay for difference in report.differences} == {"truncated", "scrambled"}
    assert report.to_json()["passed"] is False
    with pytest.raises(LeakageError, match="rows depend on what came after the date"):
        report.raise_if_broken()


def _spine_and_pairs(facts):
    spine = build_spine(facts, SegmentSettings(), [DATES[1]])
    return {"spine": spine, "pairs": build_pairs(facts, small_catalog(), ModelSpec(), spine)}


def test_who_is_a_customer_and_what_may_be_sold_do_not_depend_on_the_future(company):
    report = replay(company[0], DATES[1], _spine_and_pairs)
    assert report.passed, report.render()
    assert report.rows > 50


def test_the_audit_sees_a_customer_known_too_early():
    """A customer from the day the contract is dated, though nobody knew of it yet."""
    rows = [account("A"), account("B"), subscription("B", "crm", "2025-01-01")]
    facts = small_company(*rows, subscription("A", "crm", "2026-02-01", known_at="2026-03-05 10:00"))

    def build(replayed):
        query = "select distinct account_id from facts.subscriptions where _event_on < date '2026-02-28'"
        return {"customers": replayed.connection.execute(query).df()}

    truncated = next(d for d in replay(facts, DATES[1], build).differences if d.replay == "truncated")
    assert (truncated.column, truncated.key, truncated.rows) == ("rows", ("A",), 1)
    assert "a row became none" in str(truncated)
