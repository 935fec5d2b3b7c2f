"""JSON that keeps every number as it was written.

Values whose type the contract leaves open travel as JSON text from the request to the database and back, so that a
64-bit id or a decimal never passes through a double.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NewType, TypeAlias

import simplejson

JsonText = NewType("JsonText", str)
"""A JSON document in its canonical spelling: no spaces, keys as received, numbers exact."""

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"

NULL = JsonText("null")
EMPTY_OBJECT = JsonText("{}")


class InvalidJsonError(ValueError):
    """A text is not a JSON document (RFC 8259: no NaN, no Infinity)."""


def load(text: str) -> Json:
    """Parses a JSON text; fractions become `Decimal`, integers stay exact.

    Raises:
        InvalidJsonError: the text is not JSON, or nests too deeply.
    """
    try:
        value: Json = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError("not a JSON value") from error
    return value


def dump(value: object) -> JsonText:
    """The canonical text of a value made of None, bool, int, float, Decimal, str, list, tuple and dict."""
    return JsonText(simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":")))


def dump_sorted(value: object) -> str:
    """As `dump`, with sorted keys: the form that fingerprints are taken of."""
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def canonical(text: str) -> JsonText:
    """The canonical spelling of a JSON text.

    Raises:
        InvalidJsonError: as `load`.
    """
    return dump(load(text))


def describe_masked(text: JsonText | str) -> str:
    """Type and size of a value, for logs and events that must not hold it: `<str 12>`, `<list 3>`."""
    match load(text):
        case None:
            return "<null>"
        case bool():
            return "<bool>"
        case int() | Decimal():
            return "<number>"
        case str() as value:
            return f"<str {len(value)}>"
        case list() as value:
            return f"<list {len(value)}>"
        case dict() as value:
            return f"<object {len(value)}>"


def _refuse_constant(name: str) -> Json:
    raise InvalidJsonError(f"{name} is not JSON")


_DECODER = simplejson.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
"""Made once: a review holds hundreds of short texts."""
