"""What a dialect promises beyond parsing: its own words where a meaning hangs on them."""

from __future__ import annotations

from typing import Any

import pytest
from sagitta_compiler import CompileContext, CompileError, load_model, read_query
from sagitta_compiler.compile import compile_query
from sagitta_compiler.sql.dialects import DIALECTS

COLUMN = {"dataObject": "Sales", "column": "Amount"}
MODEL: dict[str, Any] = {
    "version": 1.0,
    "dataObjects": {
        "Sales": {
            "code": "sales",
            "schema": "shop",
            "database": "wh",
            "columns": {
                "Id": {"code": "id", "abstractType": "int", "primaryKey": True},
                "Name": {"code": "name", "abstractType": "string"},
                "Day": {"code": "day", "abstractType": "date"},
                "Amount": {"code": "amount", "abstractType": "float"},
            },
        }
    },
    "dimensions": {
        "Name": {"dataObject": "Sales", "column": "Name", "resultType": "string"},
        "Week": {"dataObject": "Sales", "column": "Day", "resultType": "date", "timeGrain": "week"},
    },
    "measures": {
        "Mid": {"aggregation": "median", "columns": [COLUMN]},
        "Most": {"aggregation": "mode", "columns": [COLUMN]},
        "Some": {"aggregation": "any_value", "columns": [COLUMN]},
        "Sum": {"aggregation": "sum", "columns": [COLUMN]},
    },
    "metrics": {"Mean": {"expression": "{[Sum]} / {[Sales Count]}"}},
}


def sql(dialect: str, *dimensions: str, measures: tuple[str, ...] = (), **rest: Any) -> str:
    model = load_model(MODEL).model
    assert model is not None
    query, _ = read_query({"select": {"dimensions": list(dimensions), "measures": list(measures)}, **rest})
    assert query is not None
    return compile_query(model, query, CompileContext(dialect=dialect)).sql


CONTAINS = {"where": [{"field": "Name", "op": "contains", "value": "50%"}]}


@pytest.mark.parametrize(
    ("dialect", "arguments", "words"),
    [
        ("postgres", {"measures": ("Mid",)}, "PERCENTILE_CONT(0.5) WITHIN GROUP"),
        ("postgres", {"measures": ("Most",)}, "MODE() WITHIN GROUP"),
        ("postgres", {"measures": ("Some",)}, "FILTER(WHERE NOT"),
        ("postgres", {"measures": ("Some",)}, ")[1]"),
        ("bigquery", {"measures": ("Mid",)}, "PERCENTILE_CONT(`v`, 0.5) OVER () FROM UNNEST(ARRAY_AGG("),
        ("bigquery", CONTAINS, "STRPOS(LOWER("),
        ("bigquery", {}, "`wh`.`shop`.`sales`"),
        ("clickhouse", {"measures": ("Mid",)}, "quantileExactInclusive(0.5)("),
        ("clickhouse", {"measures": ("Most",)}, "sumMapIf("),
        ("clickhouse", {"measures": ("Mean",)}, "toFloat64("),
        ("clickhouse", {}, "SETTINGS join_use_nulls = 1, aggregate_functions_null_for_empty = 1"),
        ("mysql", {"measures": ("Mean",)}, "AS DECIMAL(38, 14)) / NULLIF("),
        ("snowflake", {}, '"wh"."shop"."sales"'),
        ("duckdb", {}, '"shop"."sales"'),
        ("duckdb", CONTAINS, "ILIKE '%50!%%' ESCAPE '!'"),
        ("duckdb", {"measures": ("Mid",)}, 'MEDIAN(CAST("Sales"."amount" AS DOUBLE))'),
    ],
)
def test_a_meaning_is_written_in_the_words_of_the_engine(dialect: str, arguments: dict[str, Any], words: str) -> None:
    assert words in sql(dialect, "Name", **arguments)


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("snowflake", "DAYOFWEEKISO"),
        ("bigquery", "ISOWEEK"),
        ("clickhouse", "toMonday"),
        ("mysql", "WEEKDAY"),
        ("sqlite", "weekday 1"),
    ],
)
def test_weeks_start_on_monday_whatever_the_session_says(dialect: str, words: str) -> None:
    assert words in sql(dialect, "Week")


@pytest.mark.parametrize("dialect", ["mysql", "sqlite", "clickhouse"])
def test_subtotals_are_united_where_the_engine_lacks_them(dialect: str) -> None:
    assert "UNION ALL" in sql(dialect, "Name", "Week", measures=("Sum",), grouping="cube")


def test_an_aggregation_that_an_engine_lacks_is_refused_by_name() -> None:
    with pytest.raises(CompileError, match="UNSUPPORTED_AGGREGATION"):
        sql("mysql", measures=("Mid",))


def test_every_dialect_says_what_it_can() -> None:
    flags = {name: set(dialect.capabilities) for name, dialect in DIALECTS.items()}
    assert len({frozenset(found) for found in flags.values()}) == 1
    assert all(name == dialect.name for name, dialect in DIALECTS.items())
