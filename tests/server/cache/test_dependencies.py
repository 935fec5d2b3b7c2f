from __future__ import annotations

import pytest
from sagitta_server.cache.dependencies import dependencies

VARYING = [
    ("duckdb", "SELECT random()"),
    ("duckdb", "SELECT now()"),
    ("duckdb", "SELECT a FROM t USING SAMPLE 10%"),
    ("duckdb", "SELECT today()"),
    ("duckdb", "SELECT current_date"),
    ("duckdb", "SELECT * FROM (SELECT 1 AS a) WHERE a < (SELECT uuid())"),
    ("duckdb", "SELECT nextval('s')"),
    ("duckdb", "SELECT age(d) FROM t"),
    ("postgres", "SELECT clock_timestamp()"),
    ("postgres", "SELECT 'now'::timestamp"),
    ("postgres", "SELECT * FROM t TABLESAMPLE SYSTEM (1)"),
    ("postgres", "SELECT localtime"),
    ("postgres", "SELECT current_user"),
    ("clickhouse", "SELECT a FROM t SAMPLE 0.1"),
    ("clickhouse", "SELECT generateUUIDv4()"),
    ("clickhouse", "SELECT yesterday()"),
    ("snowflake", "SELECT SYSDATE()"),
    ("snowflake", "SELECT SEQ4()"),
    ("snowflake", "SELECT * FROM t SAMPLE (10)"),
    ("mysql", "SELECT UNIX_TIMESTAMP()"),
    ("mysql", "SELECT UTC_TIMESTAMP()"),
    ("bigquery", "SELECT GENERATE_UUID()"),
    ("bigquery", "SELECT CURRENT_DATETIME()"),
    ("databricks", "SELECT monotonically_increasing_id()"),
    ("duckdb", "SELECT ("),
]
STEADY = [
    ("duckdb", "SELECT SUM(a) FROM t WHERE d >= CAST('2026-01-01' AS DATE) GROUP BY b ORDER BY 1 LIMIT 10"),
    ("duckdb", 'SELECT \'now()\' AS "CURRENT_DATE", t."sysdate", "random" FROM t -- uuid()'),
    ("duckdb", "SELECT age(d, e) FROM t"),
    ("postgres", "SELECT 'now'::text, t.now FROM t"),
    ("mysql", "SELECT UNIX_TIMESTAMP(d) FROM t"),
    ("snowflake", "SELECT t.sample, today FROM t"),
]


@pytest.mark.parametrize(("dialect", "sql"), VARYING)
def test_a_clock_a_die_or_a_caller_makes_a_statement_vary(dialect: str, sql: str) -> None:
    assert not dependencies(sql, dialect).deterministic


@pytest.mark.parametrize(("dialect", "sql"), STEADY)
def test_words_alone_do_not(dialect: str, sql: str) -> None:
    assert dependencies(sql, dialect).deterministic


@pytest.mark.parametrize(
    ("dialect", "sql", "tables"),
    [
        ("duckdb", 'SELECT 1 FROM "S"."T" AS a JOIN b.c.d ON TRUE', {"s.t", "b.c.d"}),
        (
            "duckdb",
            "WITH t AS (SELECT 1 FROM u) SELECT * FROM t, s.t WHERE EXISTS (SELECT 1 FROM v)",
            {"u", "s.t", "v"},
        ),
        ("duckdb", "SELECT * FROM RANGE(5) AS r, UNNEST([1]) AS u, (VALUES (1)) AS w", set()),
        ("bigquery", "SELECT 1 FROM `p`.`d`.`T`", {"p.d.t"}),
        ("postgres", "SELECT 1", set()),
    ],
)
def test_the_tables_of_a_statement_are_those_of_the_warehouse(dialect: str, sql: str, tables: set[str]) -> None:
    assert dependencies(sql, dialect).tables == tables
