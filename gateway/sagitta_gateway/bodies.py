"""JSON in and out."""

from __future__ import annotations

import json
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

_STRICT = json.JSONEncoder(allow_nan=False)


def json_response(body: Any, status: int = 200) -> Response:
    """An answer whose body is ready to be written."""
    return Response(orjson.dumps(body), status, media_type="application/json")


class JsonText(str):
    """The text of a JSON object that was left unread."""

    __slots__ = ()


def json_text(value: Any) -> str:
    """A part of a body as text, for the engine to read; integers of any size keep their digits.

    Raises:
        RequestValidationError: it holds NaN or infinity, which are no JSON, or is nested too deeply.
    """
    if isinstance(value, JsonText):
        return value
    try:
        return _STRICT.encode(value)
    except ValueError:
        raise _refused("NaN and Infinity are not JSON") from None
    except RecursionError:
        raise _refused("The body is nested too deeply") from None


def holds_half_surrogates(body: bytes) -> bool:
    """Whether a JSON body escapes half a surrogate pair: JSON allows that, and UTF-8 has no bytes for it."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return False
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False  # no JSON: the route says what is wrong
    return False


def _refused(message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": message, "type": "json_invalid"}])
