"""The sentences of reasons: a small template language, checked when a project is read, never executed.

``{name}`` or ``{name:format}`` is a value; ``[…]`` is said only where everything named in it is known, and a sentence
only where everything outside brackets is; ``(s)`` is a plural after any number but 1 (words: docs/reasons.md).
"""

from __future__ import annotations

import datetime as dt
import re
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from product_affinity.errors import did_you_mean

#: words every sentence may use of its own column, beside the operations of the signal
OWN_WORDS = ("value", "window", "product", "change", "share", "on")
#: words about a column, its own unless another is named (`{previous.seats}`)
COMPARED = ("previous", "typical")
#: words about the companies behind an encoding
OF_PEERS = ("best", "peers", "peer_share")
#: which way a value went since, and when that was
SINCE_WORDS = ("moved", "since")
OPENING, CLOSING = "[", "]"
TREND_OPERATIONS = ("trend", "slope", "change")
_A_DAY = dt.date(2026, 8, 31)
_SAMPLES: dict[str, dt.date | str] = {"since": _A_DAY, "on": _A_DAY, "product": "x", "best": "x", "moved": "x"}


@dataclass(frozen=True)
class Placeholder:
    """A value's place: its name and how it is written."""

    name: str
    form: str


@dataclass(frozen=True)
class Part:
    """A stretch of a sentence; an optional one is left out where something in it is unknown."""

    pieces: tuple[str | Placeholder, ...]
    optional: bool

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """The values it needs, in order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Placeholder))


@dataclass(frozen=True)
class Sentence:
    """A parsed template."""

    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all values, in order."""
        return tuple(placeholder.name for part in self.parts for placeholder in part.placeholders)

    def renamed(self, rename: Callable[[str], str]) -> str:
        """Return the template with other names for its values.

        >>> parse_sentence("{a:.0f} of {b}[, {c}]").renamed(str.upper)
        '{A:.0f} of {B}[, {C}]'
        """
        texts = [(_written(part, rename), part.optional) for part in self.parts]
        return "".join(f"[{text}]" if optional else text for text, optional in texts)

    def say(self, words: Mapping[str, object]) -> str | None:
        """Fill in the values; None where one outside brackets is unknown (absent, None or NaN).

        >>> now = {"seats": 41.0, "previous.seats": 28.0, "since": dt.date(2026, 8, 31), "value": 41.0}
        >>> sentence = parse_sentence("{seats:.0f} seat(s) active[, {moved} {previous.seats:.0f} in {since:%B}]")
        >>> sentence.say(now), sentence.say({"seats": 1.0})
        ('41 seats active, up from 28 in August', '1 seat active')
        """
        said = ""
        for part in self.parts:
            text = _filled(part, words)
            if text is None and not part.optional:
                return None
            said += text or ""
        return said


@lru_cache(maxsize=1024)
def parse_sentence(template: str) -> Sentence:
    """Parse a template.

    Raises
    ------
    ValueError : braces or brackets do not match, or a value has no name.

    >>> parse_sentence("{a} [of {b")
    Traceback (most recent call last):
    ...
    ValueError: reason: expected '}' before end of string in '{a} [of {b'
    """
    parts: list[Part] = []
    pieces: list[str | Placeholder] = []
    inside = False
    for piece in _pieces(template):
        if piece not in (OPENING, CLOSING):
            pieces.append(piece)
            continue
        if inside == (piece == OPENING):
            raise ValueError(f"reason: a bracket too many, or one in another, in {template!r}")
        if inside and not pieces:
            raise ValueError(f"reason: nothing between brackets in {template!r}")
        parts.append(Part(tuple(pieces), inside))
        pieces, inside = [], not inside
    if inside:
        raise ValueError(f"reason: a bracket is not closed in {template!r}")
    parts.append(Part(tuple(pieces), False))
    return Sentence(tuple(part for part in parts if part.pieces))


