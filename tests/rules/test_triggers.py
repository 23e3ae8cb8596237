"""What triggers lead to, what is unknown, and which one is shown."""

from __future__ import annotations

import pandas as pd
import pytest

from product_affinity.errors import UsageError
from product_affinity.project.playbook.triggers import Triggers
from product_affinity.rules.triggers import FIRED_COLUMNS, fire_triggers, leading_trigger, silent_triggers
from tests.company import account, company, subscription
from tests.rules.trigger_rows import (
    PRODUCTS,
    ago,
    fire,
    health,
    pairs,
    problem,
    signal,
    triggers,
    usage,
    usage_of,
    uses,
)


class TestLinks:
    @pytest.mark.parametrize(
        ("points_to", "rows", "table", "products"),
        [
            ("any", [signal("request", 1)], "signals", ["bi", "crm", "mail"]),
            (["crm", "bi"], [signal("request", 1)], "signals", ["bi", "crm"]),
            ("same_product", [signal("request", 1, "mail"), signal("request", 2, None)], "signals", ["mail"]),
            # bi sits beside mail too, but shares no workflow with it
            ("adjacent_product", [signal("onboarding_done", 1, "mail")], "signals", ["crm"]),
            ("adjacent_product", [signal("onboarding_done", 1, "crm")], "signals", []),
            ("solved_by_tag", [problem("slow", 1), problem("other", 1, "N2")], "problems", ["bi"]),
            ("adjacent_feature", uses("print", 1) + uses("other", 1), "feature_usage", ["bi"]),
        ],
    )
    def test_a_fact_leads_to_products(self, points_to, rows, table, products):
        fired = fire(rows, [{"table": table, "window_days": 30, "evidence": "x"}], points_to=points_to)
        assert fired["product_id"].tolist() == products

    def test_only_the_pairs_asked_about_are_told(self):
        facts = company(account("A"), account("B"), signal("request", 1))
        asked = pairs(PRODUCTS, "A", "B").query("product_id != 'crm'")
        when = [{"table": "signals", "window_days": 30, "evidence": "x"}]
        fired = fire_triggers(facts, PRODUCTS, triggers(when), asked)
        assert fired[["account_id", "product_id"]].to_numpy().tolist() == [["A", "bi"], ["A", "mail"]]

    def test_each_feature_is_held_against_the_bound_by_itself(self):
        when = {
            "table": "feature_usage",
            "op": "sum",
            "of": "uses",
            "holds": {"at_least": 4},
            "evidence": "{feature} {value}",
        }
        rows = uses("export", 2, n=3) + uses("print", 1, n=3)
        assert fire(rows, [when], points_to="adjacent_feature").empty
        assert fire(rows, [when], points_to=["bi"])["evidence"].tolist() == ["print 6"]

    def test_of_several_facts_the_newest_speaks_then_the_larger_then_the_first_name(self):
        when = {
            "table": "feature_usage",
            "op": "sum",
            "of": "uses",
            "window_days": 28,
            "holds": {"above": 0},
            "evidence": "{feature} {value}",
        }
        for rows, said in (
            (uses("export", 2, n=9) + uses("print", 1, n=1), "print 1"),
            (uses("export", 1, n=2) + uses("print", 1, n=3), "print 3"),
            (uses("print", 1, n=3) + uses("export", 1, n=3), "export 3"),
        ):
            assert fire(rows, [when], points_to="adjacent_feature")["evidence"].tolist() == [said]

    def test_all_conditions_must_hold_and_the_first_one_dates_them(self):
        renewal = {"table": "subscriptions", "date": "renewal_on", "next_days": 90, "evidence": "renews {date}"}
        healthy = {
            "table": "health", "op": "last", "of": "score", "window_days": 30, "where": {"product_id": None},
            "holds": {"above": 75}, "evidence": "health {value} above {threshold}",
        }  # fmt: skip
        rows = [subscription("A", "crm", "2024-01-01", renewal_on=ago(-60)), health(2, 99, "crm")]
        assert fire([*rows, health(2, 75)], [renewal, healthy]).empty
        fired = fire([*rows, health(2, 76)], [renewal, healthy])
        assert set(fired["evidence"]) == {f"renews {ago(-60)}; health 76 above 75"}
        assert set(fired["fired_on"]) == {pd.Timestamp(ago(30))}

    def test_the_statement_of_the_newest_problem_travels_with_the_row(self):
        rows = [problem("slow", 9, "N1"), problem("slow", 3, "N3", statement="newest"), problem("slow", 3, "N2")]
        when = [{"table": "problems", "running": True, "window_days": 365, "evidence": "{tag}"}]
        seen = fire(rows, when, points_to="solved_by_tag").iloc[0]
        assert (seen["problem_id"], seen["problem_tag"], seen["problem_statement"]) == ("N3", "slow", "newest")
        assert (seen["problem_source"], seen["problem_noted_on"]) == ("qbr", pd.Timestamp(ago(3)))

    def test_hostile_texts_are_data(self):
        hostile = "'; drop table facts.problems; -- {value} {0.__class__}"
        rows = [problem("slow", 3, statement=hostile)]
        when = [{"table": "problems", "where": {"statement": hostile}, "evidence": "it's {statement}"}]
        fired = fire(rows, when, points_to="solved_by_tag")
        assert fired["evidence"].tolist() == [f"it's {hostile}"]
        assert fired["problem_statement"].tolist() == [hostile]

    def test_the_order_of_source_rows_does_not_matter(self):
        rows = [usage(day, events=0.1 * day, limit_share=0.9) for day in range(1, 20)]
        rows += [usage(day, "mail", events=0.3, limit_share=0.9) for day in range(1, 20)]
        whens = (
            [usage_of(op="mean", of="events", holds={"above": 0.1})],
            [usage_of(op="max", of="limit_share", holds={"above": 0.1}, evidence="{product} {date}")],
        )
        pd.testing.assert_frame_equal(fire(rows, *whens), fire(rows[::-1], *whens))


