"""The composition root: the one place where the parts of the engine are wired together, started and stopped."""

from __future__ import annotations

import ipaddress
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sagitta_compiler import compile_query

from sagitta_server.auth import Authenticator
from sagitta_server.cache import HeartbeatStore, ResultCache, open_cache
from sagitta_server.config import Settings
from sagitta_server.execution import Source, can_be_shared, open_source
from sagitta_server.flight.tickets import Signer, open_signer
from sagitta_server.graph import SparqlPool
from sagitta_server.listening import read_tls
from sagitta_server.models import CompiledModels, ModelStore, SessionStore
from sagitta_server.models.curated import CuratedModels
from sagitta_server.observability.endpoint import RunningEndpoint, start_endpoint
from sagitta_server.observability.metrics import EngineCollector, engine_registry
from sagitta_server.observability.tracing import open_tracing
from sagitta_server.queries import QueryService
from sagitta_server.queries.service import Compiler
from sagitta_server.reviews.assembly import Reviews, build_reviews
from sagitta_server.reviews.metrics import ReviewCollector
from sagitta_server.reviews.run_rows import RunRows
from sagitta_server.reviews.task_runner import Perform
from sagitta_server.rpc.polled_queries import PolledQueries
from sagitta_server.rpc.polled_query_service import open_polled_queries
from sagitta_server.state import Database, open_database
from sagitta_server.state import failures as _state_failures  # noqa: F401 (registers what callers learn)
from sagitta_server.worker import ALONE, Worker

if TYPE_CHECKING:
    from sagitta_server.flight.server import RunningFlight
    from sagitta_server.observability.tracing.provider import Tracing
    from sagitta_server.reviews.superset.client import AroundHttp
    from sagitta_server.rpc.server import RunningGrpc

log = logging.getLogger(__name__)
GRACE_SECONDS = 5.0
DRAIN_POLL_SECONDS = 0.05
DRAIN_NOTICE_SECONDS = 2.0
"""How long a draining engine waits at least: load balancers need a moment to see that it is not ready."""


class EngineStartError(Exception):
    """The settings do not allow the engine to start; the message says why."""


@dataclass(frozen=True, slots=True)
class ReadyAddresses:
    """Where the engine answers."""

    grpc: str
    """`host:port`."""
    flight: str | None
    """`grpc://host:port`, with TLS `grpc+tls://host:port`; None when Flight SQL is switched off."""
    local: str
    """Where a gateway on this machine finds gRPC: with TLS a socket that only this user can open, else `grpc`."""


