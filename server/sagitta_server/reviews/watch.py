"""Events of a session, first those that were missed, then live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from sagitta_server.auth import Principal
from sagitta_server.reviews.enums import SessionStatus
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.events import StoredEvent
from sagitta_server.reviews.service import ReviewService

HEARTBEAT_SECONDS = 15.0
_POLL_SECONDS = 0.5
_PAGE = 500
_ENDED = frozenset({SessionStatus.ARCHIVED, SessionStatus.CANCELLED})
_ENDING_KINDS = frozenset({"session.archived", "session.cancelled"})


def follow_events(
    service: ReviewService, principal: Principal, session_id: str, after: int, ended: Callable[[], bool]
) -> Iterator[StoredEvent | None]:
    """Events after a sequence number, then live ones; None is a heartbeat.

    Events are read from the database when the reader asks for the next one, so a slow reader holds nothing and may
    come back with the last sequence it knows. Ends when the session is archived, cancelled or removed, or when `ended`
    says so.
    """
    service.events(principal, session_id, after, 1)  # unknown and foreign sessions are refused before anything is sent
    sequence, quiet_since = after, time.monotonic()
    while not ended():
        try:
            found = service.events(principal, session_id, sequence, _PAGE)
        except ReviewError as error:
            if error.code == "session_not_found":
                return
            raise
        yield from found
        if found:
            sequence, quiet_since = found[-1].sequence, time.monotonic()
            if any(e.kind in _ENDING_KINDS for e in found) and _has_ended(service, principal, session_id):
                return
            continue
        if time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
            quiet_since = time.monotonic()
            yield None
        with service.work.changed:
            service.work.changed.wait(_POLL_SECONDS)


def _has_ended(service: ReviewService, principal: Principal, session_id: str) -> bool:
    try:
        return service.get_session(principal, session_id).session.status in _ENDED
    except ReviewError:
        return True
