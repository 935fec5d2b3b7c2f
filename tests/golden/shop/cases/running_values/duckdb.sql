WITH "rows" AS (
  SELECT
    "Customers"."country" AS "Country",
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE) AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."country",
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE)
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
      EXTRACT(YEAR FROM "rows"."Order Month") * 12
    ) + EXTRACT(MONTH FROM "rows"."Order Month")
    RANGE BETWEEN 1 PRECEDING AND CURRENT ROW
  ) AS "Rolling2",
  SUM(CAST("rows"."Revenue" AS DECIMAL(18, 2))) OVER (
    PARTITION BY "rows"."Country", CAST(DATE_TRUNC('YEAR', "rows"."Order Month") AS DATE)
    ORDER BY "rows"."Order Month"
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS "YTD"
FROM "rows"
ORDER BY
  "Country",
  "Order Month"
