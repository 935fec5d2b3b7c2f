WITH m AS (SELECT date_trunc('month', ordered_on)::DATE AS t, CAST(SUM(amount) AS DECIMAL(18, 2)) AS x FROM orders GROUP BY 1)
SELECT t, x, x - (SELECT p.x FROM m p WHERE p.t = m.t - INTERVAL 1 YEAR) FROM m WHERE t >= DATE '2025-01-01' ORDER BY 1
