WITH "found" AS (
  SELECT
    DATE_TRUNC('MONTH', "Orders"."ordered_on") AS "Order Month",
    SUM("Orders"."amount") AS "Revenue"
  FROM "main"."orders" AS "Orders"
  WHERE
    "Orders"."ordered_on" >= CAST('2025-01-01' AS DATE)
  GROUP BY
    DATE_TRUNC('MONTH', "Orders"."ordered_on")
), "edges" AS (
  SELECT
    MIN("found"."Order Month") AS "first",
    MAX("found"."Order Month") AS "last"
  FROM "found"
), "digits" AS (
  SELECT
    0 AS "digit"
  UNION ALL
  SELECT
    1 AS "digit"
  UNION ALL
  SELECT
    2 AS "digit"
  UNION ALL
  SELECT
    3 AS "digit"
  UNION ALL
  SELECT
    4 AS "digit"
  UNION ALL
  SELECT
    5 AS "digit"
  UNION ALL
  SELECT
    6 AS "digit"
  UNION ALL
  SELECT
    7 AS "digit"
  UNION ALL
  SELECT
    8 AS "digit"
  UNION ALL
  SELECT
    9 AS "digit"
), "spine" AS (
  SELECT
    CAST(DATEADD(
      MONTH,
      (
        "place 0"."digit" + "place 1"."digit" * 10 + "place 2"."digit" * 100 + "place 3"."digit" * 1000 + "place 4"."digit" * 10000
      ),
      "edges"."first"
    ) AS DATE) AS "Order Month"
  FROM "edges"
  CROSS JOIN "digits" AS "place 0"
  CROSS JOIN "digits" AS "place 1"
  CROSS JOIN "digits" AS "place 2"
  CROSS JOIN "digits" AS "place 3"
  CROSS JOIN "digits" AS "place 4"
  WHERE
    (
      "place 0"."digit" + "place 1"."digit" * 10 + "place 2"."digit" * 100 + "place 3"."digit" * 1000 + "place 4"."digit" * 10000
    ) <= (
      (
        (
          DATE_PART(YEAR, "edges"."last") * 12
        ) + DATE_PART(MONTH, "edges"."last")
      ) - (
        (
          DATE_PART(YEAR, "edges"."first") * 12
        ) + DATE_PART(MONTH, "edges"."first")
      )
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
