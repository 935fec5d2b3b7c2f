"""Record batches as pieces of one Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

PIECE_BYTES = 1_048_576
"""A message stays well below the 4 MiB that gRPC clients accept unless told otherwise."""
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def ipc_pieces(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    """Yields the stream in pieces of at most `PIECE_BYTES`, small batches together; at least one piece.

    Messages are made one by one rather than by a stream writer, which would come back into Python for every buffer of
    every column. The batches hold no dictionaries (`execution.conform`).
    """
    pieces = _Pieces()
    pieces.add(schema.serialize())
    for batch in batches:
        pieces.add(batch.serialize())
        yield from pieces.full()
    pieces.add(END_OF_STREAM)
    yield from pieces.full()
    yield pieces.rest()


class _Pieces:
    """Messages that wait to be sent."""

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._size = 0

    def add(self, message: Any) -> None:
        self._parts.append(message)
        self._size += len(message)

    def full(self) -> Iterator[bytes]:
        """Takes whole pieces and leaves what is less."""
        if self._size < PIECE_BYTES:
            return
        data = memoryview(self.rest())
        whole = len(data) - len(data) % PIECE_BYTES
        if whole < len(data):
            self.add(bytes(data[whole:]))
        for start in range(0, whole, PIECE_BYTES):
            yield bytes(data[start : start + PIECE_BYTES])

    def rest(self) -> bytes:
        """Takes everything."""
        data = b"".join(self._parts)
        self._parts, self._size = [], 0
        return data
