WITH RECURSIVE "found" AS (
  SELECT
    DATE_TRUNC('MONTH', "Orders"."ordered_on") AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  WHERE
    "Orders"."ordered_on" >= CAST('2025-01-01' AS DATE)
  GROUP BY
    DATE_TRUNC('MONTH', "Orders"."ordered_on")
), "spine" AS (
  SELECT
    MIN("found"."Order Month") AS "Order Month"
  FROM "found"
  UNION ALL
  SELECT
    DATEADD(MONTH, 1, "spine"."Order Month")
  FROM "spine"
  WHERE
    "spine"."Order Month" < (
      SELECT
        MAX("found"."Order Month")
      FROM "found"
    )
), "calendar" AS (
  SELECT
    "found"."Order Month",
    "found"."Revenue"
  FROM "found"
  UNION ALL
  SELECT
    "spine"."Order Month",
    NULL AS "Revenue"
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
    DATE_TRUNC('MONTH', "Orders"."ordered_on") AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  GROUP BY
    DATE_TRUNC('MONTH', "Orders"."ordered_on")
)
SELECT
  "current"."Order Month",
  CAST("current"."Revenue" AS DECIMAL(18, 2)) AS "Revenue",
  CAST("this"."Revenue" AS DECIMAL(18, 2)) - CAST("previous"."Revenue" AS DECIMAL(18, 2)) AS "YoY"
FROM "current"
LEFT JOIN "periods" AS "this"
  ON "this"."Order Month" IS NOT DISTINCT FROM "current"."Order Month"
LEFT JOIN "periods" AS "previous"
  ON "previous"."Order Month" = DATE_TRUNC('MONTH', DATEADD(YEAR, -1, "current"."Order Month"))
ORDER BY
  "Order Month"
