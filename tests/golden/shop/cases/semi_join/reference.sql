SELECT country, CAST(SUM(lim) AS DECIMAL(18, 2)) FROM customers
WHERE id IN (SELECT customer_id FROM orders WHERE status = 'paid') GROUP BY country ORDER BY 1
