"""A shop of five orders: its tables, its model, and SQL on the model as SQL on the tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import duckdb
from sagitta_compiler import CompileContext, compile_query
from sagitta_compiler.query.query import Scalar
from sagitta_compiler.query.semantic_sql import SemanticStatement, SqlCatalog, compile_statement, translate_sql

MODEL = """
version: 1.0
name: shop
dataObjects:
  Customers:
    code: customers
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Name: {code: name, abstractType: string}
      Country: {code: country, abstractType: string}
      Limit: {code: lim, abstractType: float}
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: customer_id, abstractType: int}
      Day: {code: ordered_on, abstractType: date}
      Amount: {code: amount, abstractType: float}
      Status: {code: status, abstractType: string}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Cust], columnsTo: [Id]}
dimensions:
  Country: {dataObject: Customers, column: Country, resultType: string}
  Customer: {dataObject: Customers, column: Name, resultType: string}
  Order Day: {dataObject: Orders, column: Day, resultType: date}
  Order Month: {dataObject: Orders, column: Day, resultType: date, timeGrain: month}
  Status: {dataObject: Orders, column: Status, resultType: string}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float}
  Buyers: {columns: [{dataObject: Orders, column: Cust}], aggregation: count_distinct, resultType: int}
  Orders N: {columns: [{dataObject: Orders, column: Id}], aggregation: count, resultType: int}
  Mid: {columns: [{dataObject: Orders, column: Amount}], aggregation: median, resultType: float}
  Grand Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float, total: true}
metrics:
  Share: {expression: "{[Revenue]} / {[Grand Revenue]}", dataType: double}
"""
DATA = """
CREATE TABLE customers(id INT, name TEXT, country TEXT, lim DOUBLE);
INSERT INTO customers VALUES (1,'Ann','US',1000),(2,'Bob','DE',500),(3,'Cem','US',700);
CREATE TABLE orders(id INT, customer_id INT, ordered_on DATE, amount DOUBLE, status TEXT);
INSERT INTO orders VALUES (1,1,'2024-01-05',100,'paid'),(2,1,'2024-02-10',50,'paid'),(3,2,'2024-01-20',80,'open'),
 (4,2,'2025-01-15',120,'paid'),(5,NULL,'2025-02-01',30,'paid');
CREATE VIEW o AS SELECT orders.*, name, country FROM orders LEFT JOIN customers ON customer_id = customers.id;
"""
NOW = dt.datetime(2025, 2, 10, 12, 0, tzinfo=dt.UTC)


def compiled(sql: str, catalog: SqlCatalog, parameters: Sequence[Scalar] = ()) -> tuple[str, list[str]]:
    statement = translate_sql(sql, catalog, parameters=parameters, now=NOW)
    assert isinstance(statement, SemanticStatement)
    found = compile_statement(statement, lambda core: compile_query(core.model, core.query, CompileContext(now=NOW)))
    return found.sql, [column.name for column in found.columns]


def rows(database: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    return database.sql(sql).fetchall()
