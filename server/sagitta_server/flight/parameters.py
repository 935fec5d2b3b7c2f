"""The values bound to a prepared statement: Arrow on the wire, plain values in the query."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from sagitta_compiler.query.query import Scalar
from sagitta_compiler.query.semantic_sql import Parameter

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.flight.catalog import parameter_type


def parameter_schema(parameters: tuple[Parameter, ...]) -> Any:
    """Returns the schema of the parameters, named by their labels where they have one."""
    return pa.schema([(p.label or f"${p.name}", parameter_type(p.type)) for p in parameters])


def read_values(body: bytes) -> tuple[Scalar, ...]:
    """Returns the values of the one row in an IPC stream; none for no bytes."""
    if not body:
        return ()
    with pa.ipc.open_stream(body) as reader:
        table = reader.read_all()
    return tuple(column[0].as_py() for column in table.columns)


def write_values(reader: Any) -> bytes:
    """Returns the bound row of a DoPut as an IPC stream.

    Raises:
        ServiceError: no row was sent, or several.
    """
    table = pa.Table.from_batches([chunk.data for chunk in reader if chunk.data is not None], reader.schema)
    if table.num_rows != 1:
        raise ServiceError(
            Reason.INVALID_REQUEST,
            f"A query takes one row of parameters; {table.num_rows} were bound.",
            metadata={"rows": str(table.num_rows)},
        )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
