WITH "united" AS (
  SELECT
    "Customers"."country" AS "Country",
    SUM("Orders"."amount") AS "Revenue",
    NULL AS "Returned"
  FROM "main"."orders" AS "Orders"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."country"
  UNION ALL
  SELECT
    "Customers"."country" AS "Country",
    NULL AS "Revenue",
    SUM("Returns"."amount") AS "Returned"
  FROM "main"."returns" AS "Returns"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Returns"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."country"
)
SELECT
  "united"."Country",
  CAST(MAX("united"."Revenue") AS DECIMAL(18, 2)) AS "Revenue",
  CAST(MAX("united"."Returned") AS DECIMAL(18, 2)) AS "Returned",
  CAST(MAX("united"."Revenue") - MAX("united"."Returned") AS DECIMAL(18, 2)) AS "Net Revenue",
  CAST(MAX("united"."Returned") / NULLIF(MAX("united"."Revenue"), 0) AS DECIMAL(18, 6)) AS "Return Rate"
FROM "united"
GROUP BY
  "united"."Country"
ORDER BY
  "Country"
