"""Starts `sagitta serve` as its users do, as a process of its own on free loopback ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SAGITTA = str(Path(sys.executable).with_name("sagitta"))
"""The console script beside the running interpreter."""

START_SECONDS = 90.0
STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and where its surfaces are."""

    process: subprocess.Popen[bytes]
    flight: str
    grpc: str
    http: str
    log: Path

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ends the server as an operator does, and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the server did not end within {STOP_SECONDS:g} s\n{self.log.read_text()}") from None


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment without settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAGITTA_", "OTEL_"))}
    return {**kept, **(extra or {})}


@contextmanager
def serving(
    folder: Path, flags: Sequence[str], *, command: str = "serve", environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Starts a server with its state in `folder`, waits until all surfaces answer, and ends it."""
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    places = [f"--{surface}=127.0.0.1:0" for surface in ("flight", "grpc", "http")]
    arguments = [SAGITTA, command, *places, f"--data-dir={folder / 'data'}", f"--ready-file={ready}", *flags]
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, stdout=out, stderr=out, env=clean_environment(environment), cwd=folder)
    try:
        addresses = wait_for(ready, process, log)
        server = Server(process, addresses["flight"], addresses["grpc"], addresses["http"], log)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(ready: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """Returns the addresses once the ready file is there; fails with the log when the server ends before."""
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None:
            raise AssertionError(f"the server ended with exit code {process.returncode}\n{log.read_text()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"the server was not ready within {START_SECONDS:g} s\n{log.read_text()}")
        time.sleep(0.02)
    addresses: dict[str, str] = json.loads(ready.read_text())
    return addresses
