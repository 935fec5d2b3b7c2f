"""How many statements may run against one warehouse at once, and how many may wait."""

from __future__ import annotations

import threading
import time
from collections import deque

from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.source import SourceBusyError


class Admission:
    """Slots handed out in the order of arrival."""

    def __init__(self, slots: int, queue_size: int, queue_timeout_seconds: float) -> None:
        self._condition = threading.Condition()
        self._free = slots
        self._slots = slots
        self._queue: deque[object] = deque()
        self._queue_size = queue_size
        self._queue_timeout_seconds = queue_timeout_seconds
        self._closed = False

    @property
    def running(self) -> int:
        """Statements that hold a slot."""
        with self._condition:
            return self._slots - self._free

    @property
    def waiting(self) -> int:
        """Statements in the queue."""
        with self._condition:
            return len(self._queue)

    def acquire(self, token: CancelToken) -> None:
        """Takes a slot, waiting for it if need be.

        Raises:
            SourceBusyError: the queue is full, the wait was too long, or the source is closed.
            SourceError: the statement was cancelled while it waited.
        """
        with self._condition:
            self._refuse_closed()
            if self._free and not self._queue:
                self._free -= 1
                return
            if len(self._queue) >= self._queue_size:
                raise SourceBusyError(
                    f"All {self._slots} connections are in use and {len(self._queue)} statements are waiting; "
                    "try again later."
                )
        self._wait(token)

    def release(self) -> None:
        """Gives a slot back."""
        with self._condition:
            self._free += 1
            self._condition.notify_all()

    def close(self) -> None:
        """Refuses everyone who waits or comes later."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _wait(self, token: CancelToken) -> None:
        ticket = object()
        deadline = time.monotonic() + self._queue_timeout_seconds
        remove = token.add_callback(self._wake)
        try:
            with self._condition:
                self._queue.append(ticket)
                try:
                    while not (self._free and self._queue[0] is ticket):
                        self._refuse_closed()
                        token.raise_if_cancelled()
                        left = deadline - time.monotonic()
                        if left <= 0:
                            raise SourceBusyError(
                                f"No connection became free within {self._queue_timeout_seconds:g} seconds."
                            )
                        self._condition.wait(left)
                    self._free -= 1
                finally:
                    self._queue.remove(ticket)
                    self._condition.notify_all()
        finally:
            remove()

    def _wake(self) -> None:
        with self._condition:
            self._condition.notify_all()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise SourceBusyError("The server is shutting down.")
