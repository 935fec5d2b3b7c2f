"""A model's text becomes the model that its author meant."""

from __future__ import annotations

import pytest
from sagitta_compiler import load_model
from sagitta_compiler.model.resolved import ColumnRef, TableSource
from sagitta_compiler.model.types import Aggregation, Cardinality

SALES = """
version: 1.0
name: Sales
dataObjects:
  Customers:
    code: customers
    schema: main
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Country: {code: country, abstractType: string}
  Orders:
    code: orders
    schema: main
    database: shop
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Customer: {code: customer_id, abstractType: int}
      Amount: {code: amount, abstractType: float}
      Net: {expression: "{Amount} * 0.5", abstractType: float}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Customer], columnsTo: [Id]}
dimensions:
  Country: {dataObject: Customers, column: Country}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum}
metrics:
  Half: {expression: "{[Revenue]} / 2"}
"""


def test_an_ordinary_model_resolves_without_a_word() -> None:
    loaded = load_model(SALES)

    assert loaded.diagnostics == ()
    model = loaded.model
    assert model is not None
    assert model.name == "sales"
    assert model.objects["Orders"].source == TableSource("shop", "main", "orders")
    assert model.objects["Orders"].joins[0].cardinality is Cardinality.MANY_TO_ONE
    assert model.objects["Orders"].primary_key == ("Id",)
    net = model.objects["Orders"].columns["Net"].expression
    assert net is not None
    assert net.columns == (ColumnRef("Orders", "Amount"),)
    assert net.tree.sql() == '"Orders"."Amount" * 0.5'
    assert model.metrics["Half"].expression.measures == ("Revenue",)  # type: ignore[union-attr]


def test_row_counts_are_synthesised_after_the_declared_measures() -> None:
    model = load_model(SALES).model

    assert model is not None
    assert list(model.measures) == ["Revenue", "Customers Count", "Orders Count"]
    count = model.measures["Orders Count"]
    assert count.synthesised
    assert count.aggregation is Aggregation.COUNT
    assert count.count_of == "Orders"


@pytest.mark.parametrize("text", ["", "[]", "5", "null", "{}", "a: [", "\x00", "- x"])
def test_a_text_that_is_no_model_is_refused_in_words(text: str) -> None:
    loaded = load_model(text)

    assert loaded.model is None
    assert loaded.errors
    assert all("Traceback" not in d.message for d in loaded.diagnostics)


def test_metrics_may_refer_to_metrics_declared_later() -> None:
    loaded = load_model(SALES + '  A: {expression: "{[B]} + 1"}\n  B: {expression: "{[Revenue]} * 2"}\n')

    assert loaded.errors == ()
