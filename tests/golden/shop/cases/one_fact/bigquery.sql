SELECT
  `Customers`.`country` AS `Country`,
  CAST(SUM(`Orders`.`amount`) AS NUMERIC) AS `Revenue`,
  COUNT(`Orders`.`id`) AS `Orders N`,
  COUNT(DISTINCT `Orders`.`customer_id`) AS `Buyers`
FROM `main`.`orders` AS `Orders`
LEFT JOIN `main`.`customers` AS `Customers`
  ON `Orders`.`customer_id` = `Customers`.`id`
WHERE
  `Orders`.`status` = 'paid'
GROUP BY
  `Country`
HAVING
  CAST(SUM(`Orders`.`amount`) AS NUMERIC) > 40
ORDER BY
  `Revenue` DESC
LIMIT 10
