"""What a source overwrites in place is no feature: whatever it was overwritten with, features stay the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.contracts.facts import LINES, OVERWRITTEN
from product_affinity.features import FeatureTables, scans
from product_affinity.features.audit import compare
from product_affinity.features.overwritten import WITHHELD
from product_affinity.project.families import load_families
from tests.company import Row, account, company, subscription
from tests.features.builders import build, family, value
from tests.features.small_company import AS_OFS, small_catalog, small_facts, small_frames

FAMILIES = load_families(Path(__file__).parents[2] / "features")
PRODUCTS = [product.product_id for product in small_catalog()]
KEYS = {"contacts": "contact_id", "tickets": "ticket_id", "opportunities": "opportunity_id"}
PEOPLE = {
    "champions": {"where": {"is_champion": True}, "running": True, "ops": ["count"]},
    "unflagged": {"where": {"is_champion": None}, "ops": ["count"]},
    "touch": {"event": "last_touch_at", "ops": ["days_since"]},
    "all": {"ops": ["count"]},
}


def contact(name: str, touched: str | None = "2026-01-10 10:00", **attributes: object) -> Row:
    row = {"contact_id": name, "account_id": "A", "role": "cto", "is_champion": True, "last_touch_at": touched}
    return "contacts", row | attributes


def people(*rows: Row) -> dict[str, list[object]]:
    """Each column at two dates: the day after the touch above, and ten days later."""
    dates = ["2026-01-11", "2026-01-20"]
    tables = build(company(account("A"), *rows), family("p", source="contacts", signals=PEOPLE), as_ofs=dates)
    columns = ("p_champions_count", "p_unflagged_count", "p_touch_days_since", "p_all_count")
    return {name: [value(tables, name, day) for day in dates] for name in columns}


def test_a_touch_since_the_date_does_not_hide_an_earlier_one_as_neither_is_read():
    """At the first date the account had been touched the day before, whatever the table says today."""
    then, now = people(contact("c")), people(contact("c", touched="2026-01-19 10:00", is_champion=False))
    assert then["p_all_count"] == now["p_all_count"] == [1.0, 1.0]
    for column in ("p_champions_count", "p_unflagged_count", "p_touch_days_since"):
        assert np.isnan(then[column]).all()
        assert np.isnan(now[column]).all()


def test_versions_say_what_was_known():
    met = contact("c", touched=None, is_champion=False, known_at="2026-01-02 10:00")
    found = people(met, contact("c", known_at="2026-01-12 10:00"))
    assert found["p_champions_count"] == [0.0, 1.0]
    assert found["p_touch_days_since"][1] == 10.0
    assert np.isnan(found["p_touch_days_since"][0])


def test_a_row_without_known_at_counts_nowhere_among_versions():
    """Neither as a champion nor as somebody without a flag: its flag is of today."""
    found = people(contact("a"), contact("b", known_at="2026-01-12 10:00"))
    assert np.isnan(found["p_champions_count"][0])
    assert np.isnan(found["p_unflagged_count"][0])
    assert found["p_champions_count"][1] == 1.0
    assert found["p_unflagged_count"][1] == 0.0
    assert found["p_all_count"] == [1.0, 2.0]


def test_a_query_finds_them_empty_without_versions():
    query = "select rows.*, c.is_champion::int as n, day(c.last_touch_on) as d from rows, contacts as c"
    seen = family("q", query=query, columns={"n": {"needs": ["contacts"]}, "d": {"needs": ["contacts"]}})
    for row, wanted in ((contact("c"), [np.nan, np.nan]), (contact("c", known_at="2026-01-12 10:00"), [1.0, 10.0])):
        tables = build(company(account("A"), row), seen, as_ofs=["2026-01-20"])
        np.testing.assert_equal([value(tables, name, "2026-01-20") for name in ("q_n", "q_d")], wanted)


def test_a_line_of_a_subscription_says_what_it_says():
    seats = family("own", source="subscriptions", signals={"seats": {"of": "seats", "running": True, "ops": ["sum"]}})
    facts = company(account("A"), subscription("A", "crm", "2025-01-01", seats=7))
    assert value(build(facts, seats, as_ofs=["2026-01-01"]), "own_seats_sum", "2026-01-01") == 7.0


def test_all_that_is_overwritten_is_withheld_but_lines():
    assert set(WITHHELD) == set(OVERWRITTEN) - LINES
    assert WITHHELD["opportunities"] >= {"stage", "discount"}


@pytest.fixture(scope="module")
def snapshots() -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """Tables without versions, and the same after their source has overwritten all it may."""
    frames = small_frames()
    for table, key in KEYS.items():
        frames[table] = frames[table].drop_duplicates(key).drop(columns="known_at").reset_index(drop=True)
    rng, later = np.random.default_rng(4), dict(frames)
    for table in KEYS:
        names = [name for name in frames[table] if name in WITHHELD[table]]
        order = rng.permutation(len(frames[table]))
        later[table] = frames[table].assign(**{name: frames[table][name].to_numpy()[order] for name in names})
        assert all((later[table][name] != frames[table][name]).sum() > 20 for name in names), names
    return frames, later


def built(snapshots) -> list[FeatureTables]:
    found = []
    for frames in snapshots:
        accounts = sorted(frames["accounts"]["account_id"].unique())
        owned = {name: PRODUCTS[:1] for name in accounts}
        rows = {"accounts": accounts, "owned": owned, "products": PRODUCTS, "catalogue": small_catalog()}
        found.append(build(small_facts(frames), *FAMILIES, as_ofs=[*AS_OFS], **rows))
    return found


def changed(snapshots) -> set[str]:
    one, other = built(snapshots)
    grains = ((one.account, other.account), (one.pair, other.pair))
    return {difference.column for pair in grains for difference in compare(*pair, "overwritten")}


def test_whatever_was_overwritten_no_family_we_ship_changes(snapshots):
    """No log, no replay: the proof is that the features of two states of the source are the same."""
    assert changed(snapshots) == set()
    account, pair = built(snapshots[:1])[0].account, built(snapshots[:1])[0].pair
    missing = {name for name in account if account[name].isna().all()}
    assert {"engagement_champions_count", "engagement_last_touch_days_since", "health_escalations_count_30d"} <= missing
    assert account["engagement_contacts_count"].notna().any()
    assert len(pair) > 20


def test_the_proof_sees_what_it_is_about(snapshots, monkeypatch):
    monkeypatch.setattr(scans, "reads_withheld", lambda table, columns: False)
    assert {"engagement_champions_count", "engagement_last_touch_days_since"} <= changed(snapshots)
