from __future__ import annotations

import time

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_affinity.lists.privacy import STATEMENT_LIMIT, WITHHELD, protect_plays, redact, withhold_statement
from tests.plays import plays

SECRETS = {
    "e-mail": [
        "jo.doe@example.com",
        "jo+crm@mail.example.co.uk",
        "jo(at)example.com",
        "jo [at] example.com",
        "jörg@exämple.de",
    ],
    "phone": [
        "+49 170 1234567",
        "(030) 123-4567",
        "555-867-5309",
        "0049 170/123 45 67",
        "+1.212.555.0100",
        "01701234567",
    ],
    "secret": [
        "sk-abcDEF1234567890xyz",
        "ghp_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghij",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "aB3xK9mQ2pL7vN4tR8wZ1c",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    ],
    # published test numbers: they pass the checks and belong to nobody
    "account number": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "card number": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
}
HARMLESS = [
    "exports 1,200 rows by hand since 2026-06-11",
    "from 2026-06-11 to 2026-06-30 (12 days)",
    "a budget of 25.000.000 EUR",
    "at 2026-06-11 10:30 the export failed",
    "limit_share 0.93, 41 of 60 seats",
    "our token expired often, and the password policy is strict",
    "IBAN-like AB12 is none",
    "@here it breaks",
]


@pytest.mark.parametrize(("kind", "secret"), [(kind, secret) for kind, found in SECRETS.items() for secret in found])
def test_what_identifies_or_opens_is_replaced_by_what_it_was(kind, secret):
    assert redact(f"Ask ({secret}) for it") == f"Ask ([{kind}]) for it"


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text):
    assert redact(text) == text


@pytest.mark.parametrize("text", ["password: hunter2", "API key = x9", "Bearer abc123", "pwd is letmein"])
def test_a_named_secret_loses_its_value(text):
    assert redact(text).endswith("[secret]")
    assert not any(word in redact(text) for word in ("hunter2", "x9", "abc123", "letmein"))


def test_numbers_that_fail_their_check_are_no_cards_and_no_accounts():
    assert "[card number]" not in redact("4111 1111 1111 1112")
    assert "[account number]" not in redact("DE88 3704 0044 0532 0130 00")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=60), st.sampled_from([s for found in SECRETS.values() for s in found])), max_size=8
    ).map(" ".join)
)
def test_redacting_again_changes_nothing_and_the_length_is_bounded(text):
    once = redact(text)
    assert redact(once) == once
    assert len(once) <= STATEMENT_LIMIT
    assert "\n" not in once


@pytest.mark.parametrize(
    "unit", ["a", "a.", "1", "1 ", "A1b2", "-----BEGIN ", "DE12 ", "+", "token ", "@", "eyJaaaaaaaaa."]
)
def test_hostile_lengths_take_no_time(unit):
    started = time.process_time()
    redact(unit * (200_000 // len(unit)))
    assert time.process_time() - started < 5


def test_a_statement_is_redacted_wherever_it_is_quoted():
    statement = "Write to jo@example.com about the export"
    rows = plays(
        1,
        problem_statement=statement,
        talk_track=f"You said: “{statement}”.",
        trigger_evidence=f"QBR: {statement}",
        next_step="Ask about it",
    )
    safe = protect_plays(rows).iloc[0]
    assert safe["problem_statement"] == "Write to [e-mail] about the export"
    assert safe["talk_track"] == "You said: “Write to [e-mail] about the export”."
    assert safe["trigger_evidence"] == "QBR: Write to [e-mail] about the export"
    assert safe["next_step"] == "Ask about it"


def test_a_contact_is_named_in_one_column_only():
    rows = plays(
        1,
        stakeholder_name="Kim Okafor",
        stakeholder_role="Head of Marketing",
        next_step="Call Kim Okafor",
        problem_statement="Kim Okafor merges by hand",
    )
    safe = protect_plays(rows).iloc[0]
    assert safe["stakeholder_name"] == "Kim Okafor"
    assert safe["next_step"] == "Call Head of Marketing"
    assert safe["problem_statement"] == "Head of Marketing merges by hand"


def test_protecting_again_changes_nothing():
    once = protect_plays(plays(12))
    pd.testing.assert_frame_equal(protect_plays(once), once)


def test_a_text_can_lose_what_it_quotes():
    text = pd.Series(["they said: it is slow", None, "no quote"], dtype="str")
    statements = pd.Series(["it is slow", "x", None], dtype="str")
    found = withhold_statement(text, statements)
    assert found.tolist()[0] == f"they said: {WITHHELD}"
    assert pd.isna(found[1])
    assert found[2] == "no quote"
