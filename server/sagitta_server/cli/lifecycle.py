"""Runs servers until someone asks them to stop, and then ends them in order."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from sagitta_server.cli.child import GatewayProcess
from sagitta_server.cli.failures import Failure
from sagitta_server.cli.workers import EngineWorkers

if TYPE_CHECKING:
    from sagitta_server.app import Engine, ReadyAddresses
    from sagitta_server.config import Settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

WATCH_SECONDS = 0.5
"""How often the gateway is looked at while nothing else happens."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the surfaces answer; None for one that is not served."""

    flight: str | None = None
    grpc: str | None = None
    http: str | None = None

    def write(self, path: Path) -> None:
        """Writes the addresses as JSON; the file appears complete or not at all."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        partial.replace(path)


Ready = Callable[[Addresses], None]
"""Called once every surface answers."""


def run(settings: Settings, *, gateway: bool, ready: Ready) -> None:
    """Serves until SIGINT or SIGTERM, then ends the gateway, running streams and the engine within seconds."""
    with (
        stop_requests() as requested,
        gateway_of(settings, gateway) as child,
        EngineWorkers(settings) as workers,
        running_engine(settings) as (engine, places),
    ):
        try:
            if (others := workers.connect(places, requested.is_set)) is None:
                return
            url = None
            if child is not None:
                child.connect(",".join((places.local, *others)))
                if (url := child.wait_until_ready(requested.is_set)) is None:
                    return
            ready(Addresses(places.flight, places.grpc, url))
            wait(requested, child, workers)
            workers.drain()
            engine.drain()
        finally:
            if child is not None:
                child.stop()  # before the engine that it asks
            workers.stop()


def gateway_of(settings: Settings, wanted: bool) -> AbstractContextManager[GatewayProcess | None]:
    """Starts the gateway beside the engine, neither waits for the other's imports; None where none is wanted."""
    if not wanted:
        return nullcontext()
    tls = {"certificate": settings.tls.certificate, "key": settings.tls.key, "client-ca": settings.tls.client_ca}
    files = [word for name, path in tls.items() if path is not None for word in (f"--tls-{name}", str(path))]
    places = ["--http", settings.http.address, "--workers", str(settings.http.workers)]
    return GatewayProcess([*places, "--api-key-header", settings.access.api_key_header, *files])


@contextmanager
def running_engine(settings: Settings) -> Iterator[tuple[Engine, ReadyAddresses]]:
    """Starts the engine, and stops it whatever happens."""
    from sagitta_server.app import Engine
    from sagitta_server.logs import configure_logging
    from sagitta_server.worker import Worker

    configure_logging(settings.log)
    engine = Engine(settings, worker=Worker(0, settings.grpc.workers))
    try:
        yield engine, engine.start()
    finally:
        engine.stop()


def leave_stuck_calls(exit_code: int) -> None:
    """Ends the process at once when a Flight client keeps a call open by not reading its stream.

    Everything of ours is closed by now, but the Flight library waits for such a client for ever, also at exit.
    """
    from sagitta_server.flight.server import SHUTDOWN_THREAD

    if any(thread.name == SHUTDOWN_THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Gives an event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    requested = threading.Event()

    def request(_number: int, _frame: FrameType | None) -> None:
        if requested.is_set():
            os._exit(1)
        requested.set()

    before = {number: signal.signal(number, request) for number in STOP_SIGNALS}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(requested: threading.Event, gateway: GatewayProcess | None, workers: EngineWorkers | None = None) -> None:
    """Returns when a stop is requested; fails when the gateway or another process of the engine ends by itself."""
    while not requested.wait(WATCH_SECONDS):
        if gateway is not None and not gateway.running:
            raise Failure("GATEWAY_FAILED", "the gateway ended by itself", "Its log is above.")
        if workers is not None and not workers.running:
            raise Failure("WORKER_FAILED", "a process of the engine ended by itself", "Its log is above.")
