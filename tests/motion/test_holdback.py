from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from product_affinity.motion.holdback import epoch_of, lot
from tests.motion.nights import night, pair

ACCOUNTS = [f"A{number:03}" for number in range(400)]
SALT = "product-affinity"


def rows_of(accounts, **changes):
    return [pair(account, value=float(1000 - place), **changes) for place, account in enumerate(accounts)]


def test_lots_are_uniform_sticky_and_depend_on_salt_and_epoch():
    lots = np.array([lot(SALT, account, "2026-H1") for account in ACCOUNTS])
    # Kolmogorov–Smirnov at 1 %: 1.63 / sqrt(400) = .08
    assert np.abs(np.sort(lots) - (np.arange(400) + 0.5) / 400).max() < 0.08
    assert lots.tolist() == [lot(SALT, account, "2026-H1") for account in ACCOUNTS]
    for other in (("other", "2026-H1"), (SALT, "2026-H2")):
        again = [lot(other[0], account, other[1]) for account in ACCOUNTS]
        assert abs(np.corrcoef(lots, again)[0, 1]) < 0.2
    assert epoch_of(dt.date(2026, 1, 1)) == epoch_of(dt.date(2026, 6, 30)) != epoch_of(dt.date(2026, 7, 1))


def test_off_draws_nothing_and_lists_everything():
    decision = night(*rows_of(ACCOUNTS[:20]), plays=20)
    assert decision.draws.empty
    assert decision.decided["disposition"].eq("listed").all()


def test_measure_only_draws_and_lists_everything():
    decision = night(*rows_of(ACCOUNTS[:50]), plays=50, mode="measure_only")
    assert decision.decided["disposition"].eq("listed").all()
    assert set(decision.draws["arm"]) == {"treated", "held_back"}
    assert len(decision.draws) == 50


def test_on_holds_back_by_lot_and_refills_as_outside():
    decision = night(*rows_of(ACCOUNTS), plays=100, mode="on", share=0.3)
    decided, draws = decision.decided, decision.draws.set_index("account_id")
    unlucky = {account for account in ACCOUNTS if lot(SALT, account, "2026-H1") < 0.3}
    within = set(ACCOUNTS[:100])
    held = set(decided.loc[decided["disposition"].eq("held_back"), "account_id"])
    assert held == within & unlucky
    listed = decided.loc[decided["disposition"].eq("listed"), "account_id"]
    assert len(listed) == 100
    # the next in line whose lot is not to be held back
    next_in_line = [account for account in ACCOUNTS[100:] if account not in unlucky][: len(held)]
    assert set(listed) - within == set(next_in_line)
    assert draws["arm"].to_dict() == (
        dict.fromkeys(held, "held_back")
        | dict.fromkeys(within - held, "treated")
        | dict.fromkeys(next_in_line, "outside")
    )
    assert draws.groupby("arm")["arm_probability"].unique().map(list).to_dict() == {
        "held_back": [0.3], "outside": [1.0], "treated": [0.7]
    }  # fmt: skip
    assert draws["epoch"].eq("2026-H1").all()
    assert not set(decided.columns) & {"arm", "arm_probability", "epoch"}


def test_requests_and_rows_of_the_last_list_are_exempt():
    asked = rows_of(ACCOUNTS[:10], request_on="2026-06-01")
    decision = night(*asked, plays=20, mode="on", share=0.5)
    assert decision.decided["disposition"].eq("listed").all()
    assert decision.draws.empty
    last = pd.DataFrame({"account_id": ACCOUNTS[:10], "product_id": "crm"})
    decision = night(*rows_of(ACCOUNTS[:10]), plays=20, mode="on", share=0.5, previous=last)
    assert decision.decided["disposition"].eq("listed").all()
    assert decision.draws.empty


def test_a_held_back_account_gets_no_other_product_either():
    unlucky = next(account for account in ACCOUNTS if lot(SALT, account, "2026-H1") < 0.5)
    rows = [pair(unlucky, "crm", 10), pair(unlucky, "mail", 9)]
    assert night(*rows, mode="on").decided["disposition"].tolist() == ["held_back", "other_play"]


def test_who_moved_up_stays_outside_for_the_epoch():
    lucky = next(account for account in ACCOUNTS if lot(SALT, account, "2026-H1") >= 0.5)

    def arm(**drawn):
        before = pd.DataFrame([{"account_id": lucky, "epoch": "2026-H1", "arm": "outside"} | drawn])
        return night(pair(lucky), mode="on", drawn=before).draws["arm"].tolist()

    assert arm() == ["outside"]
    assert arm(epoch="2025-H2") == ["treated"]
    assert arm(arm="treated") == ["treated"]


def test_campaigns_are_not_drawn():
    decision = night(*rows_of(ACCOUNTS[:20], tier=3), mode="on", sequencing={"campaign_tiers": [3]})
    assert decision.draws.empty
    assert decision.decided["disposition"].eq("campaign").all()
