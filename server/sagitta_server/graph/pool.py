"""Answers SPARQL within a time limit.

A SPARQL evaluation cannot be interrupted from within Python: a product of patterns without a match yields nothing to
check a clock at, and a regular expression holds the interpreter. So questions run in processes that are killed when
their time is over; the next question starts a new one.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from sagitta_compiler.ontology import SparqlError, SparqlForm, SparqlResult

from sagitta_server.graph.limits import GRAPHS

if TYPE_CHECKING:
    from rdflib import Graph

START_SECONDS = 60.0
"""How long a new process may take to load a graph."""


class SparqlTimeoutError(Exception):
    """The question ran longer than it may, or no process became free in that time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The query was stopped after {seconds:g} seconds; ask for less at a time.")


class SparqlPool:
    """A few processes, started when they are needed and kept for the next question. Safe to use from any thread."""

    def __init__(self, *, timeout_seconds: float, max_rows: int, workers: int = 2) -> None:
        self._timeout = timeout_seconds
        self._max_rows = max_rows
        self._slots: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._slots.put(None)
        self._closed = threading.Event()

    def query(self, key: str, graph: Callable[[], Graph], text: str) -> SparqlResult:
        """Answers a question.

        Args:
            key: identifies the graph's content; a process that knows it does not ask for the graph.
            graph: makes the graph; called when a process does not know it yet.
            text: SPARQL.

        Raises:
            SparqlError: the text cannot be answered.
            SparqlTimeoutError: it took too long.
        """
        try:
            worker = self._slots.get(timeout=self._timeout)
        except queue.Empty:
            raise SparqlTimeoutError(self._timeout) from None
        try:
            if worker is None or not worker.alive:
                worker = _Worker()
            worker.learn(key, graph)
            answer = worker.ask({"key": key, "query": text, "max_rows": self._max_rows}, self._timeout)
        except BaseException:
            if worker is not None:
                worker.kill()
            worker = None
            raise
        finally:
            self._give_back(worker)
        return _result(answer)

    def close(self) -> None:
        """Ends the processes; those that work are ended when their question is answered."""
        self._closed.set()
        while True:
            try:
                worker = self._slots.get_nowait()
            except queue.Empty:
                return
            if worker is not None:
                worker.kill()

    def _give_back(self, worker: _Worker | None) -> None:
        if self._closed.is_set() and worker is not None:
            worker.kill()
            worker = None
        self._slots.put(worker)


class _Worker:
    """One process and what it knows."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                [sys.executable, "-m", "sagitta_server.graph.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._known: OrderedDict[str, None] = OrderedDict()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def learn(self, key: str, graph: Callable[[], Graph]) -> None:
        if key not in self._known:
            self.ask({"key": key, "graph": graph().serialize(format="nt")}, START_SECONDS)
        self._known[key] = None
        self._known.move_to_end(key)
        while len(self._known) > GRAPHS:
            self._known.popitem(last=False)

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        pipe: Connection = self._pipe
        try:
            pipe.send_bytes(json.dumps({**request, "seconds": seconds}).encode())
            if not pipe.poll(seconds):
                raise SparqlTimeoutError(seconds)
            answer: dict[str, Any] = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            raise SparqlError("The query needs too much memory.") from None
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()


def _result(answer: dict[str, Any]) -> SparqlResult:
    if "error" in answer:
        raise SparqlError(answer["error"])
    variables = tuple(answer["variables"])
    return SparqlResult(
        SparqlForm(answer["form"]),
        variables,
        tuple(dict(zip(variables, row, strict=True)) for row in answer["rows"]),
        answer["boolean"],
        answer["truncated"],
    )
