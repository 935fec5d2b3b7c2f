"""One server on TPC-H (scale factor 0.01) for all conformance tests."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from harness import tpch
from harness.server import Server, serving

SCALE_FACTOR = 0.01


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    flags = [f"--model={tpch.MODEL}", f"--source=duckdb:///{tpch.database(SCALE_FACTOR)}"]
    with serving(folder, flags) as running:
        yield running


@pytest.fixture(scope="session")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tpch.database(SCALE_FACTOR)), read_only=True) as connection:
        yield connection


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of this folder in one process, so that they share the server."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("conformance"))
