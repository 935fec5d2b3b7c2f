"""A running statement, its resources and its batches: what every kind of source shares."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from sagitta_server.execution.batches import capped, is_bounded
from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.conform import conformed, plain_schema
from sagitta_server.execution.source import RecordBatchReader, Schema, SourceError

Translate = Callable[[Exception], SourceError]
"""Turns a driver's exception into an error that is safe to show."""


@dataclass(frozen=True)  # without slots: `reader` is kept once it has been asked for
class ResultStream:
    """A running statement: its schema is known, its batches come from native code as they are read.

    `close` gives the connection back, also after a failure (a second call does nothing); `cancel` may be called from
    any thread at any time and makes a pending read fail. Read it once: with `execution.batches_of`, which raises
    `SourceError`s and costs the least where batches are wanted in Python, or hand `reader` to native code and pass
    what that raises to `translate`.
    """

    schema: Schema
    raw: RecordBatchReader
    """The driver's own reader: its types may be others than those of `schema`, its batches too large for clients."""
    cancel: Callable[[], None]
    close: Callable[[], None]
    raw_schema: Schema | None = None
    """The schema of `raw`; None where it is `schema`."""
    native: bool = False
    """Whether `reader` runs no Python per batch: batches are bounded in size, and only metadata have to be changed."""
    token: CancelToken | None = None
    """Says why a stream ended, when it was cancelled; None for one that no statement stands behind."""
    translate: Translate = field(default=lambda error: SourceError(str(error)))
    """Turns an exception of `reader` into an error that is safe to show."""

    @cached_property
    def reader(self) -> RecordBatchReader:
        """The batches, in the types of `schema` and of a size that clients take, as one lazy reader."""
        if not self.native:
            return pa.RecordBatchReader.from_batches(self.schema, _shown(self))
        return self.raw if self._as_given else self.raw.cast(self.schema)

    @property
    def _as_given(self) -> bool:
        """Whether the driver's batches are handed on as they are."""
        return self.raw_schema is None or self.raw_schema.equals(self.schema, check_metadata=True)


def conform(stream: ResultStream, target: Schema) -> ResultStream:
    """Returns the stream with the target's names and types; as it is when nothing changes.

    Where only metadata change the cast runs in native code, batch by batch.
    """
    if stream.schema.equals(target, check_metadata=True):
        return stream
    given = stream.schema if stream.raw_schema is None else stream.raw_schema
    return replace(stream, schema=target, raw_schema=given, native=stream.native and stream.schema.equals(target))


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


@dataclass(frozen=True, slots=True)
class Shape:
    """What follows from the schema of a driver's reader; worth keeping beside a statement that is kept."""

    given: Schema
    plain: Schema
    """The schema that clients see."""
    bounded: bool
    """Whether no batch can be too large for a client."""


def shape_of(schema: Schema) -> Shape:
    """Looks at a schema."""
    return Shape(schema, plain_schema(schema), is_bounded(schema))


def result_stream(
    reader: RecordBatchReader,
    token: CancelToken,
    translate: Translate,
    resources: Once,
    shape: Shape | None = None,
) -> ResultStream:
    """Wraps a driver's reader, whose shape may be known.

    Where a row has a fixed width and plain types the driver's own reader is handed on (no Python runs per batch), else
    batches are cut by bytes and cast.
    """

    def told(error: Exception) -> SourceError:
        return token.error() if token.cancelled else translate(error)

    shape = shape or shape_of(reader.schema)
    changed = not shape.given.equals(shape.plain, check_metadata=True)
    return ResultStream(
        schema=shape.plain,
        raw=reader,
        cancel=token.cancel,
        close=resources.close,
        raw_schema=shape.given if changed else None,
        native=shape.bounded and shape.given.equals(shape.plain),
        token=token,
        translate=told,
    )


def batches(stream: ResultStream) -> Iterator[Any]:
    """Yields the batches of a stream; a failure in mid-stream is a `SourceError`."""
    try:
        for batch in _shown(stream):
            if stream.token is not None:
                stream.token.raise_if_cancelled()
            yield batch
    except SourceError:
        raise
    except Exception as error:
        raise stream.translate(error) from error


def _shown(stream: ResultStream) -> Iterator[Any]:
    """The driver's batches, cut where they are too large and cast where they have other types."""
    cut = capped(stream.raw)
    return cut if stream._as_given else conformed(cut, stream.schema)  # noqa: SLF001 (the class is of this module)


def close_quietly(close: Callable[[], None]) -> Callable[[], None]:
    """Returns a close function that a broken connection cannot make fail."""

    def quiet() -> None:
        with suppress(Exception):
            close()

    return quiet
