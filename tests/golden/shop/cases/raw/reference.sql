SELECT o.id, c.name, o.amount * 0.5 FROM orders o LEFT JOIN customers c ON c.id = o.customer_id ORDER BY o.id LIMIT 2
