"""A client's cancel, by whichever way it comes, ends the statement in the database: watched in the database itself."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import duckdb
import grpc
import psycopg
import pyarrow as pa
import pytest
from harness.waiting import LONG_SECONDS, until
from pyarrow import flight
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta.semantic.v1 import query_service_pb2 as query_pb
from sagitta.semantic.v1 import query_service_pb2_grpc
from sagitta_server.app import Engine
from sagitta_server.config import Settings

from tests.server.execution.conftest import postgres  # noqa: F401 - the fixture
from tests.server.execution.postgres import PostgresServer
from tests.server.flight.test_protocol import act, info

MODEL = """
version: 1.0
name: slow
dataObjects:
  Pairs: {code: pairs, columns: {N: {code: n, abstractType: int}}}
measures:
  Sum: {columns: [{dataObject: Pairs, column: N}], aggregation: sum}
"""
SQL = 'SELECT "Sum" FROM slow'
VIEW = "CREATE VIEW pairs AS SELECT (a.id * b.id + c.id) % 7 AS n FROM things a, things b, things c"
"""So many that no machine counts them within an hour: what ends was ended. That it ends within 100 ms is held by
`make bench BENCH=flight`."""
RUNS_FOR = 0.4
TASKS = Path("/proc/self/task")
LOOKS = 5
"""How often in a row a thread must be seen computing: others do so for moments."""


class Warehouse(Protocol):
    """A database that can be asked what runs in it."""

    uri: str

    def is_running(self) -> bool: ...

    def close(self) -> None: ...


class Postgres:
    """Tells by `pg_stat_activity`, on a connection of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self.uri = server.uri
        self._connection = psycopg.connect(server.uri, autocommit=True)
        self._connection.execute("DROP VIEW IF EXISTS pairs")
        self._connection.execute(VIEW)

    def is_running(self) -> bool:
        active = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        return any("pairs" in query for (query,) in self._connection.execute(active))

    def close(self) -> None:
        self._connection.close()


class DuckDB:
    """Lives in this process: its threads compute for as long as a statement runs."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"duckdb:///{folder / 'slow.duckdb'}"
        with duckdb.connect(str(folder / "slow.duckdb")) as connection:
            connection.execute("CREATE TABLE things AS SELECT i AS id FROM range(20000) t(i)")
            connection.execute(VIEW)

    def is_running(self) -> bool:
        return bool(set.intersection(*(computing() for _ in range(LOOKS))))

    def close(self) -> None: ...


def computing() -> set[str]:
    """The other threads of this process that compute now, or wait for nothing but a processor."""
    time.sleep(0.005)
    found = set()
    for task in TASKS.iterdir():
        with suppress(OSError):  # it has ended
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
            if state == "R" and task.name != str(threading.get_native_id()):
                found.add(task.name)
    return found


@pytest.fixture(
    params=[
        "postgres",
        pytest.param("duckdb", marks=pytest.mark.skipif(not TASKS.exists(), reason="no /proc tells of threads here")),
    ]
)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    kind = request.param
    found: Warehouse = Postgres(request.getfixturevalue("postgres")) if kind == "postgres" else DuckDB(tmp_path)
    yield found
    found.close()


Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    engines: list[Engine] = []
    (tmp_path / "slow.yaml").write_text(MODEL, encoding="utf-8")

    def started(uri: str, **settings: Any) -> Engine:
        engine = Engine(
            Settings(
                data_dir=tmp_path / "data",
                models={"files": (str(tmp_path / "slow.yaml"),)},
                sources={"default": {"uri": uri, **settings.pop("source", {})}},
                flight={"address": "127.0.0.1:0"},
                grpc={"address": "127.0.0.1:0"},
                **settings,
            )
        )
        engine.grpc_address = engine.start().grpc  # type: ignore[attr-defined]
        engines.append(engine)
        return engine

    yield started
    for engine in engines:
        engine.stop()


class Call:
    """A query on its way, on a thread of its own."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - whatever the client calls it
            self.error = error

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    def ended(self) -> BaseException | None:
        self._thread.join(LONG_SECONDS)
        assert not self._thread.is_alive()
        return self.error


def ends(warehouse: Warehouse) -> None:
    until(lambda: not warehouse.is_running())


def late(warehouse: Warehouse, begin: Callable[[float], Call]) -> Call:
    """A call whose deadline comes while its statement runs: a busy machine needs a later one to begin it."""
    for seconds in (1.0, 5.0, 25.0):
        call = begin(seconds)
        while call.goes_on:
            if warehouse.is_running():
                return call
    raise AssertionError("the statement was never seen running")


