"""A plain Go client of Flight SQL, as Grafana's: statements without preparing, small messages, one endpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.sales import serving_sales
from clients.tools import run
from harness.server import Server

HERE = Path(__file__).parent / "flight_go"

pytestmark = [
    pytest.mark.xdist_group("go_clients"),
    pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed: the Go client cannot be built"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_sales(tmp_path_factory.mktemp("go-server")) as running:
        yield running


def test_a_go_client_runs_statements_prepares_binds_and_reads_the_catalogue(server: Server, tmp_path: Path) -> None:
    for name in ("main.go", "go.mod", "go.sum"):
        shutil.copy(HERE / name, tmp_path)
    run(["go", "build", "-o", "client", "."], tmp_path)
    address = server.flight.removeprefix("grpc://")
    statement = 'SELECT "Region", "Revenue" FROM sales ORDER BY "Region"'
    prepared = 'SELECT "Revenue" FROM sales WHERE "Region" = ?'
    seen = json.loads(run([str(tmp_path / "client"), address, statement, prepared, "Süd"], tmp_path))
    assert seen["endpoints"] == 1
    assert seen["schema_equal"]
    assert seen["columns"] == ["Region", "Revenue"]
    assert seen["rows"] == [["Nord", "40.5"], ["Süd", "2.25"]]  # Go prints decimals without trailing zeros
    assert seen["again"] == 2, "a ticket answers a retry with the same rows"
    assert seen["prepared"] == [["2.25"]]
    assert seen["tables"] == ["model"]
    assert seen["sql_info"] > 50
    assert "UNKNOWN_SELECT_ITEM" in seen["error"]
