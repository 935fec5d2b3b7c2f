"""The gateway as a child process: started, watched and ended by its parent, and never left behind."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from sagitta_server.cli.failures import Failure

START_SECONDS = 60.0
"""How long the gateway may take until it answers."""

STOP_SECONDS = 5.0
"""How long the gateway may take to end; then it is killed."""

POLL_SECONDS = 0.02


class GatewayProcess:
    """A running gateway.

    It starts at once, beside the engine, and waits on its standard input for the engine's address (`connect`).

    It is in a process group of its own, so that Ctrl-C reaches the parent alone, which ends it in order; and it holds
    the reading end of a pipe whose closing tells it that the parent is gone, however that happened.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sagitta-")
        self._ready = Path(self._folder.name) / "gateway.json"
        command = [
            sys.executable,
            "-m",
            "sagitta_gateway",
            "--engine",
            "-",
            *arguments,
            "--ready-file",
            str(self._ready),
            "--follow-stdin",
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)  # noqa: S603

    def __enter__(self) -> GatewayProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def connect(self, engine: str) -> None:
        """Tells the gateway the `host:port` of the engine's gRPC surface."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: `wait_until_ready` says so
            self._process.stdin.write(f"{engine}\n".encode())
            self._process.stdin.flush()

    def wait_until_ready(self, stopped: Callable[[], bool]) -> str | None:
        """Returns the gateway's URL once it answers, None when `stopped` became true first."""
        deadline = time.monotonic() + START_SECONDS
        while not self._ready.exists():
            if stopped():
                return None
            if not self.running:
                raise Failure("GATEWAY_FAILED", f"the gateway ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise Failure("GATEWAY_FAILED", f"the gateway did not answer within {START_SECONDS:g} seconds")
            time.sleep(POLL_SECONDS)
        url: str = json.loads(self._ready.read_text(encoding="utf-8"))["http"]
        return url

    def stop(self) -> None:
        """Ends the gateway: asks first, kills after `STOP_SECONDS`."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._folder.cleanup()
