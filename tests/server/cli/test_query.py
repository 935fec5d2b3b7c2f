"""`sagitta query` against a running server, in every format."""

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from harness import tpch
from harness.server import Server, serving
from sagitta_server.cli import cli

pytestmark = pytest.mark.xdist_group("query")

SQL = 'SELECT "Customer Region", "Revenue", "Order Count" FROM tpch ORDER BY 1'
AFRICA = ("AFRICA", Decimal("427985211.4070"), 3115)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = [f"--model={tpch.MODEL}", f"--source=duckdb:///{tpch.database(0.01)}"]
    with serving(tmp_path_factory.mktemp("query"), flags) as running:
        yield running


def query(server: Server, *arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["query", "--server", server.flight, *arguments], input=text)


def test_table_shows_the_rows_and_their_names(server: Server) -> None:
    shown = query(server, SQL)
    assert shown.exit_code == 0, shown.output
    for word in ("Customer Region", "AFRICA", "427985211.4070", "3115"):
        assert word in shown.output


def test_csv_and_json_have_every_row(server: Server) -> None:
    rows = list(csv.reader(io.StringIO(query(server, SQL, "--format", "csv").output)))
    assert rows[0] == ["Customer Region", "Revenue", "Order Count"]
    assert rows[1] == [str(cell) for cell in AFRICA]
    objects = json.loads(query(server, SQL, "--format", "json").output, parse_float=Decimal)
    assert tuple(objects[0].values()) == AFRICA
    assert len(objects) == len(rows) - 1 == 5


def test_files_are_written_as_their_names_say(server: Server, tmp_path: Path) -> None:
    for name in ("rows.parquet", "rows.arrow"):
        assert query(server, SQL, "-o", str(tmp_path / name)).exit_code == 0
    tables = [pa.parquet.read_table(tmp_path / "rows.parquet"), pa.ipc.open_stream(tmp_path / "rows.arrow").read_all()]
    for table in tables:
        assert tuple(table.to_pylist()[0].values()) == AFRICA
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.arrow", "rows.parquet"]


def test_query_comes_from_a_file_or_from_standard_input(server: Server, tmp_path: Path) -> None:
    (tmp_path / "query.yaml").write_text("select:\n  dimensions: [Customer Region]\n  measures: [Order Count]\n")
    from_file = query(server, "-f", str(tmp_path / "query.yaml"), "--format", "csv")
    from_input = query(server, "-f", "-", "--format", "csv", text='SELECT "Customer Region", "Order Count" FROM tpch')
    assert from_file.exit_code == from_input.exit_code == 0, from_file.output + from_input.output
    assert sorted(from_file.output.splitlines()) == sorted(from_input.output.splitlines())


def test_mistake_is_the_servers_own_code_and_words(server: Server, tmp_path: Path) -> None:
    told = query(server, 'SELECT "Customer Regio" FROM tpch', "-o", str(tmp_path / "rows.csv"))
    assert told.exit_code == 1
    first, hint = told.output.splitlines()
    assert first.startswith("Error: [UNKNOWN_SELECT_ITEM] There is no column")
    assert "FlightSQL" not in first
    assert "'Customer Region'" in hint
    assert list(tmp_path.iterdir()) == [], "a failed query leaves no file"


def test_a_query_is_given_once(server: Server) -> None:
    for arguments in ([], [SQL, "-f", "-"]):
        assert query(server, *arguments).exit_code == 2


def test_large_result_is_written_whole(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "lines.parquet"
    sql = 'SELECT "Line Item"."Order Key" AS k, "Line Item"."Comment" AS c FROM tpch'
    assert query(server, sql, "-o", str(path)).exit_code == 0
    assert pa.parquet.ParquetFile(path).metadata.num_rows == 60_175
