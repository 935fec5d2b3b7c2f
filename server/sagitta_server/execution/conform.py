"""Results in the types that clients understand and models declare.

Two steps share this: a source turns its own types into plain Arrow ones (no dictionaries, no extension types, a
PostgreSQL `numeric` as a decimal), and a compiled query says which types its columns have. Casts are Arrow's own, batch
by batch; one that would lose a digit fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sagitta_compiler.model.types import AbstractType, DataType
from sagitta_compiler.sql.result import OutputColumn

from sagitta_server.execution.source import Schema

_POSTGRES_TYPE = b"ADBC:postgresql:typname"
_POSTGRES_MODIFIER = b"POSTGRESQL:typmod"
MAX_PRECISION = 38


def plain_schema(schema: Schema) -> Schema:
    """Returns the schema that clients see for what a driver gives; drivers' own metadata is dropped."""
    return pa.schema([pa.field(field.name, plain_type(field), field.nullable) for field in schema])


def plain_type(field: Any) -> Any:
    """Returns the plain Arrow type for a field of a driver."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if (field.metadata or {}).get(_POSTGRES_TYPE) == b"numeric":
        return _postgres_numeric(field.metadata)
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_binary_view(kind) or pa.types.is_large_binary(kind):
        return pa.binary()
    return _plain_nested(kind)


def _plain_nested(kind: Any) -> Any:
    """A nested type without dictionaries inside, which an IPC message cannot carry alone."""
    match kind:
        case pa.MapType():
            return pa.map_(plain_type(kind.key_field), plain_type(kind.item_field))
        case pa.ListType():
            return pa.list_(_plain_field(kind.value_field))
        case pa.LargeListType():
            return pa.large_list(_plain_field(kind.value_field))
        case pa.FixedSizeListType():
            return pa.list_(_plain_field(kind.value_field), kind.list_size)
        case pa.StructType():
            return pa.struct([_plain_field(kind.field(position)) for position in range(kind.num_fields)])
        case _:
            return kind


def _plain_field(field: Any) -> Any:
    return pa.field(field.name, plain_type(field), field.nullable)


def _postgres_numeric(metadata: dict[bytes, bytes]) -> Any:
    """`numeric(p, s)` is a decimal; a `numeric` without a scale has no fixed width and becomes a double."""
    modifier = int(metadata.get(_POSTGRES_MODIFIER, b"-1"))
    if modifier < 4:
        return pa.float64()
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
    return pa.decimal128(precision, scale) if precision <= MAX_PRECISION and scale <= precision else pa.float64()


def declared_schema(schema: Schema, columns: Iterable[OutputColumn]) -> Schema:
    """Returns the schema of a compiled query's result: its labels, with the declared type where there is one."""
    fields = [
        pa.field(column.name, _declared_type(column, field.type), nullable=True)
        for field, column in zip(schema, columns, strict=True)
    ]
    return pa.schema(fields)


def _declared_type(column: OutputColumn, actual: Any) -> Any:
    if column.data_type is not None:
        return arrow_type(column.data_type) or actual
    return _abstract_type(column.type, actual) if column.type is not None else actual


def arrow_type(declared: DataType) -> Any | None:
    """Returns the Arrow type of a declared result type; None where Arrow has none (decimals above 76 digits)."""
    match declared.name:
        case "decimal":
            return _decimal(declared.precision or MAX_PRECISION, declared.scale or 0)
        case "bigint":
            return pa.int64()
        case "integer":
            return pa.int32()
        case "double":
            return pa.float64()
        case "date":
            return pa.date32()
        case "timestamp":
            return pa.timestamp("us")
        case "time":
            return pa.time64("us")
        case "boolean":
            return pa.bool_()
        case "string":
            return pa.string()
        case _:
            return None


def _decimal(precision: int, scale: int) -> Any | None:
    if precision <= MAX_PRECISION:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= 76 else None


def _abstract_type(declared: AbstractType, actual: Any) -> Any:
    """A column's own type says its kind, not its width: an exact type of that kind is left as it is."""
    types = pa.types
    match declared:
        case AbstractType.STRING | AbstractType.JSON:
            return pa.string()
        case AbstractType.INT:
            return actual if types.is_integer(actual) or types.is_decimal(actual) else pa.int64()
        case AbstractType.FLOAT:
            return actual if types.is_floating(actual) or types.is_decimal(actual) else _float(actual)
        case AbstractType.BOOLEAN:
            return pa.bool_()
        case AbstractType.DATE:
            return pa.date32()
        case AbstractType.TIMESTAMP:
            return pa.timestamp("us")
        case AbstractType.TIMESTAMP_TZ:
            return actual if types.is_timestamp(actual) and actual.tz else pa.timestamp("us", "UTC")
        case AbstractType.TIME:
            return pa.time64("us")
        case AbstractType.TIME_TZ:
            return actual


def _float(actual: Any) -> Any:
    return actual if pa.types.is_integer(actual) else pa.float64()


def conformed(batches: Iterable[Any], target: Schema) -> Iterator[Any]:
    """Yields batches cast to the target, column by column.

    Raises:
        pyarrow.ArrowInvalid: values do not fit; the message names the column and says what to do.
    """
    for batch in batches:
        columns = [_fitted(column, field) for column, field in zip(batch.columns, target, strict=True)]
        yield pa.RecordBatch.from_arrays(columns, schema=target)


def _fitted(column: Any, field: Any) -> Any:
    try:
        return cast(column, field.type)
    except pa.ArrowException as error:
        (reason, *_) = str(error).splitlines() or [type(error).__name__]
        raise pa.ArrowInvalid(
            f"The values of {field.name!r} come as {column.type} and do not fit {field.type}, the type that the model "
            f"declares for them: {reason}. Declare a type that they fit, or convert them in the model's expression."
        ) from error


def cast(column: Any, target: Any) -> Any:
    """Casts an array; Arrow's casts, with the ways around those that it lacks."""
    kind = column.type
    if kind.equals(target):
        return column
    if pa.types.is_dictionary(kind):
        return cast(column.dictionary_decode(), target)
    if isinstance(kind, pa.UuidType):
        return pa.array([None if value is None else str(value.as_py()) for value in column], pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return cast(column.storage, target)
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(target) and kind.tz and not target.tz:
        return column.cast(pa.timestamp(target.unit, kind.tz)).cast(target)
    if pa.types.is_integer(kind) and pa.types.is_decimal(target):
        return pc.cast(pc.cast(column, pa.decimal128(MAX_PRECISION, 0)), target)
    return pc.cast(column, target)
