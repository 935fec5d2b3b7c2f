"""The data types of the virtual tables, as XDBC asks for them, and the names that columns carry."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from sagitta_server.flight.schemas import TYPE_INFO


@dataclass(frozen=True, slots=True)
class SqlType:
    """One SQL type: its name and its XDBC code, size and shape."""

    name: str
    code: int
    size: int | None
    quoted: str | None = None
    parameters: tuple[str, ...] = ()
    subcode: int | None = None
    radix: int | None = None
    scales: tuple[int, int] | None = None
    verbose: int | None = None
    """The SQL data type where it differs from the code: 9 for dates and times."""


BIGINT = SqlType("BIGINT", -5, 19, radix=10)
INTEGER = SqlType("INTEGER", 4, 10, radix=10)
SMALLINT = SqlType("SMALLINT", 5, 5, radix=10)
TINYINT = SqlType("TINYINT", -6, 3, radix=10)
DOUBLE = SqlType("DOUBLE", 8, 53, radix=2)
REAL = SqlType("REAL", 7, 24, radix=2)
DECIMAL = SqlType("DECIMAL", 3, 38, parameters=("precision", "scale"), radix=10, scales=(0, 38))
VARCHAR = SqlType("VARCHAR", 12, None, "'")
VARBINARY = SqlType("VARBINARY", -3, None, "'")
BOOLEAN = SqlType("BOOLEAN", -7, 1)
DATE = SqlType("DATE", 91, 10, "'", subcode=1, verbose=9)
TIME = SqlType("TIME", 92, 15, "'", subcode=2, verbose=9)
TIMESTAMP = SqlType("TIMESTAMP", 93, 26, "'", subcode=3, verbose=9)
TIMESTAMP_TZ = SqlType("TIMESTAMP WITH TIME ZONE", 93, 32, "'", subcode=5, verbose=9)

TYPES = (
    BIGINT, BOOLEAN, DATE, DECIMAL, DOUBLE, INTEGER, REAL, SMALLINT, TIME, TIMESTAMP, TIMESTAMP_TZ, TINYINT, VARBINARY,
    VARCHAR,
)  # fmt: skip


def sql_type(kind: pa.DataType) -> SqlType:
    """Returns the SQL type whose values an Arrow type holds."""
    types = pa.types
    for test, found in (
        (types.is_int64, BIGINT),
        (types.is_uint64, DECIMAL),
        (types.is_int32, INTEGER),
        (types.is_uint32, BIGINT),
        (types.is_int16, SMALLINT),
        (types.is_uint16, INTEGER),
        (types.is_int8, TINYINT),
        (types.is_uint8, SMALLINT),
        (types.is_float64, DOUBLE),
        (types.is_float32, REAL),
        (types.is_decimal, DECIMAL),
        (types.is_boolean, BOOLEAN),
        (types.is_date, DATE),
        (types.is_time, TIME),
        (types.is_binary, VARBINARY),
    ):
        if test(kind):
            return found
    if types.is_timestamp(kind):
        return TIMESTAMP_TZ if kind.tz else TIMESTAMP
    return VARCHAR


def type_info(code: int | None = None) -> pa.Table:
    """Returns the types, or those of one XDBC code, ordered by code and name."""
    wanted = [t for t in TYPES if code is None or t.code == code]
    rows = [_row(t) for t in sorted(wanted, key=lambda t: (t.code, t.name))]
    return pa.Table.from_pylist(rows, TYPE_INFO)


def _row(kind: SqlType) -> dict[str, object]:
    numeric = kind.radix is not None
    return {
        "type_name": kind.name,
        "data_type": kind.code,
        "column_size": kind.size,
        "literal_prefix": kind.quoted,
        "literal_suffix": kind.quoted,
        "create_params": list(kind.parameters) or None,
        "nullable": 1,
        "case_sensitive": kind is VARCHAR,
        "searchable": 3 if kind is VARCHAR else 2,
        "unsigned_attribute": False if numeric else None,
        "fixed_prec_scale": False,
        "auto_increment": False if numeric else None,
        "local_type_name": kind.name,
        "minimum_scale": kind.scales[0] if kind.scales else None,
        "maximum_scale": kind.scales[1] if kind.scales else None,
        "sql_data_type": kind.verbose or kind.code,
        "datetime_subcode": kind.subcode,
        "num_prec_radix": kind.radix,
        "interval_precision": None,
    }


def column_metadata(catalog: str, schema: str, table: str, field: pa.Field, remarks: str | None) -> dict[str, str]:
    """Returns what clients read about a column from its field's metadata."""
    kind = sql_type(field.type)
    precision, scale = kind.size, None
    if pa.types.is_decimal(field.type):
        precision, scale = field.type.precision, field.type.scale
    found = {
        "ARROW:FLIGHT:SQL:CATALOG_NAME": catalog,
        "ARROW:FLIGHT:SQL:DB_SCHEMA_NAME": schema,
        "ARROW:FLIGHT:SQL:TABLE_NAME": table,
        "ARROW:FLIGHT:SQL:TYPE_NAME": kind.name,
        "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT": "0",
        "ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE": "1" if kind is VARCHAR else "0",
        "ARROW:FLIGHT:SQL:IS_READ_ONLY": "1",
        "ARROW:FLIGHT:SQL:IS_SEARCHABLE": "1",
    }
    if precision is not None:
        found["ARROW:FLIGHT:SQL:PRECISION"] = str(precision)
    if scale is not None:
        found["ARROW:FLIGHT:SQL:SCALE"] = str(scale)
    if remarks:
        found["ARROW:FLIGHT:SQL:REMARKS"] = remarks
    return found
