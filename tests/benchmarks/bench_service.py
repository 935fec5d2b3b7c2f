"""Requests through REST, gRPC and Flight SQL side by side: rates, latencies, what the gateway adds, what never waits.

A small program in Go makes the calls, each client on a connection of its own, so that the server has the processors;
beside every rate stands the processor time that the engine and the gateway spent per call. Nothing is cached. The
server runs twice: with the default settings, one process each; and with an engine process per processor and two gateway
workers. What the second worker can bring is measured before an engine of canned answers: with the real one, four
processors are all in use.

Limits, at the best number of clients of any run: 1,750 `query/sql` and 840 small `query/execute` a second through REST,
no fewer over gRPC. With the default settings: the gateway adds less than 2 ms to a query's median; `/health` answers
within 50 ms while a model of 1,000 objects is loaded, while its schema is told, and while half a million rows are
written as JSON; that model is loaded over HTTP within a second. Two gateway workers serve nearly twice as much as one.
JSON is written at half the speed of orjson on ready lists at least.

A virtual machine is two or three times slower at one time than at another. The limits of rates and of the model's time
are for a machine on which a gRPC server in Python that only hands out ready bytes answers `BARE_RATE` calls a second;
on a slower one they are that much easier. That rate is measured in the same run, before, between and after the others.

Flight SQL is served by one process (decision 36) and stands beside the others without a limit.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import grpc
import httpx
import orjson
import psutil
import pyarrow as pa
from gateway.serving import MODEL, QUERY, make_database
from google.protobuf.any_pb2 import Any as Packed
from harness.server import Server, clean_environment, serving, wait_for
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta_gateway.results.rows import json_rows

from benchmarks.bench_model import model_text
from benchmarks.harness import Bench, seconds
from benchmarks.loading import Call, Load, bare_server, canned_engine, load

CLIENTS = (1, 8, 32)
LOAD_SECONDS = 2.0
PAIR_SECONDS = 1.0
PAIRS = 5
WORKERS_SECONDS = 3.0
WORKERS_CLIENTS = 64
"""Enough for the system to give each worker about as many."""
COUNTRIES = 10
SQL = 'SELECT "Customer Country", "Revenue" FROM bench ORDER BY "Revenue" DESC'
REST_SQL, GRPC_SQL, FLIGHT_INFO = "query/sql REST", "query/sql gRPC", "query/sql Flight SQL (GetFlightInfo)"
REST_EXECUTE, GRPC_EXECUTE, FLIGHT_EXECUTE = "query/execute REST", "query/execute gRPC", "query/execute Flight SQL"
SURFACES = (REST_SQL, GRPC_SQL, FLIGHT_INFO, REST_EXECUTE, GRPC_EXECUTE, FLIGHT_EXECUTE)
AT_LEAST = {REST_SQL: 1750.0, GRPC_SQL: 1750.0, REST_EXECUTE: 840.0, GRPC_EXECUTE: 840.0}
"""Calls per second: five times the best peer."""
BARE_RATE = 2500.0
"""Calls per second, with 8 clients, of a gRPC server in Python that only hands out ready bytes."""
PROCESSORS = os.cpu_count() or 1
NEARLY = 0.85
"""Two workers serve `NEARLY * 2` times as much as one."""


@dataclass(frozen=True)
class Target:
    """A running server with a model, and how it is asked."""

    http: str
    session_id: str
    model_id: str
    calls: Mapping[str, Call]
    processes: Mapping[str, list[int]]


def run(bench: Bench) -> None:
    """Measures the default settings, then as many processes as the machine has processors."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_database(place / "shop.duckdb")
        _ten_countries(place / "shop.duckdb")
        flags = [f"--source=duckdb:///{place / 'shop.duckdb'}"]
        with serving(place, flags) as server:
            target = _loaded(server)
            bare = [bare_rate(target)]
            default = surfaces(bench, target, "")
            bare.append(bare_rate(target))
            two_workers(bench, target, place)
            speed = machine_speed(bench, bare)
            added_by_the_gateway(bench, target)
            health_never_waits(bench, target, speed)
        many = {"SAGITTA_GRPC__WORKERS": str(PROCESSORS)}
        with serving(place, flags, environment={**many, "SAGITTA_HTTP__WORKERS": "2"}) as server:
            target = _loaded(server)
            full = surfaces(bench, target, f" ({PROCESSORS} + 2 processes)")
            speed = machine_speed(bench, [*bare, bare_rate(target)])
    for name, limit in AT_LEAST.items():
        bench.report(f"{name}: best", max(default[name], full[name]), "/s", limit=limit * speed, at_least=True)
    json_production(bench)


def bare_rate(target: Target) -> float:
    """Calls per second of a server that hands out the engine's own answer, ready."""
    call = target.calls[GRPC_SQL]
    with bare_server(_compiled(target)) as address:
        return load(replace(call, address=address), 8, LOAD_SECONDS, {}).rate


