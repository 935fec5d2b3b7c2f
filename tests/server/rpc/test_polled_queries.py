"""Polled queries as a gRPC client meets them: one that takes long, and one that is done at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from harness.waiting import until
from sagitta.semantic.v1 import polled_query_service_pb2 as pb
from sagitta.semantic.v1 import polled_query_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1 import query_service_pb2 as query_pb
from sagitta_server.app import Engine
from sagitta_server.auth import TokenIssuer
from sagitta_server.config import Settings
from sagitta_server.rpc.cancelled_queries import CancelledQueries
from sqlalchemy.exc import OperationalError

MODEL = """
version: 1.0
name: numbers
dataObjects:
  Quick: {code: quick, columns: {Parity: {code: parity, abstractType: int}, N: {code: n, abstractType: int}}}
  Slow: {code: slow, columns: {Odd: {code: odd, abstractType: int}, M: {code: m, abstractType: int}}}
  Many: {code: many, columns: {K: {code: k, abstractType: int}}}
  Broken: {code: broken, columns: {B: {code: b, abstractType: int}}}
dimensions:
  Parity: {dataObject: Quick, column: Parity, resultType: int}
measures:
  Sum: {columns: [{dataObject: Quick, column: N}], aggregation: sum}
  Slow Sum: {columns: [{dataObject: Slow, column: M}], aggregation: sum}
  Broken Sum: {columns: [{dataObject: Broken, column: B}], aggregation: sum}
"""
DATA = """
CREATE TABLE quick AS SELECT i % 2 AS parity, i AS n FROM range(10) t(i);
CREATE TABLE few AS SELECT i FROM range(100000) t(i);
CREATE VIEW many AS SELECT i AS k FROM range(3000000) t(i);
CREATE VIEW slow AS SELECT a.i % 2 AS odd, (a.i * b.i) % 7 AS m FROM few a, few b;
CREATE VIEW broken AS SELECT error('the disk is on fire')::INT AS b FROM quick;
"""
SECRET = "s" * 40
QUICK = query_pb.ExecuteQueryRequest(semantic_sql='SELECT "Parity", "Sum" FROM numbers ORDER BY 1')
SLOW = query_pb.ExecuteQueryRequest(semantic_sql='SELECT "Slow Sum" FROM numbers')
BROKEN = query_pb.ExecuteQueryRequest(semantic_sql='SELECT "Broken Sum" FROM numbers')
WHOLE = query_pb.ExecuteQueryRequest(query_text='{"select": {"fields": ["Many.K"]}}', no_default_limit=True)

Start = Callable[..., Engine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts engines on one database, with the same secret."""
    database, model = tmp_path / "numbers.duckdb", tmp_path / "numbers.yaml"
    with duckdb.connect(str(database)) as connection:
        connection.execute(DATA)
    model.write_text(MODEL, encoding="utf-8")
    engines: list[Engine] = []

    def started(folder: str = "data", **settings: Any) -> Engine:
        engine = Engine(
            Settings(
                data_dir=tmp_path / folder,
                models={"files": (str(model),)},
                sources={"default": {"uri": f"duckdb:///{database}"}},
                flight={"enabled": False, "secret": SECRET},
                grpc={"address": "127.0.0.1:0"},
                **settings,
            )
        )
        engine.address = engine.start().grpc  # type: ignore[attr-defined]
        engines.append(engine)
        return engine

    yield started
    for engine in engines:
        engine.stop()


class Client:
    """The calls, with the metadata of one caller."""

    def __init__(self, engine: Any, token: str = "") -> None:
        self._stub = pb_grpc.PolledQueryServiceStub(grpc.insecure_channel(engine.address))
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def start(self, query: query_pb.ExecuteQueryRequest) -> pb.StartQueryResponse:
        return self._stub.StartQuery(pb.StartQueryRequest(query=query), metadata=self._metadata)

    def poll(self, ticket: bytes, wait_seconds: float = 0) -> pb.PollQueryResponse:
        request = pb.PollQueryRequest(ticket=ticket, wait_seconds=wait_seconds)
        return self._stub.PollQuery(request, metadata=self._metadata)

    def fetch(self, ticket: bytes, **options: Any) -> Any:
        return self._stub.FetchQuery(pb.FetchQueryRequest(ticket=ticket), metadata=self._metadata, **options)

    def table(self, ticket: bytes) -> pa.Table:
        return pa.ipc.open_stream(b"".join(piece.arrow_ipc for piece in self.fetch(ticket))).read_all()

    def cancel(self, ticket: bytes) -> pb.CancelQueryResponse:
        return self._stub.CancelQuery(pb.CancelQueryRequest(ticket=ticket), metadata=self._metadata)


