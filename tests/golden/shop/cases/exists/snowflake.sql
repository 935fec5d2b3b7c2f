SELECT
  "Customers"."name" AS "Customer"
FROM "main"."customers" AS "Customers"
WHERE
  NOT EXISTS(
    SELECT
      1 AS "one"
    FROM "main"."orders" AS "Orders"
    WHERE
      "Orders"."customer_id" = "Customers"."id" AND "Orders"."status" = 'open'
  )
GROUP BY
  "Customers"."name"
ORDER BY
  "Customer"
