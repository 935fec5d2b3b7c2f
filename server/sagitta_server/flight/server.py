"""Starts and stops the Flight SQL surface."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sagitta_server.flight.access import MIDDLEWARE, Access, NoHandshake
from sagitta_server.flight.service import FlightSqlServer
from sagitta_server.flight.settings import FlightSettings
from sagitta_server.flight.statements import Statements
from sagitta_server.listening import ListenError, check_free

if TYPE_CHECKING:
    from sagitta_server.app import Engine

SHUTDOWN_THREAD = "flight-shutdown"
"""Lives on after the grace time when a client neither reads its stream nor goes away."""


@dataclass(frozen=True)
class RunningFlight:
    """A surface that answers."""

    location: str
    """`grpc://host:port` with the real port."""
    server: FlightSqlServer

    def stop(self, grace_seconds: float) -> None:
        """Cancels what runs, refuses new calls, and waits for the calls to end."""
        self.server.running.cancel_all()
        closing = threading.Thread(target=self.server.shutdown, name=SHUTDOWN_THREAD, daemon=True)
        closing.start()
        closing.join(grace_seconds)


def start_flight(engine: Engine) -> RunningFlight:
    """Serves the engine's models over Flight SQL.

    Raises:
        ListenError: it cannot listen there.
    """
    settings = engine.settings.flight
    check_free("Flight SQL", settings.address)
    signer = engine.signer
    host, _, port = settings.address.rpartition(":")
    scheme = "grpc+tls" if settings.tls_certificate else "grpc"
    try:
        server = FlightSqlServer(
            f"{scheme}://{host}:{port}",
            settings,
            engine.models,
            Statements(engine.queries),
            signer,
            run_rows=engine.run_rows,
            auth_handler=NoHandshake(),
            middleware={
                MIDDLEWARE: Access(engine.settings.access, engine.authenticator, signer, settings.session_seconds)
            },
            **_tls(settings),
        )
    except (OSError, pa.ArrowException) as error:
        reason = "its TLS certificate and key do not fit" if settings.tls_certificate else "the address cannot be used"
        raise ListenError(f"Flight SQL cannot listen on {settings.address}: {reason}") from error
    return RunningFlight(f"{scheme}://{host}:{server.port}", server)


def _tls(settings: FlightSettings) -> dict[str, Any]:
    if not settings.tls_certificate:
        return {}
    options: dict[str, Any] = {
        "tls_certificates": [(_read(settings.tls_certificate), _read(settings.tls_key))],
    }
    if settings.tls_client_ca:
        options["verify_client"] = True
        options["root_certificates"] = _read(settings.tls_client_ca)
    return options


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ListenError(f"The TLS file {Path(path).name!r} cannot be read: {error.strerror}.") from error
