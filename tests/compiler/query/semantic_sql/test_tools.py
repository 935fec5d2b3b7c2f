# ruff: noqa: E501 - statements as tools write them
"""SQL as BI tools generate it, tool by tool: the rows are those of the SQL on the tables, or the refusal says why."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from compiler.query.semantic_sql.shop import NOW, compiled, rows
from sagitta_compiler import CompileError
from sagitta_compiler.query.semantic_sql import CatalogStatement, SqlCatalog, translate_sql

TABLEAU = [
    ('SELECT SUM("Custom SQL Query"."Revenue") AS "sum:Revenue:ok", "Custom SQL Query"."Country" AS "Country" FROM (select * from shop) "Custom SQL Query" GROUP BY 2',
     "SELECT sum(amount), country FROM o GROUP BY 2"),
    ('SELECT "model"."Country" AS "Country", SUM("model"."Revenue") AS "sum:Revenue:ok" FROM "shop"."model" "model" GROUP BY "model"."Country" HAVING (COUNT(1) > 0)',
     "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('SELECT SUM(1) AS "cnt", "model"."Status" FROM "shop"."model" "model" GROUP BY 2', "SELECT count(*), status FROM o GROUP BY 2"),
    ('SELECT MIN("model"."Order Day") AS "TEMP(1)", MAX("model"."Order Day") AS "TEMP(2)" FROM "shop"."model" "model" HAVING (COUNT(1) > 0)',
     "SELECT min(ordered_on), max(ordered_on) FROM o"),
    ('SELECT CAST(TRUNC(EXTRACT(YEAR FROM "model"."Order Day")) AS INTEGER) AS y, SUM("Revenue") FROM shop.model GROUP BY CAST(TRUNC(EXTRACT(YEAR FROM "model"."Order Day")) AS INTEGER)',
     "SELECT year(ordered_on), sum(amount) FROM o GROUP BY 1"),
    ('SELECT {fn YEAR("model"."Order Day")} AS y, SUM("Revenue") FROM shop.model GROUP BY 1', "SELECT year(ordered_on), sum(amount) FROM o GROUP BY 1"),
    ('SELECT DATE_TRUNC(\'MONTH\', CAST("model"."Order Day" AS DATE)) AS "tmn", SUM("Revenue") FROM shop.model GROUP BY 1',
     "SELECT date_trunc('month', ordered_on)::DATE, sum(amount) FROM o GROUP BY 1"),
    ('SELECT "Country", SUM(CASE WHEN ("Status" = \'open\') THEN "Revenue" ELSE 0 END) AS "x", SUM("Revenue") FROM shop.model GROUP BY 1',
     "SELECT country, sum(CASE WHEN status = 'open' THEN amount ELSE 0 END), sum(amount) FROM o GROUP BY 1"),
    ('SELECT t."Country", t."Status", SUM(t."Revenue") FROM shop.model t INNER JOIN (SELECT x."Country", x."Status", SUM("Revenue") AS "$alias" FROM shop.model x GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 2) "t0" ON ((t."Country" = "t0"."Country") AND ("t0"."Status" = t."Status")) GROUP BY 1, 2',
     "SELECT country, status, sum(amount) FROM o GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 2"),
    ('SELECT 1 AS one FROM shop.model LIMIT 1', "SELECT 1"),
    ('SELECT "Country", COUNT(DISTINCT "Buyers") FILTER (WHERE "Status" = \'paid\') x FROM shop GROUP BY 1',
     "SELECT country, count(DISTINCT customer_id) FILTER (WHERE status = 'paid') FROM o GROUP BY 1"),
]  # fmt: skip
POWER_BI = [
    ('select "_"."Country", "_"."a0" from (select "rows"."Country" as "Country", sum("rows"."Revenue") as "a0" from (select "Country", "Revenue" from "sagitta"."shop"."model") "rows" group by "Country") "_" where not "_"."a0" is null limit 1000001',
     "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('select top 1000001 "_"."Country", "_"."a0" from (select "rows"."Country" as "Country", sum("rows"."Revenue") as "a0" from (select "Country", "Revenue" from "sagitta"."shop"."model") "rows" group by "Country") "_" where not "_"."a0" is null',
     "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('select sum(cast("rows"."Orders N" as decimal)) as "a0" from (select "_"."Country", "_"."Revenue", "_"."Orders N" from "sagitta"."shop"."model" "_" where "_"."Country" = \'US\' and "_"."Country" is not null) "rows"',
     "SELECT count(*) FROM o WHERE country = 'US'"),
    ('select "_"."Country", "_"."a0", "_"."a1" from (select "rows"."Country" as "Country", sum("rows"."Revenue") as "a0", count(distinct "rows"."Customer") as "a1" from (select "_"."Country", "_"."Revenue", "_"."Customer" from "sagitta"."shop"."model" "_" where "_"."Status" in (\'paid\', \'open\')) "rows" group by "Country") "_" order by "_"."a0" desc',
     "SELECT country, sum(amount), count(DISTINCT name) FROM o WHERE status IN ('paid', 'open') GROUP BY 1"),
    ('select "_"."a0" from (select median("rows"."Mid") as "a0" from (select "Country", "Mid" from shop.model where "Status" = \'paid\') "rows") "_" where not "_"."a0" is null',
     "SELECT median(amount) FROM o WHERE status = 'paid'"),
    ('select top 501 "Country", "Revenue" from shop.model order by "Revenue" desc', "SELECT country, sum(amount) FROM o GROUP BY 1"),
]  # fmt: skip
METABASE = [
    ('SELECT "source"."Country" AS "Country", SUM("source"."Revenue") AS "sum" FROM (SELECT "shop"."model"."Country" AS "Country", "shop"."model"."Revenue" AS "Revenue" FROM "shop"."model") AS "source" GROUP BY "source"."Country" ORDER BY "source"."Country" ASC',
     "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('SELECT CAST(DATE_TRUNC(\'month\', CAST("shop"."model"."Order Day" AS TIMESTAMP)) AS DATE) m, SUM("Revenue") FROM shop.model GROUP BY CAST(DATE_TRUNC(\'month\', CAST("shop"."model"."Order Day" AS TIMESTAMP)) AS DATE) ORDER BY CAST(DATE_TRUNC(\'month\', CAST("shop"."model"."Order Day" AS TIMESTAMP)) AS DATE)',
     "SELECT date_trunc('month', ordered_on)::DATE, sum(amount) FROM o GROUP BY 1"),
    ('SELECT TRUE AS "_" FROM "shop"."model" WHERE 1 <> 1 LIMIT 0', "SELECT true WHERE false"),
    ('SELECT SUBSTRING("Country", 1, 1234) AS "substring", "Revenue" FROM shop.model LIMIT 10', "SELECT substring(country, 1, 1234), sum(amount) FROM o GROUP BY 1"),
    ('SELECT "Country", SUM(CASE WHEN "Status" = \'open\' THEN 1 ELSE 0 END) AS n, COUNT(CASE WHEN "Status" = \'paid\' THEN 1 END) AS m FROM shop.model GROUP BY 1',
     "SELECT country, sum(CASE WHEN status = 'open' THEN 1 ELSE 0 END), count(CASE WHEN status = 'paid' THEN 1 END) FROM o GROUP BY 1"),
]  # fmt: skip
SUPERSET = [
    ('SELECT "Country" AS "Country", SUM("Revenue") AS "SUM(Revenue)" FROM shop.model WHERE "Order Day" >= TIMESTAMP \'2024-01-01 00:00:00.000000\' AND "Order Day" < TIMESTAMP \'2025-01-01 00:00:00\' GROUP BY "Country" ORDER BY "SUM(Revenue)" DESC LIMIT 10000 OFFSET 0',
     "SELECT country, sum(amount) FROM o WHERE year(ordered_on) = 2024 GROUP BY 1"),
    ('SELECT "Country" AS "Country", SUM("Revenue") AS s FROM shop.model WHERE "Order Day" >= TO_DATE(\'2024-06-01\', \'YYYY-MM-DD\') GROUP BY 1',
     "SELECT country, sum(amount) FROM o WHERE ordered_on >= '2024-06-01' GROUP BY 1"),
    ('SELECT SUM("Revenue") AS s FROM shop.model WHERE "Order Day" >= TO_TIMESTAMP(\'2024-06-01 00:00:00.000000\', \'YYYY-MM-DD HH24:MI:SS.US\')',
     "SELECT sum(amount) FROM o WHERE ordered_on >= '2024-06-01'"),
    ('SELECT DATE_TRUNC(\'day\', "Order Day") AS __timestamp, "Country" AS "Country", SUM("Revenue") AS s FROM shop.model JOIN (SELECT "Country" AS "Country__", SUM("Revenue") AS mme_inner__ FROM shop.model WHERE "Order Day" >= DATE \'2024-01-01\' GROUP BY "Country" ORDER BY mme_inner__ DESC LIMIT 1) AS anon_1 ON "Country" = "Country__" WHERE "Order Day" >= DATE \'2024-01-01\' GROUP BY DATE_TRUNC(\'day\', "Order Day"), "Country" ORDER BY s DESC LIMIT 10000',
     "SELECT ordered_on, country, sum(amount) FROM o WHERE country = 'DE' GROUP BY 1, 2"),
    ('SELECT DATE_TRUNC(\'day\', "Order Day") AS __timestamp, "Country" AS "Country", SUM("Revenue") AS s FROM (SELECT * FROM shop.model) AS virtual_table GROUP BY DATE_TRUNC(\'day\', "Order Day"), "Country"',
     "SELECT ordered_on, country, sum(amount) FROM o GROUP BY 1, 2"),
    ('SELECT COUNT(*) AS rowcount FROM (SELECT "Country" AS "Country", "Status" AS "Status", SUM("Revenue") AS s FROM shop.model GROUP BY "Country", "Status" LIMIT 10000) AS rowcount_qry',
     "SELECT count(*) FROM (SELECT DISTINCT country, status FROM o)"),
]  # fmt: skip
DBEAVER = [
    ('SELECT DISTINCT "Country" FROM shop.model WHERE CAST("Country" AS VARCHAR) LIKE \'%U%\' ORDER BY 1', "SELECT 'US'"),
    ('SELECT t."Country", t."Revenue" FROM shop.model t WHERE t."Country" = \'US\' ORDER BY t."Country" LIMIT 200 OFFSET 0', "SELECT 'US', 150.0"),
    ('SELECT * EXCLUDE ("Share") FROM shop.model WHERE 1 = 0', "SELECT 1 WHERE false"),
]  # fmt: skip
PEOPLE = [
    # Wrappers that list columns have rows of their own; what compares measures compares those.
    ('SELECT SUM("Revenue") FROM (SELECT "Country", "Revenue" FROM shop WHERE "Revenue" > 140) t',
     "SELECT sum(r) FROM (SELECT country, sum(amount) r FROM o GROUP BY 1) WHERE r > 140"),
    ('SELECT "Country", SUM("Revenue") FROM (SELECT "Country", "Status", "Revenue" FROM shop) t WHERE "Revenue" > 100 GROUP BY 1',
     "SELECT country, sum(r) FROM (SELECT country, status, sum(amount) r FROM o GROUP BY 1, 2) WHERE r > 100 GROUP BY 1"),
    ('SELECT c, SUM(r) FROM (SELECT cc AS c, rr AS r FROM (SELECT "Country" cc, "Status" ss, "Revenue" rr FROM shop) t WHERE rr > 100) u GROUP BY 1',
     "SELECT country, sum(r) FROM (SELECT country, status, sum(amount) r FROM o GROUP BY 1, 2) WHERE r > 100 GROUP BY 1"),
    ('SELECT c, SUM(r) FROM (SELECT cc AS c, rr AS r FROM (SELECT "Country" cc, "Status" ss, "Revenue" rr FROM shop) t WHERE ss = \'paid\') u GROUP BY 1',
     "SELECT country, sum(amount) FROM o WHERE status = 'paid' GROUP BY 1"),
    ('SELECT COUNT(DISTINCT "Customer") FROM (SELECT "Customer", "Revenue" FROM shop) t', "SELECT count(DISTINCT name) FROM o"),
    # sub-selects in conditions and in the select list
    ('SELECT "Country", "Status", SUM("Revenue"), "Mid" FROM shop WHERE "Country" IN (SELECT "Country" FROM shop GROUP BY 1 ORDER BY SUM("Revenue") DESC LIMIT 1) GROUP BY 1, 2',
     "SELECT country, status, sum(amount), median(amount) FROM o WHERE country = 'DE' GROUP BY 1, 2"),
    ('SELECT "Country", SUM("Revenue") FROM shop WHERE "Country" NOT IN (SELECT "Country" FROM shop WHERE "Country" IS NOT NULL GROUP BY 1 ORDER BY SUM("Revenue") DESC LIMIT 1) GROUP BY 1', "SELECT 'US', 150.0"),
    ('SELECT "Country", "Revenue" FROM shop WHERE "Revenue" > (SELECT AVG(r) FROM (SELECT "Revenue" r FROM shop GROUP BY "Country") t)',
     "SELECT country, sum(amount) FROM o GROUP BY 1 HAVING sum(amount) > 126"),
    ('SELECT "Country", SUM("Revenue") / (SELECT SUM("Revenue") FROM shop) AS pct FROM shop GROUP BY 1', "SELECT country, sum(amount) / 380 FROM o GROUP BY 1"),
    ('WITH top AS (SELECT "Country" c, SUM("Revenue") r FROM shop GROUP BY 1 ORDER BY 2 DESC LIMIT 1) SELECT "Country", "Status", SUM("Revenue") FROM shop.model WHERE "Country" IN (SELECT c FROM top) GROUP BY 1, 2',
     "SELECT country, status, sum(amount) FROM o WHERE country = 'DE' GROUP BY 1, 2"),
    ('SELECT "Country", "Revenue", (SELECT "Revenue" FROM shop) AS total FROM shop', "SELECT country, sum(amount), 380.0 FROM o GROUP BY 1"),
    ('SELECT "Status", SUM("Amount") FROM shop."Orders" WHERE "Amount" > (SELECT AVG("Amount") FROM shop."Orders") GROUP BY 1',
     "SELECT status, sum(amount) FROM orders WHERE amount > (SELECT avg(amount) FROM orders) GROUP BY 1"),
    # aggregates of some rows
    ('SELECT "Country", SUM(CASE "Status" WHEN \'open\' THEN "Revenue" ELSE 0 END) FROM shop GROUP BY 1', "SELECT country, sum(CASE status WHEN 'open' THEN amount ELSE 0 END) FROM o GROUP BY 1"),
    ('SELECT COUNT(*) FILTER (WHERE "Status" = \'paid\') FROM shop', "SELECT count(*) FILTER (WHERE status = 'paid') FROM o"),
    ('SELECT "Country", SUM("Revenue") FILTER (WHERE "Status" = \'open\') p, SUM("Revenue") t FROM shop GROUP BY 1',
     "SELECT country, sum(amount) FILTER (WHERE status = 'open'), sum(amount) FROM o GROUP BY 1"),
    ('SELECT "Country", MEASURE(CASE WHEN "Status" = \'paid\' THEN "Mid" END) FROM shop GROUP BY 1', "SELECT country, median(amount) FILTER (WHERE status = 'paid') FROM o GROUP BY 1"),
    ('SELECT SUM(IIF("Country" = \'US\' AND "Status" <> \'open\', "Revenue", 0)) FROM shop', "SELECT sum(CASE WHEN country = 'US' AND status <> 'open' THEN amount ELSE 0 END) FROM o"),
    ('SELECT "Country", SUM("Revenue") FROM shop GROUP BY 1 HAVING SUM(CASE WHEN "Status" = \'open\' THEN "Revenue" ELSE 0 END) > 10', "SELECT 'DE', 200.0"),
    ('SELECT "Country", SUM(CASE WHEN "Order Day" >= DATE \'2025-01-01\' THEN "Revenue" END) - SUM(CASE WHEN "Order Day" < DATE \'2025-01-01\' THEN "Revenue" END) d FROM shop GROUP BY 1',
     "SELECT country, sum(amount) FILTER (WHERE ordered_on >= '2025-01-01') - sum(amount) FILTER (WHERE ordered_on < '2025-01-01') FROM o GROUP BY 1"),
    # an output that has the name of a measure is not that measure in HAVING
    ('SELECT "Country", "Orders N" AS "Revenue" FROM shop GROUP BY 1 HAVING SUM("Revenue") > 100', "SELECT country, count(*) FROM o GROUP BY 1 HAVING sum(amount) > 100"),
    ('SELECT "Country" AS "Revenue", SUM("Orders N") FROM shop GROUP BY 1 HAVING SUM("Revenue") > 100', "SELECT country, count(*) FROM o GROUP BY 1 HAVING sum(amount) > 100"),
    ('SELECT "Country", SUM(CASE WHEN "Status" = \'open\' THEN "Revenue" END) AS "Revenue" FROM shop GROUP BY 1 HAVING SUM("Revenue") > 160',
     "SELECT 'DE', 80.0"),
    ('SELECT "Country", SUM(CASE WHEN "Status" = \'open\' THEN "Revenue" END) FROM shop GROUP BY 1 HAVING SUM("Revenue") > 160', "SELECT 'DE', 80.0"),
    ('SELECT "Country", "Orders N" AS "Revenue" FROM shop GROUP BY 1 ORDER BY SUM("Revenue") DESC LIMIT 1', "SELECT 'DE', 2"),
    # three-valued logic
    ('SELECT "Revenue" FROM shop WHERE ("Country" = \'US\') IS NOT TRUE', "SELECT sum(amount) FROM o WHERE (country = 'US') IS NOT TRUE"),
    ('SELECT "Revenue" FROM shop WHERE ("Country" = \'US\') IS FALSE', "SELECT sum(amount) FROM o WHERE (country = 'US') IS FALSE"),
    ('SELECT "Revenue" FROM shop WHERE NOT ("Country" = \'US\' AND NULL)', "SELECT sum(amount) FROM o WHERE NOT (country = 'US' AND NULL)"),
    ('SELECT "Revenue" FROM shop WHERE "Country" = \'US\' OR NULL', "SELECT sum(amount) FROM o WHERE country = 'US' OR NULL"),
    ('SELECT "Country", "Revenue" FROM shop WHERE NOT (NULL = 1)', "SELECT country, sum(amount) FROM o WHERE NOT (NULL = 1) GROUP BY 1"),
    ('SELECT "Revenue" FROM shop WHERE "Order Day" BETWEEN SYMMETRIC DATE \'2024-12-31\' AND DATE \'2024-01-01\'', "SELECT sum(amount) FROM o WHERE year(ordered_on) = 2024"),
    ('SELECT "Revenue" FROM shop WHERE ("Country", "Status") IN ((\'US\', \'paid\'), (\'DE\', \'open\'))', "SELECT sum(amount) FROM o WHERE (country, status) IN (('US', 'paid'), ('DE', 'open'))"),
    # functions of other dialects
    ('SELECT TO_CHAR("Order Day", \'YYYY-MM\') m, TO_CHAR("Order Day", \'YYYY\') y, "Revenue" FROM shop GROUP BY 1, 2',
     "SELECT strftime(ordered_on, '%Y-%m'), strftime(ordered_on, '%Y'), sum(amount) FROM o GROUP BY 1, 2"),
    ('SELECT DATE_PART(\'year\', "Order Day") AS y, LEFT("Status", 1), "Revenue" FROM shop GROUP BY 1, 2', "SELECT year(ordered_on), left(status, 1), sum(amount) FROM o GROUP BY 1, 2"),
    ('SELECT "Revenue" FROM shop WHERE "Order Day" >= DATEADD(month, -1, CURRENT_DATE)', "SELECT sum(amount) FROM o WHERE ordered_on >= '2025-01-10'"),
    ('SELECT "Revenue" FROM shop WHERE "Order Day" >= DATE_ADD(DATE \'2025-02-10\', INTERVAL \'-1\' MONTH)', "SELECT sum(amount) FROM o WHERE ordered_on >= '2025-01-10'"),
    ('SELECT t.* EXCLUDE (r) FROM (SELECT "Country" c, "Revenue" r FROM shop) t', "SELECT DISTINCT country FROM o"),
    ('SELECT "Country", "Revenue" FROM shop LIMIT ALL', "SELECT country, sum(amount) FROM o GROUP BY 1"),
]  # fmt: skip

EVERY = [
    pytest.param(semantic, physical, id=f"{tool}-{number}")
    for tool, cases in (
        ("tableau", TABLEAU), ("power-bi", POWER_BI), ("metabase", METABASE), ("superset", SUPERSET), ("dbeaver", DBEAVER), ("people", PEOPLE),
    )
    for number, (semantic, physical) in enumerate(cases)
]  # fmt: skip


@pytest.mark.parametrize(("semantic", "physical"), EVERY)
def test_rows_are_those_of_the_sql_on_the_tables(
    semantic: str, physical: str, catalog: SqlCatalog, database: duckdb.DuckDBPyConnection
) -> None:
    sql, _ = compiled(semantic, catalog)
    assert Counter(rows(database, sql)) == Counter(rows(database, physical))


REFUSED = [
    ('SELECT COUNT(DISTINCT "Country", "Status") FROM shop', "DISTINCT a, b"),
    ('SELECT SUM(DISTINCT "Revenue") FROM shop', "MEASURE"),
    ('SELECT MAX("Order Day", 2) FROM shop', "one column"),
    ('SELECT DISTINCT ON ("Country") "Country", "Status" FROM shop', None),
    ('SELECT "Country", "Revenue" FROM shop LIMIT 50%', None),
    ('SELECT "Country", "Revenue" FROM shop ORDER BY 2 FETCH FIRST 1 ROWS WITH TIES', None),
    ('SELECT "Country", "Revenue" FROM shop TABLESAMPLE 10%', None),
    ('SELECT "Country", "Revenue" FROM shop USING SAMPLE 3', None),
    ('SELECT * REPLACE (1 AS "Country") FROM shop', None),
    ('SELECT "Country", "Status", "Revenue" FROM shop GROUP BY "Country", ROLLUP("Status")', "brackets"),
    ('SELECT "Country", "Status", "Revenue" FROM shop GROUP BY GROUPING SETS (("Country"), ("Status"))', "ROLLUP"),
    ('SELECT SUM(b + 0) FROM (SELECT "Country", "Buyers" AS b FROM shop GROUP BY 1) t', "MEASURE"),
    ('SELECT SUM(CAST(b AS DECIMAL)) FROM (SELECT "Country", "Buyers" AS b FROM shop GROUP BY 1) t', "MEASURE"),
    ('SELECT "Status", SUM("Revenue") FROM shop WHERE "Country" IN (SELECT "Country" FROM shop ORDER BY "Revenue" DESC LIMIT 1) GROUP BY 1', "GROUP BY"),
    ('SELECT "Country", "Share" FROM shop WHERE "Country" IN (SELECT "Country" FROM shop ORDER BY "Revenue" DESC LIMIT 1)', "IN (...)"),
    ('SELECT t."Country", SUM(t."Revenue") FROM shop.model t JOIN (SELECT "Country", "Status" FROM shop GROUP BY 1, 2) u ON t."Country" = u."Country" GROUP BY 1', "narrows"),
    ('SELECT t."Country", SUM(t."Revenue") FROM shop.model t LEFT JOIN (SELECT "Country" FROM shop) u ON t."Country" = u."Country" GROUP BY 1', "narrows"),
    ('SELECT "Country", SUM(CASE WHEN "Revenue" > 10 THEN "Revenue" END) FROM shop GROUP BY 1', None),
    ('SELECT "Revenue" FROM shop WHERE "Order Day" > CURRENT_DATE - INTERVAL \'1 month 2 days\'', "INTERVAL"),
    ('SELECT TO_CHAR("Orders N", \'999D9\') FROM shop', None),
    ("SELECT 1 FROM shop", "label"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "hint"), REFUSED)
def test_what_would_be_wrong_is_refused(sql: str, hint: str | None, catalog: SqlCatalog) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(sql, catalog)
    assert hint is None or hint in (caught.value.diagnostics[0].hint or "")


def test_top_takes_the_first_rows(catalog: SqlCatalog, database: duckdb.DuckDBPyConnection) -> None:
    for sql in ('SELECT TOP 2 "Country" FROM shop ORDER BY "Revenue" DESC', 'SELECT TOP (2) "Country" FROM shop ORDER BY "Revenue" DESC'):  # fmt: skip
        assert rows(database, compiled(sql, catalog)[0]) == [("DE",), ("US",)]


def test_top_is_a_name_where_no_number_follows(catalog: SqlCatalog) -> None:
    assert compiled('SELECT "Country" AS top FROM shop', catalog)[1] == ["top"]


@pytest.mark.parametrize(
    "sql",
    ['SELECT * FROM (SELECT 1 AS "COL") AS "SUBQUERY" WHERE 0 = 1', "SELECT 1 AS x", "SHOW VARIABLES", "SHOW search_path",
     "SHOW TRANSACTION ISOLATION LEVEL",
     "SELECT c.column_name FROM information_schema.tables t JOIN information_schema.columns c ON t.table_name = c.table_name"],
)  # fmt: skip
def test_a_statement_without_a_table_needs_no_warehouse(sql: str, catalog: SqlCatalog) -> None:
    assert isinstance(translate_sql(sql, catalog, now=NOW), CatalogStatement)
