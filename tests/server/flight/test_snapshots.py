"""Partitions on a real PostgreSQL, while somebody else writes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pyarrow as pa
import pytest
from harness.waiting import until
from pyarrow import flight
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta_server.app import Engine
from sagitta_server.config import Settings
from sagitta_server.flight.commands import read_command

from tests.server.execution.conftest import postgres  # noqa: F401 - the fixture
from tests.server.execution.postgres import PostgresServer
from tests.server.flight.test_protocol import act, fetch, info

MODEL = """
version: 1.0
name: shop
settings: {defaultDialect: postgres}
dataObjects:
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: cust, abstractType: int}
      Amount: {code: amount, abstractType: float}
      Note: {code: note, abstractType: string}
  Recent: {code: recent, columns: {Rid: {code: id, abstractType: int}, Rnote: {code: note, abstractType: string}}}
dimensions:
  Customer: {dataObject: Orders, column: Cust, resultType: int}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum}
"""
DATA = """
DROP TABLE IF EXISTS orders CASCADE;
CREATE TABLE orders (id bigint PRIMARY KEY, cust int, amount double precision, note text);
INSERT INTO orders SELECT i, i % 97, i / 4.0, repeat('x', 200) FROM generate_series(1, 5000) t(i);
CREATE VIEW recent AS SELECT id, note FROM orders WHERE id > 1000;
"""
ROWS = 'SELECT "Orders"."Id", "Orders"."Cust", "Orders"."Amount", "Orders"."Note" FROM shop'
VIEW = 'SELECT "Recent"."Rid", "Recent"."Rnote" FROM shop'
GROUPS = 'SELECT "Customer", "Revenue" FROM shop'
EXPECTED = {
    ROWS: "SELECT id, cust, amount, note FROM orders",
    VIEW: "SELECT id, note FROM recent",
    GROUPS: "SELECT cust, sum(amount) FROM orders GROUP BY cust",
}
OPTIONS = flight.FlightCallOptions(headers=[(b"x-sagitta-partitions", b"4")])

Start = Callable[..., Engine]


@pytest.fixture
def shop(postgres: PostgresServer) -> str:  # noqa: F811
    with psycopg.connect(postgres.uri, autocommit=True) as connection:
        connection.execute(DATA)
    return postgres.uri


@pytest.fixture
def start(shop: str, tmp_path: Path) -> Iterator[Start]:
    model = tmp_path / "shop.yaml"
    model.write_text(MODEL, encoding="utf-8")
    engines: list[Engine] = []

    def started(folder: str = "data", **settings: Any) -> Engine:
        engine = Engine(
            Settings(
                data_dir=tmp_path / folder,
                models={"files": (str(model),)},
                sources={"default": {"uri": shop}},
                flight={"address": "127.0.0.1:0", "secret": "x" * 40, **settings},
                grpc={"address": "127.0.0.1:0"},
            )
        )
        engine.start()
        engines.append(engine)
        return engine

    yield started
    for engine in engines:
        engine.stop()


@contextmanager
def writer(uri: str) -> Iterator[list[int]]:
    """Moves, adds and removes rows all the time; gives the number of its commits."""
    stop, commits = threading.Event(), [0]

    def write() -> None:
        with psycopg.connect(uri) as connection:
            for turn in itertools.count():
                if stop.is_set():
                    return
                change = "UPDATE orders SET amount = amount + 1, cust = cust + 1 WHERE id %% 50 = %s"
                connection.execute(change, [turn % 50])
                connection.execute("DELETE FROM orders WHERE id = (SELECT min(id) FROM orders)")
                connection.execute("INSERT INTO orders SELECT max(id) + 1, 5, 1.5, 'new' FROM orders")
                connection.commit()
                commits[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield commits
    finally:
        stop.set()
        thread.join()


def connect(engine: Engine) -> Any:
    return flight.connect(engine.flight_location)


def held(engine: Any) -> int:
    return len(engine._flight.server.snapshots)


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("sql", [ROWS, VIEW, GROUPS], ids=["table", "view", "groups"])
def test_parts_are_disjoint_complete_and_of_one_moment_while_somebody_writes(shop: str, start: Start, sql: str) -> None:
    engine = start()
    client = connect(engine)
    with writer(shop) as commits:
        until(lambda: commits[0] > 3)
        found = info(client, sql, OPTIONS)
        assert len(found.endpoints) == 4
        whole = in_snapshot(shop, name_of(engine), EXPECTED[sql])
        parts = []
        for endpoint in found.endpoints:
            before = commits[0]
            until(lambda before=before: commits[0] > before)
            parts.append(fetch(client, endpoint.ticket))
    assert all(part.num_rows for part in parts)
    assert plain(rows(pa.concat_tables(parts))) == plain(whole)
    with psycopg.connect(shop) as connection:
        assert plain(sorted(connection.execute(EXPECTED[sql]).fetchall())) != plain(whole), "somebody did write"


def plain(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The model makes decimals of sums; quarters are exact in both."""
    return [tuple(float(value) if isinstance(value, Decimal) else value for value in row) for row in found]


def name_of(engine: Any) -> str:
    (name,) = engine._flight.server.snapshots._known
    return str(name)


