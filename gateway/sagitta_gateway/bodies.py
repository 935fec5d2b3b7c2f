"""JSON in and out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from google.protobuf.message import Message
from starlette.responses import Response

from sagitta_gateway.convert import to_body

LARGE_MESSAGE = 65_536
"""Bytes of a message of which an answer is made in a thread."""
_STRICT = json.JSONEncoder(allow_nan=False)


def json_response(body: Any, status: int = 200) -> Response:
    """An answer whose body is ready to be written."""
    return Response(orjson.dumps(body), status, media_type="application/json")


async def answer_of(message: Message, body: Callable[[Any], Any] = to_body, status: int = 200) -> Response:
    """An answer whose body is made of a message."""
    return await made_of(message.ByteSize(), lambda: json_response(body(message), status))


async def made_of(size: int, make: Callable[[], Response]) -> Response:
    """The answer that is made of so many bytes; of many in a thread, so that others are answered meanwhile."""
    return make() if size < LARGE_MESSAGE else await asyncio.to_thread(make)


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


def says_json(content_type: str) -> bool:
    """Whether a `Content-Type` header says that the body is JSON."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


_WINDOW = 131_072
"""So many bytes are looked at in a few milliseconds."""
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_WITHOUT_HALVES = re.compile(rb"(?:[^\\]++|\\[^u]|\\u[^dD]|\\u[dD][0-7]|\\u[dD][89abAB]..\\u[dD][c-fC-F])*+", re.DOTALL)
"""JSON up to the first escape that is half a surrogate pair, or none."""


async def escapes_half_a_surrogate(body: bytes) -> bool:
    """Whether a JSON body escapes half a surrogate pair: JSON allows that, and UTF-8 has no bytes for it.

    Others are served between the parts of a large body.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return False
    at = 0
    while (found := _WITHOUT_HALVES.match(body, at, at + _WINDOW)) and found.end() > at:
        at = found.end()
        await asyncio.sleep(0)
    return _HALF.match(body, at) is not None


def _refused(message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": message, "type": "json_invalid"}])
