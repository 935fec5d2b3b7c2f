WITH RECURSIVE `found` AS (
  SELECT
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH) AS `Order Month`,
    SUM(`Orders`.`amount`) AS `Revenue`
  FROM `main`.`orders` AS `Orders`
  WHERE
    `Orders`.`ordered_on` >= CAST('2025-01-01' AS DATE)
  GROUP BY
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH)
), `spine` AS (
  SELECT
    MIN(`found`.`Order Month`) AS `Order Month`
  FROM `found`
  UNION ALL
  SELECT
    DATE_ADD(`spine`.`Order Month`, INTERVAL '1' MONTH)
  FROM `spine`
  WHERE
    `spine`.`Order Month` < (
      SELECT
        MAX(`found`.`Order Month`)
      FROM `found`
    )
), `calendar` AS (
  SELECT
    `found`.`Order Month`,
    `found`.`Revenue`
  FROM `found`
  UNION ALL
  SELECT
    `spine`.`Order Month`,
    NULL AS `Revenue`
  FROM `spine`
), `current` AS (
  SELECT
    `calendar`.`Order Month`,
    MAX(`calendar`.`Revenue`) AS `Revenue`
  FROM `calendar`
  GROUP BY
    `calendar`.`Order Month`
), `periods` AS (
  SELECT
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH) AS `Order Month`,
    SUM(`Orders`.`amount`) AS `Revenue`
  FROM `main`.`orders` AS `Orders`
  GROUP BY
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH)
)
SELECT
  `current`.`Order Month`,
  CAST(`current`.`Revenue` AS NUMERIC) AS `Revenue`,
  CAST(`this`.`Revenue` AS NUMERIC) - CAST(`previous`.`Revenue` AS NUMERIC) AS `YoY`
FROM `current`
LEFT JOIN `periods` AS `this`
  ON `this`.`Order Month` IS NOT DISTINCT FROM `current`.`Order Month`
LEFT JOIN `periods` AS `previous`
  ON `previous`.`Order Month` = DATE_TRUNC(DATE_ADD(`current`.`Order Month`, INTERVAL '-1' YEAR), MONTH)
ORDER BY
  `Order Month`
