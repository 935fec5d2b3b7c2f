"""The rows of a run as a JSON page, CSV or Arrow, from the Arrow bytes that the engine streams."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv

from sagitta_gateway.negotiation import by_preference
from sagitta_gateway.results.rows import json_rows
from sagitta_gateway.review_calls import rest

ARROW = "application/vnd.apache.arrow.stream"
CSV = "text/csv"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Slice:
    """Which rows of a result."""

    offset: int
    limit: int


def wanted_type(accept: str) -> str:
    """The media type of the answer; JSON unless the client would rather have another."""
    for kind in by_preference(accept):
        if kind in {ARROW, "application/vnd.apache.arrow.file", "application/arrow"}:
            return ARROW
        if kind in {CSV, JSON}:
            return kind
    return JSON


async def arrow_bytes(stream: Any, first: Any) -> AsyncIterator[bytes]:
    """The bytes as they come."""
    yield first.arrow_ipc
    async for item in rest(stream):
        yield item.arrow_ipc


async def whole(stream: Any, first: Any) -> bytes:
    """All bytes; a run is bounded by its row limit."""
    buffer = bytearray(first.arrow_ipc)
    async for item in rest(stream):
        buffer += item.arrow_ipc
    return bytes(buffer)


def as_csv(content: bytes) -> bytes:
    """The rows as CSV with a header."""
    sink = io.BytesIO()
    with pa.ipc.open_stream(content) as reader, pyarrow.csv.CSVWriter(sink, _plain(reader.schema)) as writer:
        for batch in reader:
            writer.write_batch(batch.cast(_plain(reader.schema)))
    return sink.getvalue()


def as_page(content: bytes, wanted: Slice) -> bytes:
    """One page of rows as JSON; decimals and big integers are exact."""
    with pa.ipc.open_stream(content) as reader:
        table = reader.read_all()
    page = table.slice(wanted.offset, wanted.limit).combine_chunks()
    rows = [json_rows(batch, "UTC") for batch in page.to_batches() if batch.num_rows]
    head = {
        "columns": [{"name": f.name, "type": str(f.type)} for f in table.schema],
        "row_count": table.num_rows,
        "offset": wanted.offset,
        "has_next": wanted.offset + wanted.limit < table.num_rows,
    }
    listed = orjson.Fragment(b"[" + b",".join(rows) + b"]")
    return orjson.dumps({**head, "rows": listed})


def _plain(schema: Any) -> Any:
    """Dictionary-encoded columns as what they encode: CSV has no dictionaries."""
    return pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema])
