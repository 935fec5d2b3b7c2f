"""`sagitta serve` killed in the middle: what was acknowledged is there after a restart."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import httpx
import pytest
from gateway.serving import MODEL, QUERY, make_database
from harness.server import serving
from sagitta_gateway.main import _listen


def test_sessions_and_models_survive_a_kill(tmp_path: Path) -> None:
    make_database(tmp_path / "shop.duckdb")
    flags = [f"--source=duckdb:///{tmp_path / 'shop.duckdb'}"]
    with serving(tmp_path, flags) as server:
        session = httpx.post(f"{server.http}/v1/sessions", json={"metadata": {"user": "alice"}}, timeout=60).json()
        path = f"/v1/sessions/{session['session_id']}"
        model_id = httpx.post(f"{server.http}{path}/models", json={"model_yaml": MODEL}, timeout=60).json()["model_id"]
        before = httpx.post(
            f"{server.http}{path}/query/execute", json={"model_id": model_id, "query": QUERY}, timeout=60
        ).json()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with serving(tmp_path, flags) as server:
        again = httpx.get(f"{server.http}{path}", timeout=60).json()
        assert (again["metadata"], again["created_at"]) == ({"user": "alice"}, session["created_at"])
        after = httpx.post(
            f"{server.http}{path}/query/execute", json={"model_id": model_id, "query": QUERY}, timeout=60
        ).json()
        assert after["rows"] == before["rows"] == [["DE", 200.0], ["US", 150.0], [None, 30.0]]


def test_a_gateway_without_an_engine_says_so(tmp_path: Path) -> None:
    from gateway.serving import gateway

    with gateway("127.0.0.1:1", tmp_path / "ready.json") as address:
        assert httpx.get(f"{address}/health", timeout=60).status_code == 503
        answer = httpx.get(f"{address}/v1/dialects", timeout=60)
        assert answer.status_code == 503
        assert "cannot be reached" in answer.json()["detail"]


@pytest.mark.parametrize("workers", ["2"])
def test_several_workers_share_the_port_and_end_together(tmp_path: Path, workers: str) -> None:
    from gateway.serving import serving as engine_and_gateway
    from gateway.serving import settings

    with engine_and_gateway(settings(tmp_path), "--workers", workers) as running:
        for _ in range(10):
            assert running.client.get("/health").status_code == 200
        if sys.platform == "linux":
            port = running.client.base_url.port
            assert listening_sockets(port) == int(workers), "the kernel spreads the connections"
            with pytest.raises(OSError, match="in use"):
                _listen(f"127.0.0.1:{port}")


def listening_sockets(port: int | None) -> int:
    """Sockets of this machine that listen on a port of IPv4."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A")
