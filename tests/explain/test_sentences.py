"""The template language of reasons: what it says, and what a fault in a template answers."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_affinity.errors import UsageError
from product_affinity.project.families import feature_columns, load_families
from product_affinity.project.feature_columns import column
from product_affinity.project.sentences import (
    COMPARED,
    OF_PEERS,
    OWN_WORDS,
    SINCE_WORDS,
    check_reasons,
    parse_sentence,
)

ROOT = Path(__file__).parents[2]
FAMILIES = load_families(ROOT / "features")
COLUMNS = feature_columns(FAMILIES)


def say(template, **words):
    return parse_sentence(template).say({name.replace("__", "."): word for name, word in words.items()})


def test_what_is_unknown_is_left_out_in_brackets_and_silences_the_sentence_outside():
    template = "{a:.0f} seats[ of {b:.0f}][, {c}]"
    assert say(template, a=1.0, b=2.0, c="x") == "1 seats of 2, x"
    assert say(template, a=1.0, b=float("nan"), c="x") == "1 seats, x"
    assert say(template, a=1.0) == "1 seats"
    assert say(template, b=2.0, c="x") is None


@pytest.mark.parametrize(
    ("now", "then", "words"),
    [(41.2, 28.0, "up from 28"), (28.0, 41.2, "down from 41"), (41.4, 40.6, "unchanged from 41")],
)
def test_which_way_it_went_is_what_a_reader_of_both_numbers_sees(now, then, words):
    assert say("{x:.0f}[, {moved} {previous.x:.0f}]", x=now, previous__x=then) == f"{now:.0f}, {words}"


def test_a_plural_follows_the_number_before_it():
    template = "{a:.0f} of {b:.0f} seat(s) and {c:.0f} user(s)"
    assert say(template, a=1.0, b=2.0, c=1.0) == "1 of 2 seats and 1 user"
    assert say("ticket(s): {value:.0f}", value=1.0) == "ticket: 1"


def test_a_day_some_days_back_is_said_as_a_day():
    tenure = column("ownership", "tenure", "age", reason="customer since {on:%B %Y}")
    assert tenure.say(31.0, product="CRM", words={"as_of": dt.date(2026, 3, 1)}) == "customer since January 2026"
    assert tenure.say(31.0, product="CRM") is None
    seats = column("ownership", "seats", "sum", reason="since {on:%B %Y}")
    assert seats.say(31.0, product="CRM", words={"as_of": dt.date(2026, 3, 1)}) is None


@given(st.text())
def test_values_are_never_taken_for_templates(text):
    assert (
        parse_sentence("[{value}]: {product}").say({"value": text, "product": "{value} [x"}) == f"{text}: {{value}} [x"
    )


@given(st.text(alphabet="{}[]ab.:!0f ", max_size=12))
def test_any_template_is_parsed_or_refused_with_its_text(template):
    try:
        sentence = parse_sentence(template)
    except ValueError as error:
        told = str(error)
    else:
        told = repr(template) if parse_sentence(sentence.renamed(str)) == sentence else "changed on the way"
    assert repr(template) in told


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{value users", "expected '}' before end of string"),
        ("a [b", "a bracket is not closed"),
        ("a] b", "a bracket too many"),
        ("[a [b]]", "a bracket too many, or one in another"),
        ("{} users", "write {name} or {name:format}"),
        ("{value!r}", "write {name} or {name:format}"),
        ("{value:{window}}", "write {name} or {name:format}"),
        ("{value:.0q}", "Unknown format code"),
        ("{since:.0f}[, {moved} {value}]", "{moved} needs {previous} beside it"),
    ],
)
def test_a_fault_in_a_template_is_told(template, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_reasons(template, ("mean",), sayable=False)


def test_what_is_never_said_cannot_be_sayable():
    check_reasons({"mean": "x", "trend": "none"}, ("mean", "trend"), sayable=True)
    for silent in ("none", {"mean": "none"}):
        with pytest.raises(ValueError, match="sayable: true, but reason: none is never said"):
            check_reasons(silent, ("mean",), sayable=True)


USERS = """
family: usage
grain: account
source: usage
signals:
  users: {of: active_users, ops: [mean], windows: [28], unit: users, missing: x, direction: none, reason: "%s"%s}
  plan: {source: accounts, of: industry, ops: [last], unit: category, missing: x, direction: none, reason: "{value}"%s}
  seats: {of: events, ops: [sum, mean], windows: [28], unit: users, missing: x, direction: none, reason: none}
"""
PEERS = """
family: peers
grain: pair
encodings:
  own: {rate_of: ownership, given: [segment], shrink_to: segment, strength: 20, unit: share, missing: x, direction: up,
        reason: "%s"}
