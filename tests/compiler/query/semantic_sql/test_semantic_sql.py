# ruff: noqa: E501
"""SQL on a model gives the rows of the SQL that a person would write on the tables."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import duckdb
import pytest
from compiler.query.semantic_sql.shop import MODEL, NOW, compiled, rows
from sagitta_compiler import CompileError, load_model, query_to_dict, read_query
from sagitta_compiler.query.semantic_sql import (
    Acknowledgement,
    CatalogStatement,
    SemanticStatement,
    SqlCatalog,
    translate_sql,
)

SAME = [
    ('SELECT "Country", "Revenue" FROM shop', "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('SELECT "Revenue", "Country" FROM shop.model', "SELECT sum(amount), country FROM o GROUP BY 2"),
    ("SELECT country, revenue FROM sagitta.shop.model", "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ('SELECT "Country", "Revenue"', "SELECT country, sum(amount) FROM o GROUP BY 1"),
    ("SELECT order_month, orders_n FROM shop", "SELECT date_trunc('month', ordered_on)::DATE, count(*) FROM o GROUP BY 1"),
    ('SELECT SUM("Revenue") FROM shop', "SELECT sum(amount) FROM o"),
    ('SELECT COUNT(DISTINCT "Buyers") FROM shop', "SELECT count(DISTINCT customer_id) FROM o"),
    ('SELECT MEASURE("Mid"), AGG("Share") FROM shop', "SELECT median(amount), 1.0 FROM o"),
    ('SELECT "Status", SUM("Orders N") FROM shop GROUP BY 1', "SELECT status, count(*) FROM o GROUP BY 1"),
    ('SELECT COUNT(*) FROM shop', "SELECT count(*) FROM o"),
    ('SELECT "Status", COUNT(1) n FROM shop GROUP BY "Status"', "SELECT status, count(*) FROM o GROUP BY 1"),
    ("SELECT DATE_TRUNC('year', \"Order Day\") y, \"Mid\" FROM shop GROUP BY y",
     "SELECT date_trunc('year', ordered_on)::DATE, median(amount) FROM o GROUP BY 1"),
    ('SELECT EXTRACT(MONTH FROM "Order Day") m, "Buyers" FROM shop GROUP BY 1',
     "SELECT month(ordered_on), count(DISTINCT customer_id) FROM o GROUP BY 1"),
    ('SELECT UPPER("Status") s, "Mid" FROM shop', "SELECT upper(status), median(amount) FROM o GROUP BY 1"),
    ("SELECT CASE WHEN \"Status\" = 'open' THEN 'o' ELSE 'p' END x, \"Buyers\" FROM shop GROUP BY 1",
     "SELECT CASE WHEN status = 'open' THEN 'o' ELSE 'p' END, count(DISTINCT customer_id) FROM o GROUP BY 1"),
    ('SELECT MIN("Order Day"), MAX("Order Day"), COUNT(DISTINCT "Status") FROM shop',
     "SELECT min(ordered_on), max(ordered_on), count(DISTINCT status) FROM orders"),
    ('SELECT COUNT(DISTINCT "Order Month") FROM shop', "SELECT count(DISTINCT date_trunc('month', ordered_on)) FROM o"),
    ('SELECT "Revenue" / "Orders N" AS aov FROM shop', "SELECT sum(amount) / count(*) FROM o"),
    ('SELECT "Country", CAST("Revenue" AS BIGINT) r, COALESCE("Mid", 0) FROM shop',
     "SELECT country, sum(amount)::BIGINT, median(amount) FROM o GROUP BY 1"),
    ('SELECT "Revenue" FROM shop GROUP BY "Country"', "SELECT sum(amount) FROM o GROUP BY country"),
    ('SELECT DISTINCT "Status" FROM shop', "SELECT DISTINCT status FROM o"),
    # filters
    ("SELECT \"Revenue\" FROM shop WHERE \"Status\" NOT LIKE 'o%'", "SELECT sum(amount) FROM o WHERE status NOT LIKE 'o%'"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Status\" ILIKE 'PA%'", "SELECT sum(amount) FROM o WHERE status ILIKE 'PA%'"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Status\" NOT ILIKE 'PA%'", "SELECT sum(amount) FROM o WHERE status NOT ILIKE 'PA%'"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Status\" LIKE '%!_%' ESCAPE '!'", "SELECT sum(amount) FROM o WHERE false"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Country\" NOT IN ('US')", "SELECT sum(amount) FROM o WHERE country NOT IN ('US')"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Order Day\" BETWEEN DATE '2024-01-01' AND '2024-12-31'",
     "SELECT sum(amount) FROM o WHERE year(ordered_on) = 2024"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Order Day\" NOT BETWEEN '2024-01-01' AND '2024-12-31'",
     "SELECT sum(amount) FROM o WHERE year(ordered_on) <> 2024"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Country\" = 'DE' OR (\"Status\" = 'paid' AND NOT \"Customer\" = 'Ann')",
     "SELECT sum(amount) FROM o WHERE country = 'DE' OR (status = 'paid' AND NOT name = 'Ann')"),
    ("SELECT \"Revenue\" FROM shop WHERE 'DE' <> \"Country\" AND 1 = 1", "SELECT sum(amount) FROM o WHERE country <> 'DE'"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Country\" IS NULL", "SELECT sum(amount) FROM o WHERE country IS NULL"),
    ("SELECT \"Revenue\" FROM shop WHERE NOT \"Country\" IS NULL", "SELECT sum(amount) FROM o WHERE country IS NOT NULL"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Country\" IS DISTINCT FROM 'US'",
     "SELECT sum(amount) FROM o WHERE country IS DISTINCT FROM 'US'"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Order Month\" = DATE '2024-01-01'",
     "SELECT sum(amount) FROM o WHERE date_trunc('month', ordered_on) = DATE '2024-01-01'"),
    ("SELECT \"Revenue\" FROM shop WHERE DATE_TRUNC('year', \"Order Day\") = DATE '2025-01-01'",
     "SELECT sum(amount) FROM o WHERE year(ordered_on) = 2025"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Order Day\" >= CURRENT_DATE - INTERVAL '1' MONTH",
     "SELECT sum(amount) FROM o WHERE ordered_on >= DATE '2025-01-10'"),
    ("SELECT \"Revenue\" FROM shop WHERE YEAR(\"Order Day\") = 2025 AND LENGTH(\"Status\") = 4",
     "SELECT sum(amount) FROM o WHERE year(ordered_on) = 2025 AND length(status) = 4"),
    ("SELECT \"Revenue\" FROM shop WHERE LOWER(\"Country\") = 'us' AND STARTS_WITH(\"Status\", 'pa')",
     "SELECT sum(amount) FROM o WHERE lower(country) = 'us' AND status LIKE 'pa%'"),
    ("SELECT \"Customer\" FROM shop WHERE EXISTS (SELECT 1 FROM \"Orders\" WHERE \"Status\" = 'open')", "SELECT 'Bob'"),
    ("SELECT \"Customer\" FROM shop WHERE NOT EXISTS (SELECT 1 FROM \"Orders\")", "SELECT 'Cem'"),
    ('SELECT "Country", "Revenue" FROM shop WHERE "Revenue" > 100', "SELECT country, sum(amount) FROM o GROUP BY 1 HAVING sum(amount) > 100"),
    ('SELECT "Country" FROM shop HAVING SUM("Revenue") BETWEEN 100 AND 160 AND COUNT(1) > 0', "SELECT 'US'"),
    ('SELECT "Country", "Orders N" FROM shop HAVING "Revenue" / "Orders N" > 80', "SELECT 'DE', 2"),
    ("SELECT \"Revenue\" FROM shop WHERE \"Order Day\" >= {d '2025-01-01'} AND \"Status\" <> '{d}'",
     "SELECT sum(amount) FROM o WHERE year(ordered_on) = 2025"),
    ('SELECT {fn UCASE("Status")} s, "Revenue" FROM shop', "SELECT upper(status), sum(amount) FROM o GROUP BY 1"),
    # layers
    ('SELECT "Country", SUM("Revenue") r FROM (SELECT * FROM shop.model) t WHERE "Status" = \'paid\' GROUP BY "Country"',
     "SELECT country, sum(amount) FROM o WHERE status = 'paid' GROUP BY 1"),
    ('WITH x AS (SELECT "Country" c, "Revenue" r FROM shop) SELECT c, r * 2 FROM x', "SELECT country, sum(amount) * 2 FROM o GROUP BY 1"),
    ('SELECT AVG(r) FROM (SELECT "Country", "Revenue" r FROM shop) t', "SELECT avg(s) FROM (SELECT sum(amount) s FROM o GROUP BY country)"),
    ('SELECT COUNT(*) FROM (SELECT "Country", "Status" FROM shop.model GROUP BY 1, 2) t', "SELECT count(*) FROM (SELECT DISTINCT country, status FROM o)"),
    ('SELECT "Country" c, "Revenue" FROM shop UNION ALL SELECT \'all\', "Revenue" FROM shop',
     "SELECT country, sum(amount) FROM o GROUP BY 1 UNION ALL SELECT 'all', sum(amount) FROM o"),
    ('SELECT "Country", SUM("Revenue") OVER () t FROM shop', "SELECT country, 380.0 FROM o GROUP BY 1"),
    ('SELECT (SELECT "Revenue" FROM shop) / 2 AS half', "SELECT sum(amount) / 2 FROM o"),
    # raw rows
    ('SELECT "Orders"."Id", "Customers"."Name" FROM shop', "SELECT id, name FROM o"),
    ('SELECT * FROM shop."Customers"', "SELECT * FROM customers"),
    ('SELECT "Status", SUM("Amount") FROM shop."Orders" WHERE "Day" < DATE \'2025-01-01\' GROUP BY 1',
     "SELECT status, sum(amount) FROM orders WHERE year(ordered_on) = 2024 GROUP BY 1"),
    ('SELECT c."Name", o."Amount" FROM shop."Orders" o JOIN shop."Customers" c ON o."Cust" = c."Id"',
     "SELECT name, amount FROM orders JOIN customers ON customer_id = customers.id"),
    ('SELECT COUNT(*) FROM shop."Orders"', "SELECT count(*) FROM orders"),
]  # fmt: skip


MORE = [
('SELECT COUNT(DISTINCT "Country") FROM shop WHERE "Status"=\'paid\'',"SELECT count(distinct country) FROM o WHERE status='paid'"),
('SELECT COUNT(DISTINCT "Customer"), "Revenue" FROM shop WHERE "Status"=\'open\'',"SELECT count(distinct name), sum(amount) FROM o WHERE status='open'"),
('SELECT MAX("Order Day") FROM shop WHERE "Country"=\'US\'',"SELECT max(ordered_on) FROM o WHERE country='US'"),
('SELECT "Country", MAX("Order Day") m FROM shop WHERE "Status"=\'paid\' GROUP BY 1 ORDER BY 2 DESC',"SELECT country,max(ordered_on) FROM o WHERE status='paid' GROUP BY 1"),
('SELECT "Status", COUNT(DISTINCT "Country") FROM shop GROUP BY 1',"SELECT status,count(distinct country) FROM o GROUP BY 1"),
('SELECT UPPER("Country") u, "Orders N", "Share" FROM shop GROUP BY UPPER("Country")',"SELECT upper(country),count(*),sum(amount)/380 FROM o GROUP BY 1"),
('SELECT COALESCE("Country", \'none\') c, SUM("Revenue") FROM shop GROUP BY COALESCE("Country", \'none\')',"SELECT coalesce(country,'none'), sum(amount) FROM o GROUP BY 1"),
('SELECT "Country", "Revenue" FROM shop WHERE COALESCE("Country", \'none\') <> \'US\'',"SELECT country,sum(amount) FROM o WHERE coalesce(country,'none')<>'US' GROUP BY 1"),
('SELECT "Country" || \'-\' || "Customer" x, "Revenue" FROM shop GROUP BY 1',"SELECT country||'-'||name, sum(amount) FROM o GROUP BY 1"),
('SELECT CASE WHEN "Revenue" > 100 THEN \'big\' ELSE \'small\' END s, COUNT(*) FROM (SELECT "Country", "Revenue" FROM shop GROUP BY 1) t GROUP BY 1',"SELECT CASE WHEN r>100 THEN 'big' ELSE 'small' END, count(*) FROM (SELECT country, sum(amount) r FROM o GROUP BY 1) GROUP BY 1"),
('SELECT "Order Month", "Revenue" FROM shop WHERE "Order Month" BETWEEN DATE \'2024-01-01\' AND DATE \'2024-02-01\'',"SELECT date_trunc('month',ordered_on)::date, sum(amount) FROM o WHERE year(ordered_on)=2024 GROUP BY 1"),
('SELECT "Revenue" FROM shop WHERE "Order Day" = \'2024-01-05\'',"SELECT sum(amount) FROM o WHERE ordered_on='2024-01-05'"),
('SELECT "Revenue" FROM shop WHERE "Country" IN (\'US\', NULL)',"SELECT sum(amount) FROM o WHERE country IN ('US')"),
('SELECT "Revenue" FROM shop WHERE "Country" NOT IN (\'US\', NULL)',"SELECT sum(amount) FROM o WHERE country NOT IN ('US',NULL)"),
('SELECT "Revenue" FROM shop WHERE NOT ("Country" = \'US\' OR "Status" = \'open\')',"SELECT sum(amount) FROM o WHERE NOT (country='US' OR status='open')"),
('SELECT "Revenue" FROM shop WHERE NOT ("Country" IS NULL AND "Status" = \'paid\')',"SELECT sum(amount) FROM o WHERE NOT (country IS NULL AND status='paid')"),
('SELECT "Revenue" FROM shop WHERE "Country" <> \'US\' OR 1=1',"SELECT sum(amount) FROM o"),
('SELECT "Revenue" FROM shop WHERE "Country" = NULL',"SELECT sum(amount) FROM o WHERE false"),
('SELECT "Country","Revenue" FROM shop WHERE "Revenue" > 100 OR "Orders N" = 1',"SELECT country,sum(amount) FROM o GROUP BY 1 HAVING sum(amount)>100 OR count(*)=1"),
('SELECT "Country","Revenue" FROM shop HAVING NOT ("Revenue" > 100)',"SELECT country,sum(amount) FROM o GROUP BY 1 HAVING NOT sum(amount)>100"),
('SELECT "Country","Revenue" FROM shop WHERE "Revenue" > 100 OR "Country" = \'US\'',"SELECT country,sum(amount) FROM o GROUP BY 1 HAVING sum(amount)>100 OR country='US'"),
('SELECT DISTINCT "Country", "Revenue" > 100 b FROM shop',"SELECT DISTINCT country,sum(amount)>100 FROM o GROUP BY country"),
('SELECT "Revenue" - LAG("Revenue") OVER (ORDER BY "Order Month") d FROM shop GROUP BY "Order Month"',"SELECT s - lag(s) OVER (ORDER BY m) FROM (SELECT date_trunc('month',ordered_on) m, sum(amount) s FROM o GROUP BY 1)"),
('SELECT "Country" FROM shop WHERE "Mid" > (75 + 5) * 1',"SELECT country FROM o GROUP BY 1 HAVING median(amount) > 80"),
('SELECT "Customer", "Revenue" FROM shop ORDER BY "Revenue" DESC LIMIT 2 OFFSET 1',"SELECT name,sum(amount) FROM o GROUP BY 1 ORDER BY 2 DESC LIMIT 2 OFFSET 1"),
('SELECT t."Country", t."Revenue" FROM shop.model AS t WHERE t."Status" = \'paid\'',"SELECT country,sum(amount) FROM o WHERE status='paid' GROUP BY 1"),
('SELECT COUNT("Orders"."Id") FROM shop',"SELECT count(id) FROM orders"),
('SELECT "Orders"."Status", SUM("Orders"."Amount") FROM shop GROUP BY "Orders"."Status"',"SELECT status,sum(amount) FROM o GROUP BY 1"),
('SELECT MIN("Country") FROM shop',"SELECT min(country) FROM customers"),
('SELECT "Revenue" FROM shop WHERE NOT ("Country" = NULL)',"SELECT sum(amount) FROM o WHERE NOT country = NULL"),
('SELECT "Country","Revenue" FROM shop HAVING "Revenue" = NULL',"SELECT country,sum(amount) FROM o GROUP BY 1 HAVING sum(amount) = NULL"),
]  # fmt: skip


@pytest.mark.parametrize(("semantic", "physical"), [*SAME, *MORE])
def test_rows_are_those_of_the_sql_a_person_would_write(
    semantic: str, physical: str, catalog: SqlCatalog, database: duckdb.DuckDBPyConnection
) -> None:
    sql, _ = compiled(semantic, catalog)
    assert Counter(rows(database, sql)) == Counter(rows(database, physical))


ORDERED = [
    ('SELECT "Revenue", "Country" FROM shop ORDER BY 1 DESC', [(200.0, "DE"), (150.0, "US"), (30.0, None)]),
    ('SELECT "Country" c, "Revenue" r FROM shop ORDER BY r', [(None, 30.0), ("US", 150.0), ("DE", 200.0)]),
    ('SELECT "Country" FROM shop ORDER BY "Revenue" DESC LIMIT 1', [("DE",)]),
    ('SELECT "Country" FROM shop WHERE "Revenue" > 0 ORDER BY 1 NULLS FIRST', [(None,), ("DE",), ("US",)]),
    ('SELECT "Country" FROM shop WHERE "Revenue" > 0 ORDER BY 1 DESC NULLS LAST OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY', [("DE",)]),
    ('SELECT "Country", "Status", "Revenue", GROUPING("Status") g FROM shop GROUP BY ROLLUP("Country", "Status") ORDER BY "Revenue" DESC LIMIT 2',
     [(None, None, 380.0, 1), ("DE", None, 200.0, 1)]),
    ('SELECT "Status", "Revenue" FROM shop GROUP BY "Status" WITH ROLLUP ORDER BY "Revenue"',
     [("open", 80.0), ("paid", 300.0), (None, 380.0)]),
    ('SELECT "Country", RANK() OVER (ORDER BY "Revenue") FROM shop ORDER BY 2', [(None, 1), ("US", 2), ("DE", 3)]),
]  # fmt: skip


@pytest.mark.parametrize(("semantic", "expected"), ORDERED)
def test_order_limit_and_positions(
    semantic: str, expected: list[tuple[object, ...]], catalog: SqlCatalog, database: duckdb.DuckDBPyConnection
) -> None:
    assert rows(database, compiled(semantic, catalog)[0]) == expected


REFUSED = [
    ('SELECT AVG("Revenue") FROM shop', "AGGREGATION_MISMATCH", "MEASURE"),
    ('SELECT SUM("Buyers") FROM shop', "NON_ADDITIVE_AGGREGATION", "MEASURE"),
    ('SELECT SUM(b) FROM (SELECT "Country", "Buyers" b FROM shop) t', "NON_ADDITIVE_AGGREGATION", "MEASURE"),
    ('SELECT "Country", SUM("Buyers") OVER () FROM shop', "NON_ADDITIVE_AGGREGATION", "total"),
    ('SELECT "Country", "Status", "Revenue" FROM shop GROUP BY "Country"', "UNSUPPORTED_SQL_FEATURE", "GROUP BY"),
    ('SELECT "Contry" FROM shop', "UNKNOWN_SELECT_ITEM", "Country"),
    ("SELECT * FROM orders_raw", "RAW_SQL_REJECTED", "shop.model"),
    ("SELECT * FROM nowhere.model", "UNKNOWN_MODEL", "shop"),
    ("DELETE FROM shop", "WRITE_OPERATION_REJECTED", "warehouse"),
    ("DROP TABLE shop", "WRITE_OPERATION_REJECTED", "warehouse"),
    ("SELECT 1; SELECT 2", "UNSUPPORTED_SQL_FEATURE", None),
    ("SELEC 1", "SQL_SYNTAX_ERROR", None),
    ('SELECT FROM WHERE', "SQL_SYNTAX_ERROR", None),
    ("SELECT read_text('/etc/passwd')", "UNSUPPORTED_SQL_FEATURE", None),
    ("SELECT * FROM read_csv('/etc/passwd')", "UNSUPPORTED_SQL_FEATURE", None),
    ('SELECT getenv("Country") FROM shop', "UNSUPPORTED_SQL_FEATURE", None),
    ('SELECT "Country", getenv(\'HOME\') FROM shop', "UNSUPPORTED_SQL_FEATURE", None),
    ('SELECT "Revenue" FROM shop ORDER BY 2', "INVALID_ORDER_BY_POSITION", None),
    ('SELECT "Country", "Orders"."Id" FROM shop', "MIXED_RAW_AND_AGGREGATE_MODE", None),
    ('SELECT a."Country" FROM shop a JOIN shop b ON a."Country" = b."Country"', "UNSUPPORTED_SQL_FEATURE", "one table"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "code", "hint"), REFUSED)
def test_what_cannot_mean_anything_is_refused_with_a_hint(
    sql: str, code: str, hint: str | None, catalog: SqlCatalog
) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(sql, catalog)
    diagnostic = caught.value.diagnostics[0]
    assert diagnostic.code == code
    assert hint is None or hint in (diagnostic.hint or "")


PHYSICAL = [
    'SELECT "Country", (SELECT max(name) FROM secrets) x FROM shop',
    'SELECT "Status", (SELECT max(name) FROM secrets) x FROM shop."Orders"',
    'SELECT "Id" FROM shop."Orders" WHERE "Id" IN (SELECT id FROM secrets)',
    'SELECT a."Id" FROM shop."Orders" a JOIN shop."Orders" b ON a."Id" = (SELECT max(id) FROM secrets)',
    'SELECT a."Id" FROM shop."Orders" a JOIN shop."Orders" b ON EXISTS (SELECT 1 FROM secrets)',
    'SELECT "Id" FROM shop."Orders" ORDER BY (SELECT max(id) FROM secrets)',
    'SELECT "Country", "Revenue" FROM shop UNION ALL SELECT name, id FROM main.secrets',
    'WITH x AS (SELECT * FROM secrets) SELECT * FROM x',
    'WITH x AS (SELECT "Country" c FROM shop) SELECT c FROM x WHERE EXISTS (SELECT 1 FROM secrets)',
    'SELECT * FROM (SELECT "Country" FROM shop) t, secrets',
    'SELECT * FROM (SELECT "Country" FROM shop) t, LATERAL (SELECT * FROM secrets) l',
    'SELECT * FROM (SELECT "Country" FROM shop) t JOIN read_csv(\'/etc/passwd\') f ON true',
    'SELECT "Country" FROM shop LIMIT (SELECT count(*) FROM secrets)',
    'SELECT c FROM (SELECT "Country" c FROM shop) t QUALIFY row_number() OVER (ORDER BY (SELECT max(id) FROM secrets)) = 1',
    'SELECT * FROM (VALUES (1)) v(x), secrets',
    'SELECT 1 WHERE EXISTS (SELECT 1 FROM secrets)',
]  # fmt: skip


@pytest.mark.parametrize("sql", PHYSICAL)
def test_no_way_leads_to_a_table_of_the_warehouse(sql: str, catalog: SqlCatalog) -> None:
    with pytest.raises(CompileError):
        translate_sql(sql, catalog, parameters=(), now=NOW)


def test_a_query_object_is_accepted_where_sql_is(catalog: SqlCatalog, database: duckdb.DuckDBPyConnection) -> None:
    text, names = compiled(
        "select:\n  dimensions: [Country]\n  measures: [Revenue]\norder_by: [{field: Revenue}]", catalog
    )
    assert names == ["Country", "Revenue"]
    assert rows(database, text)[0] == (None, 30)
    text, _ = compiled('{"select": {"measures": ["Revenue"]}}', catalog)
    assert rows(database, text) == [(380,)]


def test_aliases_and_the_order_of_columns_are_kept(catalog: SqlCatalog) -> None:
    assert compiled('SELECT "Revenue" AS "r €", "Country" FROM shop', catalog)[1] == ["r €", "Country"]


def test_zero_row_probes_know_every_column(catalog: SqlCatalog, database: duckdb.DuckDBPyConnection) -> None:
    sql, names = compiled("SELECT * FROM shop WHERE 1 = 0", catalog)
    assert names[:2] == ["Country", "Customer"]
    assert names[-1] == "Share" or "Customers Count" in names
    assert rows(database, sql) == []


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('SELECT SUM("Revenue"), COUNT("Orders N") FROM shop WHERE 1 = 0', [(None, 0)]),
        ("SELECT COUNT(*) FROM shop WHERE FALSE", [(0,)]),
        ('SELECT MAX("Country"), COUNT(DISTINCT "Country") FROM shop WHERE 1 = 0', [(None, 0)]),
        ('SELECT SUM("Revenue") FROM shop WHERE 1 = 0 AND "Country" = \'US\'', [(None,)]),
        ('SELECT SUM("Revenue") FROM shop WHERE "Country" = NULL', [(None,)]),
        ('SELECT SUM("Revenue") FROM shop WHERE 1 = 0 HAVING SUM("Revenue") IS NULL', [(None,)]),
        ('SELECT "Country", SUM("Revenue") FROM shop WHERE 1 = 0 GROUP BY ROLLUP("Country")', [(None, None)]),
        ('SELECT SUM("Revenue") FROM shop WHERE 1 = 0 LIMIT 0', []),
        ('SELECT SUM("Revenue") FROM shop HAVING 1 = 0', []),
        ('SELECT "Revenue" FROM shop WHERE 1 = 0', []),
        ('SELECT "Country", SUM("Revenue") FROM shop WHERE 1 = 0 GROUP BY "Country"', []),
        ('SELECT * FROM (SELECT SUM("Revenue") AS r FROM shop) q WHERE 1 = 0', []),
        ('SELECT COUNT("Orders N") FILTER (WHERE 1 = 0) FROM shop', [(0,)]),
    ],
)
def test_an_aggregate_of_no_rows_has_one_row(
    sql: str, expected: list[tuple[object, ...]], catalog: SqlCatalog, database: duckdb.DuckDBPyConnection
) -> None:
    """Without GROUP BY, and in the total of a rollup, as SQL has it; a column of no rows is empty."""
    assert rows(database, compiled(sql, catalog)[0]) == expected


def test_nothing_is_related_where_the_condition_of_exists_is_never_true(
    catalog: SqlCatalog, database: duckdb.DuckDBPyConnection
) -> None:
    with_none = 'SELECT SUM("Revenue") FROM shop WHERE NOT EXISTS (SELECT 1 FROM "Orders" WHERE 1 = 0)'
    every = rows(database, compiled('SELECT SUM("Revenue") FROM shop', catalog)[0])
    assert rows(database, compiled(with_none, catalog)[0]) == every


def test_parameters_are_typed_by_what_they_are_compared_with(catalog: SqlCatalog) -> None:
    sql = 'SELECT "Revenue" FROM shop WHERE "Order Day" >= ? AND "Status" IN (?, ?) LIMIT ?'
    prepared = translate_sql(sql, catalog)
    assert isinstance(prepared, SemanticStatement)
    assert [(p.name, p.type) for p in prepared.parameters] == [
        ("1", "date"),
        ("2", "string"),
        ("3", "string"),
        ("4", "int"),
    ]


def test_a_dimension_without_a_type_has_that_of_its_column(database: duckdb.DuckDBPyConnection) -> None:
    model = load_model(MODEL.replace(", resultType: date", "")).model
    assert model is not None
    catalog = SqlCatalog("sagitta", {"shop": model})
    sql = 'SELECT "Order Day:year", "Revenue" FROM shop WHERE "Order Day" >= ?'
    prepared = translate_sql(sql, catalog)
    assert isinstance(prepared, SemanticStatement)
    assert [p.type for p in prepared.parameters] == ["date"]
    text, _ = compiled(sql, catalog, (dt.date(2025, 1, 1),))
    assert rows(database, text) == [(dt.date(2025, 1, 1), 150.0)]


def test_having_on_a_measure_of_dates_takes_a_date() -> None:
    latest = "  Latest: {columns: [{dataObject: Orders, column: Day}], aggregation: max}\nmetrics:"
    model = load_model(MODEL.replace("metrics:", latest)).model
    assert model is not None
    sql = 'SELECT "Status", "Latest" FROM shop HAVING "Latest" > ?'
    prepared = translate_sql(sql, SqlCatalog("sagitta", {"shop": model}))
    assert isinstance(prepared, SemanticStatement)
    assert [p.type for p in prepared.parameters] == ["date"]


@pytest.mark.parametrize(
    "sql",
    [
        'SELECT SUM("Revenue") FROM shop WHERE 1 = 0',
        'SELECT SUM("Revenue") FILTER (WHERE 1 = 0) FROM shop',
        'SELECT SUM("Revenue") FROM shop WHERE EXISTS (SELECT 1 FROM "Orders" WHERE FALSE)',
    ],
)
def test_a_condition_that_is_never_true_is_told_so_that_it_can_be_read(sql: str, catalog: SqlCatalog) -> None:
    statement = translate_sql(sql, catalog)
    assert isinstance(statement, SemanticStatement)
    (core,) = statement.cores
    assert read_query(query_to_dict(core.query)) == (replace(core.query, column_order=()), ())


def test_bound_values_take_the_place_of_parameters(catalog: SqlCatalog, database: duckdb.DuckDBPyConnection) -> None:
    sql = 'SELECT "Revenue" FROM shop WHERE "Order Day" >= $2 AND "Status" = $1'
    text, _ = compiled(sql, catalog, ("paid", dt.date(2025, 1, 1)))
    assert rows(database, text) == [(150.0,)]
    with pytest.raises(CompileError, match="2 parameters"):
        compiled(sql, catalog, ("paid",))


def test_a_hostile_parameter_stays_a_value(catalog: SqlCatalog, database: duckdb.DuckDBPyConnection) -> None:
    text, _ = compiled('SELECT "Revenue" FROM shop WHERE "Status" = ?', catalog, ("x' OR '1'='1",))
    assert rows(database, text) == [(None,)]


def test_current_date_is_the_day_in_the_zone_of_the_model_that_is_asked() -> None:
    zones = {"shop": "UTC", "far": "Pacific/Kiritimati"}
    models = {name: load_model(f"{MODEL}settings: {{defaultTimezone: {zone}}}\n").model for name, zone in zones.items()}
    catalog = SqlCatalog("sagitta", {name: model for name, model in models.items() if model is not None})
    select = 'SELECT "Revenue" FROM {} WHERE "Order Day" = CURRENT_DATE'
    text, _ = compiled(f"{select.format('shop')} UNION ALL {select.format('far')}", catalog)
    assert re.findall(r"'(2025-02-\d\d)'", text) == ["2025-02-10", "2025-02-11"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT version()",
        "SELECT current_database(), current_schema",
        "SELECT * FROM information_schema.tables WHERE table_schema = 'shop'",
        "SELECT * FROM shop._measures_metadata",
        "SHOW TABLES",
        "DESCRIBE shop.model",
        "DESCRIBE shop",
    ],
)
def test_probes_are_answered_from_the_catalog(sql: str, catalog: SqlCatalog) -> None:
    assert isinstance(translate_sql(sql, catalog), CatalogStatement)


@pytest.mark.parametrize("sql", ["SET x = 1", "BEGIN", "COMMIT", "ROLLBACK", "USE shop"])
def test_session_commands_are_acknowledged(sql: str, catalog: SqlCatalog) -> None:
    assert isinstance(translate_sql(sql, catalog), Acknowledgement)


def test_statements_around_answers_with_warnings_compile(catalog: SqlCatalog) -> None:
    assert compiled('SELECT *, "Revenue" AS r FROM shop ORDER BY r', catalog)[1][-1] == "r"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT FROM shop",
        'SELECT UPPER(SELECT "Revenue") u, "Share" FROM shop GROUP BY UPPER("Country")',
        'SELECT "Country", SUM(SELECT 1 FROM shop) OVER () FROM shop',
        "FETCH shop",
        'SELECT "Country", "Revenue", GROUPING(\'x\') g FROM shop GROUP BY ROLLUP("Country")',
        'SELECT (*) FROM (SELECT "Country" FROM shop.model GROUP BY 1) t',
        'SELECT AVG(80) FROM (SELECT "Country", "Revenue" FROM SELECT shop) t',
    ],
)
def test_nonsense_is_a_diagnostic(sql: str, catalog: SqlCatalog) -> None:
    with pytest.raises(CompileError):
        compiled(sql, catalog)


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("[", "]"),
        ("UPPER(", ")"),
        ("CASE WHEN TRUE THEN ", " END"),
        ("(SELECT ", ")"),
        ("NOT ", ""),
        ("1 + ", ""),
    ],
)
def test_a_deep_statement_is_refused_not_crashed(catalog: SqlCatalog, opening: str, closing: str) -> None:
    """The parser is compiled: without a limit of its own, deep nesting ends the process, not the statement."""
    with pytest.raises(CompileError):
        compiled(f"SELECT {opening * 20000}1{closing * 20000} FROM shop", catalog)


def test_nesting_that_tools_write_is_read(catalog: SqlCatalog) -> None:
    assert compiled(f'SELECT "Revenue" FROM shop WHERE {"(" * 90}"Country" = \'x\'{")" * 90}', catalog)


@pytest.mark.parametrize(
    ("before", "after"), [("ABS(", ")"), ("1 + ", ""), ("NOT ", ""), ("CASE WHEN 1 = 1 THEN ", " END"), ("-(", ")")]
)
def test_an_expression_costs_no_more_than_its_length(before: str, after: str, catalog: SqlCatalog) -> None:
    """A node that was copied with all that lies below it, at every level, took gigabytes."""
    for levels in (40, 4000):
        sql = f'SELECT {before * levels}"Revenue"{after * levels} AS x FROM shop'
        started = time.process_time()
        with suppress(CompileError):
            translate_sql(sql, catalog)
        assert time.process_time() - started < 5


def test_sub_selects_nest_as_tools_nest_them_and_no_deeper(catalog: SqlCatalog) -> None:
    def nested(levels: int) -> str:
        return 'SELECT "Revenue" FROM ' + "(SELECT * FROM " * levels + "shop" + ") t" * levels

    assert isinstance(translate_sql(nested(20), catalog), SemanticStatement)
    with pytest.raises(CompileError, match="nested"):
        translate_sql(nested(500), catalog)
