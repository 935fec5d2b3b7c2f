WITH `united` AS (
  SELECT
    `Customers`.`country` AS `Country`,
    SUM(`Orders`.`amount`) AS `Revenue`,
    NULL AS `Returned`
  FROM `main`.`orders` AS `Orders`
  LEFT JOIN `main`.`customers` AS `Customers`
    ON `Orders`.`customer_id` = `Customers`.`id`
  GROUP BY
    `Customers`.`country`
  UNION ALL
  SELECT
    `Customers`.`country` AS `Country`,
    NULL AS `Revenue`,
    SUM(`Returns`.`amount`) AS `Returned`
  FROM `main`.`returns` AS `Returns`
  LEFT JOIN `main`.`customers` AS `Customers`
    ON `Returns`.`customer_id` = `Customers`.`id`
  GROUP BY
    `Customers`.`country`
)
SELECT
  `united`.`Country`,
  CAST(MAX(`united`.`Revenue`) AS NUMERIC) AS `Revenue`,
  CAST(MAX(`united`.`Returned`) AS NUMERIC) AS `Returned`,
  CAST(MAX(`united`.`Revenue`) - MAX(`united`.`Returned`) AS NUMERIC) AS `Net Revenue`,
  CAST(MAX(`united`.`Returned`) / NULLIF(MAX(`united`.`Revenue`), 0) AS NUMERIC) AS `Return Rate`
FROM `united`
GROUP BY
  `united`.`Country`
ORDER BY
  `Country` NULLS LAST
