"""One engine for the clients: TPC-H, every type, and a table of 500 columns."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from clients import values
from harness import tpch
from sagitta_server.app import Engine
from sagitta_server.config import Settings

HERE = Path(__file__).parent
SCALE_FACTOR = 0.01
WIDE = 500


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running engine without a gateway."""
    folder = tmp_path_factory.mktemp("clients")
    settings = Settings(
        data_dir=folder / "data",
        models={"files": (str(tpch.MODEL), str(_write(folder, "kinds", values.MODEL)), str(_wide(folder)))},
        sources={"default": {"uri": f"duckdb:///{_database(folder)}"}},
        flight={"address": "127.0.0.1:0"},
        grpc={"address": "127.0.0.1:0"},
    )
    running = Engine(settings)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def flight_uri(engine: Engine) -> str:
    assert engine.flight_location is not None
    return engine.flight_location


def _database(folder: Path) -> Path:
    path = folder / "clients.duckdb"
    shutil.copy(tpch.database(SCALE_FACTOR), path)
    with duckdb.connect(str(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(values.TABLE)
        columns = ", ".join(f"{i} AS c{i}" for i in range(WIDE))
        connection.execute(f"CREATE TABLE wide AS SELECT {columns} FROM range(3)")
    return path


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _wide(folder: Path) -> Path:
    columns = "\n".join(f"      Column {i}: {{code: c{i}, abstractType: int}}" for i in range(WIDE))
    text = f"version: 1.0\nname: wide\ndataObjects:\n  Wide:\n    code: wide\n    columns:\n{columns}\n"
    text += "dimensions:\n  First: {dataObject: Wide, column: Column 0, resultType: int}\n"
    return _write(folder, "wide", text)


def tool(name: str) -> str:
    """The path of a program of another language; the test is skipped where it is missing."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(command: list[str], folder: Path | None = None, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    """Runs a client's program."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)
