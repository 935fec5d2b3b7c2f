"""Starts a throw-away PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from harness.ports import free_port

START_SECONDS = 90.0
_ROWS = "CREATE TABLE things AS SELECT i AS id, 'name ' || i AS name FROM generate_series(0, 19999) AS t(i)"


@dataclass(frozen=True)
class PostgresServer:
    """A running server; anyone on loopback may log in as `postgres`."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def uri(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)  # fast shutdown: does not wait for clients
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def start_postgres(folder: Path) -> PostgresServer | None:
    """Returns a server with the table `things`, or None where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        return None
    data = _own_folder(folder)
    run = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **_as_user()}
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"], check=True, **run
    )
    port = free_port()
    arguments = ["-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    process = subprocess.Popen(
        [programs / "postgres", *arguments, "-c", "unix_socket_directories="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_as_user(),
    )
    server = PostgresServer(process, port, data)
    _wait_and_fill(server)
    return server


def _programs() -> Path | None:
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return versions[-1].parent if versions else None


def _own_folder(folder: Path) -> Path:
    """A folder that the server's user may write: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return folder / "data"
    data = Path("/tmp") / f"sagitta-pg-{os.getpid()}-{time.monotonic_ns()}"
    data.mkdir(mode=0o700)
    os.chown(data, pwd.getpwnam("postgres").pw_uid, -1)
    return data


def _as_user() -> dict[str, object]:
    return {"user": "postgres", "cwd": "/"} if os.geteuid() == 0 else {}


def _wait_and_fill(server: PostgresServer) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with psycopg.connect(server.uri, autocommit=True) as connection:
                connection.execute(_ROWS)
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    server.stop()
    raise RuntimeError("PostgreSQL did not start")
