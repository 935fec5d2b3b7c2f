WITH m AS (SELECT c.country AS k, date_trunc('month', ordered_on)::DATE AS t, CAST(SUM(amount) AS DECIMAL(18, 2)) AS x
           FROM orders LEFT JOIN customers c ON c.id = customer_id GROUP BY ALL)
SELECT k, t, x,
  (SELECT SUM(x) FROM m b WHERE b.k IS NOT DISTINCT FROM m.k AND b.t <= m.t),
  (SELECT SUM(x) FROM m b WHERE b.k IS NOT DISTINCT FROM m.k AND b.t BETWEEN m.t - INTERVAL 1 MONTH AND m.t),
  (SELECT SUM(x) FROM m b WHERE b.k IS NOT DISTINCT FROM m.k AND b.t <= m.t AND year(b.t) = year(m.t))
FROM m ORDER BY 1 NULLS LAST, 2
