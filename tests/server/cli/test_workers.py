"""An engine of several processes: one port, one state, and none of them left behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from adbc_driver_flightsql import dbapi
from gateway.serving import MODEL, QUERY, make_database
from harness.ports import free_ports
from harness.server import SAGITTA, Server, clean_environment, serving
from sagitta.semantic.v1 import model_service_pb2, query_service_pb2, session_service_pb2
from sagitta.semantic.v1.model_service_pb2_grpc import ModelServiceStub
from sagitta.semantic.v1.query_service_pb2_grpc import QueryServiceStub
from sagitta.semantic.v1.session_service_pb2_grpc import SessionServiceStub
from sagitta_server.app import ReadyAddresses
from sagitta_server.cli.failures import Failure
from sagitta_server.cli.workers import EngineWorkers
from sagitta_server.config import GrpcSettings, Settings

pytestmark = pytest.mark.xdist_group("serve")

WORKERS = 3
CONNECTIONS = 12
END_SECONDS = 60.0


def family(server: Server) -> list[psutil.Process]:
    """The processes that a server has started, and theirs."""
    return psutil.Process(server.process.pid).children(recursive=True)


def workers(server: Server) -> list[psutil.Process]:
    """The other processes of the engine."""
    return [process for process in family(server) if any("spawn_main" in word for word in process.cmdline())]


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=END_SECONDS)
    return not alive


def environment(**more: str) -> dict[str, str]:
    return {"SAGITTA_GRPC__WORKERS": str(WORKERS), **more}


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_ports(WORKERS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    make_database(folder / "shop.duckdb")
    source = f"--source=duckdb:///{folder / 'shop.duckdb'}"
    told = environment(SAGITTA_METRICS__ADDRESS=f"127.0.0.1:{metrics_port}")
    with serving(folder, [source], environment=told) as server:
        yield server


@pytest.fixture
def channels(server: Server) -> Iterator[list[Any]]:
    """Connections of their own, which the system spreads over the processes."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    opened = [grpc.insecure_channel(server.grpc, options=options) for _ in range(CONNECTIONS)]
    yield opened
    for channel in opened:
        channel.close()


def calls_of(method: str, metrics_port: int) -> list[float]:
    """How often each process was called."""
    counts = []
    for number in range(WORKERS):
        page = httpx.get(f"http://127.0.0.1:{metrics_port + number}/metrics").text
        counts.append(sum(float(n) for n in re.findall(rf'_count{{[^}}]*{method}"[^}}]*}} ([\d.]+)', page)))
    return counts


def load(server: Server, **body: str) -> tuple[str, str]:
    session_id = httpx.post(f"{server.http}/v1/sessions").json()["session_id"]
    model = {"model_yaml": f"name: shop\n{MODEL}", **body}
    return session_id, httpx.post(f"{server.http}/v1/sessions/{session_id}/models", json=model).json()["model_id"]


def test_what_one_process_changes_every_other_knows_at_once(channels: list[Any], metrics_port: int) -> None:
    before = calls_of("CompileQuery", metrics_port)
    for turn in range(5):
        here, there = channels[turn], channels[-1 - turn]
        session_id = (
            SessionServiceStub(here).CreateSession(session_service_pb2.CreateSessionRequest()).session.session_id
        )

        def compiled(
            channel: Any, session_id: str = session_id, model_id: str = ""
        ) -> query_service_pb2.CompileQueryResponse:
            return QueryServiceStub(channel).CompileQuery(
                query_service_pb2.CompileQueryRequest(
                    session_id=session_id, model_id=model_id, query_text=json.dumps(QUERY)
                )
            )

        for channel in channels:
            with pytest.raises(grpc.RpcError) as caught:
                compiled(channel)
            assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION or "model" in caught.value.details()
        model = ModelServiceStub(there).LoadModel(
            model_service_pb2.LoadModelRequest(
                session_id=session_id, source=model_service_pb2.ModelSource(model_yaml=f"name: shop\n{MODEL}")
            )
        )
        for channel in channels:
            assert "GROUP BY" in compiled(channel, model_id=model.counts.model_id).sql
        ModelServiceStub(here).RemoveModel(
            model_service_pb2.RemoveModelRequest(session_id=session_id, model_id=model.counts.model_id)
        )
        for channel in channels:
            with pytest.raises(grpc.RpcError) as caught:
                compiled(channel, model_id=model.counts.model_id)
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        SessionServiceStub(there).CloseSession(session_service_pb2.CloseSessionRequest(session_id=session_id))
        for channel in channels:
            with pytest.raises(grpc.RpcError) as caught:
                SessionServiceStub(channel).GetSession(session_service_pb2.GetSessionRequest(session_id=session_id))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    grown = [now - then for now, then in zip(calls_of("CompileQuery", metrics_port), before, strict=True)]
    assert sum(count > 0 for count in grown) > 1, "all connections went to one process: nothing was shown"


