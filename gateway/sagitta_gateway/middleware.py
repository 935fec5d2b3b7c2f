"""What surrounds every request: its id, its size limit, its duration, and the headers that keep browsers careful."""

from __future__ import annotations

import random
import time
from contextvars import ContextVar
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sagitta_gateway.bodies import escapes_half_a_surrogate, says_json
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.presence import ClientGone

REQUEST_ID: ContextVar[str] = ContextVar("sagitta_request_id", default="")
CLIENT: ContextVar[str] = ContextVar("sagitta_client", default="")
MODEL_PATHS = ("/models", "/validate", "/convert/osi-to-obml", "/convert/obml-to-osi", "/oneshot/batch", "/from-osi")
"""The ends of the paths that take the text of a model."""
REVIEW_PREFIX = "/api/dataset-orchestration"
_PAGE_PATHS = ("/docs",)
OWN_PATHS = ("/v1/", f"{REVIEW_PREFIX}/", *_PAGE_PATHS, "/openapi.json", "/health", "/livez", "/robots.txt")
"""What every path of the gateway begins with."""
_CONTENT_POLICY = b"default-src 'none'; frame-ancestors 'none'"
_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]


class Envelope:
    """Gives every request an id, tells the duration, sets the security headers, and answers HEAD as GET."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._proxies = settings.trusted_proxies
        self._root = settings.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _without_root(scope["path"], self._root)
        inner = scope
        if scope["method"] == "HEAD":
            inner = {**scope, "method": "GET"}  # the server itself sends no body for its own, unchanged method
        started = time.perf_counter()
        request_id = _request_id(_header(scope, b"x-request-id"))
        REQUEST_ID.set(request_id)
        CLIENT.set(_client(scope, self._proxies))
        policy = _PAGE_POLICY if scope["path"].startswith(_PAGE_PATHS) else _CONTENT_POLICY

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                elapsed = f"{(time.perf_counter() - started) * 1000:.2f}"
                message["headers"] = [
                    *message.get("headers", []),
                    *_HEADERS,
                    (b"content-security-policy", policy),
                    (b"x-request-id", request_id.encode("latin-1")),
                    (b"x-request-duration-ms", elapsed.encode("latin-1")),
                ]
            await send(message)

        try:
            await self._app(inner, receive, send_with_headers)
        finally:
            if "route" in inner:
                scope["route"] = inner["route"]  # who counts requests around this one reads it there


class BodyLimit:
    """Answers 413 to a body over the limit of its path, before it is in memory, and 422 to text that is no Unicode."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"].rstrip("/"))
        declared = _header(scope, b"content-length")
        try:
            body = None if declared.isdigit() and int(declared) > limit else await _read(receive, limit)
        except ClientGone:
            return
        if body is None:
            await _refuse(send, 413, _too_large(scope["path"], limit))
        elif _is_json(scope) and await escapes_half_a_surrogate(body):
            await _refuse(send, 422, _NOT_UNICODE)
        else:
            await self._app(scope, replayed({"type": "http.request", "body": body, "more_body": False}, receive), send)

    def _limit(self, path: str) -> int:
        if path == f"{REVIEW_PREFIX}/uploads":
            return self._settings.max_upload_bytes
        large = path.endswith(MODEL_PATHS)
        return self._settings.max_model_body_bytes if large else self._settings.max_body_bytes


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None as soon as it is larger than the limit.

    Raises:
        ClientGone: the client went away before it had sent everything; what came may look whole, and is not.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def replayed(message: Message, receive: Receive) -> Receive:
    """Gives a message that was taken once more, then whatever the connection says next."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return message

    return replay


def _is_json(scope: Scope) -> bool:
    """Whether a body is said to be JSON; those of reviews are looked at where they are read."""
    return says_json(_header(scope, b"content-type")) and not scope["path"].startswith(REVIEW_PREFIX)


_NOT_UNICODE = {"detail": "The body escapes half a surrogate pair in a text", "code": "INVALID_REQUEST"}


def _too_large(path: str, limit: int) -> dict[str, str]:
    """What is told of a body; reviews have codes of their own."""
    message = f"Request body too large, at most {limit / 1_048_576:g} MB"
    if path.startswith(REVIEW_PREFIX):
        return {"error_code": "upload_too_large", "message": message}
    return {"detail": message, "code": "REQUEST_TOO_LARGE"}


async def _refuse(send: Send, status: int, told: dict[str, str]) -> None:
    body = orjson.dumps(told)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 413:
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_root(path: str, root: str) -> str:
    """The path below the one under which a proxy serves the gateway, where the proxy left that in place."""
    below = path.removeprefix(root)
    return below if below.startswith(OWN_PATHS) else path


def _header(scope: Scope, name: bytes) -> str:
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


_RANDOM = random.Random()  # noqa: S311 (ids are no secrets)
"""Of its own: the process's generator may have been seeded by somebody who wants the same numbers again."""


_UUID_KIND_BITS, _UUID_KIND = (0xF << 76) | (0x3 << 62), (0x4 << 76) | (0x2 << 62)
"""The bits that say what kind of UUID it is, and what they are in a random one (RFC 9562)."""


def _request_id(given: str) -> str:
    """The id of the request as sent, if it is short and printable; else a new one."""
    if 0 < len(given) <= 128 and given.isascii() and given.isprintable():
        return given
    digits = f"{_RANDOM.getrandbits(128) & ~_UUID_KIND_BITS | _UUID_KIND:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _client(scope: dict[str, Any] | Scope, proxies: int) -> str:
    """The address of the client: the peer, or what the trusted proxies say."""
    peer: str = (scope.get("client") or ("unknown", 0))[0]
    if not proxies:
        return peer
    forwarded = [part.strip() for part in _header(scope, b"x-forwarded-for").split(",") if part.strip()]
    return forwarded[-proxies] if len(forwarded) >= proxies else peer