def machine_speed(bench: Bench, bare: Sequence[float]) -> float:
    """The machine against the one that the limits are for; 1 at most."""
    rate = statistics.median(bare)
    bench.report("a bare gRPC server in Python, 8 clients", rate, "/s")
    return min(1.0, rate / BARE_RATE)


def _ten_countries(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            f"INSERT INTO customers SELECT 10 + i, 'N' || i, 'C' || (i % {COUNTRIES - 3}) FROM range(70) r(i)"
        )
        connection.execute(
            "INSERT INTO orders SELECT 10 + i, 10 + i % 70, DATE '2024-01-01', i % 900, 'paid' FROM range(999) r(i)"
        )


def _loaded(server: Server) -> Target:
    session_id = httpx.post(f"{server.http}/v1/sessions").json()["session_id"]
    model = {"model_yaml": f"name: bench\n{MODEL}"}
    model_id = httpx.post(f"{server.http}/v1/sessions/{session_id}/models", json=model, timeout=60).json()["model_id"]
    ids = {"session_id": session_id, "model_id": model_id}
    body = json.dumps({"model_id": model_id, "query": QUERY}).encode()
    text, rest, path = json.dumps(QUERY), urlsplit(server.http).netloc, f"/v1/sessions/{session_id}/query"
    service = f"/{pb.DESCRIPTOR.services_by_name['QueryService'].full_name}"
    compiling, executing = (
        pb.CompileQueryRequest(query_text=text, **ids),
        pb.ExecuteQueryRequest(query_text=text, **ids),
    )
    command = Packed()
    command.Pack(fs.CommandStatementQuery(query=SQL))
    calls = {
        REST_SQL: Call("http", rest, f"{path}/sql", body),
        GRPC_SQL: Call("unary", server.grpc, f"{service}/CompileQuery", compiling.SerializeToString()),
        REST_EXECUTE: Call("http", rest, f"{path}/execute", body),
        GRPC_EXECUTE: Call("stream", server.grpc, f"{service}/ExecuteQuery", executing.SerializeToString()),
        FLIGHT_INFO: Call("info", urlsplit(server.flight).netloc, body=command.SerializeToString()),
        FLIGHT_EXECUTE: Call("flight", urlsplit(server.flight).netloc, body=command.SerializeToString()),
        "/health": Call("get", rest, "/health"),
    }
    answer = httpx.post(f"{server.http}{path}/execute", content=body, headers={"Content-Type": "application/json"})
    assert answer.json()["row_count"] == COUNTRIES, answer.text
    return Target(server.http, session_id, model_id, calls, _processes(server.process.pid))


def _processes(pid: int) -> Mapping[str, list[int]]:
    """The processes of a server: its own and its workers are the engine, the gateway is a child with workers too."""
    own = psutil.Process(pid)
    gateways = [child for child in own.children() if "sagitta_gateway" in child.cmdline()]
    family = [process.pid for gateway in gateways for process in (gateway, *gateway.children(recursive=True))]
    engine = [pid, *(child.pid for child in own.children(recursive=True) if child.pid not in family)]
    return {"engine": engine, "gateway": family}


# ---------------------------------------------------------------- rates and latencies


def surfaces(bench: Bench, target: Target, how: str) -> Mapping[str, float]:
    """Every surface with every number of clients; returns the best rate of each."""
    return {name: max(_shown(bench, name, how, clients, target).rate for clients in CLIENTS) for name in SURFACES}


def _shown(bench: Bench, name: str, how: str, clients: int, target: Target) -> Load:
    done = load(target.calls[name], clients, LOAD_SECONDS, target.processes)
    label = f"{name}, {clients} clients{how}"
    bench.report(label, done.rate, "/s")
    bench.report(f"{label}: median", done.p50, "ms")
    for process, spent in done.cpu.items():
        if spent > 0.05:
            bench.report(f"{label}: processor time of the {process}", spent, "ms")
    return done


def added_by_the_gateway(bench: Bench, target: Target) -> None:
    """The medians of one client through the gateway and past it, in turns."""
    for query, through, past in (("query/sql", REST_SQL, GRPC_SQL), ("query/execute", REST_EXECUTE, GRPC_EXECUTE)):
        pairs = [
            [load(target.calls[name], 1, PAIR_SECONDS, target.processes).p50 for name in (through, past)]
            for _ in range(PAIRS)
        ]
        added = statistics.median(rest - grpc for rest, grpc in pairs)
        bench.report(f"{query}: added by the gateway", added, "ms", limit=2.0)


# ---------------------------------------------------------------- workers


def two_workers(bench: Bench, target: Target, place: Path) -> None:
    """Two workers against one, before an engine that costs next to nothing: it must not be what holds them back."""
    rates = {}
    with canned_engine(_compiled(target)) as engine:
        for count in (1, 2):
            with _gateway(engine, count, place) as (address, pid):
                call = replace(target.calls[REST_SQL], address=address)
                processes = {"gateway": [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]}
                done = load(call, WORKERS_CLIENTS, WORKERS_SECONDS, processes)
                rates[count] = done.rate
                name = f"query/sql before a canned engine, {count} of the gateway"
                bench.report(name, done.rate, "/s")
                bench.report(f"{name}: processor time of the gateway", done.cpu["gateway"], "ms")
    bench.report(
        "query/sql: two workers of the gateway against one", rates[2] / rates[1], "x", at_least=True, limit=NEARLY * 2
    )


