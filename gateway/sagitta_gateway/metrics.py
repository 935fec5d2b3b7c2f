"""Metrics of requests in the words of Prometheus, of all workers on one page.

Each worker counts in files of its own (prometheus_client's mode for several processes); whoever started the workers
adds them up when somebody looks, so that a busy worker keeps nobody waiting. This module is imported only where the
page is on, and after the folder of the files is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Gauge, Histogram, Metric, ProcessCollector, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Receive, Scope, Send

from sagitta_gateway.observed import NOBODY, Answer, method_of, route_of

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds; the engine's, so that the two can be compared."""
NO_ROUTE = "none"
"""The route of a path that is none of ours."""

_REGISTRY = CollectorRegistry()
REQUESTS = Histogram(
    "sagitta_http_request_seconds", "Requests by method, route and status, until the last byte of their answer.",
    ("method", "route", "status"), buckets=BUCKETS, registry=_REGISTRY,
)  # fmt: skip
IN_FLIGHT = Gauge(
    "sagitta_http_requests_in_flight", "Requests that are being answered.",
    multiprocess_mode="livesum", registry=_REGISTRY,
)  # fmt: skip


class MeasuredRequests:
    """Counts and times every request; the outermost middleware but for traces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, answer = time.perf_counter(), Answer(send)
        IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, answer)
        except BaseException as error:
            answer.failed(error)
            raise
        finally:
            IN_FLIGHT.dec()
            status = NOBODY if answer.gone else answer.status
            labels = (method_of(scope), route_of(scope) or NO_ROUTE, str(status))
            REQUESTS.labels(*labels).observe(time.perf_counter() - started)


class _Workers(MultiProcessCollector):
    """What all workers have counted; of one that has ended, what it ended, not what it was doing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(None, str(folder))  # type: ignore[no-untyped-call]
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for number in {path.stem.rpartition("_")[2] for path in self._folder.glob("gauge_live*_*.db")}:
            if not _alive(int(number)):
                mark_process_dead(int(number), str(self._folder))  # type: ignore[no-untyped-call]
        found: Iterable[Metric] = super().collect()  # type: ignore[no-untyped-call]
        return found


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def start_page(address: str, folder: Path, *, one_process: bool) -> WSGIServer:
    """Serves the page from a thread of its own; with only one process, what the process uses is on it too.

    Raises:
        OSError: it cannot listen there.
    """
    registry = CollectorRegistry()
    registry.register(_Workers(folder))
    if one_process:
        ProcessCollector(registry=registry)
    host, _, port = address.rpartition(":")
    server, _ = start_http_server(int(port), host.strip("[]"), registry)
    return server
