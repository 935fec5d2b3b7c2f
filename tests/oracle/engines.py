"""Other engines that can run what the compiler writes, each behind the same small face as DuckDB.

Every engine holds the tables of one case in the schema `main`, answers with native values, and says which dialect it
speaks. The modules that they need are optional: ClickHouse is `chdb`, Spark is `pyspark` with a Java.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import pyarrow as pa
from oracle.database import TableTexts

Rows = list[tuple[Any, ...]]


class Engine(Protocol):
    """A database that holds the tables of one case at a time."""

    dialect: ClassVar[str]
    errors: tuple[type[Exception], ...]
    """What it raises when it refuses a statement."""
    exact: ClassVar[bool]
    """Whether it has decimals, dates and booleans of its own; else values are compared loosely."""

    def load(self, tables: TableTexts) -> None: ...

    def run(self, sql: str) -> tuple[tuple[str, ...], Rows]: ...

    def close(self) -> None: ...


class _Held:
    """Loads tables unless they are the ones that are held."""

    def __init__(self) -> None:
        self._held: TableTexts | None = None

    def load(self, tables: TableTexts) -> None:
        if tables is self._held:
            return
        self._fill(tables)
        self._held = tables

    def _fill(self, tables: TableTexts) -> None:
        raise NotImplementedError


# -- SQLite ------------------------------------------------------------------------------------------------------------


class SQLite(_Held):
    """The SQLite of the ADBC driver: dates are text, decimals are doubles, booleans are 0 and 1."""

    dialect: ClassVar = "sqlite"
    exact: ClassVar = False

    def __init__(self) -> None:
        from adbc_driver_sqlite import dbapi

        super().__init__()
        self.errors = (dbapi.Error,)
        self._connect: Callable[[], Any] = lambda: dbapi.connect(":memory:", autocommit=True)
        self.connection = self._connect()

    def _fill(self, tables: TableTexts) -> None:
        self.connection.close()
        self.connection = self._connect()
        with self.connection.cursor() as cursor:
            for name, table in tables.items():
                columns = ", ".join(f'"{column}" {_SQLITE.get(_base(t), "")}' for column, t in table["columns"].items())
                cursor.execute(f'CREATE TABLE "{name}" ({columns})')
                for row in table["rows"]:
                    cursor.execute(f'INSERT INTO "{name}" VALUES ({", ".join(map(_sqlite_literal, row))})')

    def run(self, sql: str) -> tuple[tuple[str, ...], Rows]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            names = tuple(column[0] for column in cursor.description or ())
            return names, [tuple(row) for row in cursor.fetchall()]

    def close(self) -> None:
        self.connection.close()


_SQLITE = {"INTEGER": "INTEGER", "BIGINT": "INTEGER", "VARCHAR": "TEXT", "DOUBLE": "REAL", "DECIMAL": "REAL"}


def _sqlite_literal(value: Any) -> str:
    match value:
        case dt.datetime():
            return f"'{value:%Y-%m-%d %H:%M:%S}'"
        case bool():
            return str(int(value))
        case list():
            return _literal(json.dumps(value))
        case _:
            return _literal(value)


def _base(sql_type: str) -> str:
    return sql_type.split("(", 1)[0].strip().upper()


def _literal(value: Any) -> str:
    """A constant as every engine reads it."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case int() | float() | Decimal():
            return str(value)
        case _:
            return "'" + str(value).replace("'", "''") + "'"


# -- ClickHouse --------------------------------------------------------------------------------------------------------


class ClickHouse(_Held):
    """ClickHouse in this process."""

    dialect: ClassVar = "clickhouse"
    exact: ClassVar = True

    def __init__(self) -> None:
        import chdb

        super().__init__()
        self.errors = (RuntimeError, chdb.ChdbError)
        self.connection = chdb.connect(":memory:")

    def _fill(self, tables: TableTexts) -> None:
        self.connection.query("DROP DATABASE IF EXISTS main SYNC")
        self.connection.query("CREATE DATABASE main")
        self.connection.query("USE main")
        for name, table in tables.items():
            columns = ", ".join(f"`{column}` {_clickhouse_type(kind)}" for column, kind in table["columns"].items())
            self.connection.query(f"CREATE TABLE main.`{name}` ({columns}) ENGINE = Memory")
            if table["rows"]:
                rows = ", ".join("(" + ", ".join(map(_clickhouse_literal, row)) + ")" for row in table["rows"])
                self.connection.query(f"INSERT INTO main.`{name}` VALUES {rows}")

    def run(self, sql: str) -> tuple[tuple[str, ...], Rows]:
        try:
            answer = self.connection.query(sql, "ArrowStream").bytes()
        except self.errors:
            self.connection.query("SELECT 1")  # a statement that failed half-way leaves its output to the next
            raise
        found = pa.ipc.open_stream(answer).read_all()
        columns = [_plain(column) for column in found.columns]
        return tuple(found.column_names), list(zip(*columns, strict=True)) if found.num_rows else []

    def close(self) -> None:
        self.connection.close()


_CLICKHOUSE = {
    "INTEGER": "Int32",
    "BIGINT": "Int64",
    "VARCHAR": "String",
    "DOUBLE": "Float64",
    "DATE": "Date32",
    "TIMESTAMP": "DateTime64(6)",
    "BOOLEAN": "Bool",
}


def _clickhouse_type(sql_type: str) -> str:
    if sql_type.endswith("[]"):
        return f"Array({_clickhouse_type(sql_type[:-2])})"
    if fields := re.fullmatch(r"STRUCT\((.*)\)", sql_type, re.IGNORECASE):
        pairs = [pair.strip().split(" ", 1) for pair in _split(fields[1])]
        return "Tuple(" + ", ".join(f"{name} {_clickhouse_type(kind)}" for name, kind in pairs) + ")"
    return f"Nullable({_CLICKHOUSE.get(sql_type.upper(), sql_type)})"


