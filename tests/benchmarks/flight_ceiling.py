"""Streaming against a bare pyarrow Flight server with the same reader, and many small queries at once.

Reported: speed as a ratio to the ceiling, with one endpoint and with four; the time to the first batch; queries per
second and the 99th percentile of 64 clients; the same for one client while four big streams run; how long a client's
cancel takes to end the statement in the database.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from harness import tpch
from pyarrow import flight
from sagitta_server.app import Engine
from sagitta_server.config import Settings

from benchmarks.flight_queries import COLUMNS, raw_sql
from benchmarks.harness import Bench, Work

BARE = Path(__file__).with_name("bare_flight_server.py")
SMALL = 'SELECT "Customer Region", "Line Item Count" FROM tpch WHERE "Customer Region" = \'ASIA\''
TINY = 'SELECT "Supplier"."Supplier Name" FROM tpch WHERE "Supplier"."Supplier Key" = 7'
BARE_TINY = "SELECT s_name FROM supplier WHERE s_suppkey = 7"
ENDLESS = (
    'SELECT SUM(a."Quantity" * b."Quantity") AS s FROM tpch."Line Item" a JOIN tpch."Line Item" b '
    'ON a."Line Number" <> b."Line Number"'
)
DEADLINE = 0.7
CLIENTS = 64
SECONDS = 6.0
STREAMING = 0.8
"""Of the bare server's speed, at least."""
MANY_SMALL = 0.7
"""Of the bare server's queries per second, at least: it neither authenticates, nor plans, nor signs."""
BESIDE_STREAMS = 2.0
"""Times the bare server's 99th percentile of a tiny query beside four big streams, at most."""


def run(bench: Bench) -> None:
    """Measures both servers in one run."""
    plain = f"SELECT {', '.join(COLUMNS.values())} FROM lineitem"
    with bare(str(bench.tpch())) as ceiling, bench.server() as server:
        streams(bench, ceiling, server.flight, plain)
        many_small(bench, ceiling, server.flight)
        beside_streams(bench, ceiling, server.flight, plain)
    cancelling(bench)


