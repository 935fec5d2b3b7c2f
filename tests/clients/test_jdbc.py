"""The Apache Flight SQL JDBC driver, from Maven Central, as DBeaver and Tableau use it."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients.sales import serving_sales
from clients.tools import run
from harness.server import Server

HERE = Path(__file__).parent / "jdbc"

pytestmark = [
    pytest.mark.xdist_group("jdbc"),
    pytest.mark.skipif(
        shutil.which("javac") is None or shutil.which("mvn") is None,
        reason="a JDK and Maven are not installed: the JDBC driver cannot be run",
    ),
]

Ask = Callable[..., dict[str, list[list[str]]]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_sales(tmp_path_factory.mktemp("jdbc-server")) as running:
        yield running


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Ask:
    """Builds the Java client; returns a function that runs it and gives its lines by topic."""
    folder = tmp_path_factory.mktemp("jdbc-client")
    shutil.copy(HERE / "pom.xml", folder)
    run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], folder)
    run(["javac", "-d", "out", str(HERE / "FlightSqlClient.java")], folder)
    classpath = f"out:{next((folder / 'lib').glob('flight-sql-jdbc-driver-*.jar'))}"
    url = server.flight.replace("grpc://", "jdbc:arrow-flight-sql://") + "/?useEncryption=false"
    flags = ["--add-opens=java.base/java.nio=ALL-UNNAMED", "-Duser.timezone=UTC", "-Dfile.encoding=UTF-8"]
    flags += ["-Dstdout.encoding=UTF-8"]

    def asked(*arguments: str) -> dict[str, list[list[str]]]:
        seen: defaultdict[str, list[list[str]]] = defaultdict(list)
        for line in run(["java", *flags, "-cp", classpath, "FlightSqlClient", url, *arguments], folder).splitlines():
            topic, *cells = line.split("\t")
            seen[topic].append(cells)
        return seen

    return asked


def test_every_metadata_call_of_a_bi_tool_is_answered(ask: Ask) -> None:
    seen = ask("metadata")
    assert "error" not in seen
    assert seen["quote"] == [['"']]
    assert seen["read_only"][0][0] == "true"
    assert ["sales"] in [cells[:1] for cells in seen["schema"]]
    assert seen["schema_like"] == [["sales"]]
    assert ["sales", "model", "TABLE"] in seen["table"]
    assert seen["only_table"] == [["model", "TABLE"]]
    assert {cells[0] for cells in seen["table_type"]} >= {"TABLE", "VIEW"}
    columns = {cells[0]: cells for cells in seen["column"]}
    assert set(columns) >= {"Region", "Day", "Revenue", "Umsatz €", "Orders", "Average"}
    assert columns["Region"][6] == "Where it was sold"
    assert columns["Revenue"][3:5] == ["18", "2"]
    assert len(seen["done"]) == 12


def test_a_statement_gives_labels_types_and_rows(ask: Ask) -> None:
    seen = ask("query", 'SELECT "Region", "Umsatz €", "Orders" FROM "sales"."model" ORDER BY "Region"')
    assert seen["labels"] == [["Region", "Umsatz €", "Orders"]]
    assert seen["row"] == [["Nord", "40.50", "2"], ["Süd", "2.25", "1"]]


def test_a_prepared_statement_takes_typed_parameters(ask: Ask) -> None:
    sql = 'SELECT "Region", "Revenue" FROM sales WHERE "Region" = ? AND "Day" >= ?'
    seen = ask("prepared", sql, "string", "Nord", "date", "2024-03-01")
    assert [cells[0] for cells in seen["parameter"]] == ["1", "2"]
    assert seen["row"] == [["Nord", "0.50"]]


def test_every_type_arrives_without_loss(ask: Ask) -> None:
    names = ("Id", "Wide", "Day", "At", "Zoned", "Clock", "Done", "Weight")
    fields = ", ".join(f'"Sales"."{name}"' for name in names)
    seen = ask("query", f'SELECT {fields} FROM sales ORDER BY "Sales"."Id"')
    first, second, third = seen["row"]
    assert first[:3] == ["1", "1234567890123456789012345678.0123456789", "2024-02-29"]
    assert first[3].startswith("2024-02-29 12:34:56.789")
    assert first[4].startswith("2024-02-29 12:34:56")
    assert first[5:] == ["12:34:56", "true", "1.5"]
    assert second[1] == "-1.0000000001"
    assert second[7] == "NaN"
    assert third == ["3", *["<null>"] * 6, "Infinity"]


def test_a_result_of_no_rows_has_its_columns(ask: Ask) -> None:
    seen = ask("query", 'SELECT "Region", "Revenue" FROM sales WHERE 1 = 0')
    assert seen["labels"][0][:2] == ["Region", "Revenue"]
    assert "row" not in seen


def test_a_mistake_is_told_with_its_code_and_no_traceback(ask: Ask) -> None:
    (cells,) = ask("query", 'SELECT "Regoin" FROM sales')["error"]
    assert "UNKNOWN_SELECT_ITEM" in cells[1]
    assert "Region" in cells[1]
    assert "Traceback" not in cells[1]
