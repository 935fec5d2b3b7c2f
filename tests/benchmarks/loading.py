"""Runs the load generator of `load/`, and tells what each process of the server spent meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

SOURCE = Path(__file__).parent / "load"
BARE = Path(__file__).with_name("bare_grpc_server.py")
TICKS = os.sysconf("SC_CLK_TCK")

Surface = Literal["get", "http", "unary", "stream", "info", "flight"]


@dataclass(frozen=True)
class Call:
    """What every client asks for again and again."""

    surface: Surface
    """`http` posts; `unary` and `stream` are calls of gRPC, `info` a GetFlightInfo, `flight` a query of Flight SQL."""
    address: str
    """`host:port`."""
    path: str = ""
    """The path, or the full name of the method."""
    body: bytes = b""


@dataclass(frozen=True)
class Load:
    """What came of it. Latencies in milliseconds; `cpu` is the processor time per call of each process, too."""

    calls: int
    rate: float
    p50: float
    p99: float
    cpu: Mapping[str, float] = field(default_factory=dict)


@cache
def generator() -> Path:
    """Builds the load generator, once per run."""
    if shutil.which("go") is None:
        raise SystemExit("The load generator of this benchmark is written in Go: install Go, then run it again.")
    built = Path(mkdtemp(prefix="sagitta-load-")) / "load"
    subprocess.run(["go", "build", "-o", str(built), "."], cwd=SOURCE, check=True)
    return built


def load(call: Call, clients: int, duration: float, processes: Mapping[str, list[int]]) -> Load:
    """Makes so many clients call in a closed loop for some seconds; `processes` are the server's, by name."""
    before = {name: _cpu_seconds(pids) for name, pids in processes.items()}
    command = [str(generator()), f"--surface={call.surface}", f"--address={call.address}", f"--path={call.path}"]
    command += [f"--clients={clients}", f"--seconds={duration:g}"]
    done = subprocess.run(command, input=call.body, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    calls = int(told["calls"])
    spent = {name: (_cpu_seconds(pids) - before[name]) / calls * 1000 for name, pids in processes.items()}
    return Load(calls, told["rate"], told["p50"], told["p99"], spent)


@contextmanager
def canned_engine(answer: bytes) -> Iterator[str]:
    """A gRPC server that answers every call with one message at next to no cost; gives its `host:port`."""
    with _answering([str(generator()), "--surface=canned"], answer) as address:
        yield address


@contextmanager
def bare_server(answer: bytes) -> Iterator[str]:
    """The same in Python: what any gRPC server in that language costs on this machine."""
    with _answering([sys.executable, str(BARE)], answer) as address:
        yield address


@contextmanager
def _answering(command: list[str], answer: bytes) -> Iterator[str]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(answer)
            process.stdin.close()
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()


def _cpu_seconds(pids: list[int]) -> float:
    return sum(_cpu_ticks(pid) for pid in pids) / TICKS


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
