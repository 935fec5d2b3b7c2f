"""Requests through REST, gRPC and Flight SQL side by side: rates, latencies, what the gateway adds, what never waits.

Limits: the gateway adds less than 2 ms to a query's median; two workers serve clearly more than one; `/health` answers
within 50 ms while a model of 1,000 objects is loaded and while a million rows are written as JSON; JSON is written at
half the speed of orjson on ready lists at least; a model of 1,000 objects is loaded over HTTP within a second.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import adbc_driver_flightsql.dbapi
import grpc
import httpx
import orjson
import pyarrow as pa
from gateway.serving import MODEL, QUERY, make_database
from harness.server import serving
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc
from sagitta_gateway.results.cells import json_rows

from benchmarks.bench_model import model_text
from benchmarks.harness import Bench, seconds

CLIENTS = (1, 8, 32)
LOAD_SECONDS = 2.0
LOAD_PROCESSES = 4
SQL = 'SELECT "Customer Country", "Revenue" FROM bench ORDER BY "Revenue" DESC'


@dataclass(frozen=True)
class Target:
    """What a client needs to know."""

    http: str
    grpc: str
    flight: str
    session_id: str
    model_id: str


def run(bench: Bench) -> None:
    """Measures one worker, then two."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_database(place / "shop.duckdb")
        flags = [f"--source=duckdb:///{place / 'shop.duckdb'}"]
        with serving(place, flags) as server:
            target = _loaded(server.http, server.grpc, server.flight)
            one = surfaces(bench, target)
            health_never_waits(bench, target)
        with serving(place, flags, environment={"SAGITTA_HTTP__WORKERS": "2"}) as server:
            two, _ = load(rest_sql, _loaded(server.http, server.grpc, server.flight), CLIENTS[-1])
            bench.report(
                "query/sql, 32 clients: two gateway workers against one", two / one, "x", at_least=True, limit=1.5
            )
    _pool().shutdown()
    json_production(bench)


def _loaded(rest: str, rpc: str, flight: str) -> Target:
    session_id = httpx.post(f"{rest}/v1/sessions").json()["session_id"]
    model = {"model_yaml": f"name: bench\n{MODEL}"}
    model_id = httpx.post(f"{rest}/v1/sessions/{session_id}/models", json=model, timeout=60).json()["model_id"]
    return Target(rest, rpc, flight, session_id, model_id)


# ---------------------------------------------------------------- clients


def _rest(target: Target, tail: str) -> Callable[[], None]:
    connection = http.client.HTTPConnection(urlsplit(target.http).netloc)
    body = json.dumps({"model_id": target.model_id, "query": QUERY})
    path = f"/v1/sessions/{target.session_id}/query/{tail}"

    def call() -> None:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == 200, data

    return call


def rest_sql(target: Target) -> Callable[[], None]:
    return _rest(target, "sql")


def rest_execute(target: Target) -> Callable[[], None]:
    return _rest(target, "execute")


def _stub(target: Target) -> pb_grpc.QueryServiceStub:
    return pb_grpc.QueryServiceStub(grpc.insecure_channel(target.grpc, [("grpc.use_local_subchannel_pool", 1)]))


def grpc_sql(target: Target) -> Callable[[], None]:
    stub = _stub(target)
    request = pb.CompileQueryRequest(
        session_id=target.session_id, model_id=target.model_id, query_text=json.dumps(QUERY)
    )

    def call() -> None:
        assert stub.CompileQuery(request).sql

    return call


def grpc_execute(target: Target) -> Callable[[], None]:
    stub = _stub(target)
    request = pb.ExecuteQueryRequest(
        session_id=target.session_id, model_id=target.model_id, query_text=json.dumps(QUERY)
    )

    def call() -> None:
        data = b"".join(piece.arrow_ipc for piece in stub.ExecuteQuery(request))
        assert pa.ipc.open_stream(data).read_all().num_rows == 3

    return call


