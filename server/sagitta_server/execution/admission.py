"""How many statements may run against one warehouse at once, and how many may wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.source import SourceBusyError


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a source is: statements that run, that wait, and that may run at once."""

    running: int
    waiting: int
    slots: int


class _Waiter:
    """A statement in the queue; wakes up alone, so that a freed slot does not wake everyone."""

    __slots__ = ("admitted", "awake")

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.admitted = False


class Admission:
    """Slots handed out in the order of arrival."""

    def __init__(self, slots: int, queue_size: int, queue_timeout_seconds: float) -> None:
        self._lock = threading.Lock()
        self._free = slots
        self._slots = slots
        self._queue: deque[_Waiter] = deque()
        self._queue_size = queue_size
        self._queue_timeout_seconds = queue_timeout_seconds
        self._closed = False

    @property
    def running(self) -> int:
        """Statements that hold a slot."""
        with self._lock:
            return self._slots - self._free

    @property
    def waiting(self) -> int:
        """Statements in the queue."""
        with self._lock:
            return len(self._queue)

    @property
    def load(self) -> Load:
        """How busy it is, at one moment."""
        with self._lock:
            return Load(self._slots - self._free, len(self._queue), self._slots)

    def acquire(self, token: CancelToken) -> None:
        """Takes a slot, waiting for it if need be.

        Raises:
            SourceBusyError: the queue is full, the wait was too long, or the source is closed.
            SourceError: the statement was cancelled while it waited.
        """
        with self._lock:
            self._refuse_closed()
            if self._free:
                self._free -= 1
                return
            if len(self._queue) >= self._queue_size:
                raise SourceBusyError(
                    f"All {self._slots} connections are in use and {len(self._queue)} statements are waiting; "
                    "try again later."
                )
            waiter = _Waiter()
            self._queue.append(waiter)
        self._wait(waiter, token)

    def release(self) -> None:
        """Gives a slot back: to the one who waits longest, if someone does."""
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            waiter = self._queue.popleft()
            waiter.admitted = True
        waiter.awake.set()

    def close(self) -> None:
        """Refuses everyone who waits or comes later."""
        with self._lock:
            self._closed = True
            waiters = list(self._queue)
        for waiter in waiters:
            waiter.awake.set()

    def _wait(self, waiter: _Waiter, token: CancelToken) -> None:
        began = time.monotonic()
        deadline = began + self._queue_timeout_seconds
        remove = token.add_callback(waiter.awake.set)
        try:
            waiter.awake.wait(max(deadline - time.monotonic(), 0))
        finally:
            remove()
            token.waited_seconds = time.monotonic() - began
        with self._lock:
            if waiter.admitted:
                return
            self._queue.remove(waiter)
            self._refuse_closed()
        token.raise_if_cancelled()
        raise SourceBusyError(f"No connection became free within {self._queue_timeout_seconds:g} seconds.")

    def _refuse_closed(self) -> None:
        if self._closed:
            raise SourceBusyError("The server is shutting down.")
