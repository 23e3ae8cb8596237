"""Keep personal data and secrets out of what leaves the house.

What customers write is untrusted: e-mail addresses, telephone numbers, keys, account and card numbers are replaced
before any file is written. Names of people in free text cannot be recognised reliably and stay.
"""

from __future__ import annotations

import re

import pandas as pd

from product_affinity.lists.writers import clean_text, cut_text

STATEMENT_LIMIT = 300
# Shorter ones are words of any sentence, and tell nothing.
_SHORTEST_QUOTE = 4
WITHHELD = "[problem text withheld]"
# Texts into which rules and talk tracks may have put the problem's statement.
QUOTING_COLUMNS = (
    "trigger_evidence",
    "next_step",
    "talk_track",
    "discovery_questions",
    "objections",
    "route_reason",
    "caution",
    "reason_1",
    "reason_2",
    "reason_3",
)

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_USER_IN_URL = re.compile(r"(?<=://)[^\s/@]+@")
# The look-behind lets a match start only where a word does: linear in the length of hostile texts.
_EMAIL = re.compile(
    r"(?<![^\s@<>()\[\],;:\"'])[^\s@<>()\[\],;:\"']+\s?(?:@|\(at\)|\[at\])\s?[^\s@<>()\[\],;:\"']+\.[^\s@<>()\[\],;:\"'.]{2,}"
)
_TOKEN = re.compile(
    r"""\b(?:
        eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?          # JSON web token
      | (?:sk|pk|rk)[-_][\w-]{10,}                 # payment and model providers
      | gh[pousr]_\w{16,} | github_pat_\w{20,} | glpat-[\w-]{16,}
      | xox[abeprs]-[\w-]{10,}
      | (?:AKIA|ASIA)[A-Z0-9]{12,}
      | AIza[\w-]{30,}
      | [0-9a-fA-F]{32,}                           # digests and hexadecimal keys
    )""",
    re.VERBOSE,
)
_NAMED_SECRET = re.compile(
    r"\b(pass(?:word|wort|phrase|wd)?|pwd|secret|token|api[-_ ]?key|access[-_ ]?key|bearer)"
    r"(\s*(?:is|=|:)\s*|\s+(?=\S*\d))\S+",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"(?<![\w/+.-])(?=[\w+=-]*\d)(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])[\w+=-]{20,}")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\w.])(?:\d[ -]?){12,18}\d(?![\w.])")
_GAP = r"[\s./()–-]{0,2}"
_PHONE = re.compile(rf"(?<![\w.])(?:\(\+?\d{{1,5}}\){_GAP}\d(?:{_GAP}\d){{3,13}}|\+?\d(?:{_GAP}\d){{6,14}})(?!\w)")
# Digits that are no telephone number: a day with or without its time, an amount with thousands.
_DATE_OR_AMOUNT = re.compile(
    r"(?<![\d+.,])"
    r"(\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?)?|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{1,3}(?:[.,]\d{3})+)"
    r"(?![.,]?\d)"
)


def redact(text: str, limit: int = STATEMENT_LIMIT) -> str:
    """Replace e-mail addresses, telephone numbers, secrets and payment numbers by what they were, and cut.

    Parameters
    ----------
    text : what somebody wrote.
    limit : characters that stay.

    Returns
    -------
    str
        One line; redacting it again changes nothing.

    >>> redact("call +49 170 1234567 or jo@example.com, password: hunter2")
    'call [phone] or [e-mail], password: [secret]'
    >>> redact("exports 1,200 rows by hand since 2026-06-11")
    'exports 1,200 rows by hand since 2026-06-11'
    """
    found = _without_secrets(clean_text(_PRIVATE_KEY.sub("[secret]", text)))
    found = _IBAN.sub(lambda match: "[account number]" if _is_iban(match[0]) else match[0], found)
    found = _CARD.sub(lambda match: "[card number]" if _is_card(match[0]) else match[0], found)
    parts = _DATE_OR_AMOUNT.split(_LONG_WORD.sub("[secret]", found))
    found = "".join(part if at % 2 else _PHONE.sub("[phone]", part) for at, part in enumerate(parts))
    return cut_text(found, limit)


def protect_plays(plays: pd.DataFrame) -> pd.DataFrame:
    """Redact the problems' statements, also where another text quotes them, and take contacts' names out of texts.

    A contact's name stays in `stakeholder_name` alone, which only the owner's own workbook and page show.

    Parameters
    ----------
    plays : rows with `problem_statement` and any of `stakeholder_name`, `stakeholder_role`, `QUOTING_COLUMNS`.

    Returns
    -------
    DataFrame
        The same rows; applying it again changes nothing.
    """
    protected = plays.copy()
    statements = plays["problem_statement"]
    safe = statements.map(redact, na_action="ignore")
    for name in QUOTING_COLUMNS:
        if name in plays:
            protected[name] = _rewritten(plays[name], statements, safe)
    protected["problem_statement"] = safe.astype("str")
    if "stakeholder_name" in plays:
        role = plays["stakeholder_role"].fillna("their contact")
        for name in ("problem_statement", *(column for column in QUOTING_COLUMNS if column in plays)):
            protected[name] = _rewritten(protected[name], plays["stakeholder_name"], role)
    return protected


def withhold_statement(text: pd.Series, statements: pd.Series) -> pd.Series:
    """Take the problem's statement out of a text that quotes it, for files that may not carry it."""
    return _rewritten(text, statements, pd.Series(WITHHELD, index=text.index))


def _rewritten(text: pd.Series, quoted: pd.Series, replacement: pd.Series) -> pd.Series:
    """Replace in each text what it quotes, as it was written or cleaned, and any secret."""

    def rewrite(cell: object, quote: object, instead: object) -> object:
        if not isinstance(cell, str):
            return cell
        if isinstance(quote, str) and len(quote.strip()) >= _SHORTEST_QUOTE:
            cell = cell.replace(quote, str(instead)).replace(clean_text(quote), str(instead))
        return _without_secrets(cell)

    cells = [rewrite(*row) for row in zip(text, quoted, replacement, strict=True)]
    return pd.Series(cells, index=text.index, dtype="str")


def _without_secrets(text: str) -> str:
    found = _USER_IN_URL.sub("[secret]@", text)
    found = _EMAIL.sub(lambda match: match[0] if "[secret]@" in match[0] else "[e-mail]", found)
    found = _NAMED_SECRET.sub(lambda match: f"{match[1]}{match[2]}[secret]", found)
    return _TOKEN.sub("[secret]", found)


def _is_card(text: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1, annex B): doubled every second digit from the right, the sum is a ten."""
    digits = [int(sign) for sign in reversed(text) if sign.isdigit()]
    total = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return total % 10 == 0


def _is_iban(text: str) -> bool:
    """ISO 13616: first four signs moved to the end, letters as 10 … 35, remainder 1 modulo 97."""
    plain = re.sub(r"[ -]", "", text)
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def mark_internal(plays: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of reasons or cautions with " (internal)" behind what is not for the customer's ears.

    Parameters
    ----------
    plays : rows with `name` and `<name>_sayable`.
    name : reason_1, reason_2, reason_3 or caution.
    """
    words = plays[name]
    return words.mask(words.notna() & ~plays[f"{name}_sayable"], words + " (internal)")


def mark_plays(plays: pd.DataFrame) -> pd.DataFrame:
    """Return plays as people read them in tables without room for marks: see `mark_internal`."""
    return plays.assign(
        **{name: mark_internal(plays, name) for name in ("reason_1", "reason_2", "reason_3", "caution")}
    )
