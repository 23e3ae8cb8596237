"""Encodings against fractions worked out by hand and against a slow loop over accounts."""

from __future__ import annotations

import datetime as dt
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from product_affinity.features import affinity_matrix, build_features
from tests.company import account, catalog, company, subscription
from tests.features.builders import family, pairs_of, spine_of, value

AS_OF = dt.date(2026, 1, 1)
AFFINITY = {
    "rate_of": "adoption",
    "given": "owned_product",
    "lookback_days": 365,
    "shrink_to": "target_product",
    "strength": 2,
    "combine": ["max", "log_odds_sum"],
}
PEERS = {"rate_of": "ownership", "given": ["segment", "industry"], "shrink_to": "segment", "strength": 2}
RECENT = {
    "rate_of": "adoption",
    "given": "target_product",
    "lookback_days": 100,
    "shrink_to": "all_products",
    "strength": 1,
    "role": "offset",
}


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def cell(matrix, owned: str, target: str):
    return matrix[(matrix["owned_product"] == owned) & (matrix["target_product"] == target)].iloc[0]


def test_affinity_counts_owners_who_did_not_have_the_target_yet():
    facts = company(
        # exposed and adopted while owning
        subscription("A", "crm", "2024-01-01"),
        subscription("A", "chat", "2025-06-01"),
        # exposed, not adopted
        subscription("B", "crm", "2024-01-01"),
        # exposed, but crm had ended when chat began
        subscription("C", "crm", "2024-01-01", "2025-03-01"),
        subscription("C", "chat", "2025-06-01"),
        # had the target before the look-back: not exposed
        subscription("D", "crm", "2024-01-01"),
        subscription("D", "chat", "2024-06-01"),
        # bought both on one day: neither came first
        subscription("E", "crm", "2025-02-01"),
        subscription("E", "chat", "2025-02-01"),
        # crm ended before the look-back
        subscription("F", "crm", "2023-01-01", "2024-12-31"),
        subscription("F", "chat", "2025-06-01"),
        # a trial is no start; the target began at the date itself, which is the future
        subscription("G", "crm", "2024-01-01"),
        subscription("G", "chat", "2025-06-01", is_trial=True),
        subscription("H", "crm", "2024-01-01"),
        subscription("H", "chat", "2026-01-01"),
    )
    matrix = affinity_matrix(facts, AS_OF, lookback_days=365, strength=2)
    row = cell(matrix, "crm", "chat")
    assert (row["exposed"], row["adopted"]) == (5, 1)  # A, B, C, G, H; A
    assert row["rate"] == 1 / 5
    # chat owners without crm in the look-back: none; F had crm before it.
    other = cell(matrix, "chat", "crm")
    assert (other["exposed"], other["adopted"], math.isnan(other["rate"])) == (0, 0, True)
    base = (1 + 0 + 1 / 2) / (5 + 0 + 1)
    overall = (1 + 2 * base) / (5 + 2)
    assert row["shrunk_rate"] == pytest.approx((1 + 2 * overall) / (5 + 2), rel=1e-12)
    assert other["shrunk_rate"] == pytest.approx((0 + 2 * (0 + 2 * base) / (0 + 2)) / 2, rel=1e-12)


def _slow_affinity(rows, as_of: int, lookback: int):
    """Loop over accounts and days, straight from the definition."""
    since, products = as_of - lookback, sorted({p for _, p, _, _ in rows})
    counts = {}
    for owned in products:
        for target in products:
            if owned == target:
                continue
            exposed = adopted = 0
            for account_id in {a for a, *_ in rows}:
                mine = [(p, s, e) for a, p, s, e in rows if a == account_id and s < as_of]
                first = min((s for p, s, _ in mine if p == target), default=None)
                days = [
                    (s, day)
                    for p, s, e in mine
                    if p == owned
                    for day in range(max(s, since + 1), as_of + 1)
                    if e is None or e >= as_of or day <= e
                ]
                if first is not None and first < since:
                    continue
                seen = [1 for s, day in days if first is None or s < first]
                exposed += bool(seen)
                adopted += first is not None and any(
                    s < first and (e is None or e >= as_of or first < e) for p, s, e in mine if p == owned
                )
            counts[owned, target] = exposed, adopted
    return counts


_interval = st.tuples(
    st.sampled_from("ABCDE"),
    st.sampled_from(["chat", "crm", "desk"]),
    st.integers(0, 30),
    st.one_of(st.none(), st.integers(1, 20)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_interval, min_size=1, max_size=15, unique_by=lambda row: row[:3]), st.sampled_from([5, 12, 40]))
def test_affinity_equals_a_slow_loop(drawn, lookback):
    zero = dt.date(2026, 1, 1)
    rows = [(a, p, s, None if length is None else s + length) for a, p, s, length in drawn]
    facts = company(
        *[
            subscription(a, p, str(zero + dt.timedelta(days=s)), e and str(zero + dt.timedelta(days=e)))
            for a, p, s, e in rows
        ]
    )
    as_of = 25
    matrix = affinity_matrix(facts, zero + dt.timedelta(days=as_of), lookback_days=lookback, strength=1)
    seen = {(row.owned_product, row.target_product): (row.exposed, row.adopted) for row in matrix.itertuples()}
    assert seen == _slow_affinity(rows, as_of, lookback)


