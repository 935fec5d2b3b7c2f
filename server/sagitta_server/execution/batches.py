"""Record batches of a size that every client takes.

Drivers refuse messages above a limit of their own (16 MiB in the ADBC driver, 4 MiB in plain Go clients), so a batch
is cut by bytes, in zero-copy slices, however wide its rows are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from sagitta_server.execution.source import RecordBatchReader, Schema

BATCH_ROWS = 8192
"""Rows that are asked of a warehouse at once: 1 to 2 MB of a usual table."""
MAX_BATCH_BYTES = 3_000_000
"""Below the 4 MiB of the smallest default limit, with room for padding and headers."""


def fixed_row_bytes(schema: Schema) -> int | None:
    """Returns the bytes of a row when no column's width depends on its values, else None."""
    total = 0
    for field in schema:
        if pa.types.is_nested(field.type) or pa.types.is_dictionary(field.type):
            return None
        try:
            bits = field.type.bit_width
        except ValueError:
            return None
        total += max(bits // 8, 1) + 1
    return total


def is_bounded(schema: Schema, rows: int = BATCH_ROWS) -> bool:
    """Says whether a batch of `rows` rows is below the limit whatever it holds."""
    width = fixed_row_bytes(schema)
    return width is not None and width * rows <= MAX_BATCH_BYTES


def slices(batch: Any, max_bytes: int = MAX_BATCH_BYTES, max_rows: int = BATCH_ROWS) -> Iterator[Any]:
    """Cuts a batch into zero-copy slices below a number of bytes; a single row is never cut."""
    rows = batch.num_rows
    if rows > max_rows:
        step = max_rows
    elif rows > 1 and not _surely_small(batch, max_bytes) and batch.nbytes > max_bytes:
        step = (rows + 1) // 2
        step += -step % 8 if rows > 8 else 0
    else:
        yield batch
        return
    for start in range(0, rows, step):
        yield from slices(batch.slice(start, step), max_bytes, max_rows)


def _surely_small(batch: Any, max_bytes: int) -> bool:
    """An upper bound of `nbytes` that costs a twentieth of it; a buffer that columns share counts once for each."""
    bound: int = batch.get_total_buffer_size() * batch.num_columns
    return bound <= max_bytes


def capped(reader: RecordBatchReader) -> Iterator[Any]:
    """Yields the batches of a reader, cut where they are too large."""
    for batch in reader:
        yield from slices(batch)
