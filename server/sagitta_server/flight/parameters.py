"""The values bound to a prepared statement: Arrow on the wire, plain values in the query.

As the standard says, a query is executed once for every row of parameters, and the results are concatenated.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sagitta_compiler.query.query import Scalar
from sagitta_compiler.query.semantic_sql import Parameter

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.flight.catalog import parameter_type

MAX_BYTES = 1_048_576
"""The values travel in handles and tickets, which clients must take: Go accepts messages of 4 MiB."""

Row = tuple[Scalar, ...]


def parameter_schema(parameters: tuple[Parameter, ...]) -> Any:
    """Returns the schema of the parameters, named by their labels where they have one."""
    return pa.schema([(p.label or f"${p.name}", parameter_type(p.type)) for p in parameters])


def read_rows(body: bytes) -> tuple[Row, ...]:
    """Returns the rows of an IPC stream, one for each execution; no bytes are one execution without values."""
    if not body:
        return ((),)
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    columns = [column.to_pylist() for column in table.columns]
    return tuple(zip(*columns, strict=True)) if columns else ((),) * table.num_rows


def write_rows(reader: Any, max_rows: int) -> bytes:
    """Returns the bound rows of a DoPut as an IPC stream.

    Raises:
        ServiceError: more rows or bytes were sent than a handle may hold.
    """
    batches: list[Any] = []
    rows = 0
    for chunk in reader:
        if chunk.data is not None:
            batches.append(chunk.data)
            rows += chunk.data.num_rows
        if rows > max_rows or sum(batch.nbytes for batch in batches) > MAX_BYTES:
            raise ServiceError(
                Reason.INVALID_REQUEST,
                f"A query may be executed with {max_rows:,} rows of parameters, of {MAX_BYTES:,} bytes in all. "
                "Execute it several times.",
                metadata={"max_rows": str(max_rows), "max_bytes": str(MAX_BYTES)},
            )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())