def test_affinity_features_combine_the_owned_products():
    facts = company(
        subscription("A", "crm", "2024-01-01"),
        subscription("A", "desk", "2025-06-01"),
        subscription("B", "chat", "2024-01-01"),
        subscription("B", "desk", "2025-06-01"),
        subscription("C", "crm", "2024-01-01"),
        subscription("D", "crm", "2024-01-01"),
        subscription("E", "crm", "2024-01-01"),
        subscription("E", "chat", "2024-01-01"),
    )
    spine = spine_of(["C", "E"], ["2026-01-01"])
    pairs = pairs_of(spine, ["crm", "chat", "desk"], {"C": ["crm"], "E": ["crm", "chat"]})
    deals = family("deals", grain="pair", encodings={"affinity": AFFINITY})
    tables = build_features(facts, catalog("crm", "chat", "desk"), (deals,), spine, pairs)
    matrix = affinity_matrix(facts, AS_OF, lookback_days=365, strength=2)
    crm, chat = (cell(matrix, owned, "desk")["shrunk_rate"] for owned in ("crm", "chat"))
    best = value(tables, "deals_affinity_max", "2026-01-01", "E", "desk")
    assert best == pytest.approx(max(crm, chat), rel=1e-12)
    # desk: A and B adopted it, everybody (A to E) was exposed to it by owning something else.
    exposed_any = {"crm": 1, "chat": 3, "desk": 5}
    base = (2 + 1 / 2) / (sum(exposed_any.values()) + 1)
    overall = (2 + 2 * base) / (5 + 2)
    assert crm == pytest.approx((1 + 2 * overall) / (4 + 2), rel=1e-12)
    added = value(tables, "deals_affinity_log_odds_sum", "2026-01-01", "E", "desk")
    assert added == pytest.approx(logit(crm) + logit(chat) - logit(overall), rel=1e-12)
    single = value(tables, "deals_affinity_log_odds_sum", "2026-01-01", "C", "desk")
    assert single == pytest.approx(logit(crm), rel=1e-12)


def test_an_account_that_owns_nothing_else_has_no_affinity():
    spine = spine_of(["A"], ["2026-01-01"])
    deals = family("deals", grain="pair", encodings={"affinity": AFFINITY})
    tables = build_features(
        company(account("A"), subscription("B", "crm", "2025-01-01")),
        catalog("crm"),
        (deals,),
        spine,
        pairs_of(spine, ["crm"], {}),
    )
    assert tables.pair[["deals_affinity_max", "deals_affinity_log_odds_sum"]].isna().all(axis=None)


def test_peers_leave_the_account_out_and_shrink_to_the_segment():
    accounts = list("ABCDEF")
    spine = spine_of(
        accounts,
        ["2026-01-01"],
        segment=["smb"] * 5 + [None],
        industry=["media", "media", "media", "retail", None, "media"],
    )
    pairs = pairs_of(spine, ["crm"], {"B": ["crm"], "D": ["crm"]})
    deals = family("deals", grain="pair", encodings={"peers": PEERS})
    tables = build_features(company(account("A")), catalog("crm"), (deals,), spine, pairs)
    peers = {a: value(tables, "deals_peers", "2026-01-01", a, "crm") for a in "ACEF"}
    # Segment: B and D of A's four neighbours own it; industry: B of B and C.
    assert peers["A"] == pytest.approx((1 + 2 * (2 / 4)) / (2 + 2), rel=1e-12)
    assert peers["E"] == pytest.approx(2 / 4, rel=1e-12)  # no industry: the segment's rate
    assert np.isnan(peers["F"])


def test_recent_rate_is_the_expected_adoption_of_an_open_pair_in_log_odds():
    facts = company(
        subscription("A", "crm", "2024-01-01"),
        subscription("A", "chat", "2025-12-12"),
        subscription("B", "crm", "2024-01-01"),
        subscription("B", "chat", "2024-02-01"),
        subscription("C", "crm", "2025-12-02"),
        subscription("D", "crm", "2024-01-01", "2025-10-03"),
    )
    spine = spine_of(["B", "C", "E", "F"], ["2026-01-01"])
    pairs = pairs_of(spine, ["crm", "chat", "desk"], {"B": ["crm", "chat"], "C": ["crm"], "E": ["crm"], "F": ["crm"]})
    pairs.loc[(pairs["account_id"] == "F") & (pairs["product_id"] == "chat"), "status"] = "not_eligible"
    deals = family("deals", grain="pair", encodings={"recent": RECENT})
    products = catalog("crm", "chat", "desk", desk={"launched_on": "2025-12-22"})
    tables = build_features(facts, products, (deals,), spine, pairs, horizon_days=90)
    # Look-back from 2025-09-23 on. Without chat: A 80 days until its start, C 30, D 10; 2 of 3 pairs open.
    chat_days = (80 + 30 + 10) * 2 / 3
    # Without desk, since its launch: A, B, C 10 days each (D is gone); all pairs open.
    desk_days = 30
    # crm has no pair left to adopt it, so it adds neither days nor, since all began with it, adoptions.
    hazard = (1 + 1 / 2) / (chat_days + desk_days + 1 * 100)
    for product, adopted, days in (("chat", 1, chat_days), ("desk", 0, desk_days)):
        rate = (adopted + 100 * hazard) / (days + 100)
        expected = 1 - math.exp(-rate * 90)
        seen = value(tables, "deals_recent", "2026-01-01", "C", product)
        assert seen == pytest.approx(logit(expected), rel=1e-9)


def test_encodings_are_learnt_anew_at_each_date():
    facts = company(
        subscription("A", "crm", "2024-01-01"),
        subscription("B", "crm", "2024-01-01"),
        subscription("A", "chat", "2025-12-01", known_at="2026-01-10 09:00"),
    )
    for as_of, adopted in ((dt.date(2026, 1, 1), 0), (dt.date(2026, 1, 10), 0), (dt.date(2026, 1, 11), 1)):
        matrix = affinity_matrix(facts, as_of)
        assert cell(matrix, "crm", "chat")["adopted"] == adopted
