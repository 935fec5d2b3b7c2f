WITH "base" AS (
  SELECT
    "Customers"."country" AS "Country",
    COUNT(DISTINCT "Orders"."customer_id") AS "Buyers",
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
), "rows" AS (
  SELECT
    COUNT(DISTINCT "Orders"."customer_id") AS "Buyers",
    SUM("Orders"."amount") AS "Revenue",
    SUM("Orders"."amount") AS "Grand Revenue",
    CAST(SUM("Orders"."amount") AS DOUBLE PRECISION) / NULLIF(SUM("Orders"."amount"), 0) AS "Share"
  FROM "main"."orders" AS "Orders"
), "levels" AS (
  SELECT
    "base"."Country",
    "base"."Buyers",
    CAST(CAST("base"."Revenue" AS DOUBLE PRECISION) / NULLIF("overall"."Grand Revenue", 0) AS DECIMAL(18, 6)) AS "Share",
    RANK() OVER (ORDER BY CAST("base"."Revenue" AS DECIMAL(18, 2)) DESC NULLS LAST) AS "Rank",
    0 AS "_g_Country"
  FROM "base"
  CROSS JOIN "overall"
  UNION ALL
  SELECT
    CAST(NULL AS TEXT) AS "Country",
    "rows"."Buyers",
    CAST("rows"."Share" AS DECIMAL(18, 6)) AS "Share",
    RANK() OVER (ORDER BY CAST("rows"."Revenue" AS DECIMAL(18, 2)) DESC NULLS LAST) AS "Rank",
    1 AS "_g_Country"
  FROM "rows"
)
SELECT
  "levels"."Country",
  "levels"."Buyers",
  "levels"."Share",
  "levels"."Rank",
  "levels"."_g_Country"
FROM "levels"
ORDER BY
  "_g_Country",
  "Rank"
