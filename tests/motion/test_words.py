"""Which words a play gets, what is left out where something is unknown, and by when it should have begun."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_affinity.motion.words import LONGEST_VALUE, TOLD_COLUMNS, best_by, fill, tell_plays
from product_affinity.project.catalog import Catalog
from product_affinity.project.playbook.talk_tracks import TalkTracks, load_talk_tracks
from product_affinity.project.reading import read_yaml, validate

ROOT = Path(__file__).parents[2]
CATALOG = validate(Catalog, read_yaml(ROOT / "models" / "catalog.yml"), "catalog.yml")
SHIPPED = load_talk_tracks(ROOT / "playbook", CATALOG)
NAMES = {product.product_id: product.name for product in CATALOG}
AS_OF = pd.Timestamp("2026-06-30")
PROBLEM = {
    "trigger_kind": "problem",
    "problem_tag": "slow_replies",
    "problem_source": "qbr",
    "problem_noted_on": pd.Timestamp("2026-05-12"),
}

TRACKS = TalkTracks.model_validate(
    {
        "incentives": {
            "max_discount": 0.15,
            "kinds": {"trial": "a trial", "bundle": "at most {max_discount} off"},
            "allowed": {"pitch": ["trial", "bundle"]},
        },
        "engagement": {1: {"style": "white glove", "say": "In person."}},
        "outreach": {"pitch": ["gap", "answer with {product}", "ask the {role}"]},
        "problems": {"slow_replies": "customers waiting"},
        "default": {
            "openings": {
                "problem": {"pitch": ["{source}, {noted_on}: {problem}", "problem {problem}"]},
                "usage": {"pitch": "{say} usage", "discover": "{say} discover"},
                "none": {"pitch": "plain {account}"},
            },
            "link": ["with {anchor}", "no anchor"],
            "answer": "default answer",
            "discovery_questions": ["Does the {role} know?", "Always?"],
            "objections": [{"they_say": "No", "answer": "Why?"}, {"they_say": "No {anchor}", "answer": "Yes"}],
            "assets": {"playbook": "default playbook"},
            "next_steps": {"pitch": {"csm": ["Call {role}.", "Call."], "ae": "Hand over."}},
        },
        "products": {
            "crm": {
                "openings": {"usage": {"pitch": "own usage"}, "none": {"pitch": "own plain"}},
                "answer": "own answer",
                "discovery_questions": ["Own?"],
                "assets": {"playbook": "own playbook", "demo": "own demo"},
            }
        },
    }
)


def told(tracks: TalkTracks = TRACKS, **changes: object) -> pd.Series:
    row = {"name": "Acme", "product_id": "mail", "as_of": AS_OF, "play_type": "pitch", "route": "csm", "tier": 2}
    return tell_plays(pd.DataFrame([row | changes]), tracks, {"mail": "Mail", "crm": "CRM"}).iloc[0]


class TestOpening:
    @pytest.mark.parametrize(
        ("row", "opening"),
        [
            ({}, "plain Acme"),
            (PROBLEM, "quarterly review, 12 May 2026: customers waiting"),
            ({**PROBLEM, "problem_noted_on": pd.NaT}, "problem customers waiting"),
            ({**PROBLEM, "problem_tag": "new_thing", "problem_source": None}, "problem new thing"),
            ({"trigger_kind": "usage", "trigger_say": "You export."}, "You export. usage"),
            ({"trigger_kind": "usage", "trigger_say": None}, "plain Acme"),
            # an event has no words here: the documented problem opens
            ({**PROBLEM, "trigger_kind": "event"}, "quarterly review, 12 May 2026: customers waiting"),
            ({"trigger_kind": "event"}, "plain Acme"),
            ({"product_id": "crm", "trigger_kind": "usage"}, "own usage"),
            ({"product_id": "crm", **PROBLEM}, "quarterly review, 12 May 2026: customers waiting"),
            ({"product_id": "crm"}, "own plain"),
            ({"play_type": "discover", "trigger_kind": "usage", "trigger_say": "You export."}, "You export. discover"),
        ],
    )
    def test_the_first_text_whose_values_are_known(self, row, opening):
        assert told(**row)["talk_track"].startswith(f"{opening} no anchor")

    def test_without_a_word_of_the_project_there_are_generic_ones(self):
        row = told(TalkTracks(), product_id="crm")
        assert row["talk_track"] == "I would like to talk with you about where CRM could take work off your team."
        assert row["next_step"] == "Call Acme about CRM."
        assert (row["discovery_questions"], row["objections"]) == ("", "")


class TestParagraph:
    def test_link_and_answer_follow_the_opening(self):
        assert told(anchor_product_id="crm")["talk_track"] == (
            "plain Acme with CRM default answer Assets: default playbook. "
            "You may offer: a trial, at most 15% off. Steps: gap → answer with Mail."
        )

    def test_a_discover_play_asks_before_it_offers(self):
        words = told(product_id="crm", play_type="discover", trigger_kind="usage", trigger_say="You export.")[
            "talk_track"
        ]
        assert words == "You export. discover no anchor Assets: own playbook."

    def test_questions_and_objections_come_one_a_line_own_ones_first(self):
        row = told(product_id="crm", stakeholder_role="CFO", anchor_product_id="mail")
        assert row["discovery_questions"].split("\n") == ["Own?", "Does the CFO know?", "Always?"]
        assert row["objections"].split("\n") == ["“No” → Why?", "“No Mail” → Yes"]
        assert told()["discovery_questions"] == "Always?"
        assert told()["objections"] == "“No” → Why?"

    @pytest.mark.parametrize(
        ("row", "step"),
        [
            ({}, "Call."),
            ({"stakeholder_role": "CFO"}, "Call CFO."),
            ({"stakeholder_role": "  "}, "Call."),
            ({"tier": 1}, "Call. In person."),
            ({"tier": np.nan}, "Call."),
            ({"route": "ae"}, "Hand over."),
            ({"route": None}, "Call."),
            ({"route": "specialist"}, "Bring in the specialist for Mail at Acme."),
        ],
    )
    def test_the_next_step_is_that_of_play_route_and_tier(self, row, step):
        assert told(**row)["next_step"] == step


class TestUntrustedText:
    @pytest.mark.parametrize("name", ["{role} Ltd", "{0.__class__}", "{", "}{", "%s %(x)s", "{{account}}", "Ω & <b>"])
    def test_a_name_is_inserted_as_it_is(self, name):
        assert told(name=name)["talk_track"].startswith(f"plain {name} no anchor")

    def test_a_value_is_never_read_as_a_template(self):
        row = told(**PROBLEM | {"problem_tag": "x {account}"}, stakeholder_role="{account}")
        assert row["talk_track"].startswith("quarterly review, 12 May 2026: x {account} no anchor")
        assert row["next_step"] == "Call {account}."

    def test_a_pasted_mail_stays_one_short_line(self):
        row = told(name="Acme\r\nLtd\t" + "x" * 900, stakeholder_role="A\nB")
        assert row["talk_track"].startswith("plain Acme Ltd xxx")
        assert len(row["talk_track"].split(" no anchor")[0]) == len("plain ") + LONGEST_VALUE
        assert "\n" not in row["next_step"]
        assert len(row["objections"].split("\n")) == 1

    def test_fill_reads_every_placeholder_once(self):
        assert fill("{a}{b}", {"a": "{b}", "b": "{a}"}) == "{b}{a}"
        assert fill("nothing", {}) == "nothing"
        assert fill("{{braces}}", {}) == "{braces}"


class TestBestBy:
    @pytest.mark.parametrize(
        ("as_of", "ends", "renewal", "day"),
        [
            ("2026-06-30", None, None, "2026-09-30"),
            ("2026-06-16", None, None, "2026-06-30"),  # just 14 days are left
            ("2026-06-17", None, None, "2026-09-30"),
            ("2026-12-31", None, None, "2027-03-31"),
            ("2026-06-30", "2026-07-20", None, "2026-07-20"),
            ("2026-06-30", "2026-07-20", "2026-07-05", "2026-07-05"),
            ("2026-06-30", "2026-07-20", "2026-06-30", "2026-07-20"),  # a renewal of that day has passed
            ("2026-06-30", "2026-12-01", "2027-06-01", "2026-09-30"),
            ("2026-06-30", None, "2026-07-01", "2026-07-01"),
        ],
    )
    def test_the_nearest_day_ahead(self, as_of, ends, renewal, day):
        row = {"as_of": as_of, "trigger_ends_on": ends, "renewal_on": renewal}
        rows = pd.DataFrame([row]).apply(pd.to_datetime)
        assert best_by(rows, lead_days=14).tolist() == [pd.Timestamp(day)]

    def test_without_lead_days_the_quarter_still_ends_ahead(self):
        rows = pd.DataFrame({"as_of": pd.to_datetime(["2026-06-29", "2026-06-30"])})
        assert best_by(rows, lead_days=0).tolist() == [pd.Timestamp("2026-06-30"), pd.Timestamp("2026-09-30")]


def plays(n: int) -> pd.DataFrame:
    """Rows of every kind, with gaps."""
    rng = np.random.default_rng(0)

    def some(values: list[object]) -> np.ndarray:
        return rng.choice(np.array([None, *values], dtype=object), n)

    kinds = some(["problem", "usage", "event"])
    return pd.DataFrame(
        {
            "name": [f"Company {i}" for i in range(n)],
            "product_id": rng.choice(CATALOG.product_ids, n),
            "as_of": AS_OF,
            "play_type": rng.choice(["pitch", "discover", "campaign"], n),
            "route": rng.choice(["csm", "ae", "specialist"], n),
            "tier": rng.integers(1, 4, n),
            "anchor_product_id": some(list(CATALOG.product_ids)),
            "stakeholder_role": some(["Head of Data"]),
            "trigger": np.where(pd.isna(kinds), None, "title"),
            "trigger_kind": kinds,
            "trigger_say": np.where(pd.isna(kinds), None, "We saw something."),
            "problem_tag": np.where(kinds == "problem", "slow_replies", None),
            "problem_source": np.where(kinds == "problem", "ticket", None),
            "problem_noted_on": pd.Series(np.where(kinds == "problem", AS_OF, pd.NaT)).astype("datetime64[us]"),
        },
        index=rng.permutation(n),
    )


def test_the_shipped_words_leave_no_gap():
    rows = plays(2000)
    words = tell_plays(rows, SHIPPED, NAMES)
    assert tuple(words.columns) == TOLD_COLUMNS
    pd.testing.assert_index_equal(words.index, rows.index)
    for name in TOLD_COLUMNS[:-1]:
        assert (words[name].str.len() > 20).all()
        assert not words[name].str.contains(r"[{}]|None|nan|  ", regex=True).any()
    assert words["best_by"].eq(pd.Timestamp("2026-09-30")).all()
    # a problem is named only where there is one, and no discover play offers anything
    assert words["talk_track"].str.contains("waiting too long").eq(rows["trigger_kind"].eq("problem")).mean() > 0.9
    assert not words.loc[rows["play_type"].eq("discover"), "talk_track"].str.contains("offer|demo").any()


def test_no_rows_give_no_words():
    words = tell_plays(plays(5)[:0], SHIPPED, NAMES)
    assert tuple(words.columns) == TOLD_COLUMNS
    assert words.empty


def test_words_for_thousands_of_rows_take_well_under_a_millisecond_each():
    rows = plays(2000)
    began = time.process_time()
    tell_plays(rows, SHIPPED, NAMES)
    assert time.process_time() - began < 2