def _compiled(target: Target) -> bytes:
    """The engine's own answer to the question."""
    call = target.calls[GRPC_SQL]
    with grpc.insecure_channel(call.address) as channel:
        answer: bytes = channel.unary_unary(call.path)(call.body)
    return answer


@contextmanager
def _gateway(engine: str, workers: int, place: Path) -> Iterator[tuple[str, int]]:
    """A gateway alone; gives its `host:port` and its process."""
    ready = place / f"gateway-{workers}.json"
    command = [sys.executable, "-m", "sagitta_gateway", f"--engine={engine}", "--http=127.0.0.1:0"]
    command += [f"--workers={workers}", f"--ready-file={ready}"]
    with subprocess.Popen(command, env=clean_environment()) as process:
        try:
            yield urlsplit(wait_for(ready, process, ready)["http"]).netloc, process.pid
        finally:
            process.terminate()


# ---------------------------------------------------------------- health and models


def health_never_waits(bench: Bench, target: Target, speed: float) -> None:
    """`/health` while heavy work runs."""
    everything = {"select": {"dimensions": ["Number"], "measures": ["Total"]}, "limit": 1_000_000}
    session, loaded = f"{target.http}/v1/sessions/{target.session_id}", []

    def load_model() -> None:
        answer = httpx.post(f"{session}/models", json={"model_yaml": model_text(1000)}, timeout=120)
        assert answer.status_code == 201, answer.text
        loaded.append(answer.json()["model_id"])

    def tell_schema() -> None:
        for _ in range(5):
            httpx.get(f"{session}/models/{loaded[0]}/schema", timeout=120).raise_for_status()

    def write_rows() -> None:
        body = {"model_id": target.model_id, "query": everything}
        for _ in range(20):
            httpx.post(f"{session}/query/execute", json=body, timeout=120).raise_for_status()

    started = time.perf_counter()
    slowest = _health_during(target, load_model)
    bench.report("model of 1,000 objects over HTTP", time.perf_counter() - started, "s", limit=1.0 / speed)
    bench.report("/health while it loads: slowest", slowest, "ms", limit=50.0)
    bench.report("/health while its schema is told: slowest", _health_during(target, tell_schema), "ms", limit=50.0)
    slowest = _health_during(target, write_rows)
    bench.report("/health while half a million rows are written: slowest", slowest, "ms", limit=50.0)


def _health_during(target: Target, work: Callable[[], None]) -> float:
    """The slowest answer, in milliseconds, until the work is done."""
    thread = threading.Thread(target=work)
    connection = http.client.HTTPConnection(urlsplit(target.http).netloc)
    slowest = 0.0
    thread.start()
    while thread.is_alive():
        started = time.perf_counter()
        connection.request("GET", "/health")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(0.002)
    return slowest * 1000


# ---------------------------------------------------------------- JSON


def json_production(bench: Bench) -> None:
    """100,000 rows of 10 columns: Arrow to JSON text, against orjson on ready Python lists."""
    batch = mixed_batch(100_000)
    columns = [
        [float(value) if isinstance(value, Decimal) else value for value in column.to_pylist()]
        for column in batch.columns
    ]
    rows = [list(row) for row in zip(*columns, strict=True)]
    assert len(orjson.loads(b"[" + json_rows(batch, "UTC") + b"]")) == batch.num_rows
    ratios = []
    for _ in range(max(bench.rounds, 15)):
        reference = seconds(lambda: orjson.dumps(rows))
        ratios.append(reference / seconds(lambda: json_rows(batch, "UTC")))
    bench.report("JSON of 100,000 x 10: speed against orjson", statistics.median(ratios), "x", limit=0.5, at_least=True)


def mixed_batch(rows: int) -> pa.RecordBatch:
    """Three integers, two doubles, two texts, a date, two decimals."""
    drawn = random.Random(7)
    integers = [pa.array([drawn.randrange(10**9) for _ in range(rows)]) for _ in range(3)]
    doubles = [pa.array([drawn.random() * 1000 for _ in range(rows)]) for _ in range(2)]
    texts = [pa.array([drawn.choice(("alpha", "beta", "gamma delta")) for _ in range(rows)]) for _ in range(2)]
    dates = [pa.array([date(2020, 1, 1) + timedelta(days=drawn.randrange(2000)) for _ in range(rows)])]
    cents = [[Decimal(drawn.randrange(10**9)).scaleb(-2) for _ in range(rows)] for _ in range(2)]
    decimals = [pa.array(values, pa.decimal128(18, 2)) for values in cents]
    arrays = [*integers, *doubles, *texts, *dates, *decimals]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{number}" for number in range(len(arrays))])
