"""The gateway's metrics as Prometheus sees them: of real processes, one worker or several."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from harness.server import Server, clean_environment, serving
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.xdist_group("gateway-metrics")

SECONDS = "sagitta_http_request_seconds"
IN_FLIGHT = "sagitta_http_requests_in_flight"
PATIENCE = 60.0
"""Seconds: a busy machine may be slow."""
Sample = tuple[str, tuple[tuple[str, str], ...]]


@contextmanager
def reserved_port() -> Iterator[int]:
    """A free port that nobody is given by chance meanwhile: bound here, for whoever names it to bind it once more."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        if sys.platform != "linux":
            held.close()  # elsewhere nobody else may bind it
        yield port


@contextmanager
def measured(folder: Path, workers: int) -> Iterator[tuple[Server, str]]:
    with reserved_port() as port:
        environment = {"SAGITTA_GATEWAY_METRICS_ADDRESS": f"127.0.0.1:{port}", "SAGITTA_HTTP__WORKERS": str(workers)}
        with serving(folder, [], environment=environment) as server:
            yield server, f"http://127.0.0.1:{port}/metrics"


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    with measured(tmp_path_factory.mktemp("measured"), request.param) as found:
        yield found


def samples(page: str) -> dict[Sample, float]:
    answer = httpx.get(page, timeout=PATIENCE)
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def counted(page: str, method: str, route: str, status: int) -> float:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return samples(page).get((f"{SECONDS}_count", labels), 0.0)


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_requests_are_counted_by_route_and_never_by_path(place: tuple[Server, str]) -> None:
    server, page = place
    route = "/v1/sessions/{session_id}"
    before = counted(page, "GET", route, 200)
    with httpx.Client(timeout=PATIENCE) as client:
        sessions = [client.post(f"{server.http}/v1/sessions").json()["session_id"] for _ in range(12)]
        for session in sessions:
            assert client.get(f"{server.http}/v1/sessions/{session}").status_code == 200
    assert until(lambda: counted(page, "GET", route, 200) == before + len(sessions))
    text = httpx.get(page, timeout=PATIENCE).text
    assert not any(session in text for session in sessions)


def test_every_worker_is_on_the_page(place: tuple[Server, str]) -> None:
    server, page = place
    before = counted(page, "GET", "/livez", 200)
    for _ in range(40):  # a connection each, so that the kernel spreads them over the workers
        assert httpx.get(f"{server.http}/livez", timeout=PATIENCE).status_code == 200
    assert until(lambda: counted(page, "GET", "/livez", 200) == before + 40)
    labels = (("method", "GET"), ("route", "/livez"), ("status", "200"))
    assert samples(page)[f"{SECONDS}_sum", labels] > 0


def test_refusals_and_unknown_paths_have_their_status_and_no_route_of_their_own(place: tuple[Server, str]) -> None:
    server, page = place
    before = counted(page, "GET", "none", 404), counted(page, "POST", "/v1/query/execute", 404)
    for number in range(3):
        assert httpx.get(f"{server.http}/no/such/path/{number}", timeout=PATIENCE).status_code == 404
    assert (
        httpx.post(
            f"{server.http}/v1/query/execute", json={"select": {"measures": ["A"]}}, timeout=PATIENCE
        ).status_code
        == 404
    )
    assert until(
        lambda: (
            (counted(page, "GET", "none", 404), counted(page, "POST", "/v1/query/execute", 404))
            == (before[0] + 3, before[1] + 1)
        )
    )
    assert "/no/such/path" not in httpx.get(page, timeout=PATIENCE).text


def test_head_is_counted_by_its_route(place: tuple[Server, str]) -> None:
    server, page = place
    before = counted(page, "HEAD", "/health", 200)
    assert httpx.head(f"{server.http}/health", timeout=PATIENCE).status_code == 200
    assert until(lambda: counted(page, "HEAD", "/health", 200) == before + 1)


