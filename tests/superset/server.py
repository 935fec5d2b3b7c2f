"""Starts and stops a throw-away Superset on loopback.

    python -m superset.server [PORT]

serves one until it is interrupted.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from hatchling.builders.wheel import WheelBuilder

from superset import shop
from superset.install import Installation, environment, install, write_config

WORKERS = 2
DIALECT = Path(__file__).parents[2] / "integrations" / "sqlalchemy"
PATIENCE_S = 120.0


@dataclass
class Superset:
    """A running Superset with the shop in it."""

    base_url: str
    version: str
    venv: Path
    home: Path
    process: subprocess.Popen[bytes] | None = None
    fixtures: dict[str, Any] = field(default_factory=dict)

    @property
    def links(self) -> dict[str, str]:
        """A link of every kind that the version knows."""
        return self.fixtures["links"]

    @property
    def series(self) -> int:
        """The first number of its version."""
        return int(self.version.partition(".")[0])

    def stop(self) -> None:
        """Ends the server, and waits until it is gone."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=20)
        self.process = None


def start(made: Installation, home: Path, *, port: int = 0) -> Superset:
    """A Superset in `home`, which begins as a copy of the installation's, with the shop in it."""
    shutil.copytree(made.seed, home, dirs_exist_ok=True)
    write_config(home)
    shop.make_databases(home)
    _add_our_dialect(home)
    port = port or _free_port()
    running = Superset(f"http://127.0.0.1:{port}", made.version, made.venv, home)
    running.process = _serve(made, home, port)
    try:
        _await(running)
        running.fixtures = shop.make_fixtures(running.base_url, home)
    except BaseException:
        running.stop()
        raise
    (home / "fixtures.json").write_text(json.dumps(running.fixtures, indent=1))
    return running


def _add_our_dialect(home: Path) -> None:
    """Puts the wheel of `integrations/sqlalchemy`, as it is now, where Superset finds its entry points."""
    built = next(WheelBuilder(str(DIALECT)).build(directory=str(home / "wheels"), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        wheel.extractall(home / "packages")


def restart(running: Superset, *, templates: bool) -> None:
    """The same Superset at the same address, with template processing on or off."""
    running.stop()
    write_config(running.home, templates=templates)
    made = Installation(running.version, running.venv.parent)
    running.process = _serve(made, running.home, int(running.base_url.rpartition(":")[2]))
    _await(running)


def _serve(made: Installation, home: Path, port: int) -> subprocess.Popen[bytes]:
    command = [str(made.venv / "bin" / "gunicorn"), "-w", str(WORKERS), "-k", "gthread", "--threads", "8"]
    command += ["--timeout", "120", "-b", f"127.0.0.1:{port}", "superset.app:create_app()"]
    with (home / "server.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=home,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _await(running: Superset) -> None:
    assert running.process is not None
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            if httpx.get(f"{running.base_url}/health", timeout=2).text == "OK":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    tail = (running.home / "server.log").read_text(errors="replace")[-3000:]
    raise RuntimeError(f"Superset {running.version} did not start:\n{tail}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8088
    with tempfile.TemporaryDirectory(prefix="superset-") as home:
        running = start(install(), Path(home), port=port)
        print(f"Superset {running.version} at {running.base_url} (admin/admin, sam/sam, gina/gina). Ctrl-C ends it.")
        for name, link in running.links.items():
            print(f"  {name:30} {link}")
        try:
            assert running.process is not None
            running.process.wait()
        except KeyboardInterrupt:
            print("Ending.")
        finally:
            running.stop()


if __name__ == "__main__":
    main()
