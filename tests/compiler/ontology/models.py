"""Models for the tests of the graph."""

from __future__ import annotations

from sagitta_compiler import ResolvedModel, load_model

SALES = """
version: 1.0
name: sales
description: What was sold.
owner: finance
dataObjects:
  Customers:
    code: CUSTOMERS
    database: WH
    schema: PUBLIC
    synonyms: [clients, accounts]
    columns:
      Id: {code: ID, abstractType: int, primaryKey: true}
      Country: {code: COUNTRY, abstractType: string, synonyms: [nation]}
    refresh: {mode: interval, interval: 6h, anchor: "02:00", timezone: Europe/Berlin}
  Orders:
    code: ORDERS
    owner: sales-team
    columns:
      Id: {code: ID, abstractType: int, primaryKey: true}
      Customer: {code: CUSTOMER_ID, abstractType: int}
      Ship To: {code: SHIP_ID, abstractType: int}
      Day: {code: DAY, abstractType: date}
      Amount: {code: AMOUNT, abstractType: float, numClass: additive}
      Net: {expression: "{Amount} * 0.8", abstractType: float}
      Status: {code: STATUS, abstractType: string}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Customer], columnsTo: [Id]}
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Ship To], columnsTo: [Id], secondary: true,
         pathName: ship to}
dimensions:
  Country: {dataObject: Customers, column: Country, resultType: string}
  Month: {dataObject: Orders, column: Day, resultType: date, timeGrain: month}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, format: "#,##0.00", synonyms: [turnover]}
  Net-Revenue: {expression: "{[Orders].[Net]}", aggregation: sum}
  Paid:
    columns: [{dataObject: Orders, column: Amount}]
    aggregation: sum
    filters:
      - column: {dataObject: Orders, column: Status}
        operator: equals
        values: [{dataType: string, valueString: paid}]
  All Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, total: true}
  P95: {columns: [{dataObject: Orders, column: Amount}], aggregation: percentile, percentile: 0.95}
metrics:
  Share: {expression: "{[Revenue]} / {[All Revenue]}", dataType: "decimal(18, 6)"}
  Twice: {expression: "{[Share]} * 2"}
  Running: {type: cumulative, measure: Revenue, timeDimension: Month, window: 3}
  YoY:
    type: period_over_period
    expression: "{[Revenue]}"
    periodOverPeriod: {timeDimension: Month, grain: month, offset: -1, offsetGrain: year, comparison: difference}
  Rank: {type: window, windowFunction: rank, measure: Revenue}
filters:
  - {dataObject: Orders, column: Status, operator: notequals, value: void}
examples:
  - {name: by_country, description: Revenue by country., intentTags: [geo],
     query: {select: {dimensions: [Country], measures: [Revenue]}}}
customExtensions:
  - {vendor: ACME, data: '{"a": 1}'}
"""


def model(text: str = SALES) -> ResolvedModel:
    loaded = load_model(text)
    assert loaded.model is not None, loaded.errors
    return loaded.model
