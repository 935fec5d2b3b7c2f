from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from sagitta_compiler.model.types import AbstractType, DataType
from sagitta_compiler.sql.result import OutputColumn, Role
from sagitta_server.execution import (
    Source,
    SourceError,
    SourceSettings,
    batches_of,
    conform,
    declared_schema,
    open_source,
)


def rows(source: Source, sql: str, *columns: OutputColumn) -> pa.Table:
    stream = source.execute(sql)
    try:
        if columns:
            stream = conform(stream, declared_schema(stream.schema, columns))
        return pa.Table.from_batches(list(batches_of(stream)), stream.schema)
    finally:
        stream.close()


def measure(name: str, declared: DataType) -> OutputColumn:
    return OutputColumn(name, Role.MEASURE, name, data_type=declared)


def test_a_declared_decimal_is_one_whatever_the_warehouse_sends(source: Source) -> None:
    table = rows(source, "SELECT CAST(2 AS NUMERIC) AS x", measure("Amount", DataType("decimal", 18, 2)))
    assert table.schema.field("Amount").type == pa.decimal128(18, 2)
    assert table.to_pylist() == [{"Amount": Decimal("2.00")}]


def test_a_postgres_numeric_with_a_scale_is_a_decimal_without_a_declaration(postgres_source: Source) -> None:
    table = rows(postgres_source, "SELECT 12345678901234567890.12::numeric(38, 2) AS x")
    assert table.schema.field("x").type == pa.decimal128(38, 2)
    assert table.to_pylist() == [{"x": Decimal("12345678901234567890.12")}]


def test_dates_of_sqlite_are_dates_when_the_model_says_so(sqlite_source: Source) -> None:
    column = OutputColumn("Day", Role.DIMENSION, "Day", type=AbstractType.DATE)
    table = rows(sqlite_source, "SELECT '2024-02-29' AS d", column)
    assert str(table.column("Day")[0]) == "2024-02-29"


def test_enumerations_and_identifiers_arrive_as_text() -> None:
    source = open_source("duck", SourceSettings(uri="duckdb:"))
    sql = "SELECT 'a'::ENUM('a', 'b') AS e, '6ecd8c99-4036-403d-bf84-cf8400f67836'::UUID AS u"
    assert source.result_schema(sql) == rows(source, sql).schema
    assert rows(source, sql).to_pylist() == [{"e": "a", "u": "6ecd8c99-4036-403d-bf84-cf8400f67836"}]
    source.close()


@pytest.mark.parametrize(
    ("sql", "declared", "told"),
    [
        ("SELECT [1, 2] AS tags", AbstractType.STRING, "'Tags' come as list<l: int32> and do not fit string"),
        (
            "SELECT TIMESTAMP_NS '2020-01-01 00:00:00.000000001' AS t",
            AbstractType.TIMESTAMP,
            "'Tags' come as timestamp[ns] and do not fit timestamp[us]",
        ),
    ],
)
def test_values_that_do_not_fit_are_told_with_their_column_and_what_to_do(
    sql: str, declared: AbstractType, told: str
) -> None:
    source = open_source("duck", SourceSettings(uri="duckdb:"))
    with pytest.raises(SourceError) as refused:
        rows(source, sql, OutputColumn("Tags", Role.DIMENSION, "Tags", type=declared))
    assert told in str(refused.value)
    assert "Declare a type that they fit" in str(refused.value)
    source.close()


def test_columns_that_fit_already_are_not_touched() -> None:
    source = open_source("duck", SourceSettings(uri="duckdb:"))
    stream = source.execute("SELECT 1::BIGINT AS n")
    shown = conform(stream, declared_schema(stream.schema, (measure("n", DataType("bigint")),)))
    assert shown.native
    shown.close()
    source.close()
