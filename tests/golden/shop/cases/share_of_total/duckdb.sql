WITH "base" AS (
  SELECT
    "Customers"."country" AS "Country",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."country"
), "overall" AS (
  SELECT
    SUM("Orders"."amount") AS "Grand Revenue"
  FROM "main"."orders" AS "Orders"
)
SELECT
  "base"."Country",
  CAST("base"."Revenue" AS DECIMAL(18, 2)) AS "Revenue",
  CAST("overall"."Grand Revenue" AS DECIMAL(18, 2)) AS "Grand Revenue",
  CAST("base"."Revenue" / NULLIF("overall"."Grand Revenue", 0) AS DECIMAL(18, 6)) AS "Share"
FROM "base"
CROSS JOIN "overall"
ORDER BY
  "Revenue" DESC
LIMIT 1
