"""Real warehouses: a DuckDB file, an SQLite file and a PostgreSQL server on a free loopback port."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from sagitta_server.execution import Source, SourceSettings, open_source

from tests.server.execution.postgres import PostgresServer, start_postgres

ROWS = "SELECT i AS id, 'name ' || i AS name FROM range(20000) t(i)"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run."""
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    if server is None:
        pytest.skip("the PostgreSQL server programs are not installed")
    yield server
    server.stop()


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    path = tmp_path / "data.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE things AS {ROWS}")
    return path


@pytest.fixture
def duckdb_source(duckdb_file: Path) -> Iterator[Source]:
    source = open_source("duck", SourceSettings(uri=f"duckdb:///{duckdb_file}", pool_size=2, queue_size=1))
    yield source
    source.close()


@pytest.fixture
def sqlite_source(tmp_path: Path) -> Iterator[Source]:
    path = tmp_path / "data.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE things (id INTEGER, name TEXT)")
        connection.executemany("INSERT INTO things VALUES (?, ?)", ((i, f"name {i}") for i in range(20000)))
    connection.close()
    source = open_source("lite", SourceSettings(uri=f"sqlite:///{path}"))
    yield source
    source.close()


@pytest.fixture
def postgres_source(postgres: PostgresServer) -> Iterator[Source]:
    source = open_source("pg", SourceSettings(uri=postgres.uri, pool_size=2))
    yield source
    source.close()


@pytest.fixture(params=["duckdb", "sqlite", "postgres"])
def source(request: pytest.FixtureRequest) -> Source:
    """Each kind of warehouse in turn."""
    found: Source = request.getfixturevalue(f"{request.param}_source")
    return found
