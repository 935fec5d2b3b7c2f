SELECT
  "Customers"."country" AS "Country",
  CAST(SUM("Customers"."lim") AS DECIMAL(18, 2)) AS "Credit"
FROM "main"."customers" AS "Customers"
WHERE
  EXISTS(
    SELECT
      1 AS "one"
    FROM "main"."orders" AS "Orders"
    WHERE
      "Orders"."customer_id" = "Customers"."id" AND "Orders"."status" = 'paid'
  )
GROUP BY
  "Customers"."country"
ORDER BY
  "Country"
