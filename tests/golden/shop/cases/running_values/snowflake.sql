WITH "rows" AS (
  SELECT
    "Customers"."country" AS "Country",
    DATE_TRUNC('MONTH', "Orders"."ordered_on") AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."country",
    DATE_TRUNC('MONTH', "Orders"."ordered_on")
)
SELECT
  "rows"."Country",
  "rows"."Order Month",
  CAST("rows"."Revenue" AS DECIMAL(18, 2)) AS "Revenue",
  SUM(CAST("rows"."Revenue" AS DECIMAL(18, 2))) OVER (
    PARTITION BY "rows"."Country"
    ORDER BY "rows"."Order Month"
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS "Running",
  SUM(CAST("rows"."Revenue" AS DECIMAL(18, 2))) OVER (
    PARTITION BY "rows"."Country"
    ORDER BY (
      DATE_PART(YEAR, "rows"."Order Month") * 12
    ) + DATE_PART(MONTH, "rows"."Order Month")
    RANGE BETWEEN 1 PRECEDING AND CURRENT ROW
  ) AS "Rolling2",
  SUM(CAST("rows"."Revenue" AS DECIMAL(18, 2))) OVER (
    PARTITION BY "rows"."Country", DATE_TRUNC('YEAR', "rows"."Order Month")
    ORDER BY "rows"."Order Month"
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS "YTD"
FROM "rows"
ORDER BY
  "Country",
  "Order Month"
