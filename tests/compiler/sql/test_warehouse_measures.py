"""`aggregation: measure`: a measure that the warehouse defines is asked for by its name, never counted or guessed."""

from __future__ import annotations

from typing import Any

import pytest
from sagitta_compiler import CompileContext, CompileError, load_model, read_query
from sagitta_compiler.compile import compile_query

OBJECT = {"code": "sales_metrics", "schema": "shop", "columns": {"Kind": {"code": "kind", "abstractType": "string"}}}
MODEL: dict[str, Any] = {
    "version": 1.0,
    "dataObjects": {"Sales": OBJECT},
    "dimensions": {"Kind": {"dataObject": "Sales", "column": "Kind", "resultType": "string"}},
    "measures": {"Total": {"aggregation": "measure"}},
    "metrics": {"Double": {"expression": "{[Total]} * 2"}},
}
NARROWED = {"measure": "Total", "filter": [{"field": "Kind", "op": "equals", "value": "x"}], "as": "Narrow"}


def sql(model: dict[str, Any], dialect: str, *measures: Any, **rest: Any) -> str:
    loaded = load_model(model)
    assert loaded.model is not None, loaded.diagnostics
    query, _ = read_query({"select": {"dimensions": ["Kind"], "measures": list(measures)}, **rest})
    assert query is not None
    return compile_query(loaded.model, query, CompileContext(dialect)).sql


@pytest.mark.parametrize("dialect", ["databricks", "spark"])
def test_it_is_asked_for_by_its_name(dialect: str) -> None:
    assert "MEASURE(`Sales`.`Total`) AS `Total`" in sql(MODEL, dialect, "Total", "Double")


def test_having_tests_finished_rows_because_the_engine_does_not_find_it_there() -> None:
    text = sql(MODEL, "spark", "Total", having=[{"field": "Total", "op": "gt", "value": 4}])
    assert "HAVING" not in text
    assert text.endswith("WHERE `finished`.`Total` > 4")


def test_subtotals_ask_once_per_level() -> None:
    assert sql(MODEL, "spark", "Total", grouping="rollup").count("MEASURE(") == 2


def test_elsewhere_it_is_refused() -> None:
    with pytest.raises(CompileError, match="UNSUPPORTED_AGGREGATION"):
        sql(MODEL, "duckdb", "Total")


def test_it_cannot_be_narrowed_alone() -> None:
    with pytest.raises(CompileError, match="UNSUPPORTED_AGGREGATION"):
        sql(MODEL, "spark", NARROWED)


def test_with_several_objects_the_model_must_say_which() -> None:
    model = {**MODEL, "dataObjects": {"Sales": OBJECT, "Other": {**OBJECT, "code": "other"}}}
    with pytest.raises(CompileError, match="ANCHOR_REQUIRED_AMBIGUOUS_KEY"):
        sql(model, "spark", "Total")
    anchored = {**model, "measures": {"Total": {"aggregation": "measure", "anchor": "Sales"}}}
    assert "MEASURE(`Sales`.`Total`)" in sql(anchored, "spark", "Total")
