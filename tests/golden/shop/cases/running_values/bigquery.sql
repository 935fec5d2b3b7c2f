WITH `rows` AS (
  SELECT
    `Customers`.`country` AS `Country`,
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH) AS `Order Month`,
    SUM(`Orders`.`amount`) AS `Revenue`
  FROM `main`.`orders` AS `Orders`
  LEFT JOIN `main`.`customers` AS `Customers`
    ON `Orders`.`customer_id` = `Customers`.`id`
  GROUP BY
    `Customers`.`country`,
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH)
)
SELECT
  `rows`.`Country`,
  `rows`.`Order Month`,
  CAST(`rows`.`Revenue` AS NUMERIC) AS `Revenue`,
  SUM(CAST(`rows`.`Revenue` AS NUMERIC)) OVER (
    PARTITION BY `rows`.`Country`
    ORDER BY `rows`.`Order Month`
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS `Running`,
  SUM(CAST(`rows`.`Revenue` AS NUMERIC)) OVER (
    PARTITION BY `rows`.`Country`
    ORDER BY (
      EXTRACT(YEAR FROM `rows`.`Order Month`) * 12
    ) + EXTRACT(MONTH FROM `rows`.`Order Month`)
    RANGE BETWEEN 1 PRECEDING AND CURRENT ROW
  ) AS `Rolling2`,
  SUM(CAST(`rows`.`Revenue` AS NUMERIC)) OVER (
    PARTITION BY `rows`.`Country`, DATE_TRUNC(`rows`.`Order Month`, YEAR)
    ORDER BY `rows`.`Order Month`
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
  ) AS `YTD`
FROM `rows`
ORDER BY
  `Country` NULLS LAST,
  `Order Month`
