"""Who calls: the principal and the request id of the call that runs on this thread."""

from __future__ import annotations

import hmac
import random
import uuid
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from sagitta_server.auth import ANONYMOUS, KEY_HOLDER, Authenticator, Principal
from sagitta_server.config import AccessSettings
from sagitta_server.errors import DETAIL_BYTES, Reason, ServiceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagitta_server.models import ModelHandle, ModelStore

REQUEST_ID = "x-request-id"
SESSION_VERSION = "session-version"
"""Trailing metadata that tell the version of the review that a call read or changed."""
CLIENT = "x-sagitta-client"
"""Metadata with which the gateway tells the address of its own client."""
DETAIL_ROOM = "x-sagitta-detail-bytes"
"""Metadata with which a caller tells how many bytes of diagnostics its metadata limit allows."""
MAX_DETAIL_BYTES = 4_000_000

OPEN_METHODS = frozenset(
    {
        "/sagitta.semantic.v1.SettingsService/GetHealth",
        "/sagitta.semantic.v1.CacheService/RecordHeartbeat",  # has a token of its own
    }
)
GUARDED_PREFIX = "/sagitta.semantic."


@dataclass(frozen=True, slots=True)
class Call:
    """What is known about the caller."""

    request_id: str
    principal: Principal
    client: str
    detail_bytes: int


CALL: ContextVar[Call | None] = ContextVar("sagitta_call", default=None)


def current_call() -> Call:
    """The call that runs on this thread."""
    call = CALL.get()
    assert call is not None, "outside of a call"
    return call


def resolve_for_caller(models: ModelStore, session_id: str, model_id: str) -> ModelHandle:
    """The model that a request names, as the caller of the present call may see it."""
    return models.resolve(session_id, model_id).for_caller(current_call().principal)


class AccessControl:
    """Authenticates the calls of the semantic services."""

    def __init__(self, settings: AccessSettings, authenticator: Authenticator) -> None:
        self._settings = settings
        self._authenticator = authenticator

    def describe(self, context: grpc.ServicerContext) -> Call:
        """What the metadata of a call say; nobody is authenticated yet."""
        metadata = metadata_of(context)
        room = metadata.get(DETAIL_ROOM, "")
        return Call(
            request_id=metadata.get(REQUEST_ID, "")[:128] or new_request_id(),
            principal=ANONYMOUS,
            client=metadata.get(CLIENT) or _address(context.peer()),
            detail_bytes=min(int(room[:12]), MAX_DETAIL_BYTES) if room.isdecimal() else DETAIL_BYTES,
        )

    def authenticate(self, method: str, context: grpc.ServicerContext) -> Principal:
        """The caller of a method.

        Raises:
            AuthenticationError, ServiceError: the credential is missing or wrong.
        """
        if not method.startswith(GUARDED_PREFIX) or method in OPEN_METHODS:
            return ANONYMOUS
        metadata = metadata_of(context)
        match self._settings.mode:
            case "none":
                return ANONYMOUS
            case "jwt":
                return self._authenticator.authenticate(metadata.get("authorization"))
            case "api_key":
                return self._by_key(metadata)

    def _by_key(self, metadata: Mapping[str, str]) -> Principal:
        scheme, _, bearer = metadata.get("authorization", "").partition(" ")
        given = metadata.get(self._settings.api_key_header.lower()) or (bearer if scheme.lower() == "bearer" else "")
        if not given:
            raise ServiceError(Reason.UNAUTHENTICATED, "API key required", metadata={"code": "AUTH_REQUIRED"})
        keys = [key.get_secret_value().encode() for key in self._settings.api_keys]
        if not any([hmac.compare_digest(given.encode(), key) for key in keys]):  # noqa: C419 (every key is compared, whichever matches)
            raise ServiceError(Reason.PERMISSION_DENIED, "Invalid API key", metadata={"code": "AUTH_INVALID"})
        return KEY_HOLDER


_RANDOM = random.Random()  # noqa: S311 (ids are no secrets)
"""Of its own: the process's generator may have been seeded by somebody who wants the same numbers again."""


def new_request_id() -> str:
    """A UUID; not a secret, so not from the system's source of secrets, which costs the interpreter lock."""
    return str(uuid.UUID(int=_RANDOM.getrandbits(128), version=4))


def metadata_of(context: grpc.ServicerContext) -> dict[str, str]:
    """The textual metadata of a call."""
    return {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}


def _address(peer: str) -> str:
    """`ipv4:127.0.0.1:5000` without the port."""
    return peer.rsplit(":", 1)[0]
