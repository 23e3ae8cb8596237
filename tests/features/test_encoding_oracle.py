"""Encodings against account-by-account loops at every date: late and corrected rows, launches, trials, returns."""

from __future__ import annotations

import datetime as dt

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from product_affinity.contracts.facts import Facts
from product_affinity.features import build_features
from tests.company import catalog
from tests.features import oracle
from tests.features.builders import family, pairs_of, spine_of

FIRST = dt.date(2026, 3, 1)
AS_OFS = ("2026-03-08", "2026-03-09", "2026-03-10", "2026-03-20")  # clocks change in New York
ACCOUNTS, PRODUCTS = list("ABCDE"), ["chat", "crm", "desk"]
LAUNCHED = dt.date(2026, 3, 4)
KEY = ("account_id", "product_id", "start_on")
LOOKBACK, STRENGTH, HORIZON = 6, 3, 90
ENCODINGS = {
    "affinity": {
        "rate_of": "adoption", "given": "owned_product", "lookback_days": LOOKBACK, "shrink_to": "target_product",
        "strength": STRENGTH, "combine": ["max", "log_odds_sum"],
    },
    "peers": {"rate_of": "ownership", "given": ["segment", "industry"], "shrink_to": "segment", "strength": STRENGTH},
    "recent": {
        "rate_of": "adoption", "given": "target_product", "lookback_days": LOOKBACK, "shrink_to": "all_products",
        "strength": STRENGTH, "role": "offset",
    },
}  # fmt: skip

_subscription = st.fixed_dictionaries(
    {
        "account_id": st.sampled_from(ACCOUNTS),
        "product_id": st.sampled_from(PRODUCTS),
        "start_on": st.integers(-4, 9).map(lambda day: FIRST + dt.timedelta(days=day)),
        "days": st.one_of(st.none(), st.integers(1, 12)),
        "is_trial": st.sampled_from([False, False, False, True]),
        "delay_hours": st.sampled_from([None, 1, 5, 23, 24, 28, 53, 100]),
    }
)
STATUSES = ["owned", "white_space", "in_pipeline", "not_eligible"]


def _log(drawn: list[dict]) -> oracle.Log:
    found = {}
    for row in drawn:
        start, delay = row["start_on"], row["delay_hours"]
        known_at = None if delay is None else dt.datetime.combine(start, dt.time()) + dt.timedelta(hours=delay)
        end = None if row["days"] is None else start + dt.timedelta(days=row["days"])
        line = {name: row[name] for name in (*KEY, "is_trial")} | {"end_on": end, "known_at": known_at}
        found[(*(row[name] for name in KEY), known_at)] = line
    return list(found.values())


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(_subscription, min_size=4, max_size=24),
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(["smb", "smb", "enterprise", None]), min_size=5, max_size=5),
    st.lists(st.sampled_from(["media", "retail", None]), min_size=5, max_size=5),
    st.sampled_from(["UTC", "America/New_York", "Pacific/Auckland"]),
)
def test_every_encoding_equals_the_oracle_at_every_date(drawn, seed, segments, industries, timezone):
    log = _log(drawn)
    frame = pd.DataFrame(log, columns=[*KEY, "end_on", "is_trial", "known_at"])
    for name in ("start_on", "end_on", "known_at"):
        frame[name] = pd.to_datetime(frame[name])
    facts = Facts.from_frames({"subscriptions": frame.astype({"is_trial": "boolean"})}, timezone=timezone)
    spine = spine_of(ACCOUNTS, AS_OFS, segment=segments, industry=industries)
    pairs = pairs_of(spine, PRODUCTS, {}).assign(
        status=np.random.default_rng(seed).choice(STATUSES, len(spine) * len(PRODUCTS))
    )
    products = catalog(*PRODUCTS, desk={"launched_on": LAUNCHED})
    deals = family("deals", grain="pair", encodings=ENCODINGS)
    built = build_features(facts, products, (deals,), spine, pairs, horizon_days=HORIZON).pair
    by_account = dict(zip(ACCOUNTS, segments, strict=True))
    groups = {a: None if None in pair else pair for a, *pair in zip(ACCOUNTS, segments, industries, strict=True)}
    for as_of in AS_OFS:
        day = dt.date.fromisoformat(as_of)
        usable = oracle.usable_rows(log, KEY, "start_on", day, timezone)
        rates = oracle.Rates([row for row in usable if not row["is_trial"]], PRODUCTS, day)
        status = pairs[pairs["as_of"] == pd.Timestamp(as_of)].set_index(["account_id", "product_id"])["status"]
        owners = {a: {p for p in PRODUCTS if status[a, p] == "owned"} for a in ACCOUNTS}
        _compare(built[built["as_of"] == pd.Timestamp(as_of)], rates, status, owners, by_account, groups)


def _compare(built, rates, status, owners, segments, groups) -> None:
    shrunk, overall = rates.affinity(LOOKBACK, STRENGTH)
    counts = {p: status[:, p].value_counts() for p in PRODUCTS}
    opened = {p: int(counts[p].get("white_space", 0) + counts[p].get("in_pipeline", 0)) for p in PRODUCTS}
    share = {p: opened[p] / max(opened[p] + counts[p].get("not_eligible", 0), 1) for p in PRODUCTS}
    recent = rates.recent_rate(LOOKBACK, STRENGTH, HORIZON, {"desk": LAUNCHED}, share)
    assert len(built) == sum(opened.values())
    for line in built.itertuples():
        held = sorted(owners[line.account_id])
        evidence = [oracle.logit(shrunk[p, line.product_id]) - oracle.logit(overall[line.product_id]) for p in held]
        wanted = {
            "deals_affinity_max": max((shrunk[p, line.product_id] for p in held), default=None),
            "deals_affinity_log_odds_sum": oracle.logit(overall[line.product_id]) + sum(evidence) if held else None,
            "deals_peers": oracle.peers(line.account_id, line.product_id, groups, segments, owners, STRENGTH),
            "deals_recent": recent[line.product_id],
        }
        for name, value in wanted.items():
            seen = getattr(line, name)
            if value is None:
                assert np.isnan(seen), name
            else:
                # the oracle's log-odds near a rate of 1 lose the digits that its 1 − rate lost
                lost = 1e-12 + 4e-16 * np.exp(abs(value))
                assert seen == pytest.approx(value, rel=1e-7, abs=lost), (name, line.account_id, line.product_id)
