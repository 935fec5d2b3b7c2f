SELECT c.country, CAST(SUM(o.amount) AS DECIMAL(18, 2)), CAST((SELECT SUM(amount) FROM orders) AS DECIMAL(18, 2)),
       CAST(SUM(o.amount) / (SELECT SUM(amount) FROM orders) AS DECIMAL(18, 6))
FROM orders o LEFT JOIN customers c ON c.id = o.customer_id GROUP BY c.country ORDER BY 2 DESC LIMIT 1