class TestUnknown:
    def test_without_the_table_nothing_fires_and_that_is_said(self):
        asked = triggers([{"table": "signals", "evidence": "x"}], [{"table": "usage", "evidence": "x"}])
        facts = company(account("A"), usage(1, events=1))
        fired = fire_triggers(facts, PRODUCTS, asked, pairs(PRODUCTS, "A"))
        assert fired["code"].unique().tolist() == ["T02"]
        assert silent_triggers(facts, asked) == {"T01": "unknown: there is no signals table"}

    def test_without_the_column_nothing_fires_and_the_closest_is_said(self):
        asked = triggers([usage_of(op="share", of="opens", per="sends", holds={"above": 0.25})])
        facts = company(account("A"), usage(1, opens=3, sent=4))
        assert fire_triggers(facts, PRODUCTS, asked, pairs(PRODUCTS, "A")).empty
        assert silent_triggers(facts, asked) == {"T01": "unknown: usage has no column sends (did you mean sent?)"}

    def test_a_column_without_a_value_is_said(self):
        asked = triggers([usage_of(op="max", of="limit_share", holds={"above": 0.25})])
        facts = company(account("A"), usage(1, events=3))
        assert silent_triggers(facts, asked) == {"T01": "unknown: usage.limit_share holds no value"}

    def test_a_value_that_never_comes_is_said(self):
        asked = triggers([{"table": "signals", "where": {"kind": ["hirring"]}, "evidence": "x"}])
        facts = company(account("A"), signal("hiring", 1))
        assert silent_triggers(facts, asked) == {"T01": "no row of signals is ever kind hirring"}

    def test_a_text_cannot_be_added_up(self):
        asked = triggers([{"table": "accounts", "op": "sum", "of": "plan", "holds": {"above": 1}, "evidence": "x"}])
        facts = company(account("A", plan="gold"))
        with pytest.raises(UsageError, match=r"triggers\.yml: T01: accounts\.plan is a text"):
            fire_triggers(facts, PRODUCTS, asked, pairs(PRODUCTS, "A"))

    def test_no_triggers_and_no_pairs_give_no_rows_with_all_columns(self):
        facts = company(account("A"), signal("hiring", 1))
        for found in (
            fire_triggers(facts, PRODUCTS, Triggers(), pairs(PRODUCTS, "A")),
            fire_triggers(facts, PRODUCTS, triggers([{"table": "signals", "evidence": "x"}]), pairs(PRODUCTS, "A")[:0]),
        ):
            assert tuple(found.columns) == FIRED_COLUMNS
            assert found.empty
            assert leading_trigger(found).empty


class TestLeading:
    def lead(self, rows, *whens, orders=(), **more):
        asked = triggers(*whens, points_to=["crm"], **more)
        lines = [trigger.model_dump(exclude_none=True) for trigger in asked]
        for line, order in zip(lines, orders, strict=False):
            line.update(order)
        found = fire_triggers(
            company(account("A"), *rows), PRODUCTS, Triggers.model_validate({"triggers": lines}), pairs(PRODUCTS, "A")
        )
        return leading_trigger(found).iloc[0]

    WHENS = tuple(
        [{"table": "signals", "where": {"kind": kind}, "window_days": 30, "evidence": "{kind} {date}"}]
        for kind in ("one", "two", "three")
    )
    ROWS = (signal("one", 9), signal("two", 3), signal("three", 3))

    def test_the_newest_then_the_code(self):
        shown = self.lead(self.ROWS, *self.WHENS)
        assert shown["trigger_code"] == "T02"
        assert (shown["trigger"], shown["trigger_evidence"], shown["trigger_say"]) == (
            "title 2",
            f"two {ago(3)}",
            "Hi.",
        )
        assert (shown["trigger_on"], shown["trigger_ends_on"]) == (pd.Timestamp(ago(3)), pd.Timestamp(ago(-27)))
        assert shown["trigger_others"] == 2

    def test_a_problem_leads_usage_and_usage_leads_events(self):
        kinds = [{"kind": "problem"}, {"kind": "usage"}, {"kind": "event"}]
        assert self.lead(self.ROWS, *self.WHENS, orders=kinds)["trigger_code"] == "T01"
        assert self.lead(self.ROWS, *self.WHENS, orders=kinds[::-1])["trigger_code"] == "T03"

    def test_a_given_order_goes_before_the_kind(self):
        shown = self.lead(self.ROWS, *self.WHENS, orders=[{"kind": "problem"}, {}, {"order": 10}])
        assert (shown["trigger_code"], shown["trigger_kind"]) == ("T03", "event")
