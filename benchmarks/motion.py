"""Time of a night's decision, and how near greedy capacity comes to the exact optimum.

Run ``python -m benchmarks.motion``. The night is made up: 100,000 accounts × 12 products, 1,000 owners, forty gates
and criteria of which a pair fails some, half a million earlier outcomes. The optimum is found by integer programming
on small random cases with owners, two shared pools and product caps, the plain greedy order beside it.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table as Printed
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from product_affinity.motion import History, decide
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.routing import Routing
from product_affinity.project.playbook.sequencing import Sequencing
from product_affinity.project.settings import CapacitySettings, MeasurementSettings
from product_affinity.rules.criteria import FAIL, PASS, Answer, Readiness, SameWords
from product_affinity.value import fill_capacity

AS_OF = dt.date(2026, 6, 30)
GATES, CRITERIA = 10, 30


@dataclass(frozen=True)
class Night:
    """Everything a decision needs, made up."""

    rows: pd.DataFrame
    evidence: pd.DataFrame
    gates: list[Answer]
    readiness: Readiness
    history: History
    catalog: Catalog


def made_up_night(accounts: int, products: int = 12, seed: int = 0) -> Night:
    """Make up the scored pairs of a night, their answers and history."""
    rng = np.random.default_rng(seed)
    ids = np.char.mod("A-%06d", np.arange(accounts))
    names = [f"product_{k:02}" for k in range(products)]
    pairs, owners = accounts * products, max(accounts // 100, 1)
    owner = pd.Series(np.char.mod("U-%04d", rng.integers(0, owners, accounts)), dtype="str").repeat(products)
    rows = pd.DataFrame(
        {
            "account_id": pd.Series(np.repeat(ids, products), dtype="str"),
            "product_id": pd.Series(np.tile(names, accounts), dtype="str"),
            "status": "white_space",
            "segment": pd.Series(np.repeat(rng.choice(["smb", "enterprise"], accounts), products), dtype="str"),
            "tier": np.repeat(rng.integers(1, 4, accounts), products),
            "owner_id": owner.to_numpy(),
            "owner_key": owner.to_numpy(),
            "do_not_contact": np.repeat(rng.random(accounts) < 0.01, products),
            "name": "somebody",
            "expected_arr_usd": rng.lognormal(9, 0.8, pairs),
        }
    )
    rows["value_usd"] = rng.beta(1, 60, pairs) * rows["expected_arr_usd"] - 50
    quadrants = rng.choice(["primary", "specialist", "problem_first", "net_new"], pairs, p=[0.7, 0.1, 0.1, 0.1])
    evidence = pd.DataFrame(
        {
            "quadrant": pd.Series(quadrants, dtype="str"),
            "anchor_product_id": pd.Series(np.full(pairs, names[0]), dtype="str"),
            "request_on": pd.Series(np.where(rng.random(pairs) < 0.002, np.datetime64(AS_OF), np.datetime64("NaT"))),
            "tenure_months": np.repeat(rng.uniform(1, 60, accounts), products),
        }
    )
    gates = [_answer(f"G{k:02}", 5, rng, pairs) for k in range(2, 2 + GATES)]
    criteria = [_answer(f"R{k:02}", 8, rng, pairs) for k in range(CRITERIA)]
    flags = [rng.random(pairs) < 0.3 for _ in range(2)]
    zeros = np.zeros(pairs)
    state = np.full(pairs, PASS, dtype=np.int8)
    rule_set = np.full(pairs, "motion", dtype=object)
    waivable = np.zeros(CRITERIA, dtype=bool)
    readiness = Readiness(rule_set, criteria, state, flags[0], flags[1], zeros, zeros, waivable, [])
    catalog = Catalog.model_validate(
        {"products": [{"product_id": n, "name": n, "implementation_slots_per_month": 60} for n in names]}
    )
    return Night(rows, evidence, gates, readiness, _made_up_history(rng, ids, names), catalog)


def _answer(code: str, step: int, rng: np.random.Generator, pairs: int) -> Answer:
    state = np.where(rng.random(pairs) < 0.03, FAIL, PASS).astype(np.int8)
    words = SameWords("a value and its threshold", "it gets better")
    return Answer(code, f"rule {code}", "pair", state, np.zeros(pairs, dtype=bool), words, step)


def _made_up_history(rng: np.random.Generator, ids: np.ndarray, names: list[str]) -> History:
    def some(share: float, by_pair: bool = True) -> pd.DataFrame:
        keys = [(a, p) for a in ids for p in names if rng.random() < share] if by_pair else [(a, names[0]) for a in ids]
        frame = pd.DataFrame(keys, columns=["account_id", "product_id"]).astype("str")
        ago = pd.to_timedelta(rng.integers(1, 700, len(frame)), unit="D")
        return frame.assign(since_on=pd.Timestamp(AS_OF) - ago)

    plays = some(0.01)
    endings = some(0.4).rename(columns={"since_on": "noted_on"})
    closes = some(0, by_pair=False).rename(columns={"since_on": "closed_on"})
    limits = some(0, by_pair=False).rename(columns={"since_on": "reached_on"})
    return History(
        deals=some(0.01),
        plays=plays.assign(play_id="p", owner_id=None, status=rng.choice(["accepted", "contacted"], len(plays))),
        endings=endings.assign(status=rng.choice(["not_now", "not_a_fit", "lost"], len(endings)), follow_up_on=pd.NaT),
        closes=closes.assign(status="won"),
        upsells=some(0, by_pair=False).iloc[:500],
        limits=limits.assign(limit_share=rng.uniform(0, 1, len(limits))),
        buyers=some(0, by_pair=False)[["account_id"]].assign(sponsor_areas="sales", procurement_on=pd.NaT),
        starts=pd.DataFrame({"product_id": names, "starts": 20}),
    )


def timed_decision(accounts: int) -> tuple[int, float, pd.Series]:
    """Decide a made-up night; pairs, seconds and how many rows each disposition got."""
    night = made_up_night(accounts)
    sequencing = Sequencing.model_validate(
        {"upsell_first_from": 0.85, "upsell_waits_to": 0.6, "gap_days": 45, "not_now_days": 90, "not_a_fit_days": 365,
         "lost_days": 180, "accepted_days": 90, "contacted_days": 30, "campaign_tiers": [3]}
    )  # fmt: skip
    routing = Routing.model_validate(
        {"specialist_quadrants": ["specialist"], "hand_off_above_usd": 25_000, "ae_plays": accounts // 200,
         "specialist_plays": accounts // 400, "plays_per_implementation_slot": 10}
    )  # fmt: skip
    start = time.perf_counter()
    decision = decide(
        night.rows, evidence=night.evidence, gates=night.gates, readiness=night.readiness, history=night.history,
        catalog=night.catalog, sequencing=sequencing, routing=routing, capacity=CapacitySettings(),
        measurement=MeasurementSettings(mode="on"), as_of=AS_OF,
    )  # fmt: skip
    return len(night.rows), time.perf_counter() - start, decision.decided["disposition"].value_counts()


def small_case(seed: int) -> tuple[pd.DataFrame, pd.Series, pd.Series]:
    """Candidates, slots and caps small enough to be solved exactly."""
    rng = np.random.default_rng(seed)
    accounts, products, owners = rng.integers(4, 40), rng.integers(2, 7), rng.integers(1, 4)
    owner = rng.integers(0, owners, accounts)
    lines = [
        (f"A{a:02}", f"p{p}", f"o{owner[a]}" if rng.random() < 0.75 else ("_ae", "_specialist")[rng.integers(2)])
        for a in range(accounts)
        for p in range(products)
        if rng.random() < 0.6
    ]
    found = pd.DataFrame(lines, columns=["account_id", "product_id", "slot_owner"])
    found["value_usd"] = np.exp(rng.normal(6, 1, len(found)))
    slots = pd.Series({f"o{k}": int(rng.integers(1, 8)) for k in range(owners)} | {"_ae": 3, "_specialist": 2})
    caps = pd.Series({f"p{k}": int(rng.integers(0, 6)) for k in range(products) if rng.random() < 0.6}, dtype=int)
    return found, slots, caps


def best_worth(found: pd.DataFrame, slots: pd.Series, caps: pd.Series) -> float:
    """Worth of the exact optimum."""
    at, limit = [], []
    for name, limits in (("account_id", None), ("slot_owner", slots), ("product_id", caps)):
        codes, keys = pd.factorize(found[name])
        at.append(codes + len(limit))
        limit += [1.0] * len(keys) if limits is None else limits.reindex(keys).fillna(np.inf).tolist()
    columns = np.tile(np.arange(len(found)), 3)
    matrix = coo_array((np.ones(len(columns)), (np.concatenate(at), columns)), shape=(len(limit), len(found)))
    solved = milp(
        -found["value_usd"].to_numpy(),
        constraints=LinearConstraint(matrix.tocsr(), -np.inf, np.array(limit)),
        integrality=np.ones(len(found)),
        bounds=Bounds(0, 1),
    )
    return float(-solved.fun)


def plain_worth(found: pd.DataFrame, slots: pd.Series, caps: pd.Series) -> float:
    """Worth of taking the most valuable first."""
    slots, caps, taken, worth = slots.to_dict(), caps.to_dict(), set(), 0.0
    for line in found.sort_values("value_usd", ascending=False).itertuples():
        if line.account_id in taken or slots[line.slot_owner] < 1 or caps.get(line.product_id, 1) < 1:
            continue
        taken.add(line.account_id)
        slots[line.slot_owner] -= 1
        if line.product_id in caps:
            caps[line.product_id] -= 1
        worth += float(line.value_usd)
    return worth


def gaps(cases: int) -> pd.DataFrame:
    """Share of the optimum that is missed, by case and way of filling."""
    lines = []
    for seed in range(cases):
        found, slots, caps = small_case(seed)
        best = best_worth(found, slots, caps) if len(found) else 0
        if best > 0:
            ours = found.loc[fill_capacity(found, slots=slots, caps=caps), "value_usd"].sum()
            lines.append({"ours": 1 - ours / best, "most valuable first": 1 - plain_worth(found, slots, caps) / best})
    return pd.DataFrame(lines)


def main(accounts: int = 100_000, cases: int = 400) -> None:
    """Print both tables."""
    console = Console(width=120)
    printed = Printed(
        "accounts", "pairs", "seconds", "µs a pair", title="One night's decision, words of every row included"
    )
    for some in (accounts // 10, accounts):
        pairs, seconds, counts = timed_decision(some)
        printed.add_row(f"{some:,}", f"{pairs:,}", f"{seconds:.1f}", f"{1e6 * seconds / pairs:.1f}")
    console.print(printed)
    console.print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    missed = gaps(cases)
    table = Printed(
        "filling", "mean", "worst", "cases missing > 1 %", title=f"Missed share of the optimum, {len(missed)} cases"
    )
    for name in missed:
        gap = missed[name].clip(lower=0)
        table.add_row(name, f"{gap.mean():.3%}", f"{gap.max():.2%}", str(int((gap > 0.01).sum())))
    console.print(table)


if __name__ == "__main__":
    main()