def flight_execute(target: Target) -> Callable[[], None]:
    cursor = adbc_driver_flightsql.dbapi.connect(target.flight, autocommit=True).cursor()

    def call() -> None:
        cursor.execute(SQL)
        assert cursor.fetch_arrow_table().num_rows == 3

    return call


# ---------------------------------------------------------------- load


@cache
def _pool() -> ProcessPoolExecutor:
    """The processes that make the calls: spawned once, because gRPC does not survive a fork."""
    return ProcessPoolExecutor(LOAD_PROCESSES, mp_context=multiprocessing.get_context("spawn"))


def load(client: Callable[[Target], Callable[[], None]], target: Target, clients: int) -> tuple[float, float]:
    """Calls per second of so many clients in a closed loop, and the median latency in milliseconds."""
    processes = min(clients, LOAD_PROCESSES)
    shares = [clients // processes + (1 if number < clients % processes else 0) for number in range(processes)]
    futures = [_pool().submit(_share, client, target, share) for share in shares]
    done = [future.result() for future in futures]
    latencies = [latency for share in done for latency in share]
    return len(latencies) / LOAD_SECONDS, statistics.median(latencies) * 1000


def _share(client: Callable[[Target], Callable[[], None]], target: Target, clients: int) -> list[float]:
    latencies: list[list[float]] = [[] for _ in range(clients)]
    ready = threading.Barrier(clients)

    def work(mine: list[float]) -> None:
        call = client(target)
        call()
        ready.wait()
        stop = time.perf_counter() + LOAD_SECONDS
        while (started := time.perf_counter()) < stop:
            call()
            mine.append(time.perf_counter() - started)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [latency for mine in latencies for latency in mine]


def surfaces(bench: Bench, target: Target) -> float:
    """Every surface with every number of clients; returns the rate of `query/sql` with the most."""
    medians: dict[str, float] = {}
    rates: dict[str, float] = {}
    for clients in CLIENTS:
        for name, client in (
            ("query/sql REST", rest_sql),
            ("query/sql gRPC", grpc_sql),
            ("query/execute REST", rest_execute),
            ("query/execute gRPC", grpc_execute),
            ("query/execute Flight SQL", flight_execute),
        ):
            rates[name], median = load(client, target, clients)
            medians.setdefault(name, median)
            bench.report(f"{name}, {clients} clients", rates[name], "/s")
            bench.report(f"{name}, {clients} clients: median", median, "ms")
    for tail in ("sql", "execute"):
        added = medians[f"query/{tail} REST"] - medians[f"query/{tail} gRPC"]
        bench.report(f"query/{tail}: added by the gateway", added, "ms", limit=2.0)
    return rates["query/sql REST"]


# ---------------------------------------------------------------- health and models


def health_never_waits(bench: Bench, target: Target) -> None:
    """`/health` while heavy work runs."""
    everything = {"select": {"dimensions": ["Number"], "measures": ["Total"]}, "limit": 1_000_000}

    def load_model() -> None:
        answer = httpx.post(
            f"{target.http}/v1/sessions/{target.session_id}/models", json={"model_yaml": model_text(1000)}, timeout=120
        )
        assert answer.status_code == 201, answer.text

    def write_rows() -> None:
        body = {"model_id": target.model_id, "query": everything}
        for _ in range(20):
            httpx.post(f"{target.http}/v1/sessions/{target.session_id}/query/execute", json=body, timeout=120)

    started = time.perf_counter()
    slowest = _health_during(target, load_model)
    bench.report("model of 1,000 objects over HTTP", time.perf_counter() - started, "s", limit=1.0)
    bench.report("/health while it loads: slowest", slowest, "ms", limit=50.0)
    bench.report(
        "/health while half a million rows are written: slowest", _health_during(target, write_rows), "ms", limit=50.0
    )


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
    for _ in range(max(bench.rounds, 5)):
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
