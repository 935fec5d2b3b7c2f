SELECT
  `Orders`.`id` AS `Orders.Id`,
  `Customers`.`name` AS `Customers.Name`,
  `Orders`.`amount` * 0.5 AS `Orders.Net`
FROM `main`.`orders` AS `Orders`
LEFT JOIN `main`.`customers` AS `Customers`
  ON `Orders`.`customer_id` = `Customers`.`id`
ORDER BY
  `Orders`.`Id`
LIMIT 2