def in_snapshot(uri: str, name: str, sql: str) -> list[tuple[Any, ...]]:
    """Reads as another client of the same snapshot."""
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute(f"SET TRANSACTION SNAPSHOT '{name}'")
        return sorted(connection.execute(sql).fetchall())


def test_a_table_is_cut_by_pages_and_other_results_by_hash(start: Start) -> None:
    statements: Any = start()._flight.server  # type: ignore[union-attr]
    client = flight.connect(f"grpc://127.0.0.1:{statements.port}")
    kinds = {}
    for sql in (ROWS, VIEW, GROUPS):
        ticket = info(client, sql, OPTIONS).endpoints[1].ticket
        part = statements.signer.ticket(read_command(ticket.ticket).statement_handle, "anonymous").partition
        kinds[sql] = part.HasField("rows")
    assert kinds == {ROWS: True, VIEW: False, GROUPS: False}


def test_the_snapshot_is_given_back_when_every_part_was_read_to_its_end(start: Start) -> None:
    engine = start()
    client = connect(engine)
    endpoints = info(client, ROWS, OPTIONS).endpoints
    for endpoint in (*endpoints[:3], endpoints[0]):
        fetch(client, endpoint.ticket)
    assert held(engine) == 1, "one part is still to be read, and the others may be read again"
    fetch(client, endpoints[3].ticket)
    until(lambda: held(engine) == 0)
    with pytest.raises(flight.FlightServerError, match="snapshot of this partition is gone"):
        fetch(client, endpoints[0].ticket)


def test_the_snapshot_is_given_back_when_its_time_is_over_and_renewing_adds_to_it(start: Start) -> None:
    server: Any = start(snapshot_seconds=100)._flight.server  # type: ignore[union-attr]
    client = flight.connect(f"grpc://127.0.0.1:{server.port}")
    later = [0]
    server.snapshots._now = lambda: time.monotonic() + later[0]
    server.signer.now = lambda: time.time() + later[0]
    message = fl.FlightEndpoint.FromString(info(client, ROWS, OPTIONS).endpoints[0].serialize())
    assert message.expiration_time.seconds <= time.time() + 100
    later[0] = 80
    act(client, "RenewFlightEndpoint", fl.RenewFlightEndpointRequest(endpoint=message), wrapped=False)
    later[0] = 160
    server.snapshots.sweep()
    assert len(server.snapshots) == 1
    later[0] = 200
    until(lambda: len(server.snapshots) == 0)


def test_a_replica_reads_a_part_while_the_snapshot_is_held_and_refuses_it_afterwards(shop: str, start: Start) -> None:
    first, second = start("one"), start("two")
    endpoints = info(connect(first), ROWS, OPTIONS).endpoints
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("DELETE FROM orders WHERE id > 100")
    replica = connect(second)
    assert sum(fetch(replica, endpoint.ticket).num_rows for endpoint in endpoints) == 5000
    first.stop()
    with pytest.raises(flight.FlightServerError, match="snapshot of this partition is gone"):
        fetch(replica, endpoints[0].ticket)


def test_a_name_that_was_given_to_another_snapshot_is_refused(shop: str, start: Start) -> None:
    engine = start()
    client = connect(engine)
    snapshots = engine._flight.server.snapshots  # type: ignore[union-attr]
    hold = snapshots.hold

    def forged(*arguments: Any) -> Any:
        snapshot = hold(*arguments)
        snapshot.content = "1:1:"
        return snapshot

    snapshots.hold = forged
    with pytest.raises(flight.FlightServerError, match="snapshot of this partition is gone"):
        fetch(client, info(client, ROWS, OPTIONS).endpoints[0].ticket)


def test_the_table_cannot_be_rewritten_while_it_is_read(shop: str, start: Start) -> None:
    client = connect(start())
    endpoints = info(client, ROWS, OPTIONS).endpoints
    with psycopg.connect(shop, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '100ms'")
        for statement in ("TRUNCATE orders", "VACUUM FULL orders"):
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute(statement)
        for endpoint in endpoints:
            fetch(client, endpoint.ticket)
        connection.execute("SET lock_timeout = '5s'")
        connection.execute("TRUNCATE orders")


def test_only_so_many_snapshots_are_held(start: Start) -> None:
    client = connect(start(max_snapshots=1))
    endpoints = info(client, ROWS, OPTIONS).endpoints
    with pytest.raises(flight.FlightServerError, match="RESOURCE_EXHAUSTED"):
        info(client, ROWS, OPTIONS)
    for endpoint in endpoints:
        fetch(client, endpoint.ticket)
    assert len(info(client, ROWS, OPTIONS).endpoints) == 4


def test_what_may_come_out_otherwise_when_asked_again_is_not_cut(start: Start) -> None:
    client = connect(start())
    assert len(info(client, f"{ROWS} LIMIT 10", OPTIONS).endpoints) == 1


def test_clients_see_which_snapshot_it_is(start: Start) -> None:
    client = connect(start())
    one, two = (orjson.loads(info(client, ROWS, OPTIONS).app_metadata)["snapshot"] for _ in range(2))
    assert one == two, "nobody wrote in between"
