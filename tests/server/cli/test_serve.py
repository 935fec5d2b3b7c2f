"""`sagitta serve` as its operators see it: it starts, says where, and ends cleanly, whatever is running."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_flightsql.dbapi
import httpx
import psutil
import pytest
from harness import tpch
from harness.server import SAGITTA, Server, clean_environment, serving

pytestmark = pytest.mark.xdist_group("serve")

LONG = 'SELECT "Line Item"."Order Key" AS a, "Line Item"."Comment" AS b FROM tpch'


def flags() -> list[str]:
    return [f"--model={tpch.MODEL}", f"--source=duckdb:///{tpch.database(0.01)}"]


def family(server: Server) -> list[psutil.Process]:
    parent = psutil.Process(server.process.pid)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process], seconds: float = 10.0) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_every_process_with_exit_code_0(tmp_path: Path, how: signal.Signals) -> None:
    with serving(tmp_path, flags()) as server:
        assert httpx.get(f"{server.http}/health").status_code == 200
        processes = family(server)
        assert len(processes) >= 2, "the gateway is a process of its own"
        started = time.monotonic()
        assert server.stop(how) == 0, server.log.read_text()
        assert time.monotonic() - started < 8
        assert gone(processes)
    assert "Traceback" not in server.log.read_text()


def test_ctrl_c_reaches_all_processes_of_a_terminal_and_still_ends_cleanly(tmp_path: Path) -> None:
    with serving(tmp_path, flags()) as server:
        processes = family(server)
        for process in processes:
            process.send_signal(signal.SIGINT)
        assert server.process.wait(15) == 0, server.log.read_text()
        assert gone(processes)


READER = """
import sys, time
import adbc_driver_flightsql.dbapi as flight
cursor = flight.connect(sys.argv[1], autocommit=True).cursor()
cursor.execute(sys.argv[2])
reader = cursor.fetch_record_batch()
rows = reader.read_next_batch().num_rows
print("reading", flush=True)
if sys.argv[3] == "rests":
    time.sleep(60)
for batch in reader:
    rows += batch.num_rows
    time.sleep(0.2)
print(rows)
"""
"""A client in a process of its own: one that reads slowly, or one that rests with its stream open."""


@pytest.mark.parametrize("habit", ["reads", "rests"])
def test_a_running_stream_does_not_keep_the_server(tmp_path: Path, habit: str) -> None:
    large = [flags()[0], f"--source=duckdb:///{tpch.database(0.1)}"]
    with serving(tmp_path, large) as server, reading(server, habit) as client:
        started = time.monotonic()
        assert server.stop() == 0, server.log.read_text()
        assert time.monotonic() - started < 12
        if habit == "reads":
            told, _ = client.communicate(timeout=30)
            assert client.returncode != 0, f"the client was not told that {told.strip()} rows are not all"
    assert "Traceback" not in server.log.read_text()


def test_a_draining_server_lets_a_running_stream_end(tmp_path: Path) -> None:
    large = [flags()[0], f"--source=duckdb:///{tpch.database(0.1)}"]
    with (
        serving(tmp_path, large, environment={"SAGITTA_DRAIN_SECONDS": "60"}) as server,
        reading(server, "reads") as client,
    ):
        server.process.send_signal(signal.SIGTERM)
        told, _ = client.communicate(timeout=60)
        assert client.returncode == 0, told
        assert server.process.wait(60) == 0, server.log.read_text()


@contextmanager
def reading(server: Server, habit: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-c", READER, server.flight, LONG, habit]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as client:
        assert client.stdout
        assert client.stdout.readline() == "reading\n"
        try:
            yield client
        finally:
            client.kill()


def test_the_gateway_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    with serving(tmp_path, flags()) as server:
        processes = family(server)
        server.process.kill()
        assert gone(processes)


def test_a_dead_gateway_ends_the_server_with_a_reason(tmp_path: Path) -> None:
    with serving(tmp_path, flags()) as server:
        for child in psutil.Process(server.process.pid).children(recursive=True):
            child.kill()
        assert server.process.wait(15) == 1
    assert "[GATEWAY_FAILED]" in server.log.read_text()


def test_an_address_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for surface in ("flight", "grpc", "http"):
            places = {"flight": "127.0.0.1:0", "grpc": "127.0.0.1:0", "http": "127.0.0.1:0", surface: address}
            arguments = [SAGITTA, "serve", *(f"--{name}={place}" for name, place in places.items()), "--data-dir=data"]
            run = subprocess.run(
                arguments,
                cwd=tmp_path,
                env=clean_environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert run.returncode == 1, (surface, run.stdout, run.stderr)
            assert "Traceback" not in run.stderr, surface
            assert address.split(":")[1] in run.stderr, surface


def test_ready_file_names_every_surface(tmp_path: Path) -> None:
    with serving(tmp_path, flags()) as server:
        addresses = json.loads((tmp_path / "ready.json").read_text())
        assert addresses == {"flight": server.flight, "grpc": server.grpc, "http": server.http}
        assert server.flight.startswith("grpc://127.0.0.1:")
        assert server.http.startswith("http://127.0.0.1:")
        assert not server.grpc.startswith("grpc://")


def test_model_is_reached_by_its_name_and_by_its_table(tmp_path: Path) -> None:
    """A model's name is its `name:`, else its file's stem, normalised."""
    text = tpch.MODEL.read_text(encoding="utf-8").replace("name: tpch\n", "", 1)
    (tmp_path / "My Sales-2024_obml.yaml").write_text(text)
    with serving(tmp_path, ["--model=My Sales-2024_obml.yaml", *flags()[1:]]) as server:
        connect = adbc_driver_flightsql.dbapi.connect
        with connect(server.flight, autocommit=True) as connection, connection.cursor() as cursor:
            for table in ("my_sales_2024", "my_sales_2024.model"):
                cursor.execute(f'SELECT "Order Count" FROM {table}')
                assert cursor.fetchall() == [(15000,)]


def test_many_clients_while_it_stops(tmp_path: Path) -> None:
    """Stopping under load answers or refuses every client; nobody hangs."""
    with serving(tmp_path, flags()) as server:
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    httpx.get(f"{server.http}/v1/dimensions", timeout=5)
                except httpx.HTTPError:
                    return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert server.stop() == 0, server.log.read_text()
        stop.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_second_start_on_the_same_data_directory_works(tmp_path: Path) -> None:
    for _ in range(2):
        with serving(tmp_path, flags()) as server:
            assert httpx.get(f"{server.http}/health").status_code == 200
            assert server.stop() == 0
