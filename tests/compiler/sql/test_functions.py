"""The portable functions mean what the catalogue says: run on DuckDB, and written without a parse error elsewhere."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pytest
import sqlglot
from sagitta_compiler import CompileContext, load_model, read_query
from sagitta_compiler.compile import compile_query
from sagitta_compiler.expressions.catalogue import CATALOGUE
from sagitta_compiler.sql.dialects import DIALECTS

COLUMNS = {
    "Id": ("id", "int"),
    "Text": ("t", "string"),
    "N": ("n", "int"),
    "X": ("x", "float"),
    "Nothing": ("z", "int"),
    "Day": ("d", "date"),
    "Later": ("e", "date"),
    "At": ("ts", "timestamp"),
    "Doc": ("j", "json"),
}
ROW = (
    "CREATE TABLE one AS SELECT 1 AS id, ' Añb-c ' AS t, -7 AS n, 2.5::DOUBLE AS x, NULL::INTEGER AS z, "
    "DATE '2024-02-29' AS d, DATE '2025-01-01' AS e, TIMESTAMP '2024-02-29 13:45:10' AS ts, "
    """'{"a": {"b": "v"}, "l": [1, 2], "n": null}'::JSON AS j"""
)
CASES: list[tuple[str, Any]] = [
    ("substring({Text}, 2, 3)", "Añb"),
    ("substring({Text}, 4)", "b-c "),
    ("concat('a', {Text}, 'z')", "a Añb-c z"),
    ("concat('a', {Nothing})", None),
    ("upper({Text})", " AÑB-C "),
    ("lower({Text})", " añb-c "),
    ("trim({Text})", "Añb-c"),
    ("ltrim({Text})", "Añb-c "),
    ("rtrim({Text})", " Añb-c"),
    ("length({Text})", 7),
    ("replace({Text}, 'b', 'B')", " AñB-c "),
    ("position('b', {Text})", 4),
    ("position('q', {Text})", 0),
    ("split_part({Text}, '-', 2)", "c "),
    ("split_part({Text}, '-', 9)", ""),
    ("lpad('7', 3, '0')", "007"),
    ("rpad('7', 3, '0')", "700"),
    ("lpad('7', 3)", "  7"),
    ("starts_with(trim({Text}), 'Añ')", True),
    ("ends_with({Text}, 'c')", False),
    ("abs({N})", 7),
    ("sign({N})", -1),
    ("floor({X})", 2),
    ("ceil({X})", 3),
    ("sqrt({N} * {N})", 7),
    ("sqrt({N})", None),
    ("ln(1)", 0),
    ("ln({N})", None),
    ("exp(0)", 1),
    ("power({X}, 2)", 6.25),
    ("round({X})", 3),
    ("round(-2.5)", -3),
    ("round(2.345, 2)", 2.35),
    ("trunc({X} * -1)", -2),
    ("mod({N}, 4)", -3),
    ("mod({N}, 0)", None),
    ("div({N}, 2)", -3),
    ("div({N}, 0)", None),
    ("log(2, 8)", 3),
    ("log(1, 8)", None),
    ("log(2, {N})", None),
    ("coalesce({Nothing}, {N})", -7),
    ("nullif({N}, -7)", None),
    ("greatest(1, 2)", 2),
    ("greatest(1, {Nothing})", None),
    ("least(1, 2)", 1),
    ("least(1, {Nothing})", None),
    ("date_trunc('month', {Day})", dt.date(2024, 2, 1)),
    ("date_trunc('week', {Day})", dt.date(2024, 2, 26)),
    ("date_add('month', 12, {Day})", dt.date(2025, 2, 28)),
    ("date_add('day', {N}, {Day})", dt.date(2024, 2, 22)),
    ("date_diff('year', {Day}, {Later})", 1),
    ("date_diff('month', {Day}, {Later})", 11),
    ("date_diff('day', {Day}, {Later})", 307),
    ("date_diff('week', {Day}, {Later})", 44),
    ("date_diff('hour', {At}, {At})", 0),
    ("extract('year', {Day})", 2024),
    ("extract('week', {Later})", 1),
    ("last_day({Day})", dt.date(2024, 2, 29)),
    ("json_value({Doc}, '$.a.b')", "v"),
    ("json_value({Doc}, '$.l[1]')", "2"),
    ("json_value({Doc}, '$.a')", None),
    ("json_value({Doc}, '$.l')", None),
    ("json_value({Doc}, '$.q')", None),
    ("json_value({Doc}, '$.n')", None),
    ("{X} / 0", None),
    ("{X} / ({N} + 7)", None),
    ("1 / 4", 0.25),
    ("{N} - ({X} - 1)", -8.5),
    ("CASE WHEN {N} < 0 AND ({X} > 5 OR {X} = 2.5) THEN 'yes' ELSE 'no' END", "yes"),
    ("CAST({N} AS VARCHAR) || '!'", "-7!"),
]


def sql_of(expression: str, dialect: str = "duckdb") -> str:
    columns: dict[str, Any] = {name: {"code": code, "abstractType": kind} for name, (code, kind) in COLUMNS.items()}
    columns["Out"] = {"expression": expression, "abstractType": "string"}
    loaded = load_model({"version": 1.0, "dataObjects": {"One": {"code": "one", "schema": "main", "columns": columns}}})
    assert loaded.model is not None, loaded.diagnostics
    query, _ = read_query({"select": {"fields": ["One.Out"]}})
    assert query is not None
    return compile_query(loaded.model, query, CompileContext(dialect=dialect)).sql


@pytest.fixture(scope="module")
def one() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(ROW)
    return connection


@pytest.mark.parametrize(("expression", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_the_pinned_meaning(one: duckdb.DuckDBPyConnection, expression: str, wanted: Any) -> None:
    found = one.sql(sql_of(expression)).fetchall()[0][0]
    if isinstance(found, dt.datetime) and not isinstance(wanted, dt.datetime):
        found = found.date()
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        assert float(found) == pytest.approx(wanted)
    else:
        assert found == wanted


def test_every_function_of_the_catalogue_is_tried() -> None:
    text = " ".join(expression for expression, _ in CASES)
    assert {name for name in CATALOGUE if f"{name}(" not in text} == {"current_date"}
    assert "CURRENT_DATE" in sql_of("current_date()")


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_writes_them_all(dialect: str) -> None:
    for expression, _ in CASES:
        sqlglot.parse_one(sql_of(expression, dialect), dialect=dialect)


def test_a_function_beyond_the_catalogue_passes_as_written(one: duckdb.DuckDBPyConnection) -> None:
    assert 'BIT_COUNT("One"."n")' in sql_of("BIT_COUNT({N})")
