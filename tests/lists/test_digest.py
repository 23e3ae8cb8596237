from __future__ import annotations

import re
from dataclasses import replace

import pytest

from product_affinity.lists.digest import digest_lines
from tests.lists.night import night, others, published, without_track
from tests.plays import plays


def test_ten_lines_each_with_a_number():
    for content in (night(previous=published(plays(20))), night(0, held=0, flying=0), without_track(night(1))):
        lines = digest_lines(content)
        assert len(lines) == 10
        assert all("\n" not in line and re.search(r"\d", line) for line in lines)


def test_the_numbers_are_those_of_the_list():
    content = night(
        3,
        propensity=[0.5, 0.25, 0.25],
        expected_arr_usd=[1_000.0, 2_000.0, 4_000.0],
        product_name=["CRM", "ERP", "CRM"],
        owner_name=["Ada", "Ben", "Ada"],
        owner_id=["1", "2", "1"],
        base_rate=0.1,
        play_type=["pitch", "pitch", "discover"],
        days_on_list=[14, 13, 20],
        status=["", "", "contacted"],
        change="same",
    )
    lines = digest_lines(content)
    assert lines[0] == "**Cross-sell Acme, 2026-06-30**: 3 plays (2 pitch, 1 discover) for 2 owners, 0 without an owner"
    assert "1.0 adoptions worth 2,000 USD of ARR, at the average rate 0.3" in lines[1]
    assert lines[2] == "- By product, expected ARR: CRM 1,500, ERP 500 USD"
    assert lines[3] == "- By owner, expected ARR: Ada 1,500, Ben 500 USD"
    assert "0 new, 0 up, 0 down, 3 as before; 1 untouched for 14 days" in lines[4]
    assert "3 pairs of 3 accounts" in lines[6]
    assert "8 pairs worth 15,265 USD (2 G02 Open P1/P2 tickets," in lines[7]
    assert (
        "of 2026-03-30: 6 of 24 bought within 90 days, predicted 5.4 (2 to 9), 9 answered; window complete" in lines[9]
    )


def test_an_arm_is_not_told():
    def told(first, second):
        content = night(2, extra=[others(first, 3), others(second, 2, prefix="Y")])
        return digest_lines(content)

    assert told("held_back", "beyond_capacity") == told("beyond_capacity", "held_back") == told(*["held_back"] * 2)
    assert "5 not proposed this period" in told("held_back", "beyond_capacity")[8]


def test_no_account_no_contact_and_no_word_of_a_problem():
    content = night(
        6,
        account_name="Secret Customer",
        stakeholder_name="Kim Okafor",
        problem_statement="they merge by hand",
        talk_track="they merge by hand",
        previous=published(plays(9, account_name="Secret Customer")),
    )
    text = "\n".join(digest_lines(content))
    assert not any(word in text for word in ("Secret Customer", "Kim Okafor", "merge by hand"))


@pytest.mark.parametrize(
    "name", ["[x](https://evil.example)", "*bold*", "<script>", "@channel", "a\nb", "x" * 4_000, "`c`"]
)
def test_hostile_names_are_no_markdown_and_no_mention(name):
    lines = digest_lines(replace(night(2, product_name=name, owner_name=name), company=name))
    assert len("\n".join(lines)) < 2_000
    assert len(lines) == 10
    for line in lines:
        assert not re.search(r"(?<!\\)[\[\]<>`]|@|://", line), line


def test_a_list_that_no_model_ranked_says_so_in_its_first_line():
    content = replace(night(3), ranked_by="ranked by a baseline, affinity matrix: no model has passed the gate yet")
    lines = digest_lines(content)
    assert len(lines) == 10
    assert lines[0].endswith("; **ranked by a baseline, affinity matrix: no model has passed the gate yet**")
    assert lines[1:] == digest_lines(night(3))[1:]