def test_methods_that_http_does_not_define_are_one_method(place: tuple[Server, str]) -> None:
    server, page = place
    for name in ("PROPFIND", "UNLOCK"):
        httpx.request(name, f"{server.http}/health", timeout=PATIENCE)
    text = httpx.get(page, timeout=PATIENCE).text
    assert "PROPFIND" not in text
    assert 'method="_OTHER"' in text


def test_requests_in_flight_are_seen_while_they_last(place: tuple[Server, str]) -> None:
    server, page = place
    key = (IN_FLIGHT, ())
    host, port = server.http.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert until(lambda: samples(page).get(key, 0.0) >= 1)
    assert until(lambda: samples(page)[key] == 0)


def test_the_page_adds_up_while_requests_run_and_somebody_looks(place: tuple[Server, str]) -> None:
    server, page = place
    before, done = counted(page, "GET", "/health", 200), threading.Event()
    failures: list[Exception] = []

    def look() -> None:
        try:
            while not done.is_set():
                samples(page)
        except (AssertionError, httpx.HTTPError, ValueError) as error:
            failures.append(error)

    watcher = threading.Thread(target=look)
    watcher.start()
    for _ in range(100):
        assert httpx.get(f"{server.http}/health", timeout=PATIENCE).status_code == 200
    done.set()
    watcher.join()
    assert failures == []
    assert until(lambda: counted(page, "GET", "/health", 200) == before + 100)


def test_one_worker_tells_what_its_process_uses(tmp_path: Path) -> None:
    with measured(tmp_path, 1) as (_, page):
        assert samples(page)["process_resident_memory_bytes", ()] > 10_000_000


def test_a_worker_that_died_keeps_its_counts_and_holds_no_requests(tmp_path: Path) -> None:
    with measured(tmp_path, 2) as (server, page):
        for _ in range(20):
            httpx.get(f"{server.http}/livez", timeout=PATIENCE)
        assert until(lambda: counted(page, "GET", "/livez", 200) == 20)
        host, port = server.http.removeprefix("http://").split(":")
        head = b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
        with socket.create_connection((host, int(port))) as one, socket.create_connection((host, int(port))) as two:
            one.sendall(head)
            two.sendall(head)
            assert until(lambda: samples(page)[IN_FLIGHT, ()] == 2)
            gateway = gateway_of(server)
            workers = [child for child in gateway.children() if any("spawn_main" in part for part in child.cmdline())]
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)
            assert until(lambda: samples(page).get((IN_FLIGHT, ()), 0.0) == 0)
        assert counted(page, "GET", "/livez", 200) >= 20


def gateway_of(server: Server) -> psutil.Process:
    (found,) = [c for c in psutil.Process(server.process.pid).children() if "sagitta_gateway" in c.cmdline()]
    return found


def test_nothing_is_counted_where_no_page_was_asked_for() -> None:
    probe = (
        "import sys\n"
        "from sagitta_gateway.app import create_app\n"
        "from sagitta_gateway.config import GatewaySettings\n"
        "app = create_app(GatewaySettings())\n"
        "assert [m.cls.__name__ for m in app.user_middleware] == ['Envelope', 'BodyLimit', 'DirectRoutes']\n"
        "assert not {'prometheus_client', 'opentelemetry.sdk'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", probe], env=clean_environment(), check=True, timeout=60)


def test_an_address_that_is_taken_is_told_with_its_code(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = [sys.executable, "-m", "sagitta_gateway", "--http", "127.0.0.1:0", "--metrics", address]
        ended = subprocess.run(
            arguments, env=clean_environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"Error: [ADDRESS_UNAVAILABLE] the metrics of the gateway cannot be served on {address}"
    )


def test_the_folder_of_the_counts_is_gone_after_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with reserved_port() as port:
        environment = {"SAGITTA_GATEWAY_METRICS_ADDRESS": f"127.0.0.1:{port}", "TMPDIR": str(folder)}
        with serving(tmp_path, [], environment=environment) as server:
            httpx.get(f"{server.http}/livez", timeout=PATIENCE)
            assert list(folder.glob("sagitta-metrics-*/*.db"))
            server.stop()
    assert list(folder.glob("sagitta-metrics-*")) == []
