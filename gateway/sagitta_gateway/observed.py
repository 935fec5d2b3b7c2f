"""What operators are told of a request: how it was asked and answered, in words of which there are few.

A path holds the ids of sessions, and methods can be made up by strangers: neither is told as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Send

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
OTHER_METHOD = "_OTHER"
"""Every other method (semantic conventions of HTTP)."""
NOBODY = 499
"""The status that is written to nobody: the client went away."""


def method_of(scope: Mapping[str, Any]) -> str:
    """The method of a request."""
    method: str = scope["method"]
    return method if method in METHODS else OTHER_METHOD


def route_of(scope: Mapping[str, Any]) -> str:
    """The template of the route that a request was given to; empty where there is none for it."""
    return str(getattr(scope.get("route"), "path", ""))


class Answer:
    """Sends an answer on, and remembers how far it came."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.complete = False
        self.request_id = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = message.get("headers", ())
            self.request_id = next((v.decode("latin-1") for k, v in headers if k == b"x-request-id"), "")
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.complete = True

    def failed(self, error: BaseException) -> None:
        """Notes what ended the request; a defect is answered with 500 beyond every middleware."""
        if isinstance(error, Exception) and not self.status:
            self.status, self.complete = 500, True

    @property
    def gone(self) -> bool:
        """Whether the client went away before it had everything."""
        return not self.complete or self.status == NOBODY