@contextmanager
def bare(database: str) -> Iterator[str]:
    """A Flight server that does nothing but hand DuckDB's reader over."""
    process = subprocess.Popen([sys.executable, str(BARE), database], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"grpc://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


def streams(bench: Bench, ceiling: str, served: str, plain: str) -> None:
    base = reading(ceiling, plain)
    ratios = bench.compare(
        ("lineitem from a bare Flight server", base),
        {
            "lineitem from Sagitta, one endpoint": reading(served, raw_sql()),
            "lineitem from Sagitta, four endpoints": reading(served, raw_sql(), partitions=4),
        },
    )
    for name in ("one endpoint", "four endpoints"):
        ratio = ratios[f"lineitem from Sagitta, {name}"]
        bench.report(f"streaming against the ceiling, {name}", ratio, "x", limit=STREAMING, at_least=True)
    first = statistics.median(first_batch(served, raw_sql()) for _ in range(max(bench.rounds, 3)))
    bench.report("lineitem from Sagitta: first batch after", first * 1000, "ms", limit=100)


def options(partitions: int = 1) -> Any:
    headers = [(b"x-sagitta-partitions", str(partitions).encode())] if partitions > 1 else []
    return flight.FlightCallOptions(headers=headers)


def reading(location: str, sql: str, partitions: int = 1) -> Work:
    """Reads a result to its end, its endpoints in parallel."""
    client = flight.connect(location)

    def work() -> int:
        found = client.get_flight_info(flight.FlightDescriptor.for_command(sql.encode()), options(partitions))
        rows = [0] * len(found.endpoints)

        def pull(index: int, ticket: Any) -> None:
            rows[index] = sum(chunk.data.num_rows for chunk in client.do_get(ticket))

        threads = [
            threading.Thread(target=pull, args=(i, endpoint.ticket)) for i, endpoint in enumerate(found.endpoints)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(rows)

    return work


def first_batch(location: str, sql: str) -> float:
    client = flight.connect(location)
    started = time.perf_counter()
    found = client.get_flight_info(flight.FlightDescriptor.for_command(sql.encode()))
    reader = client.do_get(found.endpoints[0].ticket)
    reader.read_chunk()
    elapsed = time.perf_counter() - started
    reader.cancel()
    return elapsed


def small_query(location: str, sql: str) -> Callable[[], None]:
    client = flight.connect(location)
    descriptor = flight.FlightDescriptor.for_command(sql.encode())

    def ask() -> None:
        found = client.get_flight_info(descriptor)
        client.do_get(found.endpoints[0].ticket).read_all()

    return ask


def latencies(asks: list[Callable[[], None]], seconds: float) -> list[float]:
    """Repeats every query on a thread of its own; returns the seconds that each took."""
    found: list[list[float]] = [[] for _ in asks]
    end = time.perf_counter() + seconds

    def repeat(index: int) -> None:
        while (started := time.perf_counter()) < end:
            asks[index]()
            found[index].append(time.perf_counter() - started)

    threads = [threading.Thread(target=repeat, args=(i,)) for i in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(value for values in found for value in values)


def percentile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] * 1000


def many_small(bench: Bench, ceiling: str, served: str) -> None:
    rates = []
    for name, location, sql in (("bare", ceiling, BARE_TINY), ("Sagitta", served, TINY), ("Sagitta", served, SMALL)):
        what = "a grouped query" if sql is SMALL else "a tiny query"
        asks = [small_query(location, sql) for _ in range(CLIENTS)]
        asks[0]()
        values = latencies(asks, SECONDS)
        rates.append(len(values) / SECONDS)
        bench.report(f"{name}, {what}, {CLIENTS} clients: queries per second", rates[-1], "/s")
        bench.report(f"{name}, {what}, {CLIENTS} clients: 99th percentile", percentile(values, 0.99), "ms")
    bench.report("tiny queries against the bare server", rates[1] / rates[0], "x", limit=MANY_SMALL, at_least=True)


def beside_streams(bench: Bench, ceiling: str, served: str, plain: str) -> None:
    """One client's tiny queries while four clients read lineitem again and again."""
    worst = []
    for name, location, tiny, big in (("bare", ceiling, BARE_TINY, plain), ("Sagitta", served, TINY, raw_sql())):
        stop = threading.Event()

        def stream(location: str = location, big: str = big, stop: threading.Event = stop) -> None:
            work = reading(location, big)
            while not stop.is_set():
                work()

        threads = [threading.Thread(target=stream) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        values = latencies([small_query(location, tiny)], SECONDS)
        stop.set()
        for thread in threads:
            thread.join()
        bench.report(f"{name}, a tiny query beside four big streams: median", percentile(values, 0.5), "ms")
        worst.append(percentile(values, 0.99))
        bench.report(f"{name}, a tiny query beside four big streams: 99th percentile", worst[-1], "ms")
    bench.report("the same 99th percentile against the bare server", worst[1] / worst[0], "x", limit=BESIDE_STREAMS)


def cancelling(bench: Bench) -> None:
    """From the client's cancel to the moment when the source has no statement any more."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(
            Settings(
                data_dir=Path(folder),
                models={"files": (str(tpch.MODEL),)},
                sources={"default": {"uri": f"duckdb:///{bench.tpch()}"}},
                flight={"address": "127.0.0.1:0"},
                grpc={"address": "127.0.0.1:0"},
            )
        )
        engine.start()
        try:
            took = [cancel_once(engine) for _ in range(max(bench.rounds, 5))]
        finally:
            engine.stop()
    bench.report("from a cancel to the end in the database, median", statistics.median(took), "ms", limit=100)
    bench.report("from a cancel to the end in the database, worst", max(took), "ms")


def cancel_once(engine: Engine) -> float:
    """The client cancels by its deadline, which is the same cancellation on the wire, at a known moment."""
    source: Any = next(iter(engine.sources.values()))
    client = flight.connect(engine.flight_location)
    found = client.get_flight_info(flight.FlightDescriptor.for_command(ENDLESS.encode()))
    caught: list[Exception] = []

    def read() -> None:
        try:
            client.do_get(found.endpoints[0].ticket, flight.FlightCallOptions(timeout=DEADLINE)).read_all()
        except (flight.FlightError, pa.ArrowException) as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    cancelled = time.perf_counter() + DEADLINE
    thread.start()
    while not source.running:
        time.sleep(0.001)
    while source.running:
        time.sleep(0.001)
    elapsed = time.perf_counter() - cancelled
    thread.join()
    assert caught, "the query ended by itself"
    return elapsed * 1000
