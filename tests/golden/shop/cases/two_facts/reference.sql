WITH o AS (SELECT c.country, SUM(amount) AS x FROM orders LEFT JOIN customers c ON c.id = customer_id GROUP BY ALL),
     r AS (SELECT c.country, SUM(amount) AS y FROM returns LEFT JOIN customers c ON c.id = customer_id GROUP BY ALL)
SELECT COALESCE(o.country, r.country), CAST(x AS DECIMAL(18, 2)), CAST(y AS DECIMAL(18, 2)),
       CAST(x - y AS DECIMAL(18, 2)), CAST(y / NULLIF(x, 0) AS DECIMAL(18, 6))
FROM o FULL JOIN r ON o.country IS NOT DISTINCT FROM r.country ORDER BY 1 NULLS LAST
