SELECT
  `Customers`.`country` AS `Country`,
  `Orders`.`status` AS `Status`,
  CAST(SUM(`Orders`.`amount`) AS NUMERIC) AS `Revenue`,
  GROUPING(`Customers`.`country`) AS `_g_Country`,
  GROUPING(`Orders`.`status`) AS `_g_Status`
FROM `main`.`orders` AS `Orders`
LEFT JOIN `main`.`customers` AS `Customers`
  ON `Orders`.`customer_id` = `Customers`.`id`
GROUP BY
  ROLLUP (
    `Customers`.`country`,
    `Orders`.`status`
  )
ORDER BY
  `Country`,
  `Status`,
  `_g_Country` DESC,
  `_g_Status` DESC