def reason(error: grpc.RpcError) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status is not None
    assert status.details[0].Unpack(info)
    return info.reason


def running(engine: Engine) -> int:
    source: Any = next(iter(engine.sources.values()))
    return int(source.running)


ROWS = [{"Parity": 0, "Sum": 20}, {"Parity": 1, "Sum": 25}]


def test_a_query_is_started_polled_and_fetched_as_often_as_one_likes(start: Start) -> None:
    client = Client(start())
    ticket = client.start(QUICK).ticket
    polled = client.poll(ticket, wait_seconds=60)
    assert polled.progress.state == pb.QUERY_STATE_SUCCEEDED
    assert (polled.progress.row_count, polled.progress.fraction) == (2, 1.0)
    assert polled.progress.expires_at.seconds > time.time() + 3500
    for found in (ticket, polled.ticket, ticket):
        assert client.table(found).to_pylist() == ROWS
    (only,) = client.fetch(ticket)
    assert [column.name for column in only.metadata.columns] == ["Parity", "Sum"]
    assert only.summary.row_count == 2


def test_a_long_query_tells_how_far_it_is_and_goes_on_without_its_caller(start: Start) -> None:
    engine = start()
    client = Client(engine)
    started = client.start(SLOW)
    assert started.progress.state == pb.QUERY_STATE_RUNNING, "it was not waited for"
    ticket = started.ticket
    del client
    fractions = [0.0]
    other = Client(engine)

    def is_told() -> bool:
        progress = other.poll(ticket, wait_seconds=0.1).progress
        assert progress.state == pb.QUERY_STATE_RUNNING
        if progress.HasField("fraction"):
            fractions.append(progress.fraction)
        return len(set(fractions)) > 2

    until(is_told)
    assert fractions == sorted(fractions)
    other.cancel(ticket)


def test_rows_can_be_fetched_while_they_are_computed(start: Start) -> None:
    client = Client(start())
    ticket = client.start(WHOLE).ticket
    pieces = client.fetch(ticket)
    rows = pa.ipc.open_stream(b"".join(piece.arrow_ipc for piece in pieces)).read_all().num_rows
    assert rows == 3_000_000
    progress = client.poll(ticket).progress
    assert (progress.state, progress.row_count) == (pb.QUERY_STATE_SUCCEEDED, 3_000_000)


def test_cancelling_ends_the_statement_and_is_remembered(start: Start) -> None:
    engine = start()
    client = Client(engine)
    ticket = client.start(SLOW).ticket
    until(lambda: running(engine) == 1)
    assert client.cancel(ticket).progress.state == pb.QUERY_STATE_CANCELLED
    until(lambda: running(engine) == 0)
    assert client.poll(ticket).progress.state == pb.QUERY_STATE_CANCELLED
    assert client.cancel(ticket).progress.state == pb.QUERY_STATE_CANCELLED
    with pytest.raises(grpc.RpcError) as caught:
        list(client.fetch(ticket))
    assert caught.value.code() == grpc.StatusCode.CANCELLED
    engine.stop()
    assert Client(start()).poll(ticket).progress.state == pb.QUERY_STATE_CANCELLED, "also after a restart"


def test_a_query_ends_also_where_the_state_database_cannot_keep_its_cancel(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start()
    client = Client(engine)
    ticket = client.start(SLOW).ticket
    until(lambda: running(engine) == 1)

    def gone(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("the database is gone"))

    monkeypatch.setattr(CancelledQueries, "note", gone)
    with pytest.raises(grpc.RpcError) as caught:
        client.cancel(ticket)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    until(lambda: running(engine) == 0)


def test_a_failed_query_says_why(start: Start) -> None:
    client = Client(start())
    ticket = client.start(BROKEN).ticket
    progress = client.poll(ticket, wait_seconds=60).progress
    assert progress.state == pb.QUERY_STATE_FAILED
    assert progress.error_reason == "EXECUTION_FAILED"
    assert "on fire" in progress.error_message
    with pytest.raises(grpc.RpcError) as caught:
        list(client.fetch(ticket))
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.ABORTED, "EXECUTION_FAILED")