def test_queries_of_the_gateway_go_to_every_process_in_turn(server: Server, metrics_port: int) -> None:
    session_id, model_id = load(server)
    body = {"model_id": model_id, "query": QUERY}
    before = calls_of("ExecuteQuery", metrics_port)

    def ask(_: int) -> Any:
        answer = httpx.post(f"{server.http}/v1/sessions/{session_id}/query/execute", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["rows"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(30)))
    assert all(answer == answers[0] for answer in answers)
    deadline = time.monotonic() + END_SECONDS
    grown = [0.0]
    while sum(grown) < len(answers) and time.monotonic() < deadline:  # a call is counted when it has ended
        grown = [now - then for now, then in zip(calls_of("ExecuteQuery", metrics_port), before, strict=True)]
    assert grown == [10.0, 10.0, 10.0]


def test_every_process_names_the_one_place_of_flight(server: Server) -> None:
    session_id, _ = load(server)
    with closing(dbapi.connect(server.flight, autocommit=True)) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT "Revenue" FROM shop')
        assert cursor.fetchall()
    httpx.delete(f"{server.http}/v1/sessions/{session_id}")


def test_a_stop_ends_all_of_them_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, [], environment=environment()) as server:
        others = workers(server)
        assert len(others) == WORKERS - 1
        assert server.stop() == 0
        assert gone(others)
    assert "Traceback" not in server.log.read_text()


def test_a_stop_that_is_told_to_every_process_is_one_in_order(tmp_path: Path) -> None:
    with serving(tmp_path, [], environment=environment()) as server:
        others = family(server)
        for process in (*workers(server), psutil.Process(server.process.pid)):
            process.terminate()
        assert server.process.wait(END_SECONDS) == 0
        assert gone(others)
    assert "Traceback" not in server.log.read_text()


def test_none_outlives_the_first(tmp_path: Path) -> None:
    with serving(tmp_path, [], environment=environment()) as server:
        others = family(server)
        server.stop(signal.SIGKILL)
        assert gone(others)


def test_the_engine_ends_with_any_of_them(tmp_path: Path) -> None:
    with serving(tmp_path, [], environment=environment()) as server:
        others = family(server)
        workers(server)[0].kill()
        assert server.process.wait(END_SECONDS) == 1
        assert gone(others)
    assert "[WORKER_FAILED]" in server.log.read_text()


def test_one_that_ends_before_it_has_heard_where_the_first_is_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, grpc=GrpcSettings(workers=2))
    waits = threading.Event()
    with EngineWorkers(settings) as others, ThreadPoolExecutor(1) as pool:
        (process,) = others._processes
        psutil.Process(process.pid).suspend()
        asked = pool.submit(others.connect, ReadyAddresses("127.0.0.1:1", None, "127.0.0.1:1"), waits.set)
        assert waits.wait(END_SECONDS)
        process.kill()
        with pytest.raises(Failure) as told:
            asked.result(END_SECONDS)
    assert told.value.code == "WORKER_FAILED"


def test_a_file_that_one_process_writes_is_not_shared(tmp_path: Path) -> None:
    source = json.dumps({"default": {"uri": f"duckdb:///{tmp_path / 'new.duckdb'}", "read_only": False}})
    done = subprocess.run(
        [SAGITTA, "serve", "--grpc=127.0.0.1:0", "--flight=127.0.0.1:0", f"--data-dir={tmp_path / 'data'}"],
        env=clean_environment(environment(SAGITTA_SOURCES=source)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "[CANNOT_START] 3 processes cannot write one DuckDB file" in done.stderr
