"""What tracing costs: processor time of a small query, and the speed of a long stream.

Off, on but not sampled, and sampled. Off is the base: nothing of tracing is in the process then (a test holds that).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import adbc_driver_flightsql.dbapi
import httpx
import psutil
from harness.collector import collecting
from harness.server import Server

from benchmarks.bench_flight import drained
from benchmarks.flight_queries import raw_sql
from benchmarks.harness import Bench

CALLS = 300
QUERY = {"select": {"measures": ["Available Quantity"]}, "limit": 5}


def run(bench: Bench) -> None:
    """Starts three servers and asks them in turns."""
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        on = {name: value for name, value in collector.environment.items() if name != "OTEL_BSP_SCHEDULE_DELAY"}
        unsampled = {**on, "OTEL_TRACES_SAMPLER": "always_off"}
        places = {"off": {}, "on, not sampled": unsampled, "on, sampled": on}
        servers = {
            name: stack.enter_context(bench.server(environment=environment)) for name, environment in places.items()
        }
        clients = {name: stack.enter_context(httpx.Client(base_url=server.http)) for name, server in servers.items()}
        small_queries(bench, servers, {name: lambda c=client: ask(c) for name, client in clients.items()})
        cursors = {
            name: stack.enter_context(
                stack.enter_context(adbc_driver_flightsql.dbapi.connect(server.flight, autocommit=True)).cursor()
            )
            for name, server in servers.items()
        }
        bench.compare(
            ("lineitem over Flight, off", lambda: drained(cursors["off"], raw_sql())),
            {
                f"lineitem over Flight, {name}": lambda c=cursors[name]: drained(c, raw_sql())
                for name in ("on, not sampled", "on, sampled")
            },
        )


def ask(client: httpx.Client) -> None:
    for _ in range(CALLS):
        client.post("/v1/query/execute", json=QUERY).raise_for_status()


def small_queries(bench: Bench, servers: Mapping[str, Server], asking: Mapping[str, Callable[[], None]]) -> None:
    """Reports the processor time of the engine and of the gateway per call, the median over the rounds."""
    for ask_all in asking.values():
        ask_all()
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(bench.rounds):
        for name, ask_all in asking.items():
            engine = psutil.Process(servers[name].process.pid)
            processes = {"engine": engine, "gateway": engine.children()[0]}
            before = {part: busy(process) for part, process in processes.items()}
            ask_all()
            for part, process in processes.items():
                spent.setdefault((part, name), []).append((busy(process) - before[part]) / CALLS * 1000)
    for (part, name), times in sorted(spent.items()):
        bench.report(f"query/execute: {part}, tracing {name}", statistics.median(times), "ms of processor")


def busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
