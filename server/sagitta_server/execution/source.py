"""What a warehouse must offer, and nothing about how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sagitta_server.execution.cancel import CancelToken

Schema = Any
"""A `pyarrow.Schema` (pyarrow has no types)."""
RecordBatchReader = Any
"""A `pyarrow.RecordBatchReader`: lazy, single use, owned by one call."""


@dataclass(frozen=True, slots=True)
class ResultStream:
    """A running statement: its schema is known, its batches come from native code as they are read.

    `close` gives the connection back, also after a failure (a second call does nothing); `cancel` may be called from
    any thread at any time and makes a pending read fail. Read it with `execution.batches_of`, which raises
    `SourceError`s, or hand `reader` to native code and pass what that raises to `translate`.
    """

    schema: Schema
    reader: RecordBatchReader
    cancel: Callable[[], None]
    close: Callable[[], None]
    native: bool = False
    """Whether `reader` runs no Python per batch."""
    token: CancelToken | None = None
    """Says why a stream ended, when it was cancelled; None for one that no statement stands behind."""
    raw: RecordBatchReader | None = None
    """The driver's own reader with the same schema, whose batches may be too large for clients; None: only `reader`."""
    translate: Callable[[Exception], SourceError] = field(default=lambda error: SourceError(str(error)))
    """Turns an exception of `reader` into an error that is safe to show."""


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
