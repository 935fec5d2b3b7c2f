WITH "found" AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE) AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  WHERE
    "Orders"."ordered_on" >= CAST('2025-01-01' AS DATE)
  GROUP BY
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE)
), "spine" AS (
  SELECT
    CAST(GENERATE_SERIES(MIN("found"."Order Month"), MAX("found"."Order Month"), INTERVAL '1 MONTH') AS DATE) AS "Order Month"
  FROM "found"
), "calendar" AS (
  SELECT
    "found"."Order Month",
    "found"."Revenue"
  FROM "found"
  UNION ALL
  SELECT
    "spine"."Order Month",
    CAST(NULL AS DECIMAL) AS "Revenue"
  FROM "spine"
), "current" AS (
  SELECT
    "calendar"."Order Month",
    MAX("calendar"."Revenue") AS "Revenue"
  FROM "calendar"
  GROUP BY
    "calendar"."Order Month"
), "periods" AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE) AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  GROUP BY
    CAST(DATE_TRUNC('MONTH', "Orders"."ordered_on") AS DATE)
)
SELECT
  "current"."Order Month",
  CAST("current"."Revenue" AS DECIMAL(18, 2)) AS "Revenue",
  CAST("this"."Revenue" AS DECIMAL(18, 2)) - CAST("previous"."Revenue" AS DECIMAL(18, 2)) AS "YoY"
FROM "current"
LEFT JOIN "periods" AS "this"
  ON "this"."Order Month" IS NOT DISTINCT FROM "current"."Order Month"
LEFT JOIN "periods" AS "previous"
  ON "previous"."Order Month" = CAST(DATE_TRUNC('MONTH', CAST("current"."Order Month" - INTERVAL '1 YEAR' AS DATE)) AS DATE)
ORDER BY
  "Order Month"
