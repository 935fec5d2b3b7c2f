"""A mistake in a query is placed exactly: the item of a list, not the list."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sagitta_compiler import CompileContext, CompileError, compile_query, load_model, read_query
from sagitta_compiler.model.resolved import ResolvedModel

MODEL = Path(__file__).parents[1] / "corpus" / "queries" / "shop" / "model.yml"
NOW = dt.datetime(2025, 2, 15, 12, tzinfo=dt.UTC)
SELECT = {"dimensions": ["Country"], "measures": ["Revenue"]}
GOOD = {"field": "Country", "op": "=", "value": "US"}


def bad(field: str = "Contry") -> dict[str, Any]:
    return {"field": field, "op": "=", "value": "US"}


@cache
def model() -> ResolvedModel:
    loaded = load_model(MODEL.read_text())
    assert loaded.model is not None, loaded.errors
    return loaded.model


def places(query: dict[str, Any]) -> list[tuple[str, str]]:
    read, found = read_query(query)
    assert read is not None, found
    with pytest.raises(CompileError) as refused:
        compile_query(model(), read, CompileContext(now=NOW))
    return [(diagnostic.code, diagnostic.path) for diagnostic in refused.value.diagnostics if diagnostic.is_error]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"select": SELECT, "where": [GOOD, bad()]}, [("UNKNOWN_FILTER_FIELD", "where[1]")]),
        (
            {"select": SELECT, "where": [bad("A"), GOOD, bad("B")]},
            [("UNKNOWN_FILTER_FIELD", "where[0]"), ("UNKNOWN_FILTER_FIELD", "where[2]")],
        ),
        (
            {"select": SELECT, "where": [GOOD, {"filters": [GOOD, {"logic": "or", "filters": [GOOD, bad()]}]}]},
            [("UNKNOWN_FILTER_FIELD", "where[1].filters[1].filters[1]")],
        ),
        (
            {"select": SELECT, "where": [GOOD, {"field": "Country", "op": "length_eq", "value": 2}, bad()]},
            [("UNKNOWN_FILTER_FIELD", "where[2]")],
        ),
        (
            {"select": SELECT, "where": [{"field": "Order Day", "op": ">", "value": "soon"}]},
            [("INVALID_FILTER_VALUE", "where[0].value")],
        ),
        (
            {"select": SELECT, "where": [GOOD, {"field": "Order Day", "op": "contains", "value": "2025"}]},
            [("INVALID_FILTER_OPERATOR", "where[1].operator")],
        ),
        (
            {"select": SELECT, "having": [{"field": "Revenue", "op": ">", "value": 1}, bad("Revenu")]},
            [("UNKNOWN_FILTER_FIELD", "having[1]")],
        ),
        (
            {"select": {"dimensions": ["Country", "Contry"], "measures": ["Revenue", "Revenu"]}},
            [("UNKNOWN_DIMENSION", "select.dimensions[1]"), ("UNKNOWN_MEASURE", "select.measures[1]")],
        ),
        (
            {"select": {"measures": ["Revenue", {"measure": "Revenue", "as": "R", "filter": [GOOD, bad()]}]}},
            [("UNKNOWN_FILTER_FIELD", "select.measures[1].filter[1]")],
        ),
        (
            {"select": {"fields": ["Orders.Id", "Orders.Nothing", "Nothing.Id"]}},
            [("RAW_FIELD_UNKNOWN_COLUMN", "select.fields[1]"), ("RAW_FIELD_UNKNOWN_OBJECT", "select.fields[2]")],
        ),
        (
            {"select": SELECT, "orderBy": [{"field": "Revenue"}, {"field": "Revenu"}, {"field": "9"}]},
            [("UNKNOWN_ORDER_BY_FIELD", "orderBy[1]"), ("INVALID_ORDER_BY_POSITION", "orderBy[2]")],
        ),
        (
            {"select": SELECT, "usePathNames": [{"source": "Orders", "target": "Customers", "pathName": "nope"}]},
            [("UNKNOWN_PATH_NAME", "usePathNames[0]")],
        ),
        (
            {
                "select": SELECT,
                "where": [
                    {"field": "Country", "op": "exists", "subquery": {"dataObject": "Orders", "filter": [bad("Amout")]}}
                ],
            },
            [("UNKNOWN_SUBQUERY_FILTER_COLUMN", "where[0].subquery.filter[0]")],
        ),
        (
            {"select": SELECT, "where": [{"field": "Country", "op": "exists", "subquery": {"dataObject": "Ordres"}}]},
            [("UNKNOWN_SUBQUERY_DATA_OBJECT", "where[0].subquery.dataObject")],
        ),
    ],
)
def test_a_mistake_is_placed_at_its_item(query: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert places(query) == found