def test_a_mistake_is_refused_when_it_is_started(start: Start) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        Client(start()).start(query_pb.ExecuteQueryRequest(semantic_sql='SELECT "Nope" FROM numbers'))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_rows_are_there_after_a_restart_without_running_again(start: Start) -> None:
    first = start()
    client = Client(first)
    ticket = client.start(QUICK).ticket
    assert client.poll(ticket, wait_seconds=60).progress.state == pb.QUERY_STATE_SUCCEEDED
    first.stop()
    second = start()
    executed: list[str] = []
    source: Any = next(iter(second.sources.values()))
    source.execute = lambda sql, **_: executed.append(sql)
    client = Client(second)
    assert client.poll(ticket).progress.row_count == 2
    assert client.table(ticket).to_pylist() == ROWS
    assert executed == []


def test_a_query_that_was_running_is_started_again_after_a_restart_and_at_a_replica(start: Start) -> None:
    first = start()
    ticket = Client(first).start(SLOW).ticket
    until(lambda: running(first) == 1)
    first.stop()
    for engine in (start(), start("replica")):
        client = Client(engine)
        assert client.poll(ticket).progress.state == pb.QUERY_STATE_RUNNING
        until(lambda engine=engine: running(engine) == 1)
        client.cancel(ticket)


def test_processes_of_one_data_directory_run_a_query_once_and_both_serve_its_rows(start: Start) -> None:
    """Else they would write one file at the same time."""
    first, second = start(), start()
    executed: list[str] = []
    source: Any = next(iter(second.sources.values()))
    source.execute = lambda sql, **_: executed.append(sql)
    ticket = Client(first).start(SLOW).ticket
    until(lambda: running(first) == 1)
    assert Client(second).poll(ticket, wait_seconds=0.3).progress.state == pb.QUERY_STATE_RUNNING
    assert Client(second).cancel(ticket).progress.state == pb.QUERY_STATE_CANCELLED
    until(lambda: running(first) == 0)
    ticket = Client(first).start(WHOLE).ticket
    polled = Client(second).poll(ticket, wait_seconds=60)
    assert polled.progress.state == pb.QUERY_STATE_SUCCEEDED
    for engine in (first, second):
        assert Client(engine).table(ticket).num_rows == 3_000_000
    assert executed == []


def test_a_query_that_ends_elsewhere_while_it_is_asked_for_is_not_run_again(start: Start) -> None:
    """Its rows would be written anew under whoever reads them."""
    first, second = start(), start()
    goes_on, executed = threading.Event(), []
    source: Any = first.sources["default"]
    execute = source.execute

    def execute_late(sql: str, **named: Any) -> Any:
        assert goes_on.wait(60)
        return execute(sql, **named)

    source.execute = execute_late
    elsewhere: Any = second.sources["default"]
    elsewhere.execute = lambda sql, **_: executed.append(sql)
    ticket = Client(first).start(QUICK).ticket
    cancelled = second.polled._cancelled

    def look_late(query_ids: list[str]) -> frozenset[str]:
        goes_on.set()
        until(lambda: Client(first).poll(ticket).progress.state == pb.QUERY_STATE_SUCCEEDED)
        return cancelled.among(query_ids)

    second.polled._cancelled = SimpleNamespace(among=look_late)  # type: ignore[assignment]
    assert Client(second).poll(ticket).progress.state == pb.QUERY_STATE_SUCCEEDED
    assert Client(second).table(ticket).to_pylist() == ROWS
    assert executed == []


def test_a_cancel_at_another_replica_ends_the_statement_and_it_is_started_nowhere_again(
    start: Start, tmp_path: Path
) -> None:
    shared = {"state_url": f"sqlite:///{tmp_path}/shared.db"}
    owner, other, third = (start(name, **shared) for name in ("owner", "other", "third"))
    ticket = Client(owner).start(SLOW).ticket
    until(lambda: running(owner) == 1)
    assert Client(other).cancel(ticket).progress.state == pb.QUERY_STATE_CANCELLED
    until(lambda: running(owner) == 0)
    for engine in (owner, other, third):
        assert Client(engine).poll(ticket).progress.state == pb.QUERY_STATE_CANCELLED
        assert running(engine) == 0


