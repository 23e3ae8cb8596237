"""What the page shows of an account is what was known at the date, and tells no arm."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.lists.previous import PublishedList
from product_affinity.lists.site import write_site
from product_affinity.pipeline.site_data import Night, build_site_data
from product_affinity.pipeline.site_history import MONTHS, WEEKS, account_histories
from product_affinity.pipeline.site_products import lifts, owned_together, product_tables, reliability
from product_affinity.project import Project
from product_affinity.project.settings import Settings
from product_affinity.rules import FAIL, NOT_ASKED, PASS, UNKNOWN, Answer, SameWords
from product_affinity.schema.lists import SCORE_COLUMNS
from tests import plays as made
from tests.company import Row, account, catalog, company, opportunity, subscription

AS_OF = dt.date(2026, 6, 30)


def used(day: str, users: float, product: str = "crm", who: str = "A") -> Row:
    return "usage", {"account_id": who, "product_id": product, "date": day, "active_users": users}


def scored(day: str, score: float, product: str | None = None, **more: object) -> Row:
    return "health", {"account_id": "A", "date": day, "score": score, "product_id": product, **more}


def histories(*rows: Row, who: tuple[str, ...] = ("A",)) -> dict[str, pd.DataFrame]:
    facts = company(account("A"), account("B"), subscription("A", "crm", "2024-01-01"), *rows)
    return account_histories(facts, who, AS_OF)


def test_weeks_are_half_open_and_counted_back_from_the_date() -> None:
    found = histories(
        used("2026-06-29", 10), used("2026-06-23", 20),  # the last week, [23 June, 30 June)
        used("2026-06-22", 7),  # the week before
        used("2026-06-30", 99), used("2025-06-30", 99),  # the date itself, and a day too long ago
        used("2025-07-01", 4),
    )["usage"]  # fmt: skip
    (weekly,) = found["weekly"]
    assert len(weekly) == WEEKS
    assert weekly[-1] == 15.0
    assert weekly[-2] == 7.0
    assert weekly[0] == 4.0
    assert np.isnan(weekly[1:-2]).all()


def test_usage_is_of_owned_products_and_of_those_in_use_now() -> None:
    found = histories(
        used("2026-06-20", 5, "trial"), used("2026-01-20", 5, "left"), used("2026-01-20", 5, "crm"),
        used("2026-06-20", 5, "crm", who="B"),
    )["usage"]  # fmt: skip
    assert list(found["product_id"]) == ["crm", "trial"]
    assert set(found["account_id"]) == {"A"}


def test_health_is_the_last_score_of_each_month_known_then() -> None:
    found = histories(
        scored("2026-06-02", 50), scored("2026-06-28", 60), scored("2026-05-31", 70),
        scored("2026-06-29", 99, known_at="2026-07-02"),  # not known yet
        scored("2026-06-15", 80, "crm"), scored("2026-06-15", 30, "left"),
    )["health"]  # fmt: skip
    assert found["product_id"].isna().tolist() == [True, False]  # the account's own comes first
    own, product = found["monthly"]
    assert len(own) == MONTHS
    assert own[-2:] == [70.0, 60.0]
    assert product[-1] == 80.0


def test_closing_columns_are_unknown_until_they_happened() -> None:
    def ticket(name: str, opened: str, closed: str | None) -> Row:
        return "tickets", {"ticket_id": name, "account_id": "A", "opened_at": opened, "closed_at": closed,
                           "priority": "P1"}  # fmt: skip

    found = histories(
        ticket("late", "2026-06-20", "2026-07-03"), ticket("done", "2026-06-01", "2026-06-05"),
        ticket("old but open", "2024-06-01", None), ticket("old", "2024-06-01", "2024-06-02"),
        ticket("tomorrow", "2026-06-30", None),
    )["tickets"]  # fmt: skip
    assert list(found["opened_on"]) == ["2026-06-20", "2026-06-01", "2024-06-01"]
    assert found["closed_on"].isna().tolist() == [True, False, True]


def test_problems_are_redacted_and_open_ones_come_first_when_there_are_many() -> None:
    rows: list[Row] = [
        ("problems", {"problem_id": f"N{i}", "account_id": "A", "tag": "t", "statement": "ask jo@example.com",
                      "noted_at": f"2026-05-{i + 1:02d}", "source": "qbr", "solved_at": "2026-06-01"})
        for i in range(12)
    ]  # fmt: skip
    rows.append(("problems", {"problem_id": "open", "account_id": "A", "tag": "old", "statement": "x",
                              "noted_at": "2025-01-01", "source": "qbr", "solved_at": None}))  # fmt: skip
    found = histories(*rows)["problems"]
    assert len(found) == 8
    assert "old" in set(found["tag"])
    assert not found["statement"].str.contains("@").any()


def outreach(play: str, arm: str, day: str = "2026-03-01") -> Row:
    return "outreach", {"play_id": play, "account_id": "A", "product_id": "kb", "decided_at": day, "arm": arm,
                        "arm_probability": 0.5, "channel": "call"}  # fmt: skip


def outcome(play: str, status: str, day: str) -> Row:
    return "outcomes", {"play_id": play, "status": status, "noted_at": day, "reason": "busy"}


def test_events_tell_plays_outcomes_and_deals_but_no_arm() -> None:
    found = histories(
        outreach("P1", "treated"), outcome("P1", "not_now", "2026-03-04"),
        outreach("P2", "held_back", "2026-04-01"), outcome("P2", "won", "2026-04-05"),
        outreach("P3", "outside", "2026-05-01"), outcome("P1", "won", "2026-07-01"),
        opportunity("O1", "A", "kb", "2026-05-10", closed_on="2026-07-05", result="won"),
        opportunity("O2", "A", "kb", "2026-01-10", closed_on="2026-02-05", result="lost", lost_reason="budget"),
    )["events"]  # fmt: skip
    assert list(found[["happened_on", "what"]].itertuples(index=False, name=None)) == [
        ("2026-05-10", "cross-sell deal opened"),
        ("2026-05-01", "proposed"),
        ("2026-03-04", "not now"),
        ("2026-03-01", "proposed"),
        ("2026-02-05", "cross-sell deal lost"),
        ("2026-01-10", "cross-sell deal opened"),
    ]
    assert set(found["product_id"]) == {"kb"}
    # the words of a held-back account are those of one that was never drawn
    without = histories(outreach("P1", "treated"))["events"]
    beside = histories(outreach("P1", "treated"), outreach("P2", "held_back", "2026-04-01"))["events"]
    pd.testing.assert_frame_equal(without, beside)


def test_owned_together_counts_both_of_the_owners() -> None:
    owned = pd.DataFrame({"account_id": list("aabbbc"), "product_id": ["x", "y", "x", "y", "z", "x"]})
    found = owned_together(owned, pd.Series(["x", "y", "z"]), None).set_index(["owned_product_id", "product_id"])
    assert found.loc[("x", "y"), ["owners", "both"]].tolist() == [3, 2]
    assert found.loc[("y", "x"), ["owners", "both"]].tolist() == [2, 2]
    assert found.loc[("z", "x"), ["owners", "both"]].tolist() == [1, 1]
    assert len(found) == 6


def test_conversion_is_that_of_closed_attempts() -> None:
    owned = pd.DataFrame({"account_id": ["a", "a"], "product_id": ["x", "y"]})
    learned = pd.DataFrame(
        {"owned_product": ["x"], "target_product": ["y"], "won": [3], "lost": [5], "open": [2],
         "conversion_rate": [3 / 8], "days_to_close": [41.0]}
    )  # fmt: skip
    found = owned_together(owned, pd.Series(["x", "y"]), learned).set_index(["owned_product_id", "product_id"])
    assert found.loc[("x", "y"), ["conversion", "opportunities", "median_days"]].tolist() == [3 / 8, 8, 41]
    assert found.loc[("y", "x"), ["conversion", "opportunities", "median_days"]].isna().all()


def test_the_baseline_of_all_companies_is_not_drawn() -> None:
    shares = pd.DataFrame(
        {"account_id": "A", "product_id": "kb", "family": ["baseline", "usage"], "share": [-4.2, 0.3]}
    )
    assert build_site_data(night(shares=shares)).accounts["shares"]["family"].tolist() == ["usage"]


def test_attach_rate_by_segment_keeps_accounts_without_one() -> None:
    spine = pd.DataFrame({"account_id": list("abcd"), "segment": ["smb", "smb", "enterprise", None]})
    pairs = pd.DataFrame({"account_id": list("acd"), "product_id": "crm", "status": ["owned", "owned", "white_space"]})
    found = product_tables(catalog("crm"), spine, pairs)["attach"]
    assert list(found[["segment", "customers", "owners"]].itertuples(index=False, name=None)) == [
        ("smb", 2, 1),
        ("enterprise", 1, 1),
        ("unknown", 1, 0),
    ]


def _predictions() -> pd.DataFrame:
    chance = np.repeat([0.1, 0.5], 50)
    adopted = np.concatenate([np.repeat([1, 0], [5, 45]), np.repeat([1, 0], [25, 25])])
    return pd.DataFrame({"product_id": "crm", "blend": chance, "adopted": adopted, "status": "white_space",
                         "is_winback": False})  # fmt: skip


def test_reliability_and_lift_by_hand() -> None:
    low, high = reliability(_predictions()).to_dict("records")
    assert (low["predicted"], low["observed"], low["pairs"]) == (pytest.approx(0.1), 5 / 50, 50)
    assert (high["predicted"], high["observed"], high["pairs"]) == (pytest.approx(0.5), 25 / 50, 50)
    # Wilson: (.5 + z²/100 ± z √(.25/50 + z²/10000)) ÷ (1 + z²/50), z = 1.959964
    assert (high["low"], high["high"]) == (pytest.approx(0.36645, abs=1e-5), pytest.approx(0.63355, abs=1e-5))
    found = lifts(_predictions()).set_index("share")
    assert found.loc[0.5, "lift"] == pytest.approx((25 / 50) / (30 / 100))
    assert found.loc[0.5, ["pairs", "adoptions"]].tolist() == [50, 25]
    assert found.loc[0.1, "lift"] == pytest.approx((25 / 50) / (30 / 100))  # ties count in proportion


def test_products_with_few_adoptions_are_not_judged() -> None:
    few = _predictions().assign(adopted=lambda rows: rows["adopted"] * (np.arange(100) < 19))
    assert few["adopted"].sum() < 20
    assert reliability(few).empty
    assert lifts(few).empty


def night(**changes: object) -> Night:
    customers = [row for name in "ABCD" for row in (account(name), subscription(name, "crm", "2024-01-01"))]
    facts = company(*customers)
    spine = pd.DataFrame(
        {"account_id": list("ABCD"), "segment": "smb", "tier": 3, "industry": "media", "region": "EMEA",
         "country": "PL", "employees": 50, "arr_usd": 1000.0, "tenure_days": 900, "owner_name": "Ada",
         "name": list("ABCD")}
    )  # fmt: skip
    status = {"crm": "owned", "kb": "white_space", "bi": "white_space"}
    pairs = pd.DataFrame(
        [(name, product, said) for name in "ABCD" for product, said in status.items()],
        columns=["account_id", "product_id", "status"],
    )
    decided = {
        ("A", "kb"): "listed", ("A", "bi"): "other_play",
        ("B", "kb"): "held_back", ("B", "bi"): "other_play",
        ("C", "kb"): "watchlist", ("C", "bi"): "beyond_capacity",
        ("D", "kb"): "below_value", ("D", "bi"): "below_value",
    }  # fmt: skip
    scores = pairs.reindex(columns=list(SCORE_COLUMNS))
    scores["disposition"] = list(map(decided.get, zip(scores["account_id"], scores["product_id"], strict=True)))
    scores[["propensity", "expected_arr_usd", "value_usd"]] = [0.2, 5_000.0, 850.0]
    scores["first_gate"] = pd.Series(
        ["G02" if one == "watchlist" else None for one in scores["disposition"]], dtype="str"
    )
    given: dict[str, object] = {
        "project": Project(Path(), Settings(), catalog("crm", "kb", "bi")), "facts": facts,
        "as_of": AS_OF, "model_version": "v",
        "spine": spine, "pairs": pairs, "scores": scores,
        "plays": made.plays(1, account_id="A", product_id="kb", owner_id="U"),
        "watchlist": made.watchlist(1, account_id="C", product_id="kb", owner_id="U"),
        "in_flight": made.in_flight(0), "gone": made.watchlist(0).assign(detail="").astype({"detail": "str"}),
    }  # fmt: skip
    return Night(**{**given, **changes})


def test_white_space_tells_no_arm_and_no_chance_that_would() -> None:
    # even with B on the watchlist by another product, its held-back pair reads like one that found no slot
    one = night(watchlist=made.watchlist(2, account_id=["B", "C"], product_id=["bi", "kb"], owner_id="U"))
    found = build_site_data(one).accounts["white_space"].set_index(["account_id", "product_id"])
    assert found.loc[("A", "kb"), "state"] == "on the list"
    assert found.loc[("B", "kb"), "state"] == found.loc[("C", "bi"), "state"] == "not proposed this period"
    assert found.loc[[("B", "kb"), ("C", "bi")], ["propensity", "value_usd"]].isna().all(axis=None)
    assert found.loc[("C", "kb"), "state"] == "waiting: G02"
    assert found.loc[("C", "kb"), "propensity"] == 0.2
    assert found.loc[("A", "bi"), "propensity"] == 0.2  # its account has a play, so nothing is told
    assert "D" not in found.index.get_level_values("account_id")


def test_checks_hold_every_answer_that_was_asked_of_what_is_shown() -> None:
    asked = pd.DataFrame({"account_id": list("BCA"), "product_id": "kb"})
    no = np.zeros(3, dtype=bool)
    answers = [
        Answer(
            "G02", "urgent tickets", "account", np.array([PASS, FAIL, PASS], dtype=np.int8), no, SameWords("seen", "x")
        ),
        Answer(
            "R10", "health", "pair", np.array([PASS, UNKNOWN, NOT_ASKED], dtype=np.int8), no, SameWords("none", "x")
        ),
        Answer("G03", "escalation", "account", np.array([UNKNOWN] * 3, dtype=np.int8), ~no, SameWords("no feed", "x")),
    ]
    found = build_site_data(night(asked=asked, answers=answers)).accounts["checks"]
    assert list(found[["account_id", "code", "state", "evidence"]].itertuples(index=False, name=None)) == [
        ("A", "G02", "pass", "seen"),
        ("A", "G03", "confirm", "no feed"),
        ("C", "G02", "fail", "seen"),
        ("C", "R10", "unknown", "none"),
        ("C", "G03", "confirm", "no feed"),
    ]


def test_earlier_ranks_come_from_lists_before_the_date() -> None:
    lists = [
        PublishedList(day, made.plays(2, account_id=["A", "Z"], product_id="kb", rank=[rank, 9]))
        for day, rank in ((dt.date(2026, 6, 28), 3), (dt.date(2026, 6, 29), 2), (AS_OF, 1))
    ]
    data = build_site_data(night(earlier=lists))
    found = data.accounts["earlier_ranks"]
    assert list(found[["account_id", "as_of", "rank"]].itertuples(index=False, name=None)) == [
        ("A", "2026-06-28", 3),
        ("A", "2026-06-29", 2),
    ]
    assert data.head.previous_as_of == dt.date(2026, 6, 29)


def test_the_watchlist_gets_its_expected_arr_and_all_of_it_is_written(tmp_path: Path) -> None:
    data = build_site_data(night())
    assert data.watchlist["expected_arr_usd"].tolist() == [5_000.0]
    assert data.head.dispositions["held_back"] == 1
    assert write_site(tmp_path, data) == 1
    assert (
        "held_back"
        not in (tmp_path / "site" / "index.html").read_text("utf-8").split('id="lists"')[1].split("<script>")[0]
    )