def fetching(engine: Engine, found: Any = None, options: Any = None) -> tuple[Any, Call]:
    client = flight.connect(engine.flight_location)
    found = found or info(client, SQL)
    ticket = found.endpoints[0].ticket
    return found, Call(lambda: client.do_get(ticket, options or flight.FlightCallOptions()).read_all())


def test_a_deadline(warehouse: Warehouse, start: Start) -> None:
    engine = start(warehouse.uri)
    found = info(flight.connect(engine.flight_location), SQL)
    call = late(warehouse, lambda seconds: fetching(engine, found, flight.FlightCallOptions(timeout=seconds))[1])
    assert isinstance(call.ended(), flight.FlightTimedOutError)
    ends(warehouse)


@pytest.mark.parametrize("action", ["CancelFlightInfo", "CancelQuery"])
def test_a_cancel_action(warehouse: Warehouse, start: Start, action: str) -> None:
    engine = start(warehouse.uri)
    found, call = fetching(engine)
    until(warehouse.is_running)
    time.sleep(RUNS_FOR)
    with flight.connect(engine.flight_location) as other:
        if action == "CancelFlightInfo":
            message = fl.CancelFlightInfoRequest(info=fl.FlightInfo.FromString(found.serialize()))
            act(other, action, message, wrapped=False)
        else:
            act(other, action, fs.ActionCancelQueryRequest(info=found.serialize()))
    ends(warehouse)
    assert isinstance(call.ended(), flight.FlightCancelledError)


def test_a_grpc_call_that_is_cancelled_or_late(warehouse: Warehouse, start: Start) -> None:
    engine: Any = start(warehouse.uri)
    request = query_pb.ExecuteQueryRequest(semantic_sql=SQL)
    with grpc.insecure_channel(engine.grpc_address) as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        pieces = stub.ExecuteQuery(request)
        cancelled = Call(lambda: list(pieces))
        until(warehouse.is_running)
        time.sleep(RUNS_FOR)
        pieces.cancel()
        assert isinstance(cancelled.ended(), grpc.RpcError)
        ends(warehouse)
        call = late(warehouse, lambda seconds: Call(lambda: list(stub.ExecuteQuery(request, timeout=seconds))))
        assert isinstance(call.ended(), grpc.RpcError)
        ends(warehouse)


def test_a_timeout_of_the_server(warehouse: Warehouse, start: Start) -> None:
    call = late(warehouse, lambda seconds: fetching(start(warehouse.uri, query={"timeout_seconds": seconds}))[1])
    assert re.search(r"longer than \d+ seconds", str(call.ended()))
    ends(warehouse)


def test_a_lost_connection(warehouse: Warehouse, start: Start) -> None:
    """The client's process is gone, without a word."""
    engine = start(warehouse.uri)
    code = (
        f"from pyarrow import flight; c = flight.connect({engine.flight_location!r}); "
        f"i = c.get_flight_info(flight.FlightDescriptor.for_command({SQL.encode()!r})); "
        "c.do_get(i.endpoints[0].ticket).read_all()"
    )
    client = subprocess.Popen([sys.executable, "-c", code])
    until(warehouse.is_running)
    time.sleep(RUNS_FOR)
    client.kill()
    client.wait()
    ends(warehouse)


def test_sqlite_cannot_be_interrupted_but_its_client_does_not_wait(start: Start, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "slow.db") as connection:
        numbers = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 200) SELECT i AS id FROM r"
        connection.execute(f"CREATE TABLE things AS {numbers}")
        connection.execute(VIEW)
    connection.close()
    engine = start(f"sqlite:///{tmp_path / 'slow.db'}", source={"pool_size": 1})
    source: Any = next(iter(engine.sources.values()))
    found = info(flight.connect(engine.flight_location), SQL)
    for seconds in (0.3, 2.0, 15.0):  # a busy machine needs longer to begin it
        _, call = fetching(engine, found, flight.FlightCallOptions(timeout=seconds))
        assert isinstance(call.ended(), flight.FlightTimedOutError | pa.ArrowException)
        if source.running:
            break
    assert source.running == 1, "the statement goes on, and holds its connection until it ends"
    until(lambda: not source.running)
    client = flight.connect(engine.flight_location)
    assert client.do_get(info(client, SQL).endpoints[0].ticket).read_all().num_rows == 1
