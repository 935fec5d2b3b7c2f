"""`sagitta health`: whether a server answers, for scripts and container health checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sagitta_server.cli.failures import Failure

TIMEOUT_SECONDS = 3.0


@click.command("health")
@click.option("--grpc", metavar="HOST:PORT", help="Ask an engine, by the standard gRPC health service.")
@click.option("--http", metavar="URL", help="Ask a gateway, at its /health.")
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="PEM file of the authority that signed the server's certificate; asks with TLS.",
)  # fmt: skip
def command(*, grpc: str | None, http: str | None, ca: Path | None) -> None:
    """Ask a running server whether it can serve; the exit code is 1 when it cannot.

    \b
      sagitta health --grpc 127.0.0.1:50051
      sagitta health --http http://127.0.0.1:8080
    """
    if grpc is None and http is None:
        raise click.UsageError("Name an engine with --grpc, a gateway with --http, or both.")
    if grpc is not None:
        ask_engine(grpc, ca)
    if http is not None:
        ask_gateway(http, ca)
    click.echo("serving")


def ask_engine(address: str, ca: Path | None) -> None:
    """Fails unless the engine's health service says that it serves."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    secure = None if ca is None else grpc.ssl_channel_credentials(ca.read_bytes())
    with grpc.secure_channel(address, secure) if secure else grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise Failure("UNAVAILABLE", f"the engine at {address} does not serve yet, or no longer")


def ask_gateway(url: str, ca: Path | None) -> None:
    """Fails unless the gateway's health endpoint says that all is well."""
    import ssl

    import httpx

    trusted = ssl.create_default_context(cafile=ca)
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=TIMEOUT_SECONDS, verify=trusted)
    except httpx.HTTPError as error:
        raise Failure("UNAVAILABLE", f"nothing answers at {url} ({error})") from error
    if answer.status_code != httpx.codes.OK:
        raise Failure("UNAVAILABLE", f"the gateway at {url} answers {answer.status_code}")
