"""How a condition is answered: windows, operations, and only what was known."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from product_affinity.rules.triggers import fire_triggers
from tests.company import account, company, subscription
from tests.rules.trigger_rows import (
    AS_OF,
    PRODUCTS,
    ago,
    evidence,
    fire,
    pairs,
    problem,
    signal,
    survey,
    ticket,
    triggers,
    usage,
    usage_of,
    uses,
)


class TestWindows:
    @pytest.mark.parametrize(("days", "fires"), [(31, False), (30, True), (1, True), (0, False), (-1, False)])
    def test_a_window_is_half_open(self, days, fires):
        when = {"table": "signals", "window_days": 30, "evidence": "{date}, {days} days ago"}
        seen = evidence([signal("funding", days)], when)
        assert seen == (f"{ago(days)}, {days} days ago" if fires else None)

    @pytest.mark.parametrize(("days", "fires"), [(-90, False), (-89, True), (0, True), (1, False)])
    def test_what_lies_ahead_begins_at_the_as_of_date(self, days, fires):
        when = {"table": "subscriptions", "date": "renewal_on", "next_days": 90, "evidence": "in {days} days"}
        seen = evidence([subscription("A", "crm", "2024-01-01", renewal_on=ago(days))], when)
        assert seen == (f"in {-days} days" if fires else None)

    @pytest.mark.parametrize(("days", "fires"), [(31, False), (30, True), (1, True), (0, False)])
    def test_a_planned_day_that_has_passed(self, days, fires):
        when = {"table": "subscriptions", "date": "renewal_on", "window_days": 30, "evidence": "{date}"}
        seen = evidence([subscription("A", "crm", "2024-01-01", renewal_on=ago(days))], when)
        assert seen == (ago(days) if fires else None)

    def test_the_turn_of_the_year_is_no_anniversary(self):
        when = {"table": "subscriptions", "yearly": True, "window_days": 30, "evidence": "{date}"}
        january = dt.date(2026, 1, 10)
        assert evidence([subscription("A", "crm", "2025-12-15")], when, as_of=january) is None
        assert evidence([subscription("A", "crm", "2024-12-15")], when, as_of=january) == "2025-12-15"

    @pytest.mark.parametrize(
        ("start", "returned"),
        [
            ("2025-06-30", None),  # returns on the as-of date itself
            ("2025-06-29", "2026-06-29"),
            ("2023-05-31", "2026-05-31"),
            ("2023-05-30", None),  # 31 days ago
            ("2026-06-29", None),  # not yet a year
            ("2024-07-01", None),  # its last return is 364 days ago
        ],
    )
    def test_a_yearly_return(self, start, returned):
        when = {"table": "subscriptions", "yearly": True, "window_days": 30, "evidence": "{start_on}/{date}"}
        seen = evidence([subscription("A", "crm", start)], when)
        assert seen == (f"{start}/{returned}" if returned else None)

    def test_a_leap_day_returns_on_the_last_of_february(self):
        when = {"table": "subscriptions", "yearly": True, "window_days": 30, "evidence": "{date}"}
        row = subscription("A", "crm", "2024-02-29")
        assert evidence([row], when, as_of=dt.date(2026, 3, 1)) == "2026-02-28"
        assert evidence([row], when, as_of=dt.date(2026, 2, 28)) is None

    def test_the_days_told(self):
        window = {"table": "signals", "window_days": 30, "evidence": "x"}
        ahead = {"table": "subscriptions", "date": "renewal_on", "next_days": 90, "evidence": "x"}
        standing = {"table": "accounts", "evidence": "x"}
        rows = [signal("funding", 10), subscription("A", "crm", "2024-01-01", renewal_on=ago(-40))]
        fired = fire(rows, [window], [ahead], [standing], points_to=["crm"]).set_index("code")
        assert fired["fired_on"].tolist()[:2] == [pd.Timestamp(ago(10)), pd.Timestamp(ago(50))]
        assert fired["ends_on"].tolist()[:2] == [pd.Timestamp(ago(-20)), pd.Timestamp(ago(-40))]
        assert fired.loc["T03", ["fired_on", "ends_on"]].isna().all()

    def test_it_still_fires_on_the_last_day_and_not_on_the_next(self):
        when = {"table": "signals", "window_days": 30, "evidence": "x"}
        ends_on = fire([signal("funding", 10)], [when])["ends_on"].iloc[0].date()
        assert len(fire([signal("funding", 10)], [when], as_of=ends_on))
        assert not len(fire([signal("funding", 10)], [when], as_of=ends_on + dt.timedelta(days=1)))

    @pytest.mark.parametrize(
        ("as_of", "days"),
        [
            ("2026-10-31", None),
            ("2026-11-01", ("2026-11-01", "2027-01-31")),
            ("2027-01-31", ("2026-11-01", "2027-01-31")),
            ("2027-02-01", None),
        ],
    )
    def test_a_season_runs_over_the_turn_of_the_year(self, as_of, days):
        when = {"table": "accounts", "evidence": "x"}
        fired = fire([], [when], months=[11, 12, 1], points_to=["crm"], as_of=dt.date.fromisoformat(as_of))
        assert [tuple(map(str, row)) for row in fired[["fired_on", "ends_on"]].map(pd.Timestamp.date).to_numpy()] == (
            [days] if days else []
        )


class TestOperations:
    @pytest.mark.parametrize(("rows", "fires"), [(1, False), (2, True), (3, True)])
    def test_count(self, rows, fires):
        when = {"table": "signals", "window_days": 30, "holds": {"at_least": 2}, "evidence": "{value:.0f} of {total}"}
        seen = evidence([signal("hiring", day) for day in range(1, rows + 1)], when)
        assert seen == (f"{rows} of {rows}" if fires else None)

    @pytest.mark.parametrize(("values", "sum_"), [([1, 1.9], None), ([1, 2], "3"), ([1, 2.5], "3.5"), ([3, None], "3")])
    def test_sum(self, values, sum_):
        rows = [usage(day, events=value) for day, value in enumerate(values, start=1)]
        assert evidence(rows, usage_of(op="sum", of="events", holds={"at_least": 3})) == sum_

    def test_tenths_add_up_to_one(self):
        rows = [usage(day, events=0.1) for day in range(1, 11)]  # as floats they would fall short
        assert evidence(rows, usage_of(op="sum", of="events", holds={"at_least": 1})) == "1"

    @pytest.mark.parametrize(("values", "mean"), [([2, 3], None), ([2, 4], "3"), ([3, None], "3")])
    def test_mean_is_over_rows_with_a_value(self, values, mean):
        rows = [usage(day, events=value) for day, value in enumerate(values, start=1)]
        assert evidence(rows, usage_of(op="mean", of="events", holds={"at_least": 3})) == mean

    @pytest.mark.parametrize(
        ("value", "seen"),
        [
            (0.84, None),
            (0.85, "limit_share 0.85 on 2026-06-21"),
            (0.93, "limit_share 0.93 on 2026-06-21"),
            (None, None),
        ],
    )
    def test_max_tells_the_day_of_the_largest(self, value, seen):
        when = usage_of(
            op="max", of="limit_share", holds={"at_least": 0.85}, evidence="limit_share {value:.2f} on {date}"
        )
        assert evidence([usage(9, limit_share=value), usage(2, limit_share=0.2)], when) == seen

    @pytest.mark.parametrize(("value", "day"), [(0.93, ago(9)), (0.86, ago(2)), (0.85, ago(2))])
    def test_of_two_above_the_bound_the_larger_then_the_newer_tells_the_day(self, value, day):
        when = usage_of(op="max", of="limit_share", holds={"at_least": 0.85}, evidence="{date}")
        assert evidence([usage(9, limit_share=value), usage(2, limit_share=0.86)], when) == day

    def test_max_with_an_upper_bound_sees_every_row(self):
        when = usage_of(op="max", of="limit_share", holds={"at_most": 0.5})
        assert evidence([usage(9, limit_share=0.4), usage(2, limit_share=0.2)], when) == "0.4"
        assert evidence([usage(9, limit_share=0.6), usage(2, limit_share=0.2)], when) is None

    @pytest.mark.parametrize(("scores", "last"), [([9, 8], None), ([3, 9], "9"), ([10], "10")])
    def test_last_is_of_the_newest_row(self, scores, last):
        when = {
            "table": "surveys",
            "op": "last",
            "of": "score",
            "holds": {"at_least": 9},
            "window_days": 60,
            "evidence": "{value}",
        }
        rows = [survey(20 - day, score) for day, score in enumerate(scores)]
        assert evidence(rows, when) == last

    @pytest.mark.parametrize(
        ("opens", "sends", "share"),
        [(25, 100, None), (26, 100, "26%"), (0, 0, None), (None, 100, None), (30, None, None)],
    )
    def test_share_of_another_column(self, opens, sends, share):
        when = usage_of(op="share", of="opens", per="sends", holds={"above": 0.25}, evidence="{value:.0%}")
        rows = [usage(1, opens=opens, sends=sends), usage(40, opens=1000, sends=1000)]
        assert evidence(rows, when) == share

    def test_share_leaves_out_rows_that_lack_either(self):
        when = usage_of(op="share", of="opens", per="sends", holds={"above": 0.25}, evidence="{value:.0%}")
        rows = [usage(1, opens=30, sends=100), usage(2, opens=None, sends=900), usage(3, opens=900, sends=None)]
        assert evidence(rows, when) == "30%"

    @pytest.mark.parametrize(
        ("days", "seen"),
        [
            ((1, 8, 15, 22), "4 of the last 4 weeks, 8 times"),
            ((7, 14, 21, 28), "4 of the last 4 weeks, 8 times"),
            ((1, 7, 8, 14, 15, 21), None),  # three weeks, each twice
            ((1, 8, 15, 29), None),
            ((0, 8, 15, 22), None),
        ],
    )
    def test_weeks_are_counted_back_from_the_as_of_date(self, days, seen):
        when = {
            "table": "feature_usage", "op": "weeks", "of": "uses", "window_days": 28, "holds": {"at_least": 4},
            "evidence": "{value:.0f} of the last {weeks} weeks, {total:.0f} times",
        }  # fmt: skip
        assert evidence(uses("export", *days, n=2), when) == seen

    @pytest.mark.parametrize(
        ("where", "fires"),
        [
            ({"priority": "P3"}, True),
            ({"priority": ["P1", "P2"]}, False),
            ({"escalated": [False, None]}, True),
            ({"escalated": None}, False),
            ({"escalated": True}, False),
        ],
    )
    def test_where(self, where, fires):
        seen = evidence([ticket(3)], {"table": "tickets", "where": where, "evidence": "{priority}"})
        assert seen == ("P3" if fires else None)

    def test_a_bound_on_a_row(self):
        when = {"table": "signals", "where": {"amount": {"above": 100}}, "evidence": "{amount:,.0f}"}
        assert evidence([signal("funding", 3, amount=100.0)], when) is None
        assert evidence([signal("funding", 3, amount=1234567.0)], when) == "1,234,567"

    def test_what_is_not_known_is_said(self):
        when = {"table": "signals", "evidence": "{amount:,.0f} on {date}"}
        assert evidence([signal("funding", 3), ("signals", {"account_id": "B", "kind": "x", "amount": 1.0})], when) == (
            f"unknown on {ago(3)}"
        )


class TestPointInTime:
    @pytest.mark.parametrize(("solved", "fires"), [(None, True), (0, True), (1, False)])
    def test_what_was_solved_no_longer_runs(self, solved, fires):
        closing = {} if solved is None else {"solved_at": f"{ago(solved)} 09:00"}
        when = {"table": "problems", "running": True, "evidence": "{tag}"}
        assert evidence([problem("slow", 5, **closing)], when) == ("slow" if fires else None)

    @pytest.mark.parametrize(("known", "fires"), [(0, False), (1, True)])
    def test_what_arrived_late_was_not_known(self, known, fires):
        when = {"table": "signals", "window_days": 30, "evidence": "x"}
        assert (evidence([signal("funding", 5, known_at=f"{ago(known)} 10:00")], when) == "x") is fires

    def test_a_corrected_row_counts_as_it_was_known(self):
        when = usage_of(op="max", of="limit_share", holds={"at_least": 0.85})
        first = usage(5, limit_share=0.9, known_at=f"{ago(4)} 10:00")
        assert evidence([first, usage(5, limit_share=0.5, known_at=f"{ago(0)} 10:00")], when) == "0.9"
        assert evidence([first, usage(5, limit_share=0.5, known_at=f"{ago(1)} 10:00")], when) is None

    def test_a_result_is_unknown_until_its_day(self):
        when = {"table": "opportunities", "where": {"result": "lost"}, "evidence": "{closed_on}"}
        row = {
            "opportunity_id": "O",
            "account_id": "A",
            "product_id": "crm",
            "kind": "cross_sell",
            "created_on": ago(50),
        }
        lost = ("opportunities", row | {"closed_on": ago(0), "result": "lost"})
        assert evidence([lost], when) is None
        assert evidence([lost], when, as_of=AS_OF + dt.timedelta(days=1)) == ago(0)

    def test_many_dates_at_once_are_each_of_them_alone(self):
        rows = [signal("funding", day) for day in (1, 20, 45)] + [problem("slow", 30)]
        whens = (
            [{"table": "signals", "window_days": 30, "evidence": "{date}"}],
            [{"table": "problems", "running": True, "evidence": "{tag}"}],
        )
        dates = [AS_OF - dt.timedelta(days=days) for days in (60, 29, 10, 0)]
        facts = company(account("A"), *rows)
        asked = [pairs(PRODUCTS, "A", as_of=day) for day in dates]
        together = fire_triggers(facts, PRODUCTS, triggers(*whens), pd.concat(asked[::-1]))
        alone = [fire_triggers(facts, PRODUCTS, triggers(*whens), one) for one in asked]
        pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))
        # sixty days ago nothing had happened yet; then it is three products, twice
        assert together.groupby("as_of").size().to_dict() == dict.fromkeys(map(pd.Timestamp, dates[1:]), 6)
