"""Groups of filters mean the same in every form in which a query comes."""

from __future__ import annotations

from typing import Any

import pytest
from sagitta_compiler import CompileError, compile_query, load_model, read_query
from sagitta_compiler.query.query import DimensionItem, FilterGroup, FilterNode, Logic, MeasureItem, Query

MODEL = """
version: 1.0
dataObjects:
  Sales: {code: sales, schema: s, columns: {Shop: {code: shop, abstractType: string}}}
dimensions: {Shop: {dataObject: Sales, column: Shop}}
measures: {Rows: {columns: [{dataObject: Sales, column: Shop}], aggregation: count}}
"""
ALL = FilterGroup(Logic.AND, ())
NONE = FilterGroup(Logic.OR, ())


def written(node: FilterNode) -> dict[str, Any]:
    assert isinstance(node, FilterGroup)
    return {"logic": node.logic.value, "filters": [written(part) for part in node.filters], "negated": node.negated}


@pytest.mark.parametrize("place", ["where", "having", "measure"])
@pytest.mark.parametrize("group", [ALL, FilterGroup(Logic.AND, (), negated=True), FilterGroup(Logic.AND, (NONE, ALL))])
def test_a_group_of_nothing_is_refused_alike_as_a_value_and_as_a_document(place: str, group: FilterGroup) -> None:
    model = load_model(MODEL).model
    assert model is not None
    inside = (group,)
    query = Query(
        dimensions=(DimensionItem("Shop"),),
        measures=(MeasureItem("Rows", filters=inside if place == "measure" else ()),),
        where=inside if place == "where" else (),
        having=inside if place == "having" else (),
    )
    rows = {"measure": "Rows", "filter": [written(group)]} if place == "measure" else "Rows"
    document: dict[str, Any] = {"select": {"dimensions": ["Shop"], "measures": [rows]}}
    if place != "measure":
        document[place] = [written(group)]
    _, (found,) = read_query(document)
    with pytest.raises(CompileError) as refused:
        compile_query(model, query)
    (same,) = refused.value.diagnostics
    assert (same.code, same.message, same.path, same.hint) == (found.code, found.message, found.path, found.hint)


def test_an_or_of_nothing_holds_for_no_row() -> None:
    model = load_model(MODEL).model
    assert model is not None
    query = Query(dimensions=(DimensionItem("Shop"),), measures=(MeasureItem("Rows"),), where=(NONE,))
    assert "WHERE FALSE" in compile_query(model, query).sql
