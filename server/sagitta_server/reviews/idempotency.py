"""Idempotency keys: a repeated request brings back what the first one made."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sagitta_server.auth import Principal
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.store import artifacts
from sagitta_server.reviews.store.artifacts import Replay
from sagitta_server.reviews.work import Effects

MAX_KEY = 128


class IdempotencyKeys:
    """The keys of all users, for as long as the settings say."""

    def __init__(self, settings: ReviewSettings) -> None:
        self._settings = settings

    def earlier(self, effects: Effects, principal: Principal, operation: str, key: str, digest: str) -> str | None:
        """What this key of the caller made before; None when it is new, or none was sent.

        Raises:
            ReviewError: `idempotency_key_reused`, the request was another one.
        """
        if not key:
            return None
        since = effects.context.now - timedelta(seconds=self._settings.idempotency_ttl_s)
        held = artifacts.find_replay(effects.connection, principal.user_id, operation, key, since)
        if held is None:
            return None
        if held.request_hash != digest:
            raise key_reused()
        return held.reference

    def remember(self, effects: Effects, principal: Principal, operation: str, key: str, replay: Replay) -> None:
        """Keeps what a key stands for, in the transaction of the change; a second one of the same key fails."""
        if key:
            artifacts.insert_replay(effects.connection, principal.user_id, operation, key, replay)


def key_reused() -> ReviewError:
    """Refuses a key that stands for another request."""
    return ReviewError("idempotency_key_reused", "This Idempotency-Key was used for another request.")


def check_key(key: str) -> None:
    """Refuses a key that cannot be kept."""
    if len(key) > MAX_KEY or not key.isprintable():
        raise validation_error(Violation("header.Idempotency-Key", f"must have at most {MAX_KEY} printable characters"))


def digest_of(*parts: object) -> str:
    """A request in one word, by which another one under the same key is told."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
