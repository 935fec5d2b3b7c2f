"""What the metadata of a call say about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import pytest
from sagitta_server.auth import Authenticator
from sagitta_server.config import AccessSettings
from sagitta_server.errors import DETAIL_BYTES
from sagitta_server.rpc.access import DETAIL_ROOM, MAX_DETAIL_BYTES, AccessControl, Call


@dataclass(frozen=True)
class Context:
    """A call with one piece of metadata."""

    key: str
    value: str

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((self.key, self.value),)

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5000"


def described(key: str, value: str) -> Call:
    context: Any = Context(key, value)
    return AccessControl(AccessSettings(), cast("Authenticator", None)).describe(context)


@pytest.mark.parametrize(
    ("told", "room"),
    [
        ("1000", 1000),
        ("9" * 5000, MAX_DETAIL_BYTES),
        ("", DETAIL_BYTES),
        ("-1", DETAIL_BYTES),
        ("many", DETAIL_BYTES),
        ("1_0", DETAIL_BYTES),
    ],
)
def test_the_room_for_diagnostics_is_what_the_caller_says_within_limits(told: str, room: int) -> None:
    assert described(DETAIL_ROOM, told).detail_bytes == room


def test_the_client_is_the_peer_without_its_port() -> None:
    assert described("x-request-id", "a" * 500).client == "ipv4:127.0.0.1"
    assert described("x-request-id", "a" * 500).request_id == "a" * 128
