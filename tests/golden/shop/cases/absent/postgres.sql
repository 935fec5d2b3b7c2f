WITH "every Customer" AS (
  SELECT
    "Customers"."name" AS "Customer"
  FROM "main"."customers" AS "Customers"
  WHERE
    NOT "Customers"."name" IS NULL
  GROUP BY
    "Customers"."name"
), "every Status" AS (
  SELECT
    "Orders"."status" AS "Status"
  FROM "main"."orders" AS "Orders"
  WHERE
    NOT "Orders"."status" IS NULL
  GROUP BY
    "Orders"."status"
), "absent combinations" AS (
  SELECT
    "every Customer"."Customer",
    "every Status"."Status"
  FROM "every Customer"
  CROSS JOIN "every Status"
  EXCEPT
  SELECT
    "Customers"."name" AS "Customer",
    "Orders"."status" AS "Status"
  FROM "main"."orders" AS "Orders"
  LEFT JOIN "main"."customers" AS "Customers"
    ON "Orders"."customer_id" = "Customers"."id"
  GROUP BY
    "Customers"."name",
    "Orders"."status"
)
SELECT
  "absent combinations"."Customer",
  "absent combinations"."Status"
FROM "absent combinations"
ORDER BY
  "Customer",
  "Status"
