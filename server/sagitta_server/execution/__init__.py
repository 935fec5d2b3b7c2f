"""Warehouses: opening them, running a statement, streaming its batches, ending it.

`open_source(name, settings)` gives a `Source`; `source.execute(sql, token=...)` gives a `ResultStream`.
"""

from sagitta_server.execution.cancel import CancelReason, CancelToken
from sagitta_server.execution.conform import declared_schema
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.execution.snapshots import HeldSnapshot, Snapshot, SnapshotGoneError, SnapshotSource
from sagitta_server.execution.source import (
    Source,
    SourceBusyError,
    SourceError,
    StatementCancelledError,
    StatementTimeoutError,
)
from sagitta_server.execution.stream import ResultStream, conform
from sagitta_server.execution.stream import batches as batches_of
from sagitta_server.execution.uris import can_be_shared, open_source

__all__ = [
    "CancelReason",
    "CancelToken",
    "HeldSnapshot",
    "ResultStream",
    "Snapshot",
    "SnapshotGoneError",
    "SnapshotSource",
    "Source",
    "SourceBusyError",
    "SourceError",
    "SourceSettings",
    "StatementCancelledError",
    "StatementTimeoutError",
    "batches_of",
    "can_be_shared",
    "conform",
    "declared_schema",
    "open_source",
]
