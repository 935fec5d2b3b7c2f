"""Serves `/metrics` for Prometheus, `/livez` and `/readyz` for probes, from a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from sagitta_server.listening import check_free

PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class RunningEndpoint:
    """An endpoint that answers."""

    address: str
    """`host:port`, with the port that was really taken."""
    server: ThreadingHTTPServer

    def stop(self) -> None:
        """Stops answering."""
        self.server.shutdown()
        self.server.server_close()


def start_endpoint(address: str, registry: CollectorRegistry, ready: Callable[[], bool]) -> RunningEndpoint:
    """Serves an engine's metrics and probes; `ready` says whether new calls are welcome.

    Raises:
        ListenError: the address is taken or unknown.
    """
    check_free("The metrics endpoint", address)
    host, _, port = address.rpartition(":")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/livez":
                    self._answer(HTTPStatus.OK, PLAIN, b"alive\n")
                case "/readyz" if ready():
                    self._answer(HTTPStatus.OK, PLAIN, b"ready\n")
                case "/readyz":
                    self._answer(HTTPStatus.SERVICE_UNAVAILABLE, PLAIN, b"stopping\n")
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, PLAIN, b"there are /metrics, /livez and /readyz\n")

        def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:  # noqa: A002 (the name is the library's)
            """Says nothing: probes come every few seconds."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    server = Server((host.strip("[]"), int(port)), Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return RunningEndpoint(f"{host}:{server.server_port}", server)
