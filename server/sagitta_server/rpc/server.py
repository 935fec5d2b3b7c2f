"""Builds and runs the gRPC server: services, health, reflection, limits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from sagitta_server.listening import ListenError, TlsFiles, check_free
from sagitta_server.rpc import (
    batch_service,
    cache_service,
    convert_service,
    dialect_service,
    discovery_service,
    graph_service,
    model_service,
    polled_query_service,
    query_service,
    reference_service,
    session_service,
    settings_service,
)
from sagitta_server.rpc.access import AccessControl
from sagitta_server.rpc.interceptors import Boundary
from sagitta_server.rpc.reviews import register as reviews

if TYPE_CHECKING:
    from sagitta_server.app import Engine

Registrar = Callable[[grpc.Server, "Engine"], tuple[str, ...]]

REGISTRARS: tuple[Registrar, ...] = (
    session_service.register,
    model_service.register,
    query_service.register,
    polled_query_service.register,
    settings_service.register,
    discovery_service.register,
    dialect_service.register,
    reference_service.register,
    batch_service.register,
    reviews.register,
    graph_service.register,
    convert_service.register,
    cache_service.register,
)
"""Each adds its services to the server and returns their full names."""

KEEPALIVE_MILLISECONDS = 30_000


@dataclass(frozen=True, slots=True)
class RunningGrpc:
    """A gRPC server that answers."""

    address: str
    """`host:port`, with the port that was really taken."""
    local: str
    """Where this machine finds this very process, without TLS; `address` where that leads nowhere else."""
    server: grpc.Server
    health: health.HealthServicer
    socket: tempfile.TemporaryDirectory[str] | None = None
    """The folder of the local socket."""

    def stop(self, grace_seconds: float) -> None:
        """Refuses new calls, lets running ones end for a while, then cancels them."""
        self.health.enter_graceful_shutdown()
        self.server.stop(grace_seconds).wait()
        if self.socket is not None:
            self.socket.cleanup()


def start_grpc(engine: Engine) -> RunningGrpc:
    """Starts the server at the address of the settings.

    Raises:
        ListenError: the address is taken or unknown.
    """
    settings, worker = engine.settings.grpc, engine.worker
    address = worker.grpc_address or settings.address
    if worker.is_first:
        check_free("gRPC", address)
    server = grpc.server(
        ThreadPoolExecutor(settings.max_workers, thread_name_prefix="grpc"),
        interceptors=_interceptors(engine),
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1_048_576),
            ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
            ("grpc.so_reuseport", int(not worker.is_alone)),
        ],
    )
    names = [name for register in REGISTRARS for name in register(server, engine)]
    servicer = health.HealthServicer(experimental_non_blocking=True)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    host, _, _ = address.rpartition(":")
    try:
        port = _listen(server, address, engine.tls)
    except RuntimeError:
        raise ListenError(f"gRPC cannot listen on {address}") from None
    folder = tempfile.TemporaryDirectory(prefix="sagitta-") if engine.tls or not worker.is_alone else None
    local = f"unix:{folder.name}/engine" if folder else f"{host}:{port}"
    if folder is not None:
        server.add_insecure_port(local)
    server.start()
    for name in ("", *names):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    return RunningGrpc(f"{host}:{port}", local, server, servicer, folder)


def _interceptors(engine: Engine) -> list[grpc.ServerInterceptor]:
    boundary = Boundary(AccessControl(engine.settings.access, engine.authenticator))
    if engine.tracing is None:
        return [boundary]
    from sagitta_server.observability.tracing.calls import TracedCalls  # noqa: PLC0415 (an extra of the package)

    return [TracedCalls(engine.tracing), boundary]


def _listen(server: grpc.Server, address: str, tls: TlsFiles | None) -> int:
    if tls is None:
        return server.add_insecure_port(address)
    credentials = grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=tls.client_ca is not None
    )
    return server.add_secure_port(address, credentials)
