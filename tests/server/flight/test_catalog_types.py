"""The types that GetTables tells are those of the rows, for every kind of measure and metric."""

from __future__ import annotations

import copy
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from oracle import features
from oracle.database import Database
from oracle.shop import SALES, shop
from sagitta_compiler import compile_query, load_model
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.query.query import DimensionItem, MeasureItem, Query
from sagitta_compiler.query.semantic_sql.catalog import TableColumn, dimension_columns, measure_columns, metric_columns
from sagitta_server.execution.conform import declared_schema, plain_schema
from sagitta_server.flight.catalog import column_type

_INPUTS = ("sum of integers", "sum of decimals", "count", "minimum")


def _document() -> dict[str, Any]:
    model = copy.deepcopy(shop().model)
    measures = {name: make(SALES) for name, make in (features.MEASURES | features.NESTED).items()}
    basic = {f"{SALES} sum": features.MEASURES["sum"](SALES), f"{SALES} tally": features.MEASURES["count"](SALES)}
    model["measures"] = {**basic, **measures}
    model["metrics"] = {kind: make("sum of integers", "count") for kind, make in features.DERIVED.items()}
    for name in _INPUTS:
        made = {kind: make(name, "") for kind, make in features.UNTIMED.items()}
        made |= {kind: make(name, f"{SALES} Month") for kind, make in features.TIMED.items()}
        model["metrics"] |= {f"{kind} of {name}": metric for kind, metric in made.items()}
    price = model["dataObjects"][SALES]["columns"]["Price"]
    model["dataObjects"][SALES]["columns"]["Price"] = {**price, "sqlPrecision": 12, "sqlScale": 2}
    model["dimensions"][f"{SALES} Price"] = {"dataObject": SALES, "column": "Price", "resultType": "float"}
    return model


@pytest.fixture(scope="module")
def model() -> ResolvedModel:
    loaded = load_model(_document()).model
    assert loaded is not None
    return loaded


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    database = Database()
    database.load(shop().tables)
    return database.connection


def _in_rows(model: ResolvedModel, warehouse: duckdb.DuckDBPyConnection, column: TableColumn, query: Query) -> Any:
    compiled = compile_query(model, query)
    schema = warehouse.sql(compiled.sql).to_arrow_reader(100).schema
    return declared_schema(plain_schema(schema), compiled.columns).field(column.name).type


def _same(told: Any, shown: Any) -> bool:
    """The width of whole numbers is the warehouse's own."""
    return bool(told == shown or (pa.types.is_integer(told) and pa.types.is_integer(shown)))


def test_the_types_of_measures_and_metrics_are_those_of_their_rows(
    model: ResolvedModel, warehouse: duckdb.DuckDBPyConnection
) -> None:
    by = (DimensionItem(f"{SALES} Month"), DimensionItem(f"{SALES} Kind"))
    wrong = []
    columns = [c for c in (*measure_columns(model), *metric_columns(model)) if not c.name.endswith(" Count")]
    for column in columns:
        shown = _in_rows(model, warehouse, column, Query(dimensions=by, measures=(MeasureItem(column.name),)))
        if not _same(column_type(column), shown):
            wrong.append((column.name, column_type(column), shown))
    assert len(columns) > 150
    assert not wrong


def test_a_dimension_with_declared_digits_is_a_decimal(
    model: ResolvedModel, warehouse: duckdb.DuckDBPyConnection
) -> None:
    column = next(c for c in dimension_columns(model) if c.name == f"{SALES} Price")
    shown = _in_rows(model, warehouse, column, Query(dimensions=(DimensionItem(column.name),)))
    assert column_type(column) == shown == pa.decimal128(12, 2)
