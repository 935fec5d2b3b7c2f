"""The other processes of an engine: started, watched and ended by the first, and never left behind."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TYPE_CHECKING

import click

from sagitta_server.cli.failures import Failure, failure
from sagitta_server.worker import Worker

if TYPE_CHECKING:
    from sagitta_server.app import ReadyAddresses
    from sagitta_server.config import Settings

START_SECONDS = 60.0
"""How long the workers may take until they answer."""
STOP_SECONDS = 10.0
"""How long one may take to end, beyond the time for its statements; then it is killed."""
POLL_SECONDS = 0.02
DRAIN = "drain"
"""Tells a worker to let its statements end; the closing of the pipe, to end itself."""


class EngineWorkers:
    """The processes beside the first; none where one is enough.

    They start at once, import what they need beside the first, and wait for its addresses (`connect`). Each holds the
    end of a pipe whose closing tells it that the first is gone, however that happened.
    """

    def __init__(self, settings: Settings) -> None:
        self._stop_seconds = settings.drain_seconds + STOP_SECONDS
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._links: list[Connection] = []
        context = multiprocessing.get_context("spawn")
        for number in range(1, settings.grpc.workers):
            link, other = context.Pipe()
            worker = Worker(number, settings.grpc.workers)
            process = context.Process(target=_serve, args=(settings, worker, other), name=f"sagitta-worker-{number}")
            process.start()
            other.close()
            self._processes.append(process)
            self._links.append(link)

    def __enter__(self) -> EngineWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        return all(process.is_alive() for process in self._processes)

    def connect(self, first: ReadyAddresses, stopped: Callable[[], bool]) -> tuple[str, ...] | None:
        """Tells the workers where the first answers; returns where a gateway on this machine finds each of them.

        None when `stopped` became true before all of them answered.

        Raises:
            Failure: a worker did not start.
        """
        try:
            for link in self._links:
                link.send((first.grpc, first.flight))
            return self._places(stopped)
        except (EOFError, ConnectionError, TimeoutError):  # one has ended, or takes too long
            if stopped():
                return None
            raise Failure("WORKER_FAILED", "a process of the engine did not start", "Its log is above.") from None

    def _places(self, stopped: Callable[[], bool]) -> tuple[str, ...] | None:
        deadline = time.monotonic() + START_SECONDS
        places = []
        for link in self._links:
            while not link.poll(POLL_SECONDS):  # the end of its process is something to read too
                if stopped():
                    return None
                if time.monotonic() > deadline:
                    raise TimeoutError
            places.append(link.recv())
        return tuple(places)

    def drain(self) -> None:
        """Lets their statements end; returns at once."""
        for link in self._links:
            with suppress(OSError):
                link.send(DRAIN)

    def stop(self) -> None:
        """Ends them, and kills what does not end in time."""
        for link in self._links:
            link.close()
        deadline = time.monotonic() + self._stop_seconds
        for process in self._processes:
            process.join(max(deadline - time.monotonic(), 0))
            if process.is_alive():
                process.kill()
                process.join()


def _serve(settings: Settings, worker: Worker, link: Connection) -> None:
    """What a worker does, from its first line to its last."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process gets them too, and ends the others in order
        signal.signal(number, signal.SIG_IGN)
    from sagitta_server.logs import configure_logging

    configure_logging(settings.log)
    try:
        _serve_until_told(settings, worker, link)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the first process has closed its end, or is gone
    except Exception as error:  # noqa: BLE001 - told in words, as every failure to start is
        told = failure(error)
        click.echo(f"Error: {told.format_message() if isinstance(told, Failure) else told}", err=True)
        sys.exit(1)


def _serve_until_told(settings: Settings, worker: Worker, link: Connection) -> None:
    from sagitta_server.app import Engine

    grpc_address, flight_location = link.recv()
    engine = Engine(settings, worker=replace(worker, grpc_address=grpc_address, flight_location=flight_location))
    try:
        link.send(engine.start().local)
        while link.recv() == DRAIN:
            engine.drain()
    finally:
        engine.stop()
