"""A running statement's resources and its batches: what every kind of source shares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa

from sagitta_server.execution.batches import capped, is_bounded
from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.conform import conform, plain_schema
from sagitta_server.execution.source import RecordBatchReader, ResultStream, SourceError

Translate = Callable[[Exception], SourceError]
"""Turns a driver's exception into an error that is safe to show."""


class Once:
    """Calls functions when closed, the last one added first, and only once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: list[Callable[[], None]] = []
        self._closed = False

    def add(self, function: Callable[[], None]) -> None:
        self._functions.append(function)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        error: BaseException | None = None
        for function in reversed(self._functions):
            try:
                function()
            except BaseException as failure:  # noqa: BLE001 - every resource is released, then the first failure is told
                error = error or failure
        if error is not None:
            raise error


def result_stream(reader: RecordBatchReader, token: CancelToken, translate: Translate, resources: Once) -> ResultStream:
    """Wraps a driver's reader.

    Where a row has a fixed width and plain types the driver's own reader is handed on (no Python runs per batch), else
    batches are cut by bytes and cast.
    """

    def told(error: Exception) -> SourceError:
        return token.error() if token.cancelled else translate(error)

    native = is_bounded(reader.schema)
    shown = reader if native else pa.RecordBatchReader.from_batches(reader.schema, capped(reader))
    stream = ResultStream(
        schema=reader.schema,
        reader=shown,
        cancel=token.cancel,
        close=resources.close,
        native=native,
        raw=reader,
        token=token,
        translate=told,
    )
    return conform(stream, plain_schema(reader.schema))


def batches(stream: ResultStream) -> Iterator[Any]:
    """Yields the batches of a stream; a failure in mid-stream is a `SourceError`."""
    try:
        for batch in stream.reader if stream.raw is None else capped(stream.raw):
            if stream.token is not None:
                stream.token.raise_if_cancelled()
            yield batch
    except SourceError:
        raise
    except Exception as error:
        raise stream.translate(error) from error


def close_quietly(close: Callable[[], None]) -> Callable[[], None]:
    """Returns a close function that a broken connection cannot make fail."""

    def quiet() -> None:
        with suppress(Exception):
            close()

    return quiet
