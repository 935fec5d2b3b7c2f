"""Runs the gateway: one process, or several that share the port."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import ssl
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from uvicorn.supervisors import Multiprocess

from sagitta_gateway.app import create_app
from sagitta_gateway.config import PREFIX, GatewaySettings
from sagitta_gateway.shared_port import SharedPort

APPLICATION = "sagitta_gateway.main:application"
READY_SECONDS = 5.0
POLL_SECONDS = 0.05
FILES = {
    "engine-ca": "PEM file of the authority that signed the engine's certificate; asks with TLS.",
    "engine-certificate": "PEM file of the certificate that the engine asks of its clients.",
    "engine-key": "PEM file of its key.",
    "tls-certificate": "PEM file of the gateway's certificate chain; serves with TLS.",
    "tls-key": "PEM file of its key.",
    "tls-client-ca": "PEM file of the authority whose client certificates are required.",
}
"""The flags that name TLS files."""


def application() -> FastAPI:
    """The application of a worker, with settings from the environment."""
    return create_app(GatewaySettings())


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `sagitta gateway`, or `python -m sagitta_gateway`; returns the exit code."""
    try:
        settings = _settings(arguments)
    except ValidationError as error:
        return _refuse(f"[INVALID_SETTING] {_first_issue(error)}")
    try:
        tls = _tls(settings)
        listening = _listen(settings.listen)
        if settings.workers > 1 and SharedPort.supported:
            listening = SharedPort.instead_of(listening)
    except OSError as error:
        told = f"the TLS file {error.filename} cannot be read" if error.filename else f"on {settings.listen}"
        return _refuse(f"[ADDRESS_UNAVAILABLE] the gateway cannot listen: {told}: {error.strerror}")
    _export(settings)
    try:
        counted = _metrics(settings)
    except OSError as error:
        return _refuse(
            f"[ADDRESS_UNAVAILABLE] the metrics of the gateway cannot be served on {settings.metrics_address}: "
            f"{error.strerror}"
        )
    config = uvicorn.Config(
        APPLICATION,
        factory=True,
        workers=settings.workers,
        log_level=settings.log_level.lower(),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        **tls,
    )
    address = _url(listening, "https" if tls else "http")
    with counted:
        if settings.workers > 1:
            return _run_many(config, listening, settings, address)
        return _run_one(config, listening, settings, address)


def _metrics(settings: GatewaySettings) -> AbstractContextManager[object]:
    """Starts the page of metrics where one is wanted, and gives the folder in which the workers count."""
    if not settings.metrics_address:
        return nullcontext()
    folder = tempfile.TemporaryDirectory(prefix="sagitta-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder.name
    from sagitta_gateway.metrics import start_page  # noqa: PLC0415 (reads the variable when it is imported)

    start_page(settings.metrics_address, Path(folder.name), one_process=settings.workers == 1)
    return folder


def _refuse(message: str) -> int:
    sys.stderr.write(f"Error: {message}\n")
    return 1


def _first_issue(error: ValidationError) -> str:
    issue = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, issue['loc'])) or 'gateway'}: {issue['msg'].removeprefix('Value error, ')}"


def _tls(settings: GatewaySettings) -> dict[str, Any]:
    """The server's options for the TLS files; each is read here once, so that a missing one is told at the start."""
    for name in FILES:
        if (path := getattr(settings, name.replace("-", "_"))) is not None:
            path.read_bytes()
    if settings.tls_certificate is None:
        return {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    options: dict[str, Any] = {"ssl_certfile": settings.tls_certificate, "ssl_keyfile": settings.tls_key}
    if settings.tls_client_ca is not None:
        options |= {"ssl_ca_certs": str(settings.tls_client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def _url(listening: socket.socket, scheme: str) -> str:
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class _Server(uvicorn.Server):
    """Ends with the normal exit code on SIGINT and SIGTERM, where uvicorn raises the signal again."""

    def __init__(self, config: uvicorn.Config, ready_file: str, address: str) -> None:
        super().__init__(config)
        self._ready_file = ready_file
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _write_ready(self._ready_file, self._address)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def _run_one(config: uvicorn.Config, listening: socket.socket, settings: GatewaySettings, address: str) -> int:
    server = _Server(config, settings.ready_file, address)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listening]))
    return 0 if server.started else 1


