# ruff: noqa: E501 - a table of values
"""One engine for the clients: TPC-H, every type, and a table of 500 columns."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from harness import tpch
from sagitta_server.app import Engine
from sagitta_server.config import Settings

HERE = Path(__file__).parent
SCALE_FACTOR = 0.01
WIDE = 500

TYPES = """
CREATE TABLE kinds AS SELECT * FROM (VALUES
  (1, 12345678901234567890123456789012.345678::DECIMAL(38,6), 1.5::DECIMAL(4,1), 9223372036854775807::BIGINT, 1.0::DOUBLE,
   'grüße €'::VARCHAR, DATE '2024-02-29', TIME '23:59:59.999999', TIMESTAMP '2024-02-29 12:34:56.789012',
   TIMESTAMPTZ '2024-02-29 12:34:56.789012+02', true, 'leer'::VARCHAR),
  (2, -0.000001::DECIMAL(38,6), -999.9::DECIMAL(4,1), '-9223372036854775808'::BIGINT, 'nan'::DOUBLE, '',
   DATE '0001-01-01', TIME '00:00:00', TIMESTAMP '1900-01-01 00:00:00', TIMESTAMPTZ '1970-01-01 00:00:00+00', false, NULL),
  (3, 0::DECIMAL(38,6), 0::DECIMAL(4,1), 0::BIGINT, 'infinity'::DOUBLE, 'a"b''c', DATE '9999-12-31', TIME '12:00:00',
   TIMESTAMP '2262-04-11 23:47:16', TIMESTAMPTZ '2100-01-01 00:00:00-05', NULL, NULL),
  (4, NULL, NULL, NULL, '-infinity'::DOUBLE, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
) AS t(id, big, small, whole, real, words, day, clock, moment, instant, flag, empty)
"""
TYPES_MODEL = """
version: 1.0
name: kinds
dataObjects:
  Kinds:
    code: kinds
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Big: {code: big, abstractType: float}
      Small: {code: small, abstractType: float}
      Whole: {code: whole, abstractType: int}
      Real: {code: real, abstractType: float}
      Wörter: {code: words, abstractType: string}
      Day: {code: day, abstractType: date}
      Clock: {code: clock, abstractType: time}
      Moment: {code: moment, abstractType: timestamp}
      Instant: {code: instant, abstractType: timestamp_tz}
      Flag: {code: flag, abstractType: boolean}
      Empty: {code: empty, abstractType: string}
dimensions:
  Größe €: {dataObject: Kinds, column: Wörter, resultType: string}
  Kind: {dataObject: Kinds, column: Id, resultType: int}
measures:
  Total: {columns: [{dataObject: Kinds, column: Small}], aggregation: sum, dataType: "decimal(38, 1)"}
  Rows: {columns: [{dataObject: Kinds, column: Id}], aggregation: count, resultType: int}
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running engine without a gateway."""
    folder = tmp_path_factory.mktemp("clients")
    settings = Settings(
        data_dir=folder / "data",
        models={"files": (str(tpch.MODEL), str(_write(folder, "kinds", TYPES_MODEL)), str(_wide(folder)))},
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
        connection.execute(TYPES)
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
