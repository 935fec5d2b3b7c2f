"""What callers learn when the state database fails while the server runs: that it is so, and to come again."""

from __future__ import annotations

import logging
from typing import Any

from google.rpc import status_pb2
from sqlalchemy.exc import InterfaceError, OperationalError

from sagitta_server.errors import HANDLERS, Reason, ServiceError, service_status

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""When a caller may ask again."""


def _unavailable(error: Any) -> status_pb2.Status:
    """The driver's own words name files, hosts and users: they are for the log."""
    log.error("the state database failed: %s", str(error.orig).strip())
    return service_status(
        ServiceError(
            Reason.STATE_UNAVAILABLE,
            "The server's own database does not answer, or cannot be written; its log says why.",
            retry_after_seconds=RETRY_SECONDS,
        )
    )


HANDLERS[OperationalError] = _unavailable
HANDLERS[InterfaceError] = _unavailable
