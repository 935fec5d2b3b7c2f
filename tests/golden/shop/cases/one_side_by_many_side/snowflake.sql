WITH "Customers rows" AS (
  SELECT DISTINCT
    "Orders"."status" AS "Status",
    "Customers"."id" AS "key_1",
    "Customers"."lim" AS "argument_1"
  FROM "main"."orders" AS "Orders"
  JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
), "united" AS (
  SELECT
    "Customers rows"."Status",
    SUM("Customers rows"."argument_1") AS "Credit",
    NULL AS "Revenue"
  FROM "Customers rows"
  GROUP BY
    "Customers rows"."Status"
  UNION ALL
  SELECT
    "Orders"."status" AS "Status",
    NULL AS "Credit",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  GROUP BY
    "Orders"."status"
)
SELECT
  "united"."Status",
  CAST(MAX("united"."Credit") AS DECIMAL(18, 2)) AS "Credit",
  CAST(MAX("united"."Revenue") AS DECIMAL(18, 2)) AS "Revenue"
FROM "united"
GROUP BY
  "united"."Status"
ORDER BY
  "Status"
