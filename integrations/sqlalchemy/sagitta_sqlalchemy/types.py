"""Arrow's types as SQLAlchemy's, and literals of time as SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from sqlalchemy import types

_KINDS: tuple[tuple[Callable[[Any], bool], types.TypeEngine[Any]], ...] = (
    (pa.types.is_boolean, types.BOOLEAN()),
    (pa.types.is_int64, types.BIGINT()),
    (pa.types.is_integer, types.INTEGER()),
    (pa.types.is_floating, types.FLOAT()),
    (pa.types.is_date, types.DATE()),
    (pa.types.is_time, types.TIME()),
    (pa.types.is_binary, types.BINARY()),
)


def sql_type(kind: pa.DataType) -> types.TypeEngine[Any]:
    """Returns the SQL type of an Arrow type; what SQL has no name for is text."""
    if pa.types.is_decimal(kind):
        return types.DECIMAL(kind.precision, kind.scale)
    if pa.types.is_timestamp(kind):
        return types.TIMESTAMP(timezone=kind.tz is not None)
    return next((found for is_kind, found in _KINDS if is_kind(kind)), types.VARCHAR())


class Date(types.Date):
    """A date that can be written into SQL; SQLAlchemy 1.4 has no literal for it."""

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        def process(value: dt.date) -> str:
            return f"DATE '{value.isoformat()}'"

        return process


class DateTime(types.DateTime):
    """A point in time that can be written into SQL."""

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        def process(value: dt.datetime) -> str:
            kind = "TIMESTAMP" if value.tzinfo is None else "TIMESTAMPTZ"
            return f"{kind} '{value.isoformat(sep=' ')}'"

        return process


class Time(types.Time):
    """A time of day that can be written into SQL."""

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        def process(value: dt.time) -> str:
            return f"TIME '{value.isoformat()}'"

        return process


COLUMN_TYPES = {types.Date: Date, types.DateTime: DateTime, types.Time: Time}
