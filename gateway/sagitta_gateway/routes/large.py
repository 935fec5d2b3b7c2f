"""Large bodies, read so that nobody waits for them: all requests of a process share one interpreter.

To read a model of five megabytes as JSON and to write it again takes a tenth of a second, and to complain about a
quarter million unknown keys one by one takes seconds. The first is passed on as the text that it is; the second is
refused as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import HTTPException, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from sagitta_gateway.bodies import JsonText

LARGE = 16_384
"""Bytes from which a body is read this way."""
MAX_KEYS = 50
"""No object of a request has as many keys of its own; what is free (a query, a model, metadata) lies within."""
AS_TEXT = "model_json"
"""The member that the engine reads: an object stays the text that it is (`JsonText`)."""
LIST, LISTED_AS_TEXT = "queries", "query"
"""The member that lists objects, and their member of which the same is true."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTED_MEMBERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class LargeBodyRoute(APIRoute):
    """A route whose large bodies are read by their members."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, given requests that read large bodies with care."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_Careful(request.scope, request.receive))

        return handle


class _Careful(Request):
    async def json(self) -> Any:
        body = await self.body()
        if len(body) < LARGE:
            return await super().json()
        return read_large(body)


def read_large(body: bytes) -> Any:
    """The value of a JSON body, with texts for the objects that are not read here.

    Raises:
        ValueError: it is no JSON; as `json.loads` raises it.
        HTTPException: 422, an object of it has more keys than any request knows.
    """
    try:
        members = _few(_MEMBERS.decode(body))
        return {name: _member(name, bytes(raw)) for name, raw in members.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return json.loads(body)  # no object, or no JSON: that is told as of any other body


def _few(members: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    if len(members) > MAX_KEYS:
        raise HTTPException(422, f"An object of the request has more than {MAX_KEYS} keys")
    return members


def _member(name: str, raw: bytes) -> Any:
    if name == AS_TEXT:
        return _text(raw)
    if name != LIST:
        return json.loads(raw)
    return [
        {key: _text(bytes(part)) if key == LISTED_AS_TEXT else json.loads(bytes(part)) for key, part in item.items()}
        for item in map(_few, _LISTED_MEMBERS.decode(raw))
    ]


def _text(raw: bytes) -> Any:
    return JsonText(raw.decode()) if raw.lstrip().startswith(b"{") else json.loads(raw)