class Engine:
    """Everything the surfaces share; built from settings, usable without any surface."""

    def __init__(self, settings: Settings, *, tracing: Tracing | None = None, worker: Worker = ALONE) -> None:
        _check_exposure(settings)
        _check_shared(settings)
        self.settings = settings
        self.worker = worker
        _make_data_dir(settings.data_dir)
        self.tls = read_tls(settings.tls)
        self.authenticator = Authenticator.from_settings(settings.auth, settings.data_dir)
        self.database: Database = open_database(settings.state_database_url)
        self.heartbeats = HeartbeatStore(self.database)
        self.cache: ResultCache = open_cache(settings.cache, settings.cache_dir, self.heartbeats)
        self.tracing: Tracing | None = open_tracing(settings.tracing) if tracing is None else tracing
        """None: nothing is traced, and no part knows of tracing."""
        around = _around(self.tracing)
        self.sources: dict[str, Source] = {
            name: around.source(open_source(name, source, processes=settings.grpc.workers))
            for name, source in settings.sources.items()
        }
        self.sessions = SessionStore(self.database, settings.sessions, generation=worker.generation(settings.data_dir))
        compiled = CompiledModels(settings.models.cache_size)
        self.models = ModelStore(settings, self.sessions, compiled, CuratedModels(settings.models, compiled))
        self.queries = QueryService(settings, self.sources, self.cache, compiler=around.compiler)
        self.signer: Signer = open_signer(settings.flight, settings.data_dir)
        self.polled: PolledQueries = open_polled_queries(self)
        self.reviews: Reviews = build_reviews(
            settings.reviews,
            settings.data_dir,
            self.database,
            models=self.models,
            execution=self.queries,
            sources=self.sources,
            flight_location=lambda: self.flight_location,
            ticket_secret=settings.flight.secret.get_secret_value() if settings.flight.secret else None,
            around_tasks=around.tasks,
            around_http=around.http,
        )
        self.run_rows = RunRows(
            self.reviews.service.work, self.reviews.spool, self.authenticator, self.reviews.ticket_key
        )
        self.sparql = SparqlPool(
            timeout_seconds=settings.query.sparql_timeout_seconds, max_rows=settings.query.sparql_max_rows
        )
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._sweeper: threading.Thread | None = None
        self._grpc: RunningGrpc | None = None
        self._flight: RunningFlight | None = None
        self._endpoint: RunningEndpoint | None = None

    def start(self) -> ReadyAddresses:
        """Reads the administrator's models and starts the surfaces.

        Raises:
            CuratedModelError: a model file cannot be served.
            ListenError: an address cannot be listened on.
        """
        from sagitta_server.rpc.server import start_grpc  # noqa: PLC0415 (the surfaces import this module's Engine)

        self.models.curated.start()
        self._sweeper = threading.Thread(target=self._sweep, name="session-sweeper", daemon=True)
        self._sweeper.start()
        if self.settings.flight.enabled and self.worker.is_first:
            from sagitta_server.flight.server import start_flight  # noqa: PLC0415

            self._flight = start_flight(self)
        self._grpc = start_grpc(self)
        self.reviews.start()
        if address := _metrics_address(self.settings.metrics.address, self.worker):
            registry = engine_registry(
                EngineCollector(self.sources, self.cache, lambda: self.ready), ReviewCollector(self.database)
            )
            self._endpoint = start_endpoint(address, registry, lambda: self.ready)
        return ReadyAddresses(self._grpc.address, self.flight_location, self._grpc.local)

    @property
    def ready(self) -> bool:
        """Whether new calls are welcome."""
        return self._grpc is not None and not self._draining.is_set()

    @property
    def metrics_address(self) -> str | None:
        """`host:port` of the metrics; None when they are switched off."""
        return self._endpoint.address if self._endpoint else None

    def drain(self) -> None:
        """Tells health checks that it stops, and waits for running statements, `drain_seconds` at most."""
        self._draining.set()
        if self._grpc is not None:
            self._grpc.health.enter_graceful_shutdown()
        deadline = time.monotonic() + self.settings.drain_seconds
        while time.monotonic() < deadline:
            if self.settings.drain_seconds - (deadline - time.monotonic()) > DRAIN_NOTICE_SECONDS and self._is_idle():
                return
            time.sleep(DRAIN_POLL_SECONDS)

    def _is_idle(self) -> bool:
        return not any(source.load.running or source.load.waiting for source in self.sources.values())

    @property
    def flight_location(self) -> str | None:
        """`grpc://host:port` of the running Flight SQL surface, which the first of several processes serves."""
        return self._flight.location if self._flight else self.worker.flight_location

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ends running calls, then closes everything; may be called twice."""
        if self._stopping.is_set():
            return
        self._draining.set()
        self._stopping.set()
        for close in self._closings(grace_seconds):
            try:
                close()
            except Exception:
                log.exception("a part of the engine was not closed in order; the rest is")

    def _closings(self, grace_seconds: float) -> Iterator[Callable[[], None]]:
        """What ends the parts, in their order; one that fails keeps none of the others."""
        if self._flight is not None:
            yield partial(self._flight.stop, grace_seconds)
        if self._grpc is not None:
            yield partial(self._grpc.stop, grace_seconds)
        yield self.reviews.stop
        yield self.models.curated.stop
        if self._sweeper is not None:
            yield self._sweeper.join
        yield self.polled.close
        yield self.sessions.close_store
        for source in self.sources.values():
            yield source.close
        yield self.sparql.close
        yield self.cache.close
        yield self.database.close
        if self._endpoint is not None:
            yield self._endpoint.stop
        if self.tracing is not None:
            yield self.tracing.close

    def _sweep(self) -> None:
        while not self._stopping.wait(self.settings.sessions.cleanup_interval_seconds):
            try:
                self.sessions.sweep()
                self.polled.sweep()
            except Exception:
                log.exception("expired sessions and polled queries were not swept")


@dataclass(frozen=True, slots=True)
class _Around:
    """What is put around parts of the engine; nothing, unless it is traced."""

    source: Callable[[Source], Source]
    compiler: Compiler
    tasks: Callable[[Perform], Perform]
    http: AroundHttp


def _around(tracing: Tracing | None) -> _Around:
    if tracing is None:
        return _Around(lambda source: source, compile_query, lambda perform: perform, lambda transport: transport)
    from sagitta_server.observability.tracing.compiling import traced_compiler  # noqa: PLC0415 (an extra of the package)
    from sagitta_server.observability.tracing.requests import traced_transport  # noqa: PLC0415
    from sagitta_server.observability.tracing.statements import traced_source  # noqa: PLC0415
    from sagitta_server.observability.tracing.tasks import traced_tasks  # noqa: PLC0415

    return _Around(
        partial(traced_source, tracing),
        traced_compiler(tracing, compile_query),
        partial(traced_tasks, tracing),
        partial(traced_transport, tracing),
    )


def _check_shared(settings: Settings) -> None:
    """Several processes cannot have one database file open for writing."""
    written = [name for name, source in settings.sources.items() if not can_be_shared(source)]
    if settings.grpc.workers > 1 and written:
        raise EngineStartError(
            f"{settings.grpc.workers} processes cannot write one DuckDB file: open the source {written[0]!r} "
            "read-only, or set SAGITTA_GRPC__WORKERS=1"
        )


def _metrics_address(address: str, worker: Worker) -> str:
    """Every process has metrics of its own, the first where the settings say, each other one a port further."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + worker.number}" if port.isdigit() and port != "0" else address


def _make_data_dir(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)  # models, results and reviews are their owner's
    except FileExistsError:
        raise EngineStartError(f"the data directory {path} is a file") from None
    except OSError as error:
        raise EngineStartError(f"the data directory {path} cannot be made: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise EngineStartError(f"the data directory {path} cannot be written")


def _check_exposure(settings: Settings) -> None:
    if settings.access.mode != "none" or settings.access.allow_unauthenticated:
        return
    public = [
        address
        for address in (settings.grpc.address, settings.flight.address if settings.flight.enabled else "")
        if address and not _is_loopback(address)
    ]
    if public:
        raise EngineStartError(
            f"{', '.join(public)} can be reached from other machines, but no authentication is set: set AUTH_MODE, "
            "listen on 127.0.0.1, or allow it with SAGITTA_ACCESS__ALLOW_UNAUTHENTICATED=true"
        )


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
