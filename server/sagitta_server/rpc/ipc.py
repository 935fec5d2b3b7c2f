"""Record batches as pieces of one Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

PIECE_BYTES = 1_048_576
"""A message stays well below the 4 MiB that gRPC clients accept unless told otherwise."""


def ipc_pieces(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    """Yields the stream in pieces of at most `PIECE_BYTES`, small batches together; at least one piece."""
    sink = _Pieces()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield from sink.full()
    yield from sink.rest()


class _Pieces:
    """A file to which IPC messages are written and from which pieces are taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered elsewhere."""

    def close(self) -> None:
        self.closed = True

    def full(self) -> Iterator[bytes]:
        """Takes whole pieces and leaves what is less."""
        if self._size < PIECE_BYTES:
            return
        data = memoryview(b"".join(self._parts))
        whole = len(data) - len(data) % PIECE_BYTES
        self._parts, self._size = [bytes(data[whole:])], len(data) - whole
        for start in range(0, whole, PIECE_BYTES):
            yield bytes(data[start : start + PIECE_BYTES])

    def rest(self) -> Iterator[bytes]:
        """Takes everything that is left."""
        yield from self.full()
        yield b"".join(self._parts)
        self._parts, self._size = [], 0
