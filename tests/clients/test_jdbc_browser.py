# ruff: noqa: E501 - statements as tools write them
"""The Apache Flight SQL JDBC driver, driven by a small Java program as DBeaver and Tableau drive it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clients.conftest import HERE, run, tool

VERSIONS = ("18.3.0",)
REPOSITORY = Path.home() / ".m2" / "repository" / "org" / "apache" / "arrow" / "flight-sql-jdbc-driver"
JVM = (
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "-Duser.timezone=UTC",
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
)

Client = Callable[..., list[list[str]]]


def driver(version: str) -> Path:
    """The driver's jar from Maven Central, fetched once."""
    jar = REPOSITORY / version / f"flight-sql-jdbc-driver-{version}.jar"
    if not jar.exists():
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:get"
        artifact = f"-Dartifact=org.apache.arrow:flight-sql-jdbc-driver:{version}"
        done = run([tool("mvn"), "-q", "-B", plugin, artifact, "-Dtransitive=false"])
        if not jar.exists():
            pytest.skip(f"the JDBC driver {version} cannot be fetched: {done.stdout[-200:]}")
    return jar


@pytest.fixture(params=VERSIONS)
def client(request: pytest.FixtureRequest, flight_uri: str) -> Client:
    """Runs the Java program and returns the lines that it prints, split at tabs."""
    java, jar = tool("java"), driver(request.param)
    url = f"jdbc:arrow-flight-sql://{flight_uri.removeprefix('grpc://')}/?useEncryption=false"

    def call(*arguments: str, options: str = "", code: int = 0) -> list[list[str]]:
        done = run([java, *JVM, "-cp", str(jar), str(HERE / "jdbc_browser" / "Client.java"), url + options, *arguments])
        assert done.returncode == code, done.stdout + done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    return call


def rows(lines: list[list[str]]) -> list[list[str]]:
    return [line[1:] for line in lines if line[0] == "row"]


def section(lines: list[list[str]], name: str) -> list[list[str]]:
    start = next(i for i, line in enumerate(lines) if line[:2] == ["section", name])
    end = next((i for i, line in enumerate(lines) if i > start and line[0] == "section"), len(lines))
    return rows(lines[start:end])


def test_a_prepared_query_with_parameters(client: Client) -> None:
    sql = 'SELECT "Customer Region", "Revenue" FROM tpch WHERE "Order Date" >= ? AND "Market Segment" = ? ORDER BY 1 LIMIT ?'
    lines = client("query", sql, "date=1993-01-01", "text=BUILDING", "long=2")
    assert [row[0] for row in rows(lines)] == ["AFRICA", "AMERICA"]
    assert lines[0][2].startswith("Revenue:DECIMAL(18,")


def test_a_prepared_query_runs_as_often_as_it_is_executed(client: Client) -> None:
    assert len(rows(client("repeat", 'SELECT "Revenue" FROM tpch', "3"))) == 3


def test_the_metadata_calls_of_a_database_browser(client: Client) -> None:
    lines = client("metadata")
    facts = {line[0]: line[1:] for line in lines if line[0] not in ("row", "columns", "section")}
    assert facts["product"][0] == "Sagitta"
    assert facts["readonly"] == ["true"]
    assert facts["quote"] == ['"']
    assert section(lines, "catalogs") == [["sagitta"]]
    assert [row[0] for row in section(lines, "schemas")] == ["kinds", "tpch", "wide"]
    tables = {(row[1], row[2], row[3]) for row in section(lines, "tables")}
    assert {("tpch", "model", "TABLE"), ("tpch", "Line Item", "BASE TABLE")} <= tables
    assert {row[3] for row in section(lines, "views")} == {"VIEW"}


def test_columns_carry_their_types_and_remarks(client: Client) -> None:
    columns = {row[3]: row for row in rows(client("columns", "tpch", "model"))}
    assert columns["Order Date"][5] == "DATE"
    assert columns["Order Date"][11].startswith("Ask for")
    assert columns["Revenue"][5:7] == ["DECIMAL", "18"]


def test_keys_come_from_the_model(client: Client) -> None:
    lines = client("keys", "tpch", "Order")
    assert [row[3] for row in section(lines, "primary")] == ["Order Key"]
    assert [(row[2], row[3], row[6], row[7]) for row in section(lines, "imported")] == [
        ("Customer", "Customer Key", "Order", "Customer Key")
    ]
    assert ("Line Item", "Order Key") in [(row[6], row[7]) for row in section(lines, "exported")]


def test_every_type_arrives_without_loss(client: Client) -> None:
    lines = client("query", 'SELECT * FROM kinds."Kinds" ORDER BY "Id"')
    first, second, third, fourth = rows(lines)
    assert first[1:6] == ["12345678901234567890123456789012.345678", "1.5", "9223372036854775807", "1.0", "grüße €"]
    assert first[6] == "2024-02-29"
    assert first[7].startswith("23:59:59")
    assert first[10] == "true"
    assert first[9].startswith("2024-02-29T10:34:56.789")
    assert [second[4], third[4], fourth[4]] == ["NaN", "Infinity", "-Infinity"]
    assert fourth[5:] == ["NULL"] * 7


def test_a_result_of_sixty_thousand_rows_and_of_five_hundred_columns(client: Client) -> None:
    assert int(client("count", 'SELECT * FROM tpch."Line Item"')[0][1]) > 60_000
    assert len(client("query", 'SELECT * FROM wide."Wide"')[0]) == 501


def test_the_catalog_of_the_url_chooses_the_model(client: Client) -> None:
    assert len(rows(client("query", 'SELECT "Revenue"', options="&catalog=tpch"))) == 1


def test_probes_of_tools(client: Client) -> None:
    assert rows(client("query", "SELECT 1")) == [["1"]]
    assert rows(client("query", "SELECT * FROM tpch.model WHERE 1 = 0")) == []
    assert rows(
        client(
            "query",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'tpch' AND table_type = 'TABLE'",
        )
    ) == [["model"]]


def test_a_mistake_is_an_sql_exception_that_names_it(client: Client) -> None:
    assert "nope" in client("query", "SELECT nope FROM tpch", code=3)[0][1]
