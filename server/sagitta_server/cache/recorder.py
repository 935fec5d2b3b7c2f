"""Keeps a copy of a result while it streams to its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sagitta_server.execution.stream import ResultStream

Batches = Sequence[Any]
"""`pyarrow.RecordBatch`es."""


def record(stream: ResultStream, limit_bytes: int, finished: Callable[[Batches], None]) -> ResultStream:
    """Returns the same stream; `finished` gets its batches when the reader has read all of them.

    Batches pass through one at a time and are not copied, only kept alive. Nothing is reported for a result that is
    larger than the limit, that fails, or that is not read to its end.
    """
    reader = pa.RecordBatchReader.from_batches(stream.schema, _passing(stream.reader, limit_bytes, finished))
    return replace(stream, raw=reader, raw_schema=None, native=False)


def _passing(reader: Any, limit_bytes: int, finished: Callable[[Batches], None]) -> Iterator[Any]:
    kept: list[Any] | None = []
    size = 0
    for batch in reader:
        size += batch.nbytes
        if kept is not None:
            kept.append(batch)
            if size > limit_bytes:
                kept = None
        yield batch
    if kept is not None:
        finished(kept)
