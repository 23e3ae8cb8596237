from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from product_affinity.value import fill_capacity


def rows(*lines, index=None):
    """Lines of slot_owner, account_id, product_id, value_usd [, is_request]."""
    names = ["slot_owner", "account_id", "product_id", "value_usd", "is_request"]
    return pd.DataFrame([(*line, False)[:5] for line in lines], columns=names, index=index)


def chosen(candidates, slots, caps=None):
    is_chosen = fill_capacity(candidates, slots=pd.Series(slots), caps=pd.Series(caps) if caps is not None else None)
    return list(candidates.index[is_chosen])


def test_slots_go_to_the_most_valuable_and_ties_to_the_first_account():
    found = rows(("o", "C", "crm", 5), ("o", "A", "crm", 5), ("o", "B", "crm", 9), ("p", "D", "crm", 1))
    assert chosen(found, {"o": 2, "p": 0}) == [1, 2]
    assert sorted(chosen(found.sample(frac=1, random_state=1), {"o": 2, "p": 0})) == [1, 2]


def test_an_account_gets_one_play_and_a_tie_goes_to_the_first_product():
    found = rows(("o", "A", "mail", 5), ("o", "A", "crm", 5))
    assert chosen(found, {"o": 9}) == [1]


def test_an_owner_that_is_not_named_has_no_slot_and_a_product_that_is_not_named_no_cap():
    found = rows(("o", "A", "crm", 5), ("x", "B", "crm", 9), ("o", "C", "mail", 4))
    assert chosen(found, {"o": 9}, {"mail": 0}) == [0]


def test_a_request_comes_before_any_value():
    found = rows(("o", "A", "crm", 900), ("o", "B", "crm", 1, True))
    assert chosen(found, {"o": 1}) == [1]


def test_a_scarce_product_goes_where_no_second_choice_is_as_good():
    # most valuable first would give the one crm slot to A (10) and leave B with nothing: 10 instead of 9 + 9
    found = rows(("o", "A", "crm", 10), ("o", "A", "mail", 9), ("o", "B", "crm", 9))
    assert chosen(found, {"o": 2}, {"crm": 1}) == [1, 2]


def test_nothing_to_choose_from():
    assert chosen(rows(("o", "A", "crm", 5)).iloc[:0], {"o": 1}) == []


def best_worth(found, slots, caps):
    """The exact optimum, by integer programming."""
    limits, lines = [], []
    for name, limit_of in (("account_id", lambda _: 1), ("slot_owner", slots.get), ("product_id", caps.get)):
        for key in sorted(found[name].unique()):
            lines.append(found[name].eq(key).to_numpy(dtype=float))
            limits.append(limit_of(key))
    solved = milp(
        -found["value_usd"].to_numpy(dtype=float),
        constraints=LinearConstraint(np.array(lines), -np.inf, np.array(limits, dtype=float)),
        integrality=np.ones(len(found)),
        bounds=Bounds(0, 1),
    )
    return -solved.fun


def random_case(seed):
    rng = np.random.default_rng(seed)
    accounts, products, owners = rng.integers(4, 36), rng.integers(2, 7), rng.integers(1, 4)
    owner = rng.integers(0, owners, accounts)
    lines = [
        (
            f"o{owner[a]}" if rng.random() < 0.75 else str(rng.choice(["_ae", "_specialist"])),
            f"A{a:02}",
            f"p{p}",
            round(float(np.exp(rng.normal(6, 1))), 2),
        )
        for a in range(accounts)
        for p in range(products)
        if rng.random() < 0.6
    ]
    each = int(rng.integers(1, 8))
    slots = {f"o{k}": each for k in range(owners)} | {name: int(rng.integers(1, 6)) for name in ("_ae", "_specialist")}
    caps = {f"p{k}": int(rng.integers(0, 6)) if rng.random() < 0.6 else 999 for k in range(products)}
    return rows(*lines), slots, caps


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_within_one_percent_of_the_exact_optimum(start):
    for seed in range(start, start + 20):
        found, slots, caps = random_case(seed)
        got = found.loc[chosen(found, slots, caps), "value_usd"].sum()
        assert got >= 0.99 * best_worth(found, slots, caps), seed


candidate = st.tuples(
    st.sampled_from("opq"), st.sampled_from("ABCDEFG"), st.sampled_from(["crm", "mail", "desk"]),
    st.integers(1, 50), st.booleans(),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(candidate, max_size=18, unique_by=lambda line: line[1:3]),
    st.fixed_dictionaries({name: st.integers(0, 4) for name in "op"}),
    st.fixed_dictionaries({"crm": st.integers(0, 3)}),
    st.randoms(use_true_random=False),
)
def test_limits_hold_and_the_order_of_rows_does_not_matter(lines, slots, caps, random):
    found = rows(*lines)
    listed = found.loc[chosen(found, slots, caps)]
    assert listed["account_id"].is_unique
    assert all(listed["slot_owner"].eq(name).sum() <= slots.get(name, 0) for name in "opq")
    assert listed["product_id"].eq("crm").sum() <= caps["crm"]
    shuffled = random.sample(lines, len(lines))
    again = rows(*shuffled)
    assert sorted(map(tuple, again.loc[chosen(again, slots, caps)].to_numpy())) == sorted(map(tuple, listed.to_numpy()))
    # no request waits while a row without one takes what it needs
    for line in found[found["is_request"] & ~found.index.isin(listed.index)].itertuples():
        takes = listed["is_request"]
        has_account = not listed.loc[takes, "account_id"].eq(line.account_id).any()
        has_slot = listed.loc[takes, "slot_owner"].eq(line.slot_owner).sum() < slots.get(line.slot_owner, 0)
        has_cap = listed.loc[takes, "product_id"].eq(line.product_id).sum() < caps.get(line.product_id, 99)
        assert not (has_account and has_slot and has_cap)


def test_sorting_in_blocks_changes_nothing(monkeypatch):
    cases = [random_case(seed) for seed in range(40)]
    # few distinct values, so that ties straddle the blocks
    cases = [(found.assign(value_usd=found["value_usd"] // 300 + 1), slots, caps) for found, slots, caps in cases]
    whole = [chosen(*case) for case in cases]
    monkeypatch.setattr("product_affinity.value.capacity.BLOCK", 3)
    assert [chosen(*case) for case in cases] == whole