class _Workers(Multiprocess):
    """Several workers; tells that it is ready when all of them answer."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready_file: str, address: str) -> None:
        super().__init__(config, sockets)
        self._ready_file = ready_file
        self._address = address

    def init_processes(self) -> None:
        super().init_processes()
        threading.Thread(target=self._tell_ready, daemon=True).start()

    def _tell_ready(self) -> None:
        while not self.should_exit.is_set():
            if all(process.is_ready(READY_SECONDS) for process in self.processes):
                _write_ready(self._ready_file, self._address)
                return
            self.should_exit.wait(POLL_SECONDS)


def _run_many(config: uvicorn.Config, listening: socket.socket, settings: GatewaySettings, address: str) -> int:
    _Workers(config, [listening], settings.ready_file, address).run()
    return 0


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), int(port)))
    except OSError:
        listening.close()
        raise
    listening.set_inheritable(True)
    return listening


def _write_ready(path: str, address: str) -> None:
    if not path:
        return
    partial = Path(f"{path}.partial")
    partial.write_text(json.dumps({"http": address}), encoding="utf-8")
    partial.replace(path)


def _settings(arguments: Sequence[str] | None) -> GatewaySettings:
    parser = _parser()
    given = {key: value for key, value in vars(parser.parse_args(arguments)).items() if value is not None}
    if given.get("engine") == "-":
        given["engine"] = _first_line()
    if given.pop("follow_stdin"):
        threading.Thread(target=_follow_stdin, name="follow-stdin", daemon=True).start()
    return GatewaySettings(**given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sagitta gateway", description=_HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add, place = parser.add_argument, "HOST:PORT"
    add(
        "--engine",
        metavar=place,
        help="The engine's gRPC address; several, separated by commas; - reads standard input.",
    )
    add("--http", "--listen", dest="listen", metavar=place, help="Where REST listens; port 0 takes a free one.")
    add("--workers", type=int, metavar="N", help="Processes that share the port.")
    add("--api-key-header", metavar="NAME", help="The header of clients that is passed on as their API key.")
    for name, meaning in FILES.items():
        add(f"--{name}", metavar="FILE", help=meaning)
    add("--metrics", dest="metrics_address", metavar=place, help="Where /metrics of all workers is served.")
    add("--ready-file", metavar="PATH", help="Write the address as JSON to this file once the gateway answers.")
    add("--follow-stdin", action="store_true", help="End when standard input closes, with its writer.")
    return parser


_HELP = """Serve REST until Ctrl-C, asking an engine over gRPC.

  sagitta gateway --engine engine.internal:50051 --http 0.0.0.0:8080

Every flag but the last is also a setting, SAGITTA_GATEWAY_...; a flag wins (docs/configuration.md)."""


def _first_line() -> str:
    """The first line of standard input; ends this process when its writer is gone before it wrote one."""
    line = b""
    while not line.endswith(b"\n"):  # not through sys.stdin, which would read ahead
        if not (byte := os.read(0, 1)):
            sys.exit(0)
        line += byte
    return line.decode().strip()


def _follow_stdin() -> None:
    """Ends this process when nobody can write to its standard input any more: its parent is gone."""
    while os.read(0, 4096):  # not through sys.stdin, whose lock the interpreter wants when it ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _export(settings: GatewaySettings) -> None:
    """Hands the settings of the command line to the workers."""
    os.environ[f"{PREFIX}ENGINE"] = settings.engine
    os.environ[f"{PREFIX}LISTEN"] = settings.listen
    os.environ[f"{PREFIX}METRICS_ADDRESS"] = settings.metrics_address
    os.environ[f"{PREFIX}API_KEY_HEADER"] = settings.api_key_header
    for name in ("engine_ca", "engine_certificate", "engine_key"):
        if (path := getattr(settings, name)) is not None:
            os.environ[f"{PREFIX}{name.upper()}"] = str(path)
