"""Runs servers until someone asks them to stop, and then ends them in order."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from sagitta_server.cli.child import GatewayProcess
from sagitta_server.cli.failures import Failure

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
WATCH_SECONDS = 0.5
"""How often the gateway is looked at while nothing else happens."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the surfaces answer; a surface that is not served is None."""

    flight: str | None = None
    grpc: str | None = None
    http: str | None = None

    def write(self, path: Path) -> None:
        """Writes the addresses as JSON; the file appears complete or not at all."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")
        partial.replace(path)


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


def wait(requested: threading.Event, gateway: GatewayProcess | None) -> None:
    """Returns when a stop is requested; fails when the gateway ends by itself."""
    while not requested.wait(WATCH_SECONDS):
        if gateway is not None and not gateway.running:
            raise Failure("GATEWAY_FAILED", "the gateway ended by itself", "Its log is above.")


def gateway_arguments(grpc: str, settings: Any) -> list[str]:
    """Returns the flags of a gateway that asks this engine."""
    return ["--engine", grpc, "--http", settings.http.address]
