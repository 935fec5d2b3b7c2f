"""From the engine's stream of pieces to an HTTP answer: small results with their length, large ones as they come."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pyarrow as pa
from fastapi import Request
from sagitta.semantic.v1.query_service_pb2 import ExecuteQueryResponse, ResultMetadata, ResultSummary
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sagitta_gateway.presence import while_present
from sagitta_gateway.results.formats import MEDIA_TYPES, Delivery, pieces, writer_for

INLINE_BYTES = 32_768
"""A result of fewer Arrow bytes is turned at once; a larger one in a thread, so that others are answered meanwhile."""


@dataclass(slots=True)
class Buffered:
    """What has been read of a result so far."""

    metadata: ResultMetadata
    parts: list[bytes]
    size: int
    summary: ResultSummary | None


async def read_result(call: Any, limit: int) -> Buffered:
    """Reads responses until the result ends or has more bytes than the limit."""
    first = await call.read()
    if first is grpc.aio.EOF:
        await _raise(call)
    buffered = Buffered(first.metadata, [first.arrow_ipc], len(first.arrow_ipc), _summary(first))
    while buffered.summary is None and buffered.size <= limit:
        response = await call.read()
        if response is grpc.aio.EOF:
            await _raise(call)
        buffered.parts.append(response.arrow_ipc)
        buffered.size += len(response.arrow_ipc)
        buffered.summary = _summary(response)
    return buffered


async def answer(request: Request, call: Any, delivery: Delivery, limit: int) -> Response:
    """The answer to a query; the call is cancelled when the client goes away.

    Raises:
        ClientGone: it went away before the answer began.
    """
    async with while_present(request, call):
        buffered = await read_result(call, limit)
    if buffered.summary is None:
        return _streaming(call, buffered, delivery)
    if buffered.size <= INLINE_BYTES:
        body = _whole(buffered, delivery)
    else:
        body = await asyncio.to_thread(_whole, buffered, delivery)
    headers = {
        "X-Result-Row-Count": str(buffered.summary.row_count),
        "X-Result-Truncated": str(buffered.summary.truncated).lower(),
    }
    return Response(body, 200, headers, media_type=MEDIA_TYPES[delivery.format])


def _whole(buffered: Buffered, delivery: Delivery) -> bytes:
    assert buffered.summary is not None
    writer = writer_for(delivery)
    data = buffered.parts[0] if len(buffered.parts) == 1 else b"".join(buffered.parts)
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        parts = list(pieces(writer, buffered.metadata, reader))
    return b"".join((*parts, writer.end(buffered.summary)))


def _streaming(call: Any, buffered: Buffered, delivery: Delivery) -> StreamingResponse:
    source = _Pieces(call, buffered, asyncio.get_running_loop())
    return _Streaming(call, _stream(source, buffered.metadata, delivery), MEDIA_TYPES[delivery.format])


class _Streaming(StreamingResponse):
    """Ends the call whatever becomes of the answer."""

    def __init__(self, call: Any, content: Iterator[bytes], media_type: str) -> None:
        super().__init__(content, 200, media_type=media_type)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()


def _stream(source: _Pieces, metadata: ResultMetadata, delivery: Delivery) -> Iterator[bytes]:
    """Runs in a thread: a piece of the answer for every batch, the end when the engine has told it."""
    writer = writer_for(delivery)
    try:
        with pa.ipc.open_stream(pa.PythonFile(source, mode="r")) as reader:
            yield from pieces(writer, metadata, reader)
        yield writer.end(source.summary())
    finally:
        source.cancel()


class _Pieces(io.RawIOBase):
    """The engine's pieces as a file that a thread reads while the event loop receives."""

    def __init__(self, call: Any, buffered: Buffered, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._call = call
        self._loop = loop
        self._parts = buffered.parts
        self._rest = memoryview(b"")
        self._summary = buffered.summary

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end (all that is left for -1)."""
        wanted = size if size >= 0 else 1 << 62
        parts: list[bytes] = []
        while wanted > 0 and self._fill():
            taken = bytes(self._rest[:wanted])
            self._rest = self._rest[len(taken) :]
            wanted -= len(taken)
            parts.append(taken)
        return b"".join(parts)

    def summary(self) -> ResultSummary:
        """What the engine told after the rows."""
        while self._summary is None:
            self._receive()
        return self._summary

    def cancel(self) -> None:
        """Ends the call, if it still runs."""
        self._loop.call_soon_threadsafe(self._call.cancel)

    def _fill(self) -> bool:
        while not self._rest:
            if self._parts:
                self._rest = memoryview(self._parts.pop(0))
            elif self._summary is not None:
                return False
            else:
                self._receive()
        return True

    def _receive(self) -> None:
        response = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
        if response.arrow_ipc:
            self._parts.append(response.arrow_ipc)
        self._summary = _summary(response)

    async def _next(self) -> ExecuteQueryResponse:
        response = await self._call.read()
        if response is grpc.aio.EOF:
            await _raise(self._call)
        read: ExecuteQueryResponse = response
        return read


def _summary(response: ExecuteQueryResponse) -> ResultSummary | None:
    return response.summary if response.HasField("summary") else None


async def _raise(call: Any) -> None:
    """Raises the failure of a call that ended without its summary."""
    code, details = await call.code(), await call.details()
    raise grpc.aio.AioRpcError(code, await call.initial_metadata(), await call.trailing_metadata(), details=details)
