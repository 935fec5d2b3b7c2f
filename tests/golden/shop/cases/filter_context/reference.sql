SELECT c.country, CAST(SUM(CASE WHEN o.status = 'open' THEN o.amount END) AS DECIMAL(18, 2)), CAST(SUM(o.amount) AS DECIMAL(18, 2))
FROM orders o LEFT JOIN customers c ON c.id = o.customer_id GROUP BY c.country ORDER BY 1 NULLS LAST
