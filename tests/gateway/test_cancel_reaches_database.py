"""A client that goes away, or cancels, ends its statement in the database within a tenth of a second.

The databases themselves are watched: PostgreSQL lists what runs, and the slot of an embedded DuckDB is free only when
its statement has returned. A busy machine may be late, so it is asked again until it is not.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import grpc
import psycopg
import pytest
from gateway.serving import MODEL, Serving, make_database, serving, settings
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc
from server.execution.postgres import start_postgres

WITHIN_SECONDS = 0.1
PATIENCE_SECONDS = 90
SLOW = {"select": {"measures": ["Total"]}}


@dataclass(frozen=True)
class Place:
    """A served model whose measure never ends, and how many statements its database runs."""

    served: Serving
    session_id: str
    model_id: str
    running: Callable[[], int]


@pytest.fixture(scope="module")
def duckdb_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("duckdb")
    make_database(folder / "shop.duckdb")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE VIEW endless AS SELECT i AS n, 'x' AS t FROM range(1000000000000) r(i)")
    with serving(settings(folder)) as running:
        source = running.engine.sources["default"]
        yield place(running, MODEL, lambda: source.load.running)


@pytest.fixture(scope="module")
def postgres_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("postgres")
    server = start_postgres(folder)
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    try:
        with psycopg.connect(server.uri, autocommit=True) as watcher:
            watcher.execute(
                "CREATE VIEW endless AS SELECT a.i::bigint AS n, 'x' AS t "
                "FROM generate_series(1, 1000000) a(i), generate_series(1, 1000000) b(i)"
            )

            def active() -> int:
                row = watcher.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%' "
                    "AND pid <> pg_backend_pid()"
                ).fetchone()
                assert row is not None
                return int(row[0])

            with serving(settings(folder, sources={"default": {"uri": server.uri}})) as running:
                yield place(running, MODEL.replace("schema: main", "schema: public"), active)
    finally:
        server.stop()


def place(served: Serving, model: str, running: Callable[[], int]) -> Place:
    session = served.client.post("/v1/sessions").json()["session_id"]
    text = {"model_yaml": model.replace("code: numbers", "code: endless")}
    loaded = served.client.post(f"/v1/sessions/{session}/models", json=text)
    assert loaded.status_code == 201, loaded.text
    return Place(served, session, loaded.json()["model_id"], running)


def going_away(place: Place) -> Callable[[], object]:
    """Asks over HTTP; returns what hangs up, once the statement runs."""
    address = urlsplit(str(place.served.client.base_url))
    connection = socket.create_connection((address.hostname or "", address.port or 0))
    body = json.dumps({"model_id": place.model_id, "query": SLOW}).encode()
    head = (
        f"POST /v1/sessions/{place.session_id}/query/execute HTTP/1.1\r\nHost: test\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    until(lambda: place.running() == 1)
    return connection.close


def cancelling(place: Place) -> Callable[[], object]:
    """Asks over gRPC; returns what cancels, once the statement runs."""
    channel = grpc.insecure_channel(place.served.grpc, [("grpc.use_local_subchannel_pool", 1)])
    request = pb.ExecuteQueryRequest(session_id=place.session_id, model_id=place.model_id, query_text=json.dumps(SLOW))
    call = pb_grpc.QueryServiceStub(channel).ExecuteQuery(request)

    def cancel() -> None:
        with closing(channel):
            call.cancel()

    until(lambda: place.running() == 1)
    return cancel


def out_of_time(place: Place) -> Callable[[], object]:
    """Asks over gRPC with a deadline; returns what waits for its end, once the statement runs."""
    seconds = 1.0
    while (wait := _out_of_time(place, seconds)) is None:
        seconds *= 2
    return wait


def _out_of_time(place: Place, seconds: float) -> Callable[[], object] | None:
    """The same; None when the time was up before the statement began."""
    channel = grpc.insecure_channel(place.served.grpc, [("grpc.use_local_subchannel_pool", 1)])
    request = pb.ExecuteQueryRequest(session_id=place.session_id, model_id=place.model_id, query_text=json.dumps(SLOW))
    deadline = time.monotonic() + seconds
    call = pb_grpc.QueryServiceStub(channel).ExecuteQuery(request, timeout=seconds)

    def wait() -> None:
        with closing(channel):
            time.sleep(max(deadline - time.monotonic(), 0))
            assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    begun = False

    def decided() -> bool:
        nonlocal begun
        begun = place.running() == 1
        return begun or call.done()

    until(decided)
    if begun:
        return wait
    wait()
    return None


@pytest.mark.parametrize("ask", [going_away, cancelling, out_of_time])
@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_the_statement_ends_in_the_database(
    kind: str, ask: Callable[[Place], Callable[[], object]], request: pytest.FixtureRequest
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    taken: list[float] = []
    given_up = time.monotonic() + PATIENCE_SECONDS
    while not taken or (min(taken) > WITHIN_SECONDS and time.monotonic() < given_up):
        ask(place)()
        started = time.perf_counter()
        until(lambda: place.running() == 0)
        taken.append(time.perf_counter() - started)
    assert min(taken) <= WITHIN_SECONDS, taken


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, "the database does not come to that"
        time.sleep(0.002)
