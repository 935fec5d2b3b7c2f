# ruff: noqa: E501 - statements as tools write them
"""The Apache Flight SQL JDBC driver, driven by a small Java program as DBeaver and Tableau drive it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from clients.drivers import JDBC, Seen
from clients.test_adbc import SLOW, SOON
from harness.waiting import until
from sagitta_server.app import Engine

pytestmark = [pytest.mark.xdist_group("programs"), pytest.mark.timeout(900)]  # the first one may build a client


@pytest.fixture
def ask(flight_uri: str) -> Any:
    return partial(JDBC, flight_uri)


def rows(seen: Seen, topic: str = "row") -> list[list[str]]:
    assert seen.code == 0, seen.facts
    found: list[list[str]] = seen.facts.get(topic, [])
    return found


def test_a_prepared_query_with_parameters_of_several_types(ask: Any) -> None:
    sql = 'SELECT "Customer Region", "Revenue" FROM tpch WHERE "Order Date" >= ? AND "Market Segment" = ? ORDER BY 1 LIMIT ?'
    seen = ask("query", sql, "date=1993-01-01", "text=BUILDING", "long=2")
    assert [row[0] for row in rows(seen)] == ["AFRICA", "AMERICA"]
    assert seen.facts["columns"][0][1][:2] == ["Revenue", "DECIMAL"]
    assert len(seen.facts["parameters"][0]) == 3


def test_a_prepared_query_runs_as_often_as_it_is_executed(ask: Any) -> None:
    assert len(rows(ask("repeat", 'SELECT "Revenue" FROM tpch', "3"))) == 3


def test_the_metadata_calls_of_tools(ask: Any) -> None:
    seen = ask("metadata")
    facts = seen.facts
    assert facts["product"][0][0] == "Sagitta"
    assert facts["readonly"][0][0] is True
    assert facts["quote"] == ['"']
    assert rows(seen, "catalogs") == [["sagitta"]]
    assert [row[0] for row in rows(seen, "schemas")] == ["kinds", "tpch", "wide"]
    assert [row[0] for row in rows(seen, "schemas_like")] == ["tpch"]
    tables = {(row[1], row[2], row[3]) for row in rows(seen, "tables")}
    assert {("tpch", "model", "TABLE"), ("tpch", "Line Item", "BASE TABLE")} <= tables
    assert {row[3] for row in rows(seen, "views")} == {"VIEW"}
    assert {row[0] for row in rows(seen, "tabletypes")} >= {"TABLE", "VIEW", "BASE TABLE"}


def test_columns_carry_their_types_and_remarks(ask: Any) -> None:
    columns = {row[3]: row for row in rows(ask("columns", "tpch", "model"))}
    assert columns["Order Date"][5] == "DATE"
    assert columns["Order Date"][11].startswith("Ask for")
    assert columns["Revenue"][5:7] == ["DECIMAL", "18"]


def test_keys_come_from_the_model(ask: Any) -> None:
    seen = ask("keys", "tpch", "Order")
    assert [row[3] for row in rows(seen, "primary")] == ["Order Key"]
    imported = [(row[2], row[3], row[6], row[7]) for row in rows(seen, "imported")]
    assert imported == [("Customer", "Customer Key", "Order", "Customer Key")]
    assert ("Line Item", "Order Key") in [(row[6], row[7]) for row in rows(seen, "exported")]
    assert seen.facts["section"][-1] == "cross"


def test_a_result_of_sixty_thousand_rows(ask: Any) -> None:
    assert ask("count", 'SELECT * FROM tpch."Line Item"').facts["rows"][0] > 60_000


def test_the_catalog_of_the_url_chooses_the_model(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLIGHT_OPTIONS", "&catalog=tpch")
    assert len(rows(ask("query", 'SELECT "Revenue"'))) == 1


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT 1", [["1"]]),
        ('SELECT * FROM (SELECT 1 AS "COL") AS "SUBQUERY" WHERE 0 = 1', []),
        ("SELECT * FROM tpch.model WHERE 1 = 0", []),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'tpch' AND table_type = 'TABLE'", [["model"]]),
    ],
)  # fmt: skip
def test_probes_of_tools(ask: Any, sql: str, found: list[list[str]]) -> None:
    assert rows(ask("plain", sql)) == found


def test_statement_cancel_ends_the_query(flight_uri: str, engine: Engine) -> None:
    source = next(iter(engine.sources.values()))
    (_, milliseconds, failed) = JDBC.cancel(flight_uri, SLOW, lambda: source.running > 0).facts["cancelled"][0]
    assert failed
    assert milliseconds < SOON * 1000
    until(lambda: source.running == 0)
