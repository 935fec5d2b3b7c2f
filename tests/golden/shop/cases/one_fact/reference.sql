SELECT c.country, CAST(SUM(o.amount) AS DECIMAL(18, 2)), COUNT(o.id), COUNT(DISTINCT o.customer_id)
FROM orders o LEFT JOIN customers c ON c.id = o.customer_id
WHERE o.status = 'paid' GROUP BY c.country HAVING SUM(o.amount) > 40 ORDER BY 2 DESC LIMIT 10