def test_someone_else_a_changed_byte_and_a_late_caller_are_refused(start: Start) -> None:
    secret = "t" * 40
    engine = start(access={"mode": "jwt"}, auth={"mode": "hs256", "secret": secret})
    ann, bob = (Client(engine, TokenIssuer(secret).issue(name, ())) for name in ("ann", "bob"))
    ticket = ann.start(QUICK).ticket
    assert ann.poll(ticket, wait_seconds=60).progress.state == pb.QUERY_STATE_SUCCEEDED
    for call in (bob.poll, bob.cancel, lambda body: list(bob.fetch(body))):
        with pytest.raises(grpc.RpcError) as caught:
            call(ticket)
        assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED
    changed = bytearray(ticket)
    changed[20] ^= 1
    now = engine.signer.now()
    with pytest.raises(grpc.RpcError) as caught:
        ann.poll(bytes(changed))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    engine.signer.now = lambda: now + 3601
    with pytest.raises(grpc.RpcError, match="expired"):
        ann.poll(ticket)


def test_rows_are_those_that_the_caller_may_see_now(start: Start, tmp_path: Path) -> None:
    (tmp_path / "numbers.yaml").write_text(
        MODEL.replace(
            "  Quick: {",
            '  Quick: {rowPolicy: {filters: [{field: Parity, operator: equals, value: "{claims.parity}"}]}, ',
        )
    )
    engine = start(access={"mode": "jwt"}, auth={"mode": "hs256", "secret": SECRET})
    even, odd = (Client(engine, TokenIssuer(SECRET).issue("ann", (), extra={"parity": parity})) for parity in (0, 1))
    ticket = even.start(QUICK).ticket
    assert even.poll(ticket, wait_seconds=60).progress.state == pb.QUERY_STATE_SUCCEEDED
    assert even.table(ticket).to_pylist() == ROWS[:1]
    assert odd.table(ticket).to_pylist() == ROWS[1:], "her claims have changed, so have her rows"
    with pytest.raises(grpc.RpcError) as caught:
        Client(engine, TokenIssuer(SECRET).issue("ann", ())).poll(ticket)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


def test_what_nobody_asks_for_is_ended_and_its_rows_are_removed(start: Start, tmp_path: Path) -> None:
    engine, folder = start(), tmp_path / "data" / "polled"
    client = Client(engine)
    client.start(SLOW)
    ended = client.start(QUICK).ticket
    assert client.poll(ended, wait_seconds=60).progress.state == pb.QUERY_STATE_SUCCEEDED
    until(lambda: running(engine) == 1)
    engine.polled._now = lambda: time.time() + 3601
    engine.polled.sweep()
    until(lambda: running(engine) == 0)
    assert list(folder.iterdir()), "files are as old as they are"
    until(lambda: not list(folder.glob("*.lock")))
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    engine.polled.sweep()
    assert list(folder.iterdir()) == []


def test_so_many_run_at_once(start: Start) -> None:
    client = Client(start(polling={"max_running": 1}))
    ticket = client.start(SLOW).ticket
    with pytest.raises(grpc.RpcError) as caught:
        client.start(SLOW)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    client.cancel(ticket)


def test_limits_on_size_and_time(start: Start) -> None:
    client = Client(start("brief", polling={"timeout_seconds": 0.5}))
    ticket = client.start(SLOW).ticket
    assert client.poll(ticket, wait_seconds=60).progress.error_reason == "QUERY_TIMEOUT"
    client = Client(start("narrow", polling={"max_result_mib": 1}))
    ticket = client.start(WHOLE).ticket
    progress = client.poll(ticket, wait_seconds=60).progress
    assert "1 MiB" in progress.error_message


def test_a_caller_that_stops_fetching_does_not_end_the_query(start: Start) -> None:
    client = Client(start())
    ticket = client.start(WHOLE).ticket
    call = client.fetch(ticket)
    next(call)
    call.cancel()
    assert client.poll(ticket, wait_seconds=60).progress.state == pb.QUERY_STATE_SUCCEEDED
    assert client.table(ticket).num_rows == 3_000_000
