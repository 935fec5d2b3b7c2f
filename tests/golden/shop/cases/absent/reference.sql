SELECT DISTINCT c.name, s.status FROM customers c, orders s
WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.status = s.status) ORDER BY 1, 2
