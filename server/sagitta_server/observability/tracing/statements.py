"""Spans of statements: from the wait for a connection until the connection is free again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.trace import Span, SpanKind

from sagitta_server.execution import (
    CancelToken,
    HeldSnapshot,
    ResultStream,
    Snapshot,
    SnapshotSource,
    Source,
    SourceError,
)
from sagitta_server.execution.admission import Load
from sagitta_server.execution.snapshots import Reader
from sagitta_server.execution.source import Schema
from sagitta_server.observability.tracing.failures import reason_of
from sagitta_server.observability.tracing.provider import Tracing, fail

SYSTEMS: Mapping[str, str] = {
    "postgres": "postgresql",
    "bigquery": "gcp.bigquery",
    "spark": "spark",
}
"""What semantic conventions call a dialect where they have another word for it (`db.system.name`)."""


def traced_source(tracing: Tracing, source: Source) -> Source:
    """The source with a span for each of its statements."""
    return (
        TracedSnapshotSource(tracing, source, source)
        if isinstance(source, SnapshotSource)
        else TracedSource(tracing, source)
    )


class TracedSource:
    """A source whose statements have spans."""

    def __init__(self, tracing: Tracing, source: Source) -> None:
        self._tracing = tracing
        self._source = source

    @property
    def name(self) -> str:
        return self._source.name

    @property
    def dialect(self) -> str:
        return self._source.dialect

    @property
    def load(self) -> Load:
        return self._source.load

    def result_schema(self, sql: str) -> Schema:
        with self._asking("DESCRIBE", sql):
            return self._source.result_schema(sql)

    def explain(self, sql: str) -> str:
        with self._asking("EXPLAIN", sql):
            return self._source.explain(sql)

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        return self._observed(self._source, sql, token or CancelToken(timeout_seconds))

    def close(self) -> None:
        self._source.close()

    def _observed(self, reader: Reader, sql: str, token: CancelToken) -> ResultStream:
        span = self._span("SELECT", sql)
        if not span.is_recording():
            return reader.execute(sql, token=token)
        try:
            stream = reader.execute(sql, token=token)
        except Exception as error:
            _tell_wait(span, token)
            fail(span, reason_of(error))
            span.end()
            raise
        _tell_wait(span, token)
        span.add_event("result")
        return _Observed(span, stream).stream()

    def _asking(self, operation: str, sql: str) -> _Asking:
        return _Asking(self._span(operation, sql))

    def _span(self, operation: str, sql: str) -> Span:
        about = {
            "db.system.name": SYSTEMS.get(self.dialect, self.dialect),
            "db.operation.name": operation,
            "sagitta.source": self.name,
        }
        if self._tracing.settings.query_text:
            about["db.query.text"] = sql
        return self._tracing.tracer.start_span(f"{operation} {self.name}", kind=SpanKind.CLIENT, attributes=about)


def _tell_wait(span: Span, token: CancelToken) -> None:
    if token.waited_seconds:
        span.set_attribute("sagitta.wait_seconds", round(token.waited_seconds, 6))


class TracedSnapshotSource(TracedSource):
    """The same for a source that holds snapshots."""

    def __init__(self, tracing: Tracing, source: Source, snapshots: SnapshotSource) -> None:
        super().__init__(tracing, source)
        self._snapshots = snapshots

    def hold_snapshot(self, sql: str) -> HeldSnapshot:
        with self._asking("BEGIN", sql):
            return self._snapshots.hold_snapshot(sql)

    def at(self, snapshot: Snapshot) -> Reader:
        return _TracedReader(self, self._snapshots.at(snapshot))


class _TracedReader:
    """Statements in a snapshot."""

    def __init__(self, source: TracedSource, reader: Reader) -> None:
        self._source, self._reader = source, reader

    def execute(
        self, sql: str, *, timeout_seconds: float | None = None, token: CancelToken | None = None
    ) -> ResultStream:
        return self._source._observed(self._reader, sql, token or CancelToken(timeout_seconds))  # noqa: SLF001


class _Asking:
    """The span of something that is answered at once."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Exception):
            fail(self._span, reason_of(error))
        self._span.end()


class _Observed:
    """A stream whose rows are counted; its span ends when it is closed."""

    def __init__(self, span: Span, stream: ResultStream) -> None:
        self._span, self._given = span, stream
        self._rows = 0
        self._read = False
        self._failure: SourceError | None = None
        self._lock = threading.Lock()
        self._ended = False

    def stream(self) -> ResultStream:
        """The stream, read by Python batch by batch, because native code would not tell how many rows went by."""
        return replace(
            self._given, raw=self._batches(self._given.raw), native=False, close=self._close, translate=self._told
        )

    def _batches(self, raw: Any) -> Iterator[Any]:
        for batch in raw:
            self._rows += batch.num_rows
            yield batch
        self._read = True

    def _told(self, error: Exception) -> SourceError:
        self._failure = self._given.translate(error)
        return self._failure

    def _close(self) -> None:
        try:
            self._given.close()
        finally:
            with self._lock:
                first, self._ended = not self._ended, True
            if first:
                self._end()

    def _end(self) -> None:
        token = self._given.token
        failure = self._failure
        if failure is None and not self._read and token is not None and token.cancelled:
            failure = token.error()
        if failure is not None:
            fail(self._span, reason_of(failure))
        self._span.set_attribute("db.response.returned_rows", self._rows)
        self._span.set_attribute("sagitta.complete", self._read)
        self._span.end()
