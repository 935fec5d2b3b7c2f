"""Heartbeats in both state databases, SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sagitta_server.cache import HeartbeatStore
from sagitta_server.cache.heartbeats import TableState
from sagitta_server.state.database import open_database
from server.execution.postgres import PostgresServer, start_postgres

NOON = dt.datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer | None]:
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    if server is not None:
        server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer | None) -> Iterator[HeartbeatStore]:
    if request.param == "postgres" and postgres is None:
        pytest.skip("PostgreSQL is not installed")
    url = f"sqlite:///{tmp_path / 'state.sqlite'}" if request.param == "sqlite" else postgres.uri  # type: ignore[union-attr]
    database = open_database(url)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM table_heartbeats")
    yield HeartbeatStore(database)
    database.close()


def test_what_was_recorded_is_read_in_any_case(store: HeartbeatStore) -> None:
    assert store.read(["DB.S.T"]) == {}
    assert store.record("DB.S.T", NOON)
    assert store.read(["db.s.t", "other"]) == {"db.s.t": TableState(NOON, 1)}


def test_only_news_raise_the_generation(store: HeartbeatStore) -> None:
    store.record("t", NOON)
    assert not store.record("T", NOON - dt.timedelta(microseconds=1))
    assert store.read(["t"])["t"] == TableState(NOON, 1)
    assert store.record("t", NOON)
    later = NOON + dt.timedelta(hours=1)
    assert store.record("t", later.astimezone(dt.timezone(dt.timedelta(hours=5))))
    assert store.read(["t"])["t"] == TableState(later, 3)


def test_two_at_once_are_both_counted(store: HeartbeatStore) -> None:
    def ping() -> None:
        for _ in range(10):
            store.record("t", NOON)

    threads = [threading.Thread(target=ping) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(["t"])["t"].generation == 40
