SELECT c.country, o.status, CAST(SUM(o.amount) AS DECIMAL(18, 2)), GROUPING(c.country), GROUPING(o.status)
FROM orders o LEFT JOIN customers c ON c.id = o.customer_id GROUP BY ROLLUP (c.country, o.status) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 4 DESC, 5 DESC
