WITH `found` AS (
  SELECT
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH) AS `Order Month`,
    SUM(`Orders`.`amount`) AS `Revenue`
  FROM `main`.`orders` AS `Orders`
  WHERE
    `Orders`.`ordered_on` >= CAST('2025-01-01' AS DATE)
  GROUP BY
    DATE_TRUNC(`Orders`.`ordered_on`, MONTH)
), `edges` AS (
  SELECT
    MIN(`found`.`Order Month`) AS `first`,
    MAX(`found`.`Order Month`) AS `last`
  FROM `found`
), `digits` AS (
  SELECT
    0 AS `digit`
  UNION ALL
  SELECT
    1 AS `digit`
  UNION ALL
  SELECT
    2 AS `digit`
  UNION ALL
  SELECT
    3 AS `digit`
  UNION ALL
  SELECT
    4 AS `digit`
  UNION ALL
  SELECT
    5 AS `digit`
  UNION ALL
  SELECT
    6 AS `digit`
  UNION ALL
  SELECT
    7 AS `digit`
  UNION ALL
  SELECT
    8 AS `digit`
  UNION ALL
  SELECT
    9 AS `digit`
), `spine` AS (
  SELECT
    CAST(DATE_ADD(`edges`.`first`, INTERVAL (
      `place 0`.`digit` + `place 1`.`digit` * 10 + `place 2`.`digit` * 100 + `place 3`.`digit` * 1000 + `place 4`.`digit` * 10000
    ) MONTH) AS DATE) AS `Order Month`
  FROM `edges`
  CROSS JOIN `digits` AS `place 0`
  CROSS JOIN `digits` AS `place 1`
  CROSS JOIN `digits` AS `place 2`
  CROSS JOIN `digits` AS `place 3`
  CROSS JOIN `digits` AS `place 4`
  WHERE
    (
      `place 0`.`digit` + `place 1`.`digit` * 10 + `place 2`.`digit` * 100 + `place 3`.`digit` * 1000 + `place 4`.`digit` * 10000
    ) <= (
      (
        (
          EXTRACT(YEAR FROM `edges`.`last`) * 12
        ) + EXTRACT(MONTH FROM `edges`.`last`)
      ) - (
        (
          EXTRACT(YEAR FROM `edges`.`first`) * 12
        ) + EXTRACT(MONTH FROM `edges`.`first`)
      )
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
