"""The rows of runs, for those who hold a ticket or own the review."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from sagitta_server.auth import Authenticator
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.reviews.enums import LaunchStatus
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.run_tickets import ForeignTicketError, InvalidTicketError, verify
from sagitta_server.reviews.spool import Spool
from sagitta_server.reviews.work import ReviewWork

_LOOK_SECONDS = 0.5


class RowStream:
    """The record batches of a run, as they come."""

    def __init__(self, content: io.RawIOBase) -> None:
        self._content = io.BufferedReader(content)  # gives as much as is asked for, which pyarrow relies on
        self._reader = pa.ipc.open_stream(self._content)
        self.schema = self._reader.schema

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._reader
        except ReviewError as error:
            raise ServiceError(Reason.EXECUTION_FAILED, error.message) from error

    def close(self) -> None:
        """Closes what the rows are read from."""
        self._content.close()


class RunRows:
    """Opens results, also while their run still writes them."""

    def __init__(self, work: ReviewWork, spool: Spool, authenticator: Authenticator, ticket_key: bytes) -> None:
        self._work = work
        self._spool = spool
        self._authenticator = authenticator
        self._key = ticket_key

    def by_ticket(self, ticket: bytes, authorization: str | None) -> RowStream:
        """The rows of a ticket's run; the bearer must be whom the ticket was given to.

        Raises:
            AuthenticationError, ServiceError: not allowed, not valid, or the rows are gone.
        """
        principal = self._authenticator.authenticate(authorization)
        try:
            claims = verify(ticket, self._key, principal.user_id, time.time())
            return RowStream(self.bytes_of(claims.run_context_id, lambda: False))
        except (InvalidTicketError, ReviewError) as error:
            raise ServiceError(Reason.INVALID_REQUEST, str(error)) from error
        except ForeignTicketError as error:
            raise ServiceError(Reason.PERMISSION_DENIED, str(error)) from error

    def bytes_of(self, run_context_id: str, gone: Callable[[], bool]) -> io.RawIOBase:
        """The bytes of a run's result as an Arrow IPC stream; `gone` says that nobody reads any more.

        Raises:
            ReviewError: `result_expired`, the run failed or its rows were removed.
        """
        status = self._status(run_context_id)
        if status is LaunchStatus.FAILED or (
            status is not LaunchStatus.STARTED and not self._spool.exists(run_context_id)
        ):
            raise ReviewError("result_expired", "This run has no rows (any more); launch the review again.")
        return self._spool.read(run_context_id, self._over(run_context_id, gone))

    def _over(self, run_context_id: str, gone: Callable[[], bool]) -> Callable[[], bool]:
        """Whether nobody writes any more; the run is looked up twice a second at most."""
        looked_at = time.monotonic()

        def over() -> bool:
            nonlocal looked_at
            if gone():
                return True
            if time.monotonic() - looked_at < _LOOK_SECONDS:
                return False
            looked_at = time.monotonic()
            return self._status(run_context_id) is not LaunchStatus.STARTED

        return over

    def _status(self, run_context_id: str) -> LaunchStatus | None:
        with self._work.database.read() as connection:
            run = self._work.store.run_by_id(connection, run_context_id)
        return None if run is None else run.launch_status