"""


def load(folder, usage="{value} users", peers="{value}", more="", plan=""):
    (folder / "usage.yml").write_text(USERS % (usage, more, plan))
    (folder / "peers.yml").write_text(PEERS % peers)
    return feature_columns(load_families(folder))


def reason(columns, name):
    return next(c.reason for c in columns if c.name == name)


def test_names_are_written_in_full(tmp_path):
    columns = load(tmp_path, "{users} of {usage.seats_sum_28d}[, {moved} {previous:.0f} and {previous.seats_sum_28d}]")
    assert reason(columns, "usage_users_mean_28d") == (
        "{usage_users_mean_28d} of {usage_seats_sum_28d}[, {moved} {previous.usage_users_mean_28d:.0f} "
        "and {previous.usage_seats_sum_28d}]"
    )


@pytest.mark.parametrize(
    ("usage", "peers", "message"),
    [
        ("{valeu} users", "x", "usage.yml: users: reason: unknown placeholder {valeu} (did you mean value?)"),
        ("{users_maen_28d}", "x", "unknown placeholder {users_maen_28d} (did you mean usage_users_mean_28d?)"),
        ("{seats}", "x", "seats stands for usage_seats_sum_28d, usage_seats_mean_28d; name one of them"),
        ("{previous.seets}", "x", "unknown placeholder {seets}"),
        ("{value.__class__}", "x", "unknown placeholder {value.__class__}"),
        ("{peers}", "x", "usage.yml: users: reason: {peers} belongs to encodings"),
        ("[{typical.plan}]", "x", "usage_plan_last is a text; no text is typical"),
        ("x", "[{previous}]", "peers.yml: own: reason: peers_own is learnt anew at each date"),
    ],
)
def test_a_name_nobody_knows_is_told_with_the_closest(tmp_path, usage, peers, message):
    with pytest.raises(UsageError) as error:
        load(tmp_path, usage, peers)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_text_is_not_more_or_less_than_another(tmp_path):
    with pytest.raises(UsageError, match=r"usage.yml: plan: usage_plan_last is a text"):
        load(tmp_path, plan=", said: more")


def test_sayable_is_false_unless_said_and_nothing_else(tmp_path):
    assert not any(c.sayable for c in load(tmp_path))
    assert next(c for c in load(tmp_path, more=", sayable: true") if c.name == "usage_users_mean_28d").sayable
    with pytest.raises(UsageError, match=r"users\.sayabel: unknown key"):
        load(tmp_path, more=", sayabel: true")


def test_words_are_no_part_of_a_definition_but_everything_else_is(tmp_path):
    def prints(**changes):
        load(tmp_path, **changes)
        return {family.family: family.fingerprint for family in load_families(tmp_path)}

    first = prints()
    assert prints(usage="{value} people", more=", sayable: true, said: for") == first
    assert prints(more=", event: date")["usage"] != first["usage"]
    (tmp_path / "usage.yml").write_text((USERS % ("x", "", "")).replace("direction: none", "direction: up", 1))
    assert load_families(tmp_path)[-1].fingerprint != first["usage"]


SPOKEN = [c for c in COLUMNS if c.reason]


def test_no_shipped_sentence_is_causal_or_speaks_of_prices_or_the_calendar():
    for c in SPOKEN:
        assert not re.search(r"because|due to|therefore|so that|leads? to|drives?|caus|price|cost|renew", c.reason), (
            c.name
        )
    for c in COLUMNS:
        if ("USD" in c.unit and c.signal != "funding") or c.signal == "renewal" or c.op == "days_until":
            assert c.reason is None, c.name


def test_our_judgement_our_selling_and_what_others_told_us_is_never_sayable():
    internal = (
        *(f"engagement_{name}" for name in ("contacts", "champions", "sponsors", "areas", "last")),
        *(f"health_{name}" for name in ("score", "core_score", "nps")),
        *(f"commercial_{name}" for name in ("open", "lost", "account", "outreach", "interest", "declined", "requests")),
        "firmographic_",
        "anchor_health",
    )
    for c in SPOKEN:
        assert c.sayable != c.name.startswith(internal), c.name


def test_a_peer_sentence_counts_and_names_no_company():
    spoken = [c for c in SPOKEN if c.name in ("commercial_peers", "commercial_affinity_max")]
    assert len(spoken) == 2
    for c in spoken:
        assert {"peers", "peer_share"} <= {name.split(".")[0] for name in parse_sentence(c.reason).names}


def test_every_word_of_the_language_is_documented():
    docs = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    table = docs.split("## The sentences")[1].split("\n## ")[0]
    for word in (*OWN_WORDS, *COMPARED, *OF_PEERS, *SINCE_WORDS):
        assert re.search(rf"\{{{word}\b", table), word
