"""What a warehouse must offer, and nothing about how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sagitta_server.execution.admission import Load
    from sagitta_server.execution.cancel import CancelToken
    from sagitta_server.execution.stream import ResultStream

Schema = Any
"""A `pyarrow.Schema` (pyarrow has no types)."""
RecordBatchReader = Any
"""A `pyarrow.RecordBatchReader`: lazy, single use, owned by one call."""


class Source(Protocol):
    """One warehouse behind a pool of connections."""

    @property
    def name(self) -> str:
        """The configured name."""
        ...

    @property
    def dialect(self) -> str:
        """The compiler's dialect for this warehouse."""
        ...

    @property
    def load(self) -> Load:
        """How busy it is now."""
        ...

    def result_schema(self, sql: str) -> Schema:
        """Returns the schema that `execute` will stream, without running the statement."""
        ...

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        """Starts a statement; `token` cancels it from the first moment on, also while it waits for a connection.

        `timeout_seconds` counts from the call and is ignored when a token is given, which has its own.

        Raises:
            SourceError: the warehouse refused it; the message is safe to show.
            SourceBusyError: no connection became free in time (RESOURCE_EXHAUSTED).
            StatementTimeoutError: the deadline passed before the first batch.
        """
        ...

    def explain(self, sql: str) -> str:
        """Returns the warehouse's own plan as text."""
        ...

    def close(self) -> None:
        """Closes every connection, cancelling what runs."""
        ...


class SourceError(Exception):
    """The warehouse failed; the message holds its text without secrets or paths."""


class SourceBusyError(SourceError):
    """Every connection is in use and the queue is full or the wait was too long."""


class StatementCancelledError(SourceError):
    """The statement was cancelled by its client."""


class StatementTimeoutError(SourceError):
    """The statement ran longer than it may."""
