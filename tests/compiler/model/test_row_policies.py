"""Row policies: read from a model, bound to a caller, and on every way from a measure to its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
import pytest
from sagitta_compiler import CompileContext, CompileError, compile_query, load_model, read_query
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.model.row_policies import MissingClaimError, PolicyCaller, bind_row_policies

MODEL = """
version: 1.0
name: shop
dataObjects:
  Customer:
    code: customers
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Country: {code: country, abstractType: string}
    rowPolicy:
      filters: [{field: Country, op: in, value: "{claims.countries}"}]
      exemptRoles: [auditor]
  Order:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Customer Id: {code: customer_id, abstractType: int}
      Amount: {code: amount, abstractType: int}
    joins: [{joinType: many-to-one, joinTo: Customer, columnsFrom: [Customer Id], columnsTo: [Id]}]
  Big Order:
    query: {select: {fields: [Order.Id, Order.Amount]}, where: [{field: Order.Amount, op: gte, value: 20}]}
    columns: {Id: {code: Order.Id, abstractType: int}, Amount: {code: Order.Amount, abstractType: int}}
  Everything:
    unionOf:
      - {dataObject: Order, value: order, columns: {Number: Amount}}
      - {dataObject: Customer, value: customer, columns: {Number: Id}}
    discriminator: Kind
    columns: {Kind: {abstractType: string}, Number: {abstractType: int}}
dimensions:
  Country: {dataObject: Customer, column: Country, resultType: string}
  Kind: {dataObject: Everything, column: Kind, resultType: string}
measures:
  Revenue: {aggregation: sum, columns: [{dataObject: Order, column: Amount}]}
  All Revenue: {aggregation: sum, columns: [{dataObject: Order, column: Amount}], total: true}
  Big Revenue: {aggregation: sum, columns: [{dataObject: Big Order, column: Amount}]}
  Numbers: {aggregation: sum, columns: [{dataObject: Everything, column: Number}]}
"""


@pytest.fixture(scope="module")
def data() -> Iterable[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE customers AS FROM (VALUES (1, 'DE'), (2, 'US'), (3, 'FR')) t(id, country)")
        connection.execute(
            "CREATE TABLE orders AS FROM (VALUES (1, 1, 10), (2, 1, 20), (3, 2, 40), (4, 3, 80), (5, NULL, 160)) "
            "t(id, customer_id, amount)"
        )
        yield connection


def model_of(text: str = MODEL) -> ResolvedModel:
    loaded = load_model(text)
    assert loaded.model is not None, loaded.errors
    return loaded.model


def caller(*countries: str, roles: Iterable[str] = ()) -> PolicyCaller:
    return PolicyCaller({"countries": countries} if countries else {}, frozenset(roles))


def rows(data: duckdb.DuckDBPyConnection, who: PolicyCaller, query: dict[str, Any]) -> list[tuple[Any, ...]]:
    model = model_of()
    read, found = read_query(query)
    assert read is not None, found
    compiled = compile_query(model, read, CompileContext(row_policies=bind_row_policies(model, who)))
    return sorted(data.execute(compiled.sql).fetchall(), key=repr)


BY_COUNTRY = {"select": {"dimensions": ["Country"], "measures": ["Revenue", "All Revenue", "Customer Count"]}}


def test_a_caller_sees_the_rows_of_the_claim_in_every_measure(data: duckdb.DuckDBPyConnection) -> None:
    assert rows(data, caller("DE"), BY_COUNTRY) == [("DE", 30, 30, 1)]
    assert rows(data, caller("DE", "US"), BY_COUNTRY) == [("DE", 30, 70, 1), ("US", 40, 70, 1)]


def test_an_exempt_role_sees_everything(data: duckdb.DuckDBPyConnection) -> None:
    found = rows(data, caller(roles=["auditor"]), BY_COUNTRY)
    assert [row[:2] for row in found] == [("DE", 30), ("FR", 80), ("US", 40), (None, 160)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"select": {"fields": ["Order.Id"]}}, [(1,), (2,)]),
        ({"select": {"fields": ["Customer.Country"]}}, [("DE",)]),
        ({"select": {"dimensions": ["Country"]}}, [("DE",)]),
        ({"select": {"measures": ["Big Revenue"]}}, [(20,)]),
        ({"select": {"dimensions": ["Kind"], "measures": ["Numbers"]}}, [("customer", 1), ("order", 30)]),
        (
            {
                "select": {"measures": ["Revenue"]},
                "where": [{"field": "Customer.Country", "op": "in", "value": ["US", "FR"]}],
            },
            [(None,)],
        ),
        (
            {
                "select": {"measures": ["Customer Count"]},
                "where": [{"field": "Customer.Id", "op": "exists", "subquery": {"dataObject": "Order"}}],
            },
            [(1,)],
        ),
    ],
)
def test_no_way_leads_around_a_policy(
    data: duckdb.DuckDBPyConnection, query: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    assert rows(data, caller("DE"), query) == expected


def test_a_caller_without_the_claim_is_refused() -> None:
    with pytest.raises(MissingClaimError, match="claim 'countries', which your credential does not carry"):
        bind_row_policies(model_of(), PolicyCaller())


def test_a_single_operand_takes_a_single_value() -> None:
    model = model_of(MODEL.replace("op: in,", "op: equals,"))
    with pytest.raises(MissingClaimError, match="several values"):
        bind_row_policies(model, caller("DE", "US"))
    assert bind_row_policies(model, caller("DE"))["Customer"][0].values == ("DE",)  # type: ignore[union-attr]


def test_a_model_with_policies_is_refused_where_nobody_says_who_asks() -> None:
    read, _ = read_query(BY_COUNTRY)
    assert read is not None
    with pytest.raises(CompileError) as refused:
        compile_query(model_of(), read)
    assert [d.code for d in refused.value.diagnostics] == ["ROW_POLICY_UNBOUND"]


@pytest.mark.parametrize(
    ("policy", "code", "path"),
    [
        ("{filters: []}", "DATA_OBJECT_PARSE_ERROR", "dataObjects.Customer.rowPolicy"),
        (
            "{filters: [{field: Contry, value: x}]}",
            "UNKNOWN_FILTER_COLUMN",
            "dataObjects.Customer.rowPolicy.filters[0]",
        ),
        (
            "{filters: [{field: Order.Amount, value: 1}]}",
            "UNKNOWN_FILTER_COLUMN",
            "dataObjects.Customer.rowPolicy.filters[0]",
        ),
        (
            '{filters: [{field: Country, value: "x{claims.a}"}]}',
            "DATA_OBJECT_PARSE_ERROR",
            "dataObjects.Customer.rowPolicy.filters[0]",
        ),
        (
            "{filters: [{field: Country, op: nearly, value: x}]}",
            "DATA_OBJECT_PARSE_ERROR",
            "dataObjects.Customer.rowPolicy.filters[0].operator",
        ),
    ],
)
def test_a_wrong_policy_is_a_mistake_of_the_model(policy: str, code: str, path: str) -> None:
    start = MODEL.index("    rowPolicy:")
    end = MODEL.index("  Order:\n")
    loaded = load_model(f"{MODEL[:start]}    rowPolicy: {policy}\n{MODEL[end:]}")
    assert loaded.model is None
    assert [(d.code, d.path) for d in loaded.errors] == [(code, path)]
