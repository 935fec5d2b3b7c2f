"""State databases of both kinds, and a running review service on each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sagitta_server.app import Engine
from server.execution.postgres import PostgresServer, start_postgres
from server.reviews.world import world


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run."""
    server = start_postgres(tmp_path_factory.mktemp("review-postgres"))
    if server is None:
        pytest.skip("the PostgreSQL server programs are not installed")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty state database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server.uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.uri.removesuffix("postgres") + name


@pytest.fixture
def engine(tmp_path: Path, state_url: str) -> Iterator[Engine]:
    """A running review service on each kind of state database."""
    with world(tmp_path, state_url) as running:
        yield running
