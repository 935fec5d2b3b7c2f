WITH pairs AS (SELECT DISTINCT o.status, c.id, c.lim FROM orders o JOIN customers c ON c.id = o.customer_id)
SELECT s.status, CAST((SELECT SUM(lim) FROM pairs p WHERE p.status = s.status) AS DECIMAL(18, 2)), CAST(SUM(s.amount) AS DECIMAL(18, 2))
FROM orders s GROUP BY s.status ORDER BY 1