def _split(fields: str) -> list[str]:
    return re.split(r",\s*(?![^()]*\))", fields)


def _clickhouse_literal(value: Any) -> str:
    match value:
        case list():
            return "[" + ", ".join(map(_clickhouse_literal, value)) + "]"
        case dict():
            return "(" + ", ".join(map(_clickhouse_literal, value.values())) + ")"
        case dt.datetime():
            return f"'{value:%Y-%m-%d %H:%M:%S}'"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case _:
            return _literal(value)


def _plain(column: Any) -> list[Any]:
    """The values of an Arrow column; text may come as bytes."""
    return [cell.decode() if isinstance(cell, bytes) else cell for cell in column.to_pylist()]


# -- Spark -------------------------------------------------------------------------------------------------------------


class Spark(_Held):
    """Spark in a Java of its own; tables are views over constants."""

    dialect: ClassVar = "spark"
    exact: ClassVar = True

    def __init__(self) -> None:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        super().__init__()
        self.errors = (PySparkException,)
        builder = SparkSession.builder.master("local[1]").appName("sagitta")
        for key, value in _SPARK_SETTINGS.items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")

    def _fill(self, tables: TableTexts) -> None:
        self.session.sql("DROP DATABASE IF EXISTS main CASCADE")
        self.session.sql("CREATE DATABASE main")
        self.session.sql("USE main")
        for name, table in tables.items():
            self.session.sql(f"CREATE VIEW main.`{name}` AS {_spark_rows(table['columns'], table['rows'])}")

    def run(self, sql: str) -> tuple[tuple[str, ...], Rows]:
        frame = self.session.sql(sql)
        return tuple(frame.columns), [tuple(row) for row in frame.collect()]

    def close(self) -> None:
        self.session.stop()


_SPARK_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.catalogImplementation": "in-memory",
}
_SPARK = {"INTEGER": "INT", "VARCHAR": "STRING", "TIMESTAMP": "TIMESTAMP_NTZ"}


def _spark_type(sql_type: str) -> str:
    if sql_type.endswith("[]"):
        return f"ARRAY<{_spark_type(sql_type[:-2])}>"
    if fields := re.fullmatch(r"STRUCT\((.*)\)", sql_type, re.IGNORECASE):
        pairs = [pair.strip().split(" ", 1) for pair in _split(fields[1])]
        return "STRUCT<" + ", ".join(f"{name}: {_spark_type(kind)}" for name, kind in pairs) + ">"
    return _SPARK.get(sql_type.upper(), sql_type)


def _spark_rows(columns: dict[str, str], rows: Sequence[Sequence[Any]]) -> str:
    types = [_spark_type(kind) for kind in columns.values()]
    shown = [
        f"CAST(c{place} AS {kind}) AS `{name}`" for place, (name, kind) in enumerate(zip(columns, types, strict=True))
    ]
    names = ", ".join(f"c{place}" for place in range(len(types)))
    filled = rows or [[None] * len(types)]
    values = ", ".join(
        "(" + ", ".join(_spark_cell(cell, kind) for cell, kind in zip(row, types, strict=True)) + ")" for row in filled
    )
    where = "" if rows else " WHERE FALSE"
    return f"SELECT {', '.join(shown)} FROM VALUES {values} AS t({names}){where}"


def _spark_cell(value: Any, kind: str) -> str:
    return f"CAST({_spark_literal(value)} AS {kind})"


def _spark_literal(value: Any) -> str:
    match value:
        case list():
            return "ARRAY(" + ", ".join(map(_spark_literal, value)) + ")"
        case dict():
            return "NAMED_STRUCT(" + ", ".join(f"'{key}', {_spark_literal(cell)}" for key, cell in value.items()) + ")"
        case float():
            return f"{value!r}D"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case _:
            return _literal(value)


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


class Postgres(_Held):
    """A PostgreSQL server."""

    dialect: ClassVar = "postgres"
    exact: ClassVar = True

    def __init__(self, uri: str) -> None:
        import psycopg

        super().__init__()
        self.errors = (psycopg.Error,)
        self.connection = psycopg.connect(uri, autocommit=True)

    def _fill(self, tables: TableTexts) -> None:
        self._execute("DROP SCHEMA IF EXISTS main CASCADE; CREATE SCHEMA main; SET search_path = main")
        for name, table in tables.items():
            columns = ", ".join(f'"{column}" {_postgres_type(t)}' for column, t in table["columns"].items())
            self._execute(f'CREATE TABLE "{name}" ({columns})')
            if table["rows"]:
                rows = ", ".join("(" + ", ".join(map(_postgres_literal, row)) + ")" for row in table["rows"])
                self._execute(f'INSERT INTO "{name}" VALUES {rows}')

    def _execute(self, sql: str) -> Any:
        return self.connection.execute(sql)  # type: ignore[call-overload]

    def run(self, sql: str) -> tuple[tuple[str, ...], Rows]:
        result = self._execute(sql)
        return tuple(column.name for column in result.description or ()), result.fetchall()

    def close(self) -> None:
        self.connection.close()


_POSTGRES = {"DOUBLE": "DOUBLE PRECISION", "VARCHAR": "TEXT"}


def _postgres_type(sql_type: str) -> str:
    return "JSONB" if sql_type.endswith("[]") else _POSTGRES.get(sql_type, sql_type)


def _postgres_literal(value: Any) -> str:
    return _literal(json.dumps(value) if isinstance(value, list) else value)
