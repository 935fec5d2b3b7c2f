"""Legs aggregated first and united after (what the compiler writes), against raw rows united and aggregated once."""

from __future__ import annotations

import duckdb
from sagitta_compiler import load_model, read_query
from sagitta_compiler.compile import compile_query

from benchmarks.harness import Bench

MODEL = """
version: 1.0
dataObjects:
  Lines:
    code: lineitem
    schema: main
    columns:
      Supplier: {code: l_suppkey, abstractType: int}
      Part: {code: l_partkey, abstractType: int}
      Price: {code: l_extendedprice, abstractType: float}
      Day: {code: l_shipdate, abstractType: date}
    joins:
      - {joinType: many-to-one, joinTo: Suppliers, columnsFrom: [Supplier], columnsTo: [Id]}
      - {joinType: many-to-one, joinTo: Parts, columnsFrom: [Part], columnsTo: [Id]}
  Stock:
    code: partsupp
    schema: main
    columns:
      Supplier: {code: ps_suppkey, abstractType: int}
      Part: {code: ps_partkey, abstractType: int}
      Cost: {code: ps_supplycost, abstractType: float}
      Quantity: {code: ps_availqty, abstractType: int}
    joins:
      - {joinType: many-to-one, joinTo: Suppliers, columnsFrom: [Supplier], columnsTo: [Id]}
      - {joinType: many-to-one, joinTo: Parts, columnsFrom: [Part], columnsTo: [Id]}
  Suppliers:
    code: supplier
    schema: main
    columns:
      Id: {code: s_suppkey, abstractType: int, primaryKey: true}
      Nation: {code: s_nationkey, abstractType: int}
  Parts:
    code: part
    schema: main
    columns: {Id: {code: p_partkey, abstractType: int, primaryKey: true}, Brand: {code: p_brand, abstractType: string}}
dimensions:
  Nation: {dataObject: Suppliers, column: Nation, resultType: int}
  Brand: {dataObject: Parts, column: Brand, resultType: string}
measures:
  Revenue: {columns: [{dataObject: Lines, column: Price}], aggregation: sum, resultType: float, dataType: double}
  Value: {columns: [{dataObject: Stock, column: Cost}], aggregation: sum, resultType: float, dataType: double}
  Items: {columns: [{dataObject: Stock, column: Quantity}], aggregation: sum, resultType: int}
"""

RAW = """
WITH composite AS (
  SELECT s_nationkey AS nation, p_brand AS brand, l_extendedprice AS revenue, NULL AS value, NULL AS items
  FROM main.lineitem LEFT JOIN main.supplier ON l_suppkey = s_suppkey LEFT JOIN main.part ON l_partkey = p_partkey
  UNION ALL
  SELECT s_nationkey, p_brand, NULL, ps_supplycost, ps_availqty
  FROM main.partsupp LEFT JOIN main.supplier ON ps_suppkey = s_suppkey LEFT JOIN main.part ON ps_partkey = p_partkey
)
SELECT nation, brand, SUM(revenue)::DOUBLE, SUM(value)::DOUBLE, SUM(items)::BIGINT FROM composite GROUP BY nation, brand
"""


def run(bench: Bench) -> None:
    model = load_model(MODEL).model
    assert model is not None
    query, _ = read_query({"select": {"dimensions": ["Nation", "Brand"], "measures": ["Revenue", "Value", "Items"]}})
    assert query is not None
    united = compile_query(model, query).sql
    with duckdb.connect(str(bench.tpch()), read_only=True) as connection:
        assert _rounded(connection, united) == _rounded(connection, RAW)
        bench.compare(
            ("raw rows united, then aggregated", lambda: connection.sql(RAW).fetchall()),
            {"legs aggregated, then united": lambda: connection.sql(united).fetchall()},
        )


def _rounded(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[object, ...]]:
    rows = connection.sql(sql).fetchall()
    return sorted(tuple(round(cell, 2) if isinstance(cell, float) else cell for cell in row) for row in rows)
