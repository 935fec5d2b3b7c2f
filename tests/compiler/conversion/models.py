"""Models for the tests of conversion."""

from __future__ import annotations

SALES = r"""
version: 1.0
name: sales
description: What was sold.
owner: finance
settings: {defaultTimezone: Europe/Berlin, weekStart: sunday}
dataObjects:
  Customers:
    code: CUSTOMERS
    database: WH
    schema: PUBLIC
    synonyms: [clients, accounts]
    columns:
      Id: {code: ID, abstractType: int, primaryKey: true}
      Country: {code: COUNTRY, abstractType: string, synonyms: [nation]}
      Discount: {code: DISCOUNT, abstractType: float, sqlType: "NUMERIC(9, 2)", sqlPrecision: 9, sqlScale: 2}
    refresh: {mode: interval, interval: 6h, anchor: "02:00", timezone: Europe/Berlin}
  Orders:
    code: ORDERS
    owner: sales-team
    columns:
      Id: {code: ID, abstractType: int, primaryKey: true}
      Customer: {code: CUSTOMER_ID, abstractType: int}
      Ship To: {code: SHIP_ID, abstractType: int}
      Day: {code: DAY, abstractType: date}
      Amount: {code: AMOUNT, abstractType: float, numClass: additive, comment: in euros}
      Amount again: {code: AMOUNT, abstractType: float}
      Net: {expression: "{Amount} * 0.8", abstractType: float}
      Margin: {expression: "{Net} - {[Customers].[Discount]}", abstractType: float}
      Status: {code: STATUS, abstractType: string}
      local_time: {abstractType: time_tz}
      raw: {code: raw, abstractType: json}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Customer], columnsTo: [Id]}
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Ship To], columnsTo: [Id], secondary: true,
         pathName: ship to, required: true}
dimensions:
  Country: {dataObject: Customers, column: Country, resultType: string, synonyms: [land], format: text}
  Day: {dataObject: Orders, column: Day, resultType: date}
  Month: {dataObject: Orders, column: Day, resultType: date, timeGrain: month, description: Month of the order.}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, format: "#,##0.00", synonyms: [turnover]}
  Net-Revenue: {expression: "{[Orders].[Net]}", aggregation: sum, resultType: float}
  Paid:
    columns: [{dataObject: Orders, column: Amount}]
    aggregation: sum
    filters:
      - column: {dataObject: Orders, column: Status}
        operator: equals
        values: [{dataType: string, valueString: paid}]
  Open:
    columns: [{dataObject: Orders, column: Amount}]
    aggregation: sum
    defaultValue: 0
    filters:
      - logic: or
        filters:
          - column: {dataObject: Orders, column: Status}
            operator: inlist
            values: [{dataType: string, valueString: open}, {dataType: string, valueString: new}]
          - {column: {dataObject: Orders, column: Status}, operator: set}
      - column: {dataObject: Orders, column: Status}
        operator: notcontains
        values: [{dataType: string, valueString: 50%}]
  Buyers: {columns: [{dataObject: Orders, column: Customer}], aggregation: count_distinct, resultType: int}
  Pairs:
    columns: [{dataObject: Orders, column: Customer}, {dataObject: Orders, column: Status}]
    aggregation: count_distinct
  All Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, total: true}
  P95: {columns: [{dataObject: Orders, column: Amount}], aggregation: percentile, percentile: 0.95}
  Names:
    columns: [{dataObject: Customers, column: Country}]
    aggregation: listagg
    distinct: true
    delimiter: " / "
    withinGroup: {column: {dataObject: Customers, column: Country}, order: DESC}
metrics:
  Share: {expression: "{[Revenue]} / {[All Revenue]}", dataType: "decimal(18, 6)"}
  Twice: {type: derived, expression: "{[Share]} * 2"}
  Running: {type: cumulative, measure: Revenue, timeDimension: Month, window: 3, partitionBy: [Country]}
  YoY:
    type: period_over_period
    expression: "{[Revenue]}"
    periodOverPeriod: {timeDimension: Month, grain: month, offset: -1, offsetGrain: year, comparison: difference}
  Rank: {type: window, windowFunction: rank, measure: Revenue, orderDirection: desc}
  Before: {type: window, windowFunction: lag, measure: Revenue, timeDimension: Month, offset: 1, defaultValue: 0}
filters:
  - {dataObject: Orders, column: Status, operator: notequals, value: void}
examples:
  - {name: by_country, description: Revenue by country., intentTags: [geo],
     query: {select: {dimensions: [Country], measures: [Revenue]}}}
customExtensions:
  - {vendor: ACME, data: '{"a": 1}'}
"""

EVERYTHING = r"""
dataObjects:
  "Odd. \"Name\"":
    code: my.table
    schema: "s p"
    countable: false
    columns: {Id: {code: id, abstractType: int, primaryKey: true}, "a b": {abstractType: string},
              Items: {code: items, abstractType: json},
              Big Buyer: {expression: "CASE WHEN {[Sum per Id]} > 10 THEN 'yes' ELSE 'no' END", abstractType: string}}
    joins: []
    customExtensions: [{vendor: ORIONBELT, data: not ours}, {vendor: ACME, data: x}]
  Lines:
    nestedIn: {dataObject: "Odd. \"Name\"", column: Items}
    columns: {Sku: {code: sku, abstractType: string}}
  Stock:
    code: stock
    columns:
      Sku: {code: sku, abstractType: string, primaryKey: true, owner: me}
      On: {code: on, abstractType: date, primaryKey: true}
      Level: {code: level, abstractType: int}
  Monthly:
    query: {select: {dimensions: [{dimension: On, grain: month, as: Month}], measures: [Level]}}
    columns: {Month: {code: Month, abstractType: date}, Level: {code: Level, abstractType: int}}
  All Stock:
    unionOf:
      - {dataObject: Stock, value: here, columns: {Sku: Sku}}
    discriminator: Where
    columns: {Sku: {code: Sku, abstractType: string}, Where: {code: Where, abstractType: string}}
dimensions:
  On: {dataObject: Stock, column: On, resultType: date}
  Big: {dataObject: "Odd. \"Name\"", column: Big Buyer}
  Sku: {dataObject: Stock, column: Sku}
measures:
  Sum per Id:
    {columns: [{dataObject: "Odd. \"Name\"", column: Id}], aggregation: sum, grain: {mode: FIXED, keepOnly: []}}
  Level:
    columns: [{dataObject: Stock, column: Level}]
    aggregation: sum
    semiAdditive: {timeDimension: On, function: last, per: [{dataObject: Stock, column: Sku}]}
  Best Day: {expression: "{[Level]}", aggregation: max, over: [On]}
  Kept:
    {columns: [{dataObject: Stock, column: Level}], aggregation: sum, filterContext: {mode: RELATIVE, exclude: [Sku]}}
exposeCounts: false
"""
