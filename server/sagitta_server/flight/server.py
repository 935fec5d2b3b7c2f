"""Starts and stops the Flight SQL surface."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sagitta_server.flight.access import MIDDLEWARE, Access, NoHandshake
from sagitta_server.flight.service import FlightSqlServer
from sagitta_server.flight.statements import Statements
from sagitta_server.listening import ListenError, TlsFiles, check_free

if TYPE_CHECKING:
    from sagitta_server.app import Engine
    from sagitta_server.observability.tracing.provider import Tracing

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
        self.server.snapshots.close()


def start_flight(engine: Engine) -> RunningFlight:
    """Serves the engine's models over Flight SQL.

    Raises:
        ListenError: it cannot listen there.
    """
    settings = engine.settings.flight
    check_free("Flight SQL", settings.address)
    signer = engine.signer
    host, _, port = settings.address.rpartition(":")
    scheme = "grpc+tls" if engine.tls else "grpc"
    try:
        kind, tracing = _traced(engine.tracing)
        server = kind(
            f"{scheme}://{host}:{port}",
            settings,
            engine.models,
            Statements(engine.queries),
            signer,
            run_rows=engine.run_rows,
            auth_handler=NoHandshake(),
            middleware={
                **tracing,
                MIDDLEWARE: Access(engine.settings.access, engine.authenticator, signer, settings.session_seconds),
            },
            **_tls(engine.tls),
        )
    except (OSError, pa.ArrowException) as error:
        raise ListenError(f"Flight SQL cannot listen on {settings.address}") from error
    return RunningFlight(f"{scheme}://{host}:{server.port}", server)


def _traced(tracing: Tracing | None) -> tuple[type[FlightSqlServer], dict[str, Any]]:
    """The kind of server, and what sees a call before everything else."""
    if tracing is None:
        return FlightSqlServer, {}
    from sagitta_server.observability.tracing import flights  # noqa: PLC0415 (an extra of the package)

    return flights.TracedFlightSqlServer, {flights.MIDDLEWARE: flights.TracedCalls(tracing)}


def _tls(files: TlsFiles | None) -> dict[str, Any]:
    if files is None:
        return {}
    options: dict[str, Any] = {"tls_certificates": [(files.certificate, files.key)]}
    if files.client_ca is not None:
        options |= {"verify_client": True, "root_certificates": files.client_ca}
    return options
