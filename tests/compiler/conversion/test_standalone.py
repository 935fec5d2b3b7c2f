"""A model that was merged is converted as what it was merged to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sagitta_compiler import LoadedModel, load_model
from sagitta_compiler.conversion import obml_to_osi, osi_to_obml, standalone
from sagitta_compiler.model.resolved import ResolvedModel

BASE = """
version: 1.0
name: shop
dataObjects:
  Order:
    code: orders
    schema: main
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Country: {code: country, abstractType: string}
    rowPolicy: {filters: [{field: Country, operator: in, value: "{claims.countries}"}]}
dimensions:
  Country: {dataObject: Order, column: Country}
measures:
  Orders: {aggregation: count, columns: [{dataObject: Order, column: Id}]}
"""
FRAGMENT = "metrics: {Half: {expression: '{[Orders]} / 2', description: 'one: two'}}"
CHILD = "version: 1.0\nname: child\nmetrics: {Double: {expression: '{[Orders]} * 2'}}\n"


def merged(how: str) -> LoadedModel:
    if how == "extends":
        return load_model(BASE, extends=[FRAGMENT])
    if how == "files":
        return load_model(f"extends: [more.yaml]\n{BASE}", files={"more.yaml": FRAGMENT})
    return load_model(CHILD, inherits=load_model(BASE.replace("name: shop\n", "")))


def meaning(loaded: LoadedModel) -> ResolvedModel:
    assert loaded.model is not None, loaded.errors
    return replace(loaded.model, extends=(), inherits=None)


@pytest.mark.parametrize("how", ["extends", "files", "inherits"])
def test_the_text_of_a_merged_model_means_the_same(how: str) -> None:
    assert meaning(load_model(standalone(merged(how)))) == meaning(merged(how))


@pytest.mark.parametrize("how", ["extends", "files", "inherits"])
def test_a_merged_model_goes_to_osi_and_comes_back(how: str) -> None:
    converted = obml_to_osi(standalone(merged(how)))
    assert converted.validation.schema_valid
    assert meaning(load_model(osi_to_obml(converted.output_yaml).output_yaml)) == meaning(merged(how))


def test_osi_says_that_it_has_no_row_policies() -> None:
    assert any("row policy" in warning for warning in obml_to_osi(BASE).warnings)


def test_a_model_that_stands_alone_keeps_its_text() -> None:
    assert standalone(load_model(BASE)) == BASE
