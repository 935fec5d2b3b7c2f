WITH `united` AS (
  SELECT
    `Customers`.`country` AS `Country`,
    SUM(`Orders`.`amount`) AS `Revenue`,
    NULL AS `All Status Revenue`
  FROM `main`.`orders` AS `Orders`
  LEFT JOIN `main`.`customers` AS `Customers`
    ON `Orders`.`customer_id` = `Customers`.`id`
  WHERE
    `Orders`.`status` = 'open'
  GROUP BY
    `Customers`.`country`
  UNION ALL
  SELECT
    `Customers`.`country` AS `Country`,
    NULL AS `Revenue`,
    SUM(`Orders`.`amount`) AS `All Status Revenue`
  FROM `main`.`orders` AS `Orders`
  LEFT JOIN `main`.`customers` AS `Customers`
    ON `Orders`.`customer_id` = `Customers`.`id`
  GROUP BY
    `Customers`.`country`
)
SELECT
  `united`.`Country`,
  CAST(MAX(`united`.`Revenue`) AS NUMERIC) AS `Revenue`,
  CAST(MAX(`united`.`All Status Revenue`) AS NUMERIC) AS `All Status Revenue`
FROM `united`
GROUP BY
  `united`.`Country`
ORDER BY
  `Country` NULLS LAST