def _pieces(template: str) -> Iterator[str | Placeholder]:
    """Yield texts, brackets and values in order."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"reason: {error} in {template!r}") from None
    for literal, name, form, conversion in parsed:
        yield from (text for text in re.split(r"([\[\]])", literal) if text)
        if name is not None:
            if not name or conversion or "{" in (form or ""):
                raise ValueError(f"reason: write {{name}} or {{name:format}} in {template!r}")
            yield Placeholder(name, form or "")


def check_reasons(reason: str | dict[str, str], ops: tuple[str, ...], *, sayable: bool) -> None:
    """Check the form of the sentence, or the sentences per operation, of a signal.

    Names are checked by `qualified`, once all columns are known.

    Raises
    ------
    ValueError : an operation is unknown, braces or formats are wrong, or what is never said is called sayable.

    >>> check_reasons("{value:.0q} users", ("mean",), sayable=True)
    Traceback (most recent call last):
    ...
    ValueError: reason: Unknown format code 'q' for object of type 'float' in '{value:.0q} users'
    """
    sentences = reason if isinstance(reason, dict) else {"": reason}
    if sayable and set(sentences.values()) <= {"none"}:
        raise ValueError("sayable: true, but reason: none is never said")
    for op, template in sentences.items():
        if op and op not in ops:
            raise ValueError(f"reason: {op} is none of the operations{did_you_mean(op, ops)}")
        sentence = parse_sentence(template)
        for part in sentence.parts:
            _check_part(part, template)


def _check_part(part: Part, template: str) -> None:
    names = [placeholder.name for placeholder in part.placeholders]
    if "moved" in names and not any(name.partition(".")[0] == "previous" for name in names):
        raise ValueError(f"reason: {{moved}} needs {{previous}} beside it in {template!r}")
    for placeholder in part.placeholders:
        sample = _SAMPLES.get(placeholder.name, 1.5)
        try:
            format(sample, placeholder.form)
        except ValueError as error:
            raise ValueError(f"reason: {error} in {template!r}") from None


def reason_for(template: str | dict[str, str], op: str, ops: tuple[str, ...]) -> str | None:
    """Choose the words of one operation of a signal.

    A sentence that names another operation of the signal (`{days_since}`) is said by that column alone, and
    one about levels does not fit a trend, which therefore speaks only where it has words of its own.

    >>> reason_for("declined {days_since} days ago", "count", ("count", "days_since")) is None
    True
    """
    if isinstance(template, dict):
        template = template.get(op, "none")
    elif op in TREND_OPERATIONS and "change" not in template and len(ops) > 1:
        return None
    if template == "none" or (set(parse_sentence(template).names) & set(ops)) - {op}:
        return None
    return template


def qualified(template: str, own: str, op: str, *, has_peers: bool, resolve: Callable[[str], str]) -> str:
    """Return the template with every column by its full name, and words about a column with it.

    Parameters
    ----------
    template : as written.
    own : full name of the column whose words these are.
    op : its operation.
    has_peers : whether it is an encoding that knows of other companies.
    resolve : gives the full name of the column a name stands for, or raises ValueError with the closest match.

    Raises
    ------
    ValueError : a name is neither a word nor a column.

    >>> qualified("{value:.0f} users[, {previous:.0f} then]", "usage_users", "mean", has_peers=False, resolve=str)
    '{value:.0f} users[, {previous.usage_users:.0f} then]'
    """

    def rename(name: str) -> str:
        word, _, column = name.partition(".")
        if name in (*OWN_WORDS, *SINCE_WORDS, op):
            return name
        if word in COMPARED:
            return f"{word}.{resolve(column) if column else own}"
        if name in OF_PEERS:
            if not has_peers:
                raise ValueError(f"reason: {{{name}}} belongs to encodings of owned products and of peers")
            return f"{name}.{own}"
        return resolve(name)

    return parse_sentence(template).renamed(rename)


def _written(part: Part, rename: Callable[[str], str]) -> str:
    texts = []
    for piece in part.pieces:
        if isinstance(piece, Placeholder):
            texts.append(f"{{{rename(piece.name)}{':' if piece.form else ''}{piece.form}}}")
        else:
            texts.append(piece.replace("{", "{{").replace("}", "}}"))
    return "".join(texts)


def _filled(part: Part, words: Mapping[str, object]) -> str | None:
    said, number = "", _form(words.get("value"), ".0f")
    for piece in part.pieces:
        if isinstance(piece, str):
            said += piece.replace("(s)", "" if number == "1" else "s")
            continue
        word = _moved(part, words) if piece.name == "moved" else words.get(piece.name)
        if word is None or word != word:
            return None
        text = format(word, piece.form)
        number = text if isinstance(word, int | float) else number
        said += text
    return said


def _form(word: object, form: str) -> str | None:
    return format(word, form) if isinstance(word, int | float) else None


def _moved(part: Part, words: Mapping[str, object]) -> str | None:
    """Which way the first compared value went, as far as a reader of both can see."""
    then = next(p for p in part.placeholders if p.name.startswith("previous."))
    now, before = words.get(then.name.partition(".")[2]), words.get(then.name)
    if not isinstance(now, int | float) or not isinstance(before, int | float) or now != now or before != before:
        return None
    if format(now, then.form) == format(before, then.form):
        return "unchanged from"
    return "up from" if now > before else "down from"
