from __future__ import annotations

import pytest
from sagitta_server.cache.determinism import is_deterministic

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
    assert not is_deterministic(sql, dialect)


@pytest.mark.parametrize(("dialect", "sql"), STEADY)
def test_words_alone_do_not(dialect: str, sql: str) -> None:
    assert is_deterministic(sql, dialect)
