"""The Flight SQL client of arrow-go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from clients.conftest import HERE, run, tool
from clients.test_adbc import SLOW

Client = Callable[..., list[list[str]]]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "client"
    done = run([tool("go"), "build", "-o", str(built), "."], HERE / "flight_go_cancel")
    if done.returncode != 0 and "dial tcp" in done.stderr:
        pytest.skip("the Go modules cannot be fetched")
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture
def client(program: Path, flight_uri: str) -> Client:
    def call(*arguments: str, code: int = 0) -> list[list[str]]:
        done = run([str(program), flight_uri.removeprefix("grpc://"), *arguments])
        assert done.returncode == code, done.stdout + done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    return call


def rows(lines: list[list[str]]) -> list[list[str]]:
    return [json.loads(line[1]) for line in lines if line[0] == "row"]


def test_a_plain_statement(client: Client) -> None:
    found = rows(client("query", 'SELECT "Customer Region", "Revenue" FROM tpch ORDER BY 1'))
    assert [row[0] for row in found] == ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]


def test_a_bound_parameter(client: Client) -> None:
    sql = 'SELECT "Market Segment", "Line Item Count" FROM tpch WHERE "Market Segment" = ?'
    assert [row[0] for row in rows(client("bind", sql, "BUILDING"))] == ["BUILDING"]


def test_messages_fit_the_default_limit_of_4_mib(client: Client) -> None:
    assert len(rows(client("query", 'SELECT * FROM tpch."Line Item"'))) > 60_000


def test_tables_have_four_columns_without_their_schema(client: Client) -> None:
    assert ["sagitta", "tpch", "model", "TABLE"] in rows(client("tables"))


def test_sql_info_is_the_dense_union(client: Client) -> None:
    assert any("Sagitta" in cell for row in rows(client("info")) for cell in row)


def test_cancel_flight_info_ends_that_query(client: Client) -> None:
    (line,) = client("cancel", SLOW)
    assert line[1] == "CANCEL_STATUS_CANCELLED"
    assert int(line[2]) < 2000
    assert line[3] == "true"


def test_a_mistake_is_told(client: Client) -> None:
    assert "UNKNOWN_SELECT_ITEM" in client("query", "SELECT nope FROM tpch", code=3)[0][1]
