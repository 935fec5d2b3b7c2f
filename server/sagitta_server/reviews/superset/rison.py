"""Reads rison, the spelling of JSON that Superset puts into URLs.

Numbers stay exact (`Decimal` for fractions), nesting is bounded, and a bare word that is no number is a text.
"""

from __future__ import annotations

import re
from decimal import Decimal

from sagitta_server.reviews.json_text import Json

MAX_DEPTH = 32
_WORD = re.compile(r"[^\s'!:(),*@$]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE]-?\d+)?")
_SIMPLE: dict[str, Json] = {"t": True, "f": False, "n": None}


class InvalidRisonError(ValueError):
    """The text is not rison."""


class _TooDeepError(InvalidRisonError):
    """It nests deeper than may be read."""


def read(text: str, max_depth: int = MAX_DEPTH) -> Json:
    """The value of a rison text.

    Raises:
        InvalidRisonError: it is none, or nests deeper than `max_depth`.
    """
    try:
        value, end = _value(text, 0, max_depth)
    except _TooDeepError as error:
        raise InvalidRisonError(f"it nests deeper than {max_depth}") from error
    if end != len(text):
        raise InvalidRisonError(f"something follows the value at character {end + 1}")
    return value


def _value(text: str, at: int, levels: int) -> tuple[Json, int]:
    if levels < 0:
        raise _TooDeepError
    match text[at : at + 1]:
        case "(":
            return _object(text, at + 1, levels)
        case "'":
            return _quoted(text, at + 1)
        case "!":
            mark = text[at + 1 : at + 2]
            if mark == "(":
                return _array(text, at + 2, levels)
            if mark not in _SIMPLE:
                raise InvalidRisonError(f"unknown mark at character {at + 1}")
            return _SIMPLE[mark], at + 2
        case _:
            return _word(text, at)


def _object(text: str, at: int, levels: int) -> tuple[Json, int]:
    found: dict[str, Json] = {}
    if text[at : at + 1] == ")":
        return found, at + 1
    while True:
        key, at = _quoted(text, at + 1) if text[at : at + 1] == "'" else _bare(text, at)
        if text[at : at + 1] != ":":
            raise InvalidRisonError(f"a colon is missing at character {at + 1}")
        found[key], at = _value(text, at + 1, levels - 1)
        if text[at : at + 1] == ")":
            return found, at + 1
        at = _comma(text, at)


def _array(text: str, at: int, levels: int) -> tuple[Json, int]:
    found: list[Json] = []
    if text[at : at + 1] == ")":
        return found, at + 1
    while True:
        item, at = _value(text, at, levels - 1)
        found.append(item)
        if text[at : at + 1] == ")":
            return found, at + 1
        at = _comma(text, at)


def _comma(text: str, at: int) -> int:
    if text[at : at + 1] != ",":
        raise InvalidRisonError(f"a comma or a closing bracket is missing at character {at + 1}")
    return at + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(text):
        char = text[at]
        if char == "'":
            return "".join(parts), at + 1
        if char == "!":
            at += 1
            char = text[at : at + 1]
            if char not in {"!", "'"}:
                raise InvalidRisonError(f"unknown escape at character {at}")
        parts.append(char)
        at += 1
    raise InvalidRisonError("a quote is not closed")


def _bare(text: str, at: int) -> tuple[str, int]:
    word = _WORD.match(text, at)
    if word is None:
        raise InvalidRisonError(f"a value is missing at character {at + 1}")
    return word.group(), word.end()


def _word(text: str, at: int) -> tuple[Json, int]:
    word, end = _bare(text, at)
    number = _NUMBER.fullmatch(word)
    if number is None:
        return word, end
    return (Decimal(word) if number.group(1) or number.group(2) else int(word)), end
